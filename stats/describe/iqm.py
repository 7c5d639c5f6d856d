"""The interquartile mean of runs x cells, and the difference of two arms' interquartile means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.bootstrap import check_resamples
from stats.describe.strata import Strata
from stats.layout import wrap
from stats.paired import check_level
from stats.record import Record, seed_of
from stats.sample import ROUNDING
from stats.table import Key, PairedTable
from stats.wording import number

TRIM = 0.25


@dataclass(frozen=True)
class Iqm(Record):
    """Interquartile means of two arms and their difference ``delta``, in ``units``.

    ``se`` is the linearised standard error of delta, ``ci_*`` its bootstrap-t interval; both NaN
    where the pairs do not vary. ``n_runs`` counts the values of one arm (pairs x cells).
    """

    arm: str
    baseline: str
    estimand: str
    method: str
    units: str
    iqm_arm: float
    iqm_baseline: float
    delta: float
    se: float
    ci_low: float
    ci_high: float
    n_pairs: int
    n_broken: int
    n_cells: int
    n_runs: int
    confidence_level: float
    n_resamples: int
    rng_seed: int | None

    def summary(self) -> str:
        """One paragraph of at most 100 columns."""
        text = (
            f"Interquartile mean over {self.n_runs} runs ({self.n_pairs} pairs, {self.n_cells} "
            f"cells): {self.arm} {number(self.iqm_arm)}, {self.baseline} "
            f"{number(self.iqm_baseline)}, difference {number(self.delta, sign=True)} {self.units} "
            f"[{number(self.ci_low)}, {number(self.ci_high)}]. A description: the test is that of "
            "the mean difference."
        )
        return "\n".join(wrap(text)) + "\n"


def iqm(
    table: PairedTable,
    arm: str,
    baseline: str,
    *,
    cells: Sequence[Key] | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 4000,
    rng: int | np.random.Generator = 0,
) -> Iqm:
    """The middle half of all runs x cells, averaged (Agarwal et al. 2021, NeurIPS 34).

    Scores of all ``cells`` are pooled, so they must be on one scale: a benchmark with a wide
    spread of scores otherwise fills both tails. Pairs are resampled within groups, each with all
    its cells and both arms. The interval is a bootstrap-t (Efron 1981) with the standard error
    that ``linearised`` gives. Raises StatsError for what ``Strata.of`` raises, a wrong level, and
    fewer than 99 resamples.
    """
    check_level(confidence_level)
    check_resamples(n_resamples)
    strata = Strata.of(table, arm, baseline, cells)
    values = strata.values()
    means = interquartile_mean(values)
    delta, se = float(means[0] - means[1]), float(linearised(values[:, None], strata.blocks)[0])
    if se <= ROUNDING * float(np.abs(values).max()):
        se, low, high = 0.0, math.nan, math.nan
    else:
        low, high = _bootstrap_t(strata, delta, se, confidence_level, n_resamples, rng)
    return Iqm(
        arm,
        baseline,
        f"interquartile mean of {arm} minus that of {baseline}, over runs in {strata.where}",
        "difference of interquartile means, bootstrap-t interval over pairs within groups",
        strata.units,
        float(means[0]),
        float(means[1]),
        delta,
        se,
        low,
        high,
        strata.n_pairs,
        strata.n_broken,
        len(strata.cells),
        strata.n_runs,
        confidence_level,
        n_resamples,
        seed_of(rng),
    )


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis without its lowest and highest quarter.

    floor(N / 4) values are cut from each end, as in rliable and scipy's ``trim_mean``.
    """
    n = values.shape[-1]
    cut = int(TRIM * n)
    middle = np.partition(values, sorted({cut, n - cut - 1}), axis=-1)[..., cut : n - cut]
    return np.asarray(middle.mean(axis=-1))


def linearised(values: np.ndarray, blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Standard errors (R,) of differences of interquartile means; ``values`` is (2, R, N).

    N runs over pairs and cells in the order of ``blocks``. By the influence function of a trimmed
    mean (Huber 1981, Robust Statistics, 3.3): each value, clipped to the range that is kept,
    counts 1 / (N - 2 floor(N / 4)); a pair's part is the sum over its cells, arm minus baseline;
    the variance is that of a sum of independent pairs within blocks.
    """
    n = values.shape[-1]
    cut = int(TRIM * n)
    ordered = np.partition(values, sorted({cut, n - cut - 1}), axis=-1)
    low, high = ordered[..., cut, None], ordered[..., n - cut - 1, None]
    clipped = np.clip(values, low, high)
    parts = (clipped[0] - clipped[1]) / (n - 2 * cut)
    variance, start = np.zeros(values.shape[1]), 0
    for block in blocks:
        pairs, cells = block.shape[1:]
        part = parts[:, start : start + pairs * cells].reshape(-1, pairs, cells).sum(axis=2)
        variance += pairs * part.var(axis=1, ddof=1)
        start += pairs * cells
    return np.sqrt(variance)


def _bootstrap_t(
    strata: Strata,
    delta: float,
    se: float,
    level: float,
    n_resamples: int,
    rng: int | np.random.Generator,
) -> tuple[float, float]:
    t = []
    for drawn in strata.draws(n_resamples, np.random.default_rng(rng)):
        values = strata.resampled(drawn)
        means = interquartile_mean(values)
        shift = means[0] - means[1] - delta
        errors = linearised(values, strata.blocks)
        errors[errors <= ROUNDING * float(np.abs(values).max())] = 0.0
        shift[np.abs(shift) <= ROUNDING * float(np.abs(values).max())] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            t.append(np.nan_to_num(shift / errors, nan=0.0, posinf=np.inf, neginf=-np.inf))
    tail = (1 - level) / 2
    # An order statistic, not an interpolation, which would be undefined next to an infinite t.
    low, high = np.quantile(np.concatenate(t), [tail, 1 - tail], method="inverted_cdf")
    return delta - float(high) * se, delta - float(low) * se
