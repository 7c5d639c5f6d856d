"""The noncentral F distribution: distribution function, and its inversion for intervals.

scipy's ``ncfdtr`` returns NaN for infinite denominator degrees of freedom and where probabilities
are very small, which a search meets. Here the Poisson mixture is summed around its bulk.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

_REACH = 10.0  # Poisson standard deviations summed on both sides: the rest is below 1e-20


def ncf_cdf(f: float, num_df: float, den_df: float, nc: float) -> float:
    """P(F <= f) for F = ((sum of squares of num_df normals with nc) / num_df) / (V / den_df).

    Johnson, Kotz and Balakrishnan 1995, Continuous Univariate Distributions 2, chapter 30: a
    Poisson(nc / 2) mixture of beta distributions. ``den_df`` may be infinite (noncentral
    chi-squared). Agrees with scipy
    to 1e-8 up to nc = 1e8, where scipy has a value.
    """
    if f <= 0:
        return 0.0
    mean = nc / 2
    spread = _REACH * math.sqrt(mean) + 30.0
    j = np.arange(max(0.0, math.floor(mean - spread)), math.ceil(mean + spread) + 1.0)
    if mean > 0:
        log_weight = np.concatenate([[0.0], np.cumsum(np.log(mean / j[1:]))])
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
    else:
        weight = (j == 0).astype(float)
    if math.isinf(den_df):
        inner = special.gammainc(num_df / 2 + j, f * num_df / 2)
    else:
        inner = special.betainc(num_df / 2 + j, den_df / 2, num_df * f / (num_df * f + den_df))
    return float(min(1.0, weight @ inner))


def ncf_noncentrality(f: float, num_df: float, den_df: float, probability: float) -> float:
    """The nc >= 0 at which P(F <= f) equals ``probability``; 0 where it is below that at nc = 0."""
    if ncf_cdf(f, num_df, den_df, 0.0) <= probability:
        return 0.0
    low, high = 0.0, max(1.0, 2 * num_df * f)
    while ncf_cdf(f, num_df, den_df, high) > probability:
        low, high = high, 2 * high
    return float(
        optimize.brentq(
            lambda nc: ncf_cdf(f, num_df, den_df, nc) - probability, low, high, rtol=1e-12
        )
    )
