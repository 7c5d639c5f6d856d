"""What an analysis returns: one Effect per test, and the Comparison that holds them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stats.errors import StatsError, nearest
from stats.record import plain
from stats.verdict import Verdict, describe

if TYPE_CHECKING:
    import pandas as pd

WHICH = ("cells", "primary")


@dataclass(frozen=True)
class Effect:
    """One contrast in one cell, or averaged over cells, with everything said about it.

    All scores and differences are in the comparison's units. ``ci_*``, ``boot_*`` (bootstrap-t),
    ``p`` and ``p_signflip`` are unadjusted; ``p_adjusted`` and ``simultaneous_*`` hold over the
    family, by ``p_adjusted_method``, and the verdict rests on them alone. ``n_pairs`` counts the
    pairs used, ``n_broken`` those lost to failed runs. ``arm`` and ``baseline`` name the two sides
    of the contrast, ``mean_*`` are their weighted sums of means, so that mean_arm - mean_baseline
    = delta. ``sd`` is that of the paired differences (averages: the root of the groups' mean
    variance). ``also`` is what else holds beside ``equivalent``. ``pairs_needed``: fresh pairs for
    80 % power at the SESOI. NaN: not defined; an identical effect is outside the family.
    """

    name: str
    group: str
    cell: dict[str, str] | None
    arm: str
    baseline: str
    estimand: str
    n_pairs: int
    n_broken: int
    mean_baseline: float
    mean_arm: float
    delta: float
    ci_low: float
    ci_high: float
    t: float
    df: float
    p: float
    p_signflip: float
    p_adjusted: float
    p_adjusted_method: str
    simultaneous_low: float
    simultaneous_high: float
    boot_low: float
    boot_high: float
    dz: float
    dz_low: float
    dz_high: float
    sd: float
    verdict: Verdict
    also: str = ""
    no_room: bool = False
    pairs_needed: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a finite number becomes None."""
        return {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}


@dataclass(frozen=True)
class Broken:
    """A run that is needed and has no score: ``reason`` is "failed" or "missing"."""

    arm: str
    pair: dict[str, str]
    cell: dict[str, str]
    reason: str


@dataclass(frozen=True)
class Family:
    """How a family was corrected: tests in it, methods used, flips and whether all were taken."""

    n_tests: int
    methods: tuple[str, ...]
    n_flips: int
    exact: bool


@dataclass(frozen=True)
class Comparison:
    """The outcome of ``compare``: the secondary family (cells) and the primary one.

    ``rng_seed`` is None when a generator was handed in. Unadjusted intervals hold at
    ``confidence_level``, simultaneous ones at 1 - ``alpha``.
    """

    cells: tuple[Effect, ...]
    primary: tuple[Effect, ...]
    families: dict[str, Family]
    alpha: float
    sesoi: float | None
    confidence_level: float
    n_resamples: int
    rng_seed: int | None
    broken: tuple[Broken, ...]
    versions: dict[str, str]
    units: str

    def effects(self, which: str) -> tuple[Effect, ...]:
        """The effects of "cells" or "primary"; StatsError for another name."""
        if which not in WHICH:
            raise StatsError(
                f"'{which}' is not a family", place="which", value=which, hint=nearest(which, WHICH)
            )
        return self.cells if which == "cells" else self.primary

    def table(self, which: str = "cells") -> pd.DataFrame:
        """One row per effect, the cell's columns spread before the others; nothing is rounded."""
        import pandas as pd

        rows = []
        for effect in self.effects(which):
            row = {f.name: getattr(effect, f.name) for f in dataclasses.fields(effect)}
            cell = row.pop("cell") or {}
            rows.append({**cell, **row, "verdict": str(effect.verdict)})
        names = [f.name for f in dataclasses.fields(Effect) if f.name != "cell"]
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=names)

    def sentence(self, effect: Effect) -> str:
        """The verdict on one of the effects in words."""
        return describe(effect, self.units, self.sesoi)

    def to_dict(self) -> dict[str, Any]:
        """The whole as plain values for JSON, each effect with its sentence."""
        out: dict[str, Any] = {
            which: [e.to_dict() | {"sentence": self.sentence(e)} for e in self.effects(which)]
            for which in WHICH
        }
        out["families"] = {name: dataclasses.asdict(f) for name, f in self.families.items()}
        out["broken"] = [dataclasses.asdict(item) for item in self.broken]
        for name in (
            "alpha", "sesoi", "confidence_level", "n_resamples", "rng_seed", "versions", "units"
        ):  # fmt: skip
            out[name] = getattr(self, name)
        return out

    def summary(self) -> str:
        """The comparison as text for a terminal, at most 100 columns wide."""
        from stats.text import render

        return render(self)
