"""An e-process on paired differences: evidence that may be looked at after every pair.

The null is symmetry, not normality: given all that was seen before, the next difference is as
likely to be d as -d. Then, whatever its size |d|, its sign is a fair coin, and a gambler who bets
on signs, each stake fixed by the past and |d|, starts with 1 and wins nothing on average. The
gambler's wealth is the e-value. It is a martingale in the filtration of the data themselves, so
that its mean is at most 1 at *every* stopping time, also at those that depend on raw differences
or on other cells. Wealth built on the t statistics (the right-Haar mixture) does not have that:
it is an e-process in the coarser filtration of ratios only (Wang and Ramdas 2023, arXiv
2310.03722).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.errors import StatsError
from stats.paired import check_alternative
from stats.sample import ROUNDING, Sample

# The effects d_z that are bet on, in equal shares. The largest make wealth 20 reachable with six
# pairs (one-sided: five), as early as exact sign flips can reach .05.
EFFECTS = (0.5, 0.75, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class EProcess:
    """Wealth after each pair.

    ``e`` (n,): the e-value after 1, ..., n pairs; ``p`` (n,): the anytime p-value 1 / (the largest
    e so far), at most 1. ``log_up`` and ``log_down`` (n,) are the logarithms of the wealth of
    betting on positive and on negative differences; two-sided e is the mean of the two. ``side``
    (n,) is +1 where betting on positive differences has earned more, else -1.
    """

    e: np.ndarray
    p: np.ndarray
    log_up: np.ndarray
    log_down: np.ndarray
    alternative: str
    effects: tuple[float, ...]

    @property
    def n(self) -> int:
        """The number of pairs."""
        return int(self.e.size)

    @property
    def side(self) -> np.ndarray:
        """Which side has earned more, after each pair."""
        return np.where(self.log_up >= self.log_down, 1, -1)


def e_process(
    d: Sequence[float] | np.ndarray | Sample,
    alternative: str = "two-sided",
    *,
    effects: Sequence[float] = EFFECTS,
) -> EProcess:
    """The e-process of differences d, one per pair, *in the order in which they were run*.

    Null, two-sided: given the past, d_i is symmetric about 0. Null of "greater": given the past,
    d_i is symmetric about some centre <= 0, or more generally P(d_i >= x) <= P(d_i <= -x) for all
    x > 0; "less" is its mirror. Under the null, P(e_n >= 1 / alpha for some n) <= alpha (Ville
    1939) and E[e_N] <= 1 at every stopping time N. Nothing is asked of tails and scales, which may
    change from pair to pair. Normal differences are a special case.

    With S_i the sum of squares of the first i differences, the wealth that bets on effect a is

        prod_i (1 + tanh(a sqrt(1 + a^2) d_i / sqrt(S_i / i))),

    averaged over a in ``effects``. For normal differences with d_z = a, sqrt(S_i / i) estimates
    sigma sqrt(1 + a^2), and 1 + tanh(a d / sigma) is the likelihood ratio of the sign given |d|:
    the bet of largest expected log wealth (the martingales for symmetry: Ramdas, Ruf, Larsson and
    Koolen 2020, arXiv 2009.03167). It dominates exp(x - x^2 / 2) of de la Pena (1999, Annals of
    Probability 27, 537-564) at the same stakes, because cosh(x) <= exp(x^2 / 2). Each factor rises
    with d_i, which is what the one-sided null needs. No unit is involved: e of c d is e of d.

    Differences that have not varied so far leave e at 1 or below: no spread, no verdict. A
    difference of 0 leaves the wealth as it is. ``effects`` must be fixed before the data.

    Raises StatsError for a wrong alternative, effects that are not positive, values that are not
    finite, no pairs, or a Sample of several groups.
    """
    check_alternative(alternative)
    sample = one_group(d)
    grid = check_effects(effects)
    values = sample.values[0]
    up, down = log_wealth(values, grid)
    log_e = held(combined(up, down, alternative), constant_so_far(values, sample.magnitude))
    with np.errstate(over="ignore"):
        e = np.exp(log_e)
    p = np.exp(-np.maximum(0.0, np.maximum.accumulate(log_e)))
    return EProcess(e, p, up, down, alternative, grid)


def log_wealth(d: np.ndarray, effects: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Log wealth (..., n) of betting on positive and on negative differences d (..., n).

    The last axis is the order of the pairs; all others are carried along.
    """
    size = np.abs(d).max(axis=-1, keepdims=True, initial=0.0)
    scaled = d / np.where(size > 0, size, 1.0)  # squares of tiny or huge units would not do
    square = np.cumsum(scaled * scaled, axis=-1)
    count = np.arange(1, d.shape[-1] + 1)
    z = scaled / np.sqrt(np.where(square > 0, square, 1.0) / count)
    stakes = np.array([2 * a * math.sqrt(1 + a * a) for a in effects])
    x = stakes.reshape(-1, *[1] * d.ndim) * z
    up = np.cumsum(math.log(2) - np.logaddexp(0.0, -x), axis=-1)  # log(1 + tanh(x / 2))
    down = up - np.cumsum(x, axis=-1)
    share = math.log(len(stakes))
    return np.logaddexp.reduce(up, axis=0) - share, np.logaddexp.reduce(down, axis=0) - share


def combined(up: np.ndarray, down: np.ndarray, alternative: str) -> np.ndarray:
    """The log e-value of the alternative; two-sided is the mean of the two one-sided ones."""
    if alternative == "two-sided":
        return np.asarray(np.logaddexp(up, down) - math.log(2))
    return up if alternative == "greater" else down


def constant_so_far(d: np.ndarray, magnitude: float) -> np.ndarray:
    """Where the differences up to each pair have not varied (n,), by more than rounding."""
    spread = np.maximum.accumulate(d) - np.minimum.accumulate(d)
    return np.asarray(spread <= ROUNDING * magnitude)


def held(log_e: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """Log e-values kept at 0 or below where there is no spread; what is smaller stays valid."""
    return np.where(constant, np.minimum(log_e, 0.0), log_e)


def one_group(d: Sequence[float] | np.ndarray | Sample) -> Sample:
    """A sample of one group with at least one pair; StatsError otherwise."""
    sample = d if isinstance(d, Sample) else Sample.of([d])
    if len(sample.values) > 1:
        raise StatsError(
            f"{len(sample.values)} groups of pairs have no common order",
            place="d",
            value=len(sample.values),
            hint="take one backbone at a time, and e_holm over several",
        )
    if sample.n == 0:
        raise StatsError("there are no pairs", place="d", value=0, hint="give at least one")
    return sample


def check_effects(effects: Sequence[float]) -> tuple[float, ...]:
    """The effects as floats; StatsError unless they are positive and finite."""
    grid = tuple(float(effect) for effect in effects)
    if not grid or not all(0 < effect < math.inf for effect in grid):
        raise StatsError(
            f"{list(grid)} are not effects to bet on",
            place="effects",
            value=grid,
            hint="give positive values of d_z, fixed before the data, e.g. (0.5, 1, 2)",
        )
    return grid
