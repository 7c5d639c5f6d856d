"""How much fixed effects spread: finite-population variances, corrected for estimation error.

For effects v = L mu of a term with q degrees of freedom (marginal means centred over every factor
of the term), the variance of these very levels is s^2 = v'v / q (Gelman 2005, Annals of Statistics
33, 1-53), on the scale of a variance component. v'v is too large by the trace of Cov(v), which is
taken off: the estimate is unbiased, and may be negative.

With c = trace / q the error variance of one effect, v'v / c is noncentral chi-squared with nc =
q s^2 / c. The interval inverts it, averaged over what the estimate of c leaves open: c / c_hat is
df / chi-squared_df (generalized intervals, Weerahandi 1993, Journal of the American Statistical
Association 88, 899-905). To invert the noncentral F instead, and multiply nc by c_hat, would count
the doubt about c twice: it cancels in s^2, and large spreads would be covered almost always.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from stats.mixed.contest import joint
from stats.mixed.fit import LmmFit
from stats.noncentral import chi_nodes

_NEARLY_NORMAL = 1e4  # a noncentrality from which on the root of a chi-squared is, to 1e-4


@dataclass(frozen=True)
class Spread:
    """s^2 (corrected), its interval, the F test behind it and q. In squared units."""

    variance: float
    low: float
    high: float
    num_df: int
    den_df: float
    p: float


def spread_of(fit: LmmFit, factors: Sequence[str], confidence_level: float) -> Spread:
    """The spread of a fixed term's effects over the levels of its factors."""
    means = fit.emm(list(factors))
    sizes = [len(fit.design.factors[name]) for name in factors]
    return spread(fit, means.rows, centring(sizes), confidence_level)


def centring(sizes: Sequence[int]) -> np.ndarray:
    """Kronecker product of centring matrices: the interaction part of a table of means."""
    out: np.ndarray = np.ones((1, 1))
    for size in sizes:
        out = np.kron(out, np.eye(size) - 1 / size)
    return out


def spread(fit: LmmFit, rows: np.ndarray, weights: np.ndarray, confidence_level: float) -> Spread:
    """The spread of effects ``weights`` (e, q0) @ ``rows`` (q0, p) @ beta.

    The degrees of freedom are the rank of ``weights``.
    """
    effects = weights @ rows
    test = joint(fit, effects, "spread")
    q = test.num_df
    v = effects @ fit.beta
    noise = float(np.trace(effects @ fit.kenward_roger.adjusted @ effects.T)) * fit.sigma**2
    corrected = (float(v @ v) - noise) / q
    tail = (1 - confidence_level) / 2
    if not math.isfinite(test.F) or noise <= 0:
        return Spread(corrected, math.nan, math.nan, q, test.den_df, test.p)
    low, high = (_limit(float(v @ v), noise, q, test.den_df, p) for p in (1 - tail, tail))
    return Spread(corrected, low, high, q, test.den_df, test.p)


def _limit(total: float, noise: float, q: int, df: float, probability: float) -> float:
    """The s^2 >= 0 at which P(chi-squared_q(q s^2 / c) <= ``total`` / c) is ``probability``.

    Averaged over c = ``noise`` / q / w^2, w^2 chi-squared / df. At s^2 = 0 this is the F test.
    """
    w, weight = chi_nodes(df) if math.isfinite(df) else (np.ones(1), np.ones(1))
    heavy = weight > 1e-12
    c, weight = noise / q / w[heavy] ** 2, weight[heavy]

    def excess(variance: float) -> float:
        nc = q * variance / c
        small = nc < _NEARLY_NORMAL
        inside = special.ndtr(np.sqrt(total / c) - np.sqrt(nc + q - 1))
        inside[small] = special.chndtr((total / c)[small], q, nc[small])
        return float(weight @ inside) - probability

    if excess(0.0) <= 0:
        return 0.0
    high = (total + noise) / q
    while excess(high) > 0:
        high *= 2
    return float(optimize.brentq(excess, 0.0, high, rtol=1e-8))


def axis_weights(levels: Sequence[Sequence[str]], which: Sequence[int]) -> np.ndarray:
    """Weights (combinations, points) of an axis's effects, or an interaction's, on points' means.

    ``levels`` is the level of each design point on each axis, ``which`` the axes concerned. The
    effects are the centred means over the points at each combination of their levels; every axis
    not concerned is averaged over as the points come.
    """
    sets = [list(dict.fromkeys(point[axis] for point in levels)) for axis in which]
    combinations = list(itertools.product(*sets))
    at = np.zeros((len(combinations), len(levels)))
    for i, combination in enumerate(combinations):
        for j, point in enumerate(levels):
            at[i, j] = all(
                point[axis] == value for axis, value in zip(which, combination, strict=True)
            )
    counts = at.sum(axis=1, keepdims=True)
    means = np.divide(at, counts, out=np.zeros_like(at), where=counts > 0)
    return np.asarray(centring([len(s) for s in sets]) @ means)
