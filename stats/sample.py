"""Paired differences in groups, and the mean over groups with its standard error.

One cell is one group. An average over backbones is one group per backbone, each a set of pairs
of its own, and the groups weigh the same whatever their number of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from stats.errors import StatsError

# Differences of scores carry rounding errors near 1e-16 of the scores; what varies by less than
# this share of them does not vary.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Sample:
    """Differences d, one per pair, in groups of pairs.

    ``values[b]`` are the differences of group b (1-D, finite), ``pairs[b]`` the indices of their
    pairs in whatever universe of pairs the caller uses: pairs with the same index share one sign
    flip. ``magnitude`` is the size of the scores the differences came from; it decides what counts
    as zero. A pair occurs once in a sample.
    """

    values: tuple[np.ndarray, ...] = field(repr=False)
    pairs: tuple[np.ndarray, ...] = field(repr=False)
    magnitude: float = 0.0

    @classmethod
    def of(
        cls,
        groups: Sequence[Sequence[float] | np.ndarray],
        pairs: Sequence[np.ndarray] | None = None,
        magnitude: float = 0.0,
    ) -> Sample:
        """A sample; pairs are numbered in order unless given; mere rounding becomes 0.

        Raises StatsError if a group is not one-dimensional or a value is not finite.
        """
        arrays = [np.asarray(group, dtype=float) for group in groups]
        for array in arrays:
            if array.ndim != 1:
                raise StatsError(
                    f"differences must be one-dimensional, not of shape {array.shape}",
                    place="d",
                    value=array.shape,
                )
            if not np.isfinite(array).all():
                row = int(np.flatnonzero(~np.isfinite(array))[0])
                raise StatsError(
                    f"difference {row + 1} is {array[row]}", place="d", value=float(array[row])
                )
        if pairs is None:
            ends = np.cumsum([0, *(array.size for array in arrays)])
            pairs = [np.arange(a, b) for a, b in pairwise(ends)]
        size = max([magnitude, *(float(np.abs(a).max()) for a in arrays if a.size)])
        snapped = tuple(np.where(np.abs(a) <= ROUNDING * size, 0.0, a) for a in arrays)
        return cls(snapped, tuple(pairs), size)

    @property
    def n(self) -> int:
        """The number of pairs in all groups."""
        return sum(group.size for group in self.values)

    @property
    def all_pairs(self) -> np.ndarray:
        """The indices of the pairs of all groups, in order of the groups."""
        return np.concatenate(self.pairs) if self.pairs else np.empty(0, dtype=int)

    @property
    def is_zero(self) -> bool:
        """Whether every difference is zero."""
        return self.n > 0 and not any(group.any() for group in self.values)


@dataclass(frozen=True)
class Estimate:
    """The mean over groups of the mean over pairs.

    ``mean`` and ``se`` are in score units, ``df`` are the degrees of freedom of ``se``, ``sd`` is
    the root of the groups' mean variance. ``se``, ``sd`` and ``df`` are NaN where a group has
    fewer than two pairs; ``constant`` tells that no group varies (se = 0: no test is possible).
    """

    mean: float
    sd: float
    se: float
    df: float
    n: int
    groups: int
    constant: bool


def estimate(sample: Sample) -> Estimate:
    """mean_b(mean_s d_bs) with SE^2 = sum_b s_b^2 / n_b / B^2 and Satterthwaite's df.

    df = (sum_b v_b)^2 / sum_b v_b^2 / (n_b - 1), v_b = s_b^2 / n_b (Satterthwaite 1946, Biometrics
    Bulletin 2, 110-114). With one group this is the one-sample t: df = n - 1.
    """
    sizes = [group.size for group in sample.values]
    count = len(sizes)
    if count == 0 or min(sizes) == 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan, sample.n, count, False)
    mean = float(np.mean([group.mean() for group in sample.values]))
    if min(sizes) < 2:
        return Estimate(mean, math.nan, math.nan, math.nan, sample.n, count, False)
    variances = np.array([_variance(group, sample.magnitude) for group in sample.values])
    shares = variances / np.array(sizes)
    if not variances.any():
        return Estimate(mean, 0.0, 0.0, math.nan, sample.n, count, True)
    se = math.sqrt(shares.sum()) / count
    if count == 1:
        df = float(sizes[0] - 1)
    else:
        df = float(shares.sum() ** 2 / (shares**2 / (np.array(sizes) - 1)).sum())
    return Estimate(mean, math.sqrt(variances.mean()), se, df, sample.n, count, False)


def _variance(group: np.ndarray, magnitude: float) -> float:
    if np.ptp(group) <= ROUNDING * magnitude:
        return 0.0
    return float(group.var(ddof=1))
