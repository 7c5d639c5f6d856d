"""The median of a sample, with an interval that assumes no distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from stats.errors import StatsError
from stats.layout import wrap
from stats.paired import check_level
from stats.record import Record
from stats.wording import number


@dataclass(frozen=True)
class MedianInterval(Record):
    """The sample median and two order statistics around the population's.

    ``coverage`` is what the interval attains, at least the ``confidence_level`` asked for; with
    too few values for that level ``low``, ``high`` and ``coverage`` are NaN.
    """

    estimand: str
    method: str
    median: float
    low: float
    high: float
    n: int
    confidence_level: float
    coverage: float

    def summary(self) -> str:
        """The interval in words."""
        if math.isnan(self.low):
            said = f"median {number(self.median)} of {self.n}, too few for an interval"
        else:
            said = (
                f"median {number(self.median)}, {100 * self.confidence_level:g} % interval "
                f"{number(self.low)} to {number(self.high)}, {self.n} values"
            )
        return "\n".join(wrap(said.capitalize() + ".")) + "\n"


def median_interval(
    values: Sequence[float] | np.ndarray, *, confidence_level: float = 0.95
) -> MedianInterval:
    """The interval (x_(k), x_(n-k+1)) with the largest k whose coverage reaches the level.

    Coverage is 1 - 2 P(B < k), B ~ Bin(n, 1/2), exact for any continuous distribution and at least
    that for others (Thompson 1936, Annals of Mathematical Statistics 7, 122-128). Values that are
    independent but not of one distribution make it conservative for the median of their mixture
    (Hoeffding 1956, Annals of Mathematical Statistics 27, 713-721). At 95 % it needs 6 values.

    Raises StatsError for no value, one that is not finite, and a level outside (0, 1).
    """
    check_level(confidence_level)
    x = np.sort(np.asarray(values, dtype=float))
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise StatsError(
            "a median needs at least one value, all of them finite", place="values", value=values
        )
    n = x.size
    below = scipy_stats.binom.cdf(np.arange(n // 2 + 1), n, 0.5)  # P(B <= k - 1), k = 1, 2, ...
    k = int((2 * below <= 1 - confidence_level).sum())
    low = high = coverage = math.nan
    if k:
        low, high, coverage = float(x[k - 1]), float(x[n - k]), float(1 - 2 * below[k - 1])
    return MedianInterval(
        "median of the population that the values are drawn from",
        "order statistics, exact by the binomial distribution",
        float(np.median(x)), low, high, n, confidence_level, coverage,
    )  # fmt: skip
