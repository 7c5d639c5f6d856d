"""What ``replicate`` returns: a Replicated per contrast, a Claim per arm and direction."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stats.errors import StatsError, nearest
from stats.record import Record
from stats.replication.average import Average, Prediction
from stats.replication.conjunction import EffectCount
from stats.replication.exploratory import Discoveries
from stats.replication.intersection import Intersection
from stats.replication.rows import ContrastTest
from stats.result import Broken

if TYPE_CHECKING:
    import pandas as pd

WHICH = ("cells", "contrasts", "claims")


@dataclass(frozen=True)
class Replicated(Record):
    """One contrast over all its cells.

    ``cells`` are its tests, corrected over the whole family; ``exploratory`` lists their false
    discovery rates (over this contrast's cells). ``improved`` and ``harmed`` bound the numbers of
    cells with a true effect from below (Bonferroni form); ``*_fisher`` do so by Fisher's form where
    no two cells share a pair, and are None elsewhere. ``average`` is over these cells,
    ``population`` over backbones, ``prediction`` for a cell of a further backbone; none of the
    three is adjusted for the number of contrasts.
    """

    contrast: str
    arm: str
    baseline: str
    estimand: str
    method: str
    cells: tuple[ContrastTest, ...]
    improved: EffectCount
    harmed: EffectCount
    improved_fisher: EffectCount | None
    harmed_fisher: EffectCount | None
    average: Average
    population: Average
    prediction: Prediction
    exploratory: Discoveries

    def table(self) -> pd.DataFrame:
        """One row per cell, its columns first, then everything on the test, then ``q``."""
        import pandas as pd

        rows = []
        for test, q in zip(self.cells, self.exploratory.q, strict=True):
            row = dataclasses.asdict(test)
            cell = row.pop("cell") or {}
            rows.append({**cell, **row, "verdict": str(test.verdict), "q": float(q)})
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The cells and the statements as text."""
        from stats.replication.text import contrast_lines

        return "\n".join(contrast_lines(self)) + "\n"


@dataclass(frozen=True)
class Claim(Record):
    """``arm`` is better (``alternative`` "less": worse) than all ``baselines``.

    ``cells`` holds the intersection-union test of each cell in which all contrasts were run,
    ``p_adjusted`` their p-values by Holm over the cells, ``count`` a lower bound on the number of
    cells in which the claim is true, ``average`` the test of the averages over those cells.
    """

    arm: str
    baselines: tuple[str, ...]
    alternative: str
    estimand: str
    method: str
    cells: tuple[Intersection, ...]
    p_adjusted: tuple[float, ...]
    average: Intersection
    count: EffectCount

    def table(self) -> pd.DataFrame:
        """One row per cell, its columns first, and a last one (cell columns empty) on average."""
        import pandas as pd

        names = ("deciding", "n_pairs", "delta", "bound", "p", "p_signflip")
        empty = dict.fromkeys(self.cells[0].cell or {}, "")
        rows = []
        both = [*zip(self.cells, self.p_adjusted, strict=True), (self.average, self.average.p)]
        for test, p_adjusted in both:
            row = {name: getattr(test, name) for name in names}
            place = {"over": "cell" if test.cell is not None else "average"} | (test.cell or empty)
            rows.append(
                {"arm": self.arm, "alternative": self.alternative}
                | place
                | row
                | {"p_adjusted": p_adjusted, "shown": p_adjusted <= test.alpha}
            )
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The claim as text."""
        from stats.replication.text import claim_lines

        return "\n".join(claim_lines(self)) + "\n"


@dataclass(frozen=True)
class Replication(Record):
    """The outcome of ``replicate``.

    ``n_tests`` is the size of the family, over all contrasts and cells. Statements with a direction
    (counts, claims) each hold at their own level ``alpha``, one-sided. ``rng_seed`` is None when a
    generator was handed in.
    """

    contrasts: tuple[Replicated, ...]
    claims: tuple[Claim, ...]
    estimand: str
    method: str
    alternative: str
    alpha: float
    confidence_level: float
    n_tests: int
    n_flips: int
    exact: bool
    n_resamples: int
    rng_seed: int | None
    broken: tuple[Broken, ...]
    versions: dict[str, str]
    units: str

    def contrast(self, name: str) -> Replicated:
        """The contrast of that name; StatsError for an unknown one."""
        for item in self.contrasts:
            if item.contrast == name:
                return item
        known = [item.contrast for item in self.contrasts]
        raise StatsError(
            f"there is no contrast '{name}'", place="name", value=name, hint=nearest(name, known)
        )

    def table(self, which: str = "cells") -> pd.DataFrame:
        """The tests ("cells"), one row per contrast ("contrasts"), or the claims ("claims").

        Nothing is rounded. StatsError for another name.
        """
        import pandas as pd

        if which not in WHICH:
            raise StatsError(
                f"'{which}' is not a table", place="which", value=which, hint=nearest(which, WHICH)
            )
        if which == "contrasts":
            return pd.DataFrame([_row(item) for item in self.contrasts])
        parts = self.contrasts if which == "cells" else self.claims
        frames = [part.table() for part in parts]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def summary(self) -> str:
        """The whole as text for a terminal, at most 100 columns wide."""
        from stats.replication.text import render

        return render(self)


def _row(item: Replicated) -> dict[str, object]:
    """A contrast on one line: counts, the two averages, the prediction."""
    row: dict[str, object] = {
        "contrast": item.contrast,
        "arm": item.arm,
        "baseline": item.baseline,
        "n_cells": item.improved.n,
        "improved_at_least": item.improved.k,
        "harmed_at_least": item.harmed.k,
        "observed_better": item.improved.observed,
        "observed_worse": item.harmed.observed,
    }
    for name, average in (("average", item.average), ("population", item.population)):
        for field in ("mean", "se", "df", "p", "p_signflip", "ci_low", "ci_high"):
            row[f"{name}_{field}"] = getattr(average, field)
    return row | {
        "prediction_low": item.prediction.low,
        "prediction_high": item.prediction.high,
    }
