"""Mean squares of a complete seed x item array, and the variance components they estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.sample import ROUNDING


@dataclass(frozen=True)
class MeanSquares:
    """The two-way analysis of variance without replication of an array (n, m).

    ``seed``, ``item`` and ``residual`` are mean squares with n - 1, m - 1 and (n - 1)(m - 1)
    degrees of freedom, ``mean`` the array's mean. Their expectations under random effects are
    m s_S^2 + s_SI^2, n s_I^2 + s_SI^2 and s_SI^2 (Scheffe 1959, The Analysis of Variance, 7.4).
    A mean square is exactly 0 where nothing but rounding varies.
    """

    mean: float
    seed: float
    item: float
    residual: float
    n: int
    m: int

    @property
    def df(self) -> tuple[int, int, int]:
        """Degrees of freedom of ``seed``, ``item`` and ``residual``."""
        return self.n - 1, self.m - 1, (self.n - 1) * (self.m - 1)


def mean_squares(d: np.ndarray, magnitude: float = 0.0) -> MeanSquares:
    """The mean squares of d (n >= 2 seeds, m >= 2 items, finite).

    ``magnitude`` is the size of the outcomes d was computed from, for telling rounding from
    variation (see ``sample.ROUNDING``).
    """
    n, m = d.shape
    mean = float(d.mean())
    rows, columns = d.mean(axis=1) - mean, d.mean(axis=0) - mean
    residual = d - mean - rows[:, None] - columns
    least = ROUNDING * max(magnitude, float(np.abs(d).max()))
    squares = [
        float((deviation**2).sum()) if float(np.abs(deviation).max()) > least else 0.0
        for deviation in (rows, columns, residual)
    ]
    return MeanSquares(
        mean,
        squares[0] * m / (n - 1),
        squares[1] * n / (m - 1),
        squares[2] / ((n - 1) * (m - 1)),
        n,
        m,
    )


@dataclass(frozen=True)
class VarianceComponent:
    """A variance component of the differences, in squared reported units.

    ``raw`` is the unbiased estimate from mean squares and may be negative; ``variance`` is it with
    negative values set to 0, ``sd`` the root of that, in reported units. ``low`` and ``high`` are
    the ends of its interval, cut at 0. NaN where nothing varies.
    """

    name: str
    raw: float
    variance: float
    sd: float
    low: float
    high: float


def components(
    squares: MeanSquares, confidence_level: float = 0.95, unit: str = "item"
) -> tuple[VarianceComponent, VarianceComponent, VarianceComponent]:
    """The components seed, item and seed x item with their intervals.

    s_S^2 = (MS_S - MS_SI) / m, s_I^2 = (MS_I - MS_SI) / n, s_SI^2 = MS_SI. The interval of s_SI^2
    is the chi-squared one; those of the differences of mean squares are modified large-sample
    intervals (Ting, Burdick, Graybill, Jeyaratnam and Lu 1990, Journal of Statistical Computation
    and Simulation 35, 135-143). Both hold for normal effects.
    """
    tail = (1 - confidence_level) / 2
    df_seed, df_item, df_residual = squares.df
    return (
        _component(
            "seed",
            (squares.seed - squares.residual) / squares.m,
            difference_limits(squares.seed, df_seed, squares.residual, df_residual, tail),
            squares.m,
        ),
        _component(
            unit,
            (squares.item - squares.residual) / squares.n,
            difference_limits(squares.item, df_item, squares.residual, df_residual, tail),
            squares.n,
        ),
        _component(
            f"seed x {unit}",
            squares.residual,
            difference_limits(squares.residual, df_residual, 0.0, df_residual, tail),
            1,
        ),
    )


def difference_limits(
    first: float, df_first: int, second: float, df_second: int, tail: float
) -> tuple[float, float]:
    """The two ends for theta_1 - theta_2 from mean squares, ``tail`` outside on each side.

    Ting et al. 1990. The lower end is 0 exactly where the F test of theta_1 = theta_2 at level
    ``tail`` is at its border; with ``second`` = 0 both are chi-squared limits of theta_1.
    """
    high_f = special.fdtri(df_first, df_second, 1 - tail)
    low_f = special.fdtri(df_first, df_second, tail)
    g1 = 1 - df_first / special.chdtri(df_first, tail)
    h2 = df_second / special.chdtri(df_second, 1 - tail) - 1
    g12 = ((high_f - 1) ** 2 - (g1 * high_f) ** 2 - h2**2) / high_f
    h1 = df_first / special.chdtri(df_first, 1 - tail) - 1
    g2 = 1 - df_second / special.chdtri(df_second, tail)
    h12 = ((1 - low_f) ** 2 - (h1 * low_f) ** 2 - g2**2) / low_f
    below = (g1 * first) ** 2 + (h2 * second) ** 2 + g12 * first * second
    above = (h1 * first) ** 2 + (g2 * second) ** 2 + h12 * first * second
    return (
        first - second - math.sqrt(max(below, 0.0)),
        first - second + math.sqrt(max(above, 0.0)),
    )


def _component(
    name: str, raw: float, limits: tuple[float, float], divisor: int
) -> VarianceComponent:
    low, high = (max(limit / divisor, 0.0) for limit in limits)
    if raw == 0.0 and high == 0.0:
        low = high = math.nan
    variance = max(raw, 0.0)
    return VarianceComponent(name, raw, variance, math.sqrt(variance), low, high)
