"""The data that gates share, their t statistics, and wrong methods that several of them meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
from scipy import special

ALPHA = 0.05
SIZES = (5, 10, 20)
CORRELATIONS = (-0.4, 0.0, 0.8)


def grid(**values: Sequence[Any]) -> list[dict[str, Any]]:
    """All combinations, as cases of a gate."""
    return [dict(zip(values, row, strict=True)) for row in product(*values.values())]


def arms(rng: np.random.Generator, replicates: int, n: int, rho: float) -> np.ndarray:
    """Scores (2, replicates, n) of two arms, SD 1, whose pairs correlate ``rho``; no difference."""
    shared, own = rng.normal(size=(2, replicates, n))
    shared, own = math.sqrt((1 + rho) / 2) * shared, math.sqrt((1 - rho) / 2) * own
    return np.stack([shared + own, shared - own])


def study(
    rng: np.random.Generator, replicates: int, shape: tuple[int, int], n: int, rho: float
) -> np.ndarray:
    """Null differences (replicates, arms, benchmarks, n), SD 1.

    Two arms correlate 1/2 on a benchmark, as they share the baseline's run; a pair's benchmarks
    correlate ``rho``, as they share its training.
    """
    arms_, benchmarks = shape
    luck = rng.normal(size=(2, replicates, arms_ + 1, 1, n))
    own = rng.normal(size=(replicates, arms_ + 1, benchmarks, n))
    scores = math.sqrt(rho) * luck[0] + math.sqrt(1 - rho) * own
    return (scores[:, 1:] - scores[:, :1]) / math.sqrt(2)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Exponential with mean 0 and SD 1."""
    return rng.exponential(size=shape) - 1.0


def t_of(d: np.ndarray, mean: float | np.ndarray = 0.0) -> np.ndarray:
    """t statistics of the last axis."""
    n = d.shape[-1]
    return (d.mean(axis=-1) - mean) / (d.std(axis=-1, ddof=1) / math.sqrt(n))


def t_p(d: np.ndarray, alternative: str = "two-sided") -> np.ndarray:
    """p-values of the paired t test along the last axis, by formula."""
    t, df = t_of(d), d.shape[-1] - 1
    if alternative == "two-sided":
        return 2 * special.stdtr(df, -np.abs(t))
    return special.stdtr(df, -t if alternative == "greater" else t)


def z_p(d: np.ndarray) -> np.ndarray:
    """What Wald's z makes of the same t statistic."""
    return 2 * special.ndtr(-np.abs(t_of(d)))


def unpaired_p(arm: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Student's two-sample test, which forgets the pairs."""
    n = arm.shape[-1]
    pooled = (arm.var(axis=-1, ddof=1) + base.var(axis=-1, ddof=1)) / 2
    t = (arm.mean(axis=-1) - base.mean(axis=-1)) / np.sqrt(2 * pooled / n)
    return 2 * special.stdtr(2 * n - 2, -np.abs(t))


def percentile_covers(
    d: np.ndarray, mean: float, rng: np.random.Generator, level: float = 0.95
) -> np.ndarray:
    """Whether the percentile bootstrap interval of d (replicates, n) holds ``mean``.

    All replicates share 1,999 resamples, which a rate over replicates does not notice.
    """
    n = d.shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=1999) / n
    tail = (1 - level) / 2
    low, high = np.quantile(d @ weights.T, [tail, 1 - tail], axis=1)
    return (low <= mean) & (mean <= high)


def agree(
    fast: np.ndarray, product_of: Callable[[int], Any], places: int = 50, rtol: float = 1e-6
) -> None:
    """Assert that an array over replicates equals the package's own function on the first ones."""
    where = range(min(places, len(fast)))
    np.testing.assert_allclose(
        np.asarray(fast[: len(where)], dtype=float), [float(product_of(i)) for i in where],
        rtol=rtol, atol=1e-12,
    )  # fmt: skip


def each(function: Callable[[Any], Any], items: Iterable[Any]) -> np.ndarray:
    """The function of every replicate."""
    return np.array([function(item) for item in items])
