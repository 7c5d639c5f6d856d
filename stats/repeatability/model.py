"""The mixed model of single runs, and what share of their variance lies between entries."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

from stats.mixed.fit import LmmFit, lmm
from stats.repeatability.grid import RunGrid


def fitted(grid: RunGrid) -> LmmFit:
    """The mixed model ``score ~ occasion + (1 | entry)`` by REML."""
    names = [_quoted(name) for name in (grid.score, grid.occasion, grid.entry)]
    return lmm(
        f"{names[0]} ~ {names[1]} + (1 | {names[2]})",
        grid.frame(),
        factors=[grid.entry, grid.occasion],
    )


def reliability(fit: LmmFit, level: float) -> tuple[float, float, float]:
    """The intraclass correlation lambda / (1 + lambda), lambda = entry variance / sigma^2.

    Its interval holds the lambda at which the profiled criterion rises by less than the chi-squared
    quantile.
    """
    rise = float(special.chdtri(1, 1 - level))
    criterion, theta = fit.criterion, fit.optimum.theta
    unit = 1.0 / float(fit.criterion.moments.z_scales[0][0])
    best, at = float(fit.optimum.value), abs(float(theta[0]))

    def excess(value: float) -> float:
        return criterion.value(np.array([value])) - best - rise

    def icc(value: float) -> float:
        return (value * unit) ** 2 / (1 + (value * unit) ** 2)

    high = max(at, 1e-3) * 2
    while excess(high) < 0 and high < 1e8:
        high *= 2
    upper = float(optimize.brentq(excess, at, high)) if high < 1e8 else math.inf
    lower = float(optimize.brentq(excess, 0.0, at)) if at > 0 and excess(0.0) > 0 else 0.0
    return icc(at), icc(lower), icc(upper) if math.isfinite(upper) else 1.0


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
