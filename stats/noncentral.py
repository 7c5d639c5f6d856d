"""Student's noncentral t: distribution function, its inversion, and the power of a t test.

scipy's ``nct`` returns NaN for large noncentralities, where power searches and effect-size
intervals need it. Here the distribution function is one smooth integral by Gauss-Legendre nodes.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special

_REACH = 9.5  # the normal distribution beyond is below 1e-20
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(320)


def nct_cdf(t: float, df: float, nc: float) -> float:
    """P(T <= t) for T = (Z + nc) / sqrt(V / df), Z standard normal, V chi-squared with df.

    Johnson, Kotz and Balakrishnan 1995, Continuous Univariate Distributions 2, chapter 31.
    Absolute error below 1e-10 for df >= 1.
    """
    if t < 0:
        return 1.0 - nct_cdf(-t, df, -nc)
    if t == 0:
        return float(special.ndtr(-nc))
    # Of the two ways to integrate, take the one whose integrand varies more slowly than its weight.
    if t * t < 2 * df:
        w, weight = chi_nodes(df)
        return float(min(1.0, weight @ special.ndtr(t * w - nc)))
    low = max(-_REACH, -nc)
    if low >= _REACH:
        return float(special.ndtr(-nc))
    half = (_REACH - low) / 2
    z = low + half * (_NODES + 1)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    inner = density * special.chdtrc(df, df * ((z + nc) / t) ** 2)
    return float(min(1.0, special.ndtr(-nc) + half * (_WEIGHTS @ inner)))


@lru_cache(maxsize=256)
def chi_nodes(df: float, most: float = math.inf) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for an expectation over w = sqrt(V / df), V chi-squared with df.

    Only w <= ``most`` count: the weights sum to P(w <= most). w is s / sigma of a normal sample.
    """
    low = math.sqrt(special.chdtri(df, 1 - 1e-16) / df)
    high = min(most, math.sqrt(special.chdtri(df, 1e-17) / df))
    if high <= low:
        return np.array([max(high, 0.0)]), np.zeros(1)
    half = (high - low) / 2
    w = low + half * (_NODES + 1)
    log_density = (
        math.log(2)
        + df / 2 * math.log(df / 2)
        - special.gammaln(df / 2)
        + (df - 1) * np.log(w)
        - df * w * w / 2
    )
    weight = _WEIGHTS * np.exp(log_density - log_density.max())
    return w, weight * (float(special.chdtr(df, df * high * high)) / weight.sum())


def nct_noncentrality(t: float, df: float, probability: float) -> float:
    """The nc at which P(T <= t) equals ``probability``; found by bisection (decreasing in nc)."""
    scale = math.sqrt(1 + t * t / (2 * df))
    low, high = t - 4 * scale, t + 4 * scale
    while nct_cdf(t, df, low) < probability:
        low -= 4 * scale
    while nct_cdf(t, df, high) > probability:
        high += 4 * scale
    for _ in range(60):
        middle = (low + high) / 2
        if nct_cdf(t, df, middle) > probability:
            low = middle
        else:
            high = middle
        if high - low <= 1e-12 * max(1.0, abs(middle)):
            break
    return (low + high) / 2


def t_power(nc: float, df: float, alpha: float, alternative: str = "two-sided") -> float:
    """The power of a t test at level alpha when its noncentrality is nc."""
    critical = -float(special.stdtrit(df, alpha / 2 if alternative == "two-sided" else alpha))
    if alternative == "greater":
        return 1.0 - nct_cdf(critical, df, nc)
    below = nct_cdf(-critical, df, nc)
    return below if alternative == "less" else 1.0 - nct_cdf(critical, df, nc) + below
