"""What the analysis of matched draws returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stats.matched_draws.moderators import Moderator
from stats.matched_draws.sign import SignShare
from stats.matched_draws.spread import DrawSpread
from stats.record import Record
from stats.replication.average import Average

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DrawEffect:
    """One draw: its effect with the interval that seed noise gives it, and the baseline's score.

    ``settings`` are the draw's hyperparameters, where they are known.
    """

    draw: str
    effect: float
    low: float
    high: float
    baseline: float
    n_pairs: int
    settings: Mapping[str, float]


@dataclass(frozen=True)
class Reading:
    """Everything about one cell (``cell``), or about the average over cells (None).

    ``mean`` is the mechanism: the effect averaged over the space, t over draws. ``interplay`` is
    mechanism x hyperparameters: the spread of true effects over draws. ``hp`` is what
    hyperparameters do without the mechanism: the spread of the baseline's true scores over draws.
    ``sign`` tells where in the space the effect turns. ``n_broken`` pairs were lost to failed runs,
    the draws in ``left_out`` have none left.
    """

    cell: Mapping[str, str] | None
    mean: Average
    interplay: DrawSpread
    hp: DrawSpread
    sign: SignShare
    draws: tuple[DrawEffect, ...]
    n_broken: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class MatchedDraws(Record):
    """An arm against its baseline over the draws of one hyperparameter space.

    ``overall`` averages over cells within the draw; ``cells`` are read one by one, unadjusted.
    ``moderators`` are exploratory. ``warnings`` weaken what is said, ``notes`` explain it.
    """

    name: str
    arm: str
    baseline: str
    overall: Reading
    cells: tuple[Reading, ...]
    moderators: tuple[Moderator, ...]
    units: str
    estimand: str
    method: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    confidence_level: float
    rng_seed: int | None

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The average over cells, then the cells."""
        return (self.overall, *self.cells)

    def table(self) -> pd.DataFrame:
        """One row for the average and each cell; nothing is rounded."""
        import pandas as pd

        return pd.DataFrame([_row(reading) for reading in self.readings])

    def draw_table(self) -> pd.DataFrame:
        """One row per draw, averaged over cells, with the hyperparameters as columns."""
        import pandas as pd

        rows = []
        for draw in self.overall.draws:
            row = {name: value for name, value in vars(draw).items() if name != "settings"}
            rows.append(row | dict(draw.settings))
        return pd.DataFrame(rows)

    def sentences(self) -> tuple[str, ...]:
        """Mechanism, interplay, sign, hyperparameters and seeds in words."""
        from stats.matched_draws.text import sentences

        return sentences(self)

    def summary(self) -> str:
        """The analysis as text for a terminal, at most 100 columns wide."""
        from stats.matched_draws.text import render

        return render(self)


def _row(reading: Reading) -> dict[str, Any]:
    mean, sign = reading.mean, reading.sign
    row: dict[str, Any] = dict(reading.cell or {"cell": "average over cells"})
    row |= {
        "draws": mean.n, "pairs": mean.n_pairs, "broken": reading.n_broken, "effect": mean.mean,
        "ci_low": mean.ci_low, "ci_high": mean.ci_high, "df": mean.df, "t": mean.t, "p": mean.p,
        "p_signflip": mean.p_signflip,
    }  # fmt: skip
    for name, spread in (("interplay", reading.interplay), ("hp", reading.hp)):
        row |= {
            f"{name}_sd": spread.sd, f"{name}_low": spread.low, f"{name}_high": spread.high,
            f"p_{name}": spread.p, f"{name}_sd_seed": spread.sd_seed,
        }  # fmt: skip
    return row | {
        "sign_share": sign.share, "sign_low": sign.low, "sign_high": sign.high,
        "opposite": sign.opposite,
    }  # fmt: skip
