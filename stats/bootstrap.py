"""The bootstrap-t interval of a mean of paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.errors import StatsError
from stats.paired import check_level
from stats.sample import Sample, estimate


@dataclass(frozen=True)
class BootstrapT:
    """A bootstrap-t interval, in score units.

    ``n_degenerate`` resamples drew one value only, so that their t is infinite; where they are
    more than the tail, so is the interval's end. NaN where the data do not vary.
    """

    low: float
    high: float
    confidence_level: float
    n_resamples: int
    n_degenerate: int


def bootstrap_t(
    d: Sequence[float] | np.ndarray | Sample,
    *,
    confidence_level: float = 0.95,
    n_resamples: int = 10_000,
    rng: int | np.random.Generator = 0,
) -> BootstrapT:
    """Resample pairs within groups and invert the distribution of (mean* - mean) / se*.

    Efron 1981 (Canadian Journal of Statistics 9, 139-172); Davison and Hinkley 1997, section 5.2.
    Used instead of percentile and BCa intervals, which under-cover below 30 pairs. Raises
    StatsError for a wrong level or fewer than 99 resamples.
    """
    check_level(confidence_level)
    check_resamples(n_resamples)
    sample = d if isinstance(d, Sample) else Sample.of([d])
    e = estimate(sample)
    if e.constant or math.isnan(e.se):
        return BootstrapT(math.nan, math.nan, confidence_level, n_resamples, 0)
    generator = np.random.default_rng(rng)
    shift, square = np.zeros(n_resamples), np.zeros(n_resamples)
    for group in sample.values:
        n = group.size
        drawn = group[generator.integers(0, n, size=(n_resamples, n))]
        mean = drawn.mean(axis=1)
        spread = drawn.var(axis=1, ddof=1)
        spread[np.ptp(drawn, axis=1) == 0] = 0.0
        shift += (mean - group.mean()) / e.groups
        square += spread / n / e.groups**2
    with np.errstate(divide="ignore", invalid="ignore"):
        t = shift / np.sqrt(square)
    t[np.isnan(t)] = 0.0
    tail = (1 - confidence_level) / 2
    # An order statistic, not an interpolation, which would be undefined next to an infinite t.
    low, high = np.quantile(t, [tail, 1 - tail], method="inverted_cdf")
    return BootstrapT(
        e.mean - float(high) * e.se,
        e.mean - float(low) * e.se,
        confidence_level,
        n_resamples,
        int(np.isinf(t).sum()),
    )


def check_resamples(n_resamples: int) -> None:
    """Raise StatsError when there are too few resamples for an interval."""
    if n_resamples < 99:
        raise StatsError(
            f"{n_resamples} resamples are too few for an interval",
            place="n_resamples",
            value=n_resamples,
            hint="take 2000 or more",
        )
