"""Expected values that follow from theory: closed forms, or quadrature over chi-squared laws.

Nothing here imports the package, so that a gate compares two independent computations.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import scipy.stats
from scipy import integrate, special

ALPHA = 0.05


def flip_level(n: int, alpha: float = ALPHA, sides: int = 2) -> float:
    """The level that exact sign flips of n pairs attain: a multiple of sides / 2^n."""
    return math.floor(alpha * 2**n / sides + 1e-9) * sides / 2**n


def looked(n: int, alpha: float = ALPHA) -> float:
    """Type I error of one-sided flips whose side is chosen after looking."""
    return 2 * flip_level(n, alpha, 1)


def scaled_chi2(df: float, points: int) -> np.ndarray:
    """Equally likely values of chi-squared / df: midpoints of its quantiles."""
    return np.asarray(special.chdtri(df, 1 - (np.arange(points) + 0.5) / points) / df)


def _t_size(standard_error_ratio: np.ndarray, df: np.ndarray, alpha: float) -> float:
    """P(|Z| > t_df SE / sigma) averaged over equally likely SE."""
    critical = -special.stdtrit(df, alpha / 2)
    return float((2 * special.ndtr(-critical * standard_error_ratio)).mean())


@lru_cache
def satterthwaite_size(n: tuple[int, int], sd: tuple[float, float], alpha: float = ALPHA) -> float:
    """Type I error of the mean of two groups' means with Satterthwaite's degrees of freedom."""
    first, second = np.meshgrid(*(scaled_chi2(k - 1, 600) for k in n))
    v1, v2 = sd[0] ** 2 * first / n[0], sd[1] ** 2 * second / n[1]
    df = (v1 + v2) ** 2 / (v1**2 / (n[0] - 1) + v2**2 / (n[1] - 1))
    truth = sd[0] ** 2 / n[0] + sd[1] ** 2 / n[1]
    return _t_size(np.sqrt((v1 + v2) / truth), df, alpha)


def _rule_of_both(
    seed: np.ndarray, item: np.ndarray, rest: np.ndarray, n: int, m: int
) -> np.ndarray:
    """Half width, times sqrt(n m), of the two-way interval as the documentation states its rule."""
    df = (n - 1, m - 1, (n - 1) * (m - 1))
    total = seed + item - rest
    spread = seed**2 / df[0] + item**2 / df[1] + rest**2 / df[2]
    floored = total <= np.maximum(seed, item)
    variance = np.where(floored, np.maximum(seed, item), total)
    with np.errstate(divide="ignore", invalid="ignore"):
        dfs = np.where(
            floored, np.where(seed >= item, df[0], df[1]), np.maximum(total, 1e-300) ** 2 / spread
        )
    half = np.sqrt(variance) * -special.stdtrit(dfs, ALPHA / 2)
    for value, own in ((seed, df[0]), (item, df[1])):
        half = np.maximum(half, np.sqrt(value) * -special.stdtrit(own, ALPHA / 2))
    return half


@lru_cache
def two_way_size(n: int, m: int, seed: float, item: float, both: float) -> float:
    """Type I error of the claim about other seeds and other items; SDs of normal effects."""
    expected = (m * seed**2 + both**2, n * item**2 + both**2, both**2)
    df = (n - 1, m - 1, (n - 1) * (m - 1))
    points = (100, 100, 40)
    seeds, items, rest = np.meshgrid(
        *(e * scaled_chi2(k, p) for e, k, p in zip(expected, df, points, strict=True)),
        indexing="ij",
    )
    half = _rule_of_both(seeds, items, rest, n, m)
    truth = math.sqrt(expected[0] + expected[1] - expected[2])
    return float((2 * special.ndtr(-half / truth)).mean())


@lru_cache
def tost_size(n: int, margin: float, alpha: float = ALPHA) -> float:
    """P(TOST shows equivalence) at a true difference of the margin, in SDs of differences."""
    critical = -float(special.stdtrit(n - 1, alpha))

    def inside(s: float) -> float:
        reach = critical * s
        upper, lower = -reach, reach - 2 * margin * math.sqrt(n)
        density = float(scipy.stats.chi.pdf(s * math.sqrt(n - 1), n - 1)) * math.sqrt(n - 1)
        return max(0.0, float(special.ndtr(upper) - special.ndtr(lower))) * density

    return float(integrate.quad(inside, 0, margin * math.sqrt(n) / critical, epsabs=1e-10)[0])


def boundary_share(n: int, rho: float) -> float:
    """P(the seed variance is estimated as zero), two arms paired by n seeds of correlation rho."""
    return float(scipy.stats.f.cdf((1 - rho) / (1 + rho), n - 1, n - 1))


@lru_cache
def mean_component(n: int, rho: float) -> float:
    """The mean REML estimate of the seed variance, zeros included; scores have variance 1."""
    points = scaled_chi2(n - 1, 1500)
    seed, rest = np.meshgrid((1 + rho) * points, (1 - rho) * points)
    return float(np.maximum(0.0, (seed - rest) / 2).mean())


def restricted_deviance(
    seed: np.ndarray, rest: np.ndarray, total: np.ndarray, error: np.ndarray, df: int
) -> np.ndarray:
    """-2 log restricted likelihood of variances ``total`` (of seed sums) and ``error``.

    ``seed`` and ``rest`` are the mean squares of the balanced layout, each with ``df``.
    """
    return np.asarray(df * (np.log(total) + seed / total + np.log(error) + rest / error))


def profile_rise(seed: np.ndarray, rest: np.ndarray, variance: float, df: int) -> np.ndarray:
    """How far the profiled deviance of the seed variance lies above its minimum, two arms.

    The mean squares of the balanced layout are ``seed`` (expectation 2 ``variance`` + error) and
    ``rest``. The error variance is minimised out by golden sections on its logarithm.
    """
    pooled = (seed + rest) / 2
    at_zero = seed <= rest
    least = restricted_deviance(
        seed, rest, np.where(at_zero, pooled, seed), np.where(at_zero, pooled, rest), df
    )
    ratio = (math.sqrt(5) - 1) / 2

    def value(log_error: np.ndarray) -> np.ndarray:
        error = np.exp(log_error)
        return restricted_deviance(seed, rest, error + 2 * variance, error, df)

    low, high = np.log(rest) - 6, np.log(rest + seed) + 3
    for _ in range(70):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        go_left = value(left) < value(right)
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
    return value((low + high) / 2) - least


@lru_cache
def profile_coverage(n: int, rho: float) -> float:
    """Coverage of the profile interval of the seed SD in the balanced layout of two arms."""
    points = scaled_chi2(n - 1, 250)
    seed, rest = np.meshgrid((1 + rho) * points, (1 - rho) * points)
    rise = profile_rise(seed, rest, rho, n - 1)
    return float((rise <= special.chdtri(1, ALPHA)).mean())


def best_of_normals(n: int) -> float:
    """The expected largest of n standard normal draws."""
    x = np.linspace(-9, 9, 20_001)
    return float(x[-1] - np.trapezoid(scipy.stats.norm.cdf(x) ** n, x))


@lru_cache
def wilson_coverage(n: int) -> float:
    """Coverage of Wilson's score interval, p uniform on (0, 1): it holds p where |z| <= z_.975."""
    z = float(special.ndtri(0.975))
    p = (np.arange(20_000) + 0.5) / 20_000
    k = np.arange(n + 1)[:, None]
    inside = np.abs(k - n * p) <= z * np.sqrt(n * p * (1 - p))
    return float((inside * scipy.stats.binom.pmf(k, n, p)).sum(axis=0).mean())


@lru_cache
def jeffreys_coverage(n: int) -> float:
    """Coverage of Jeffreys' interval, p ~ Beta(1/2, 1/2): .95 by construction.

    The ends set to 0 and 1 add half of the rest there.
    """
    none = math.exp(
        special.betaln(0.5, n + 0.5) - special.betaln(0.5, 0.5)
    )  # P(k = 0) = P(k = n), beta-binomial
    return 0.95 + 0.025 * 2 * none


def holm_size(nulls: int, alpha: float = ALPHA) -> float:
    """P(Holm rejects one of independent true nulls once all false ones are rejected)."""
    return 1 - (1 - alpha / nulls) ** nulls
