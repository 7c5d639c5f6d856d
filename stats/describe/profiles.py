"""Performance profiles: the share of runs above each threshold, for both arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stats.bootstrap import check_resamples
from stats.describe.strata import Strata
from stats.errors import StatsError
from stats.layout import columns, wrap
from stats.paired import check_level
from stats.record import Record, seed_of
from stats.table import Key, PairedTable
from stats.wording import number

if TYPE_CHECKING:
    import pandas as pd

N_THRESHOLDS = 101


@dataclass(frozen=True)
class Profile(Record):
    """Shares of runs above ``thresholds`` (T, in ``units``), each from 0 to 1.

    ``arm_*`` and ``baseline_*`` are the two profiles with their bands, ``delta*`` is arm minus
    baseline with its own band, which uses the pairs. Bands are pointwise percentile intervals.
    """

    arm: str
    baseline: str
    estimand: str
    method: str
    units: str
    thresholds: np.ndarray = field(repr=False)
    arm_share: np.ndarray = field(repr=False)
    arm_low: np.ndarray = field(repr=False)
    arm_high: np.ndarray = field(repr=False)
    baseline_share: np.ndarray = field(repr=False)
    baseline_low: np.ndarray = field(repr=False)
    baseline_high: np.ndarray = field(repr=False)
    delta: np.ndarray = field(repr=False)
    delta_low: np.ndarray = field(repr=False)
    delta_high: np.ndarray = field(repr=False)
    n_pairs: int
    n_broken: int
    n_cells: int
    confidence_level: float
    n_resamples: int
    rng_seed: int | None

    def table(self) -> pd.DataFrame:
        """One row per threshold; nothing is rounded."""
        import pandas as pd

        names = [f"{side}_{what}" for side in ("arm", "baseline") for what in _PARTS]
        names += ["delta", "delta_low", "delta_high"]
        return pd.DataFrame({"threshold": self.thresholds} | {n: getattr(self, n) for n in names})

    def summary(self) -> str:
        """Text of at most 100 columns: the profile at nine thresholds."""
        head = (
            f"Share of runs above a threshold ({self.units}), {self.n_pairs} pairs, "
            f"{self.n_cells} cells, {self.confidence_level:.0%} bands point by point"
        )
        shown = np.unique(np.linspace(0, self.thresholds.size - 1, 9).round().astype(int))
        sides = ("arm_share", "arm"), ("baseline_share", "baseline"), ("delta", "delta")
        rows = [
            [number(float(self.thresholds[i])), *(self._text(i, *names) for names in sides)]
            for i in shown
        ]
        titles = ("above", self.arm, self.baseline, "difference")
        return "\n".join([*wrap(head), *columns(titles, rows, indent="  ")]) + "\n"

    def _text(self, at: int, value: str, band: str) -> str:
        parts = (getattr(self, name)[at] for name in (value, f"{band}_low", f"{band}_high"))
        return "{:.2f} [{:.2f}, {:.2f}]".format(*parts)


_PARTS = ("share", "low", "high")


def performance_profile(
    table: PairedTable,
    arm: str,
    baseline: str,
    *,
    thresholds: Sequence[float] | np.ndarray | None = None,
    cells: Sequence[Key] | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 4000,
    rng: int | np.random.Generator = 0,
) -> Profile:
    """For each threshold tau the share of runs with score > tau, cells weighing the same.

    The run-score distribution of Agarwal et al. 2021 (NeurIPS 34), after Dolan and More 2002
    (Mathematical Programming 91, 201-213). Pairs are resampled within groups, each with all its
    cells and both arms. ``thresholds`` are in reported units (default: 101 over the range of the
    scores). With few pairs the bands are too narrow, as all percentile intervals are, and where
    every run is on one side they have no width. Raises StatsError for what ``Strata.of`` raises,
    a wrong level, fewer than 99 resamples, and thresholds that are not finite.
    """
    check_level(confidence_level)
    check_resamples(n_resamples)
    strata = Strata.of(table, arm, baseline, cells)
    taus = _thresholds(thresholds, strata)
    tail = (1 - confidence_level) / 2
    generator = np.random.default_rng(rng)
    shares = np.zeros((2, taus.size))
    drawn = np.zeros((2, n_resamples, taus.size))
    for block in strata.blocks:
        _, pairs, n_cells = block.shape
        # Per pair, the share of its cells above tau: (2, pairs, T).
        above = np.stack([(block > tau).mean(axis=2) for tau in taus], axis=-1)
        weight = n_cells / len(strata.cells)
        shares += weight * above.mean(axis=1)
        draws = generator.multinomial(pairs, np.full(pairs, 1 / pairs), size=n_resamples)
        drawn += weight / pairs * (draws @ above)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=1)
    delta_low, delta_high = np.quantile(drawn[0] - drawn[1], [tail, 1 - tail], axis=0)
    return Profile(
        arm,
        baseline,
        f"share of runs above a threshold, over runs in {strata.where}",
        "empirical shares, pointwise percentile band of a bootstrap of pairs within groups",
        strata.units,
        taus,
        shares[0],
        low[0],
        high[0],
        shares[1],
        low[1],
        high[1],
        shares[0] - shares[1],
        delta_low,
        delta_high,
        strata.n_pairs,
        strata.n_broken,
        len(strata.cells),
        confidence_level,
        n_resamples,
        seed_of(rng),
    )


def _thresholds(given: Sequence[float] | np.ndarray | None, strata: Strata) -> np.ndarray:
    if given is None:
        values = strata.values()
        return np.linspace(values.min(), values.max(), N_THRESHOLDS)
    taus = np.sort(np.asarray(given, dtype=float))
    if taus.ndim != 1 or taus.size == 0 or not np.isfinite(taus).all():
        raise StatsError(
            "thresholds must be a list of finite numbers",
            place="thresholds",
            value=given,
            hint=f"e.g. np.linspace(0, 100, 101), in {strata.units}",
        )
    return taus
