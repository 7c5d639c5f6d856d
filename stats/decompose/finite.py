"""How much fixed effects spread: finite-population variances, corrected for estimation error.

For effects v = L mu of a term with q degrees of freedom (marginal means centred over every factor
of the term), the variance of these very levels is s^2 = v'v / q (Gelman 2005, Annals of Statistics
33, 1-53), on the scale of a variance component. v'v is too large by the trace of Cov(v), which is
taken off: the estimate is unbiased, and may be negative. The interval inverts the noncentral F of
the term's test, nc = q s^2 / c with c = trace / q the error variance of one effect.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.factorial.noncentral_f import ncf_noncentrality
from stats.mixed.contest import joint
from stats.mixed.fit import LmmFit


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
    # The F of this spread itself, so that estimate and interval agree on unbalanced tables too.
    f = float(v @ v) / noise
    low = ncf_noncentrality(f, q, test.den_df, 1 - tail) * noise / q**2
    high = ncf_noncentrality(f, q, test.den_df, tail) * noise / q**2
    return Spread(corrected, low, high, q, test.den_df, test.p)


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
