"""How much the true means of draws vary, seed noise taken off.

The layout is one-way with random draws: y_h = mu + b_h + e_h, b_h with variance tau^2, e_h with the
variance v_h of seed noise, estimated with relative error chi-squared_f / f. Its pivots are

    Q(tau^2, v) = sum_h W_h (y_h - sum W y / sum W)^2 ~ chi-squared_(H - 1),  W_h = 1/(tau^2 + v_h)

and v_hat f / v ~ chi-squared_f, independent. At tau^2 = 0 they give the exact F test of no spread,
also for unequal numbers of seeds (Wald 1940, Annals of Mathematical Statistics 11, 96-100). The
generalized interval (Weerahandi 1993, Journal of the American Statistical Association 88, 899-905)
inverts Q averaged over what the estimate of v leaves open. It contains zero exactly where the
one-sided F test does not reject, so that its coverage at zero is exact, and keeps its level well
enough elsewhere (tests/stats/matched_draws). Draws and seeds are taken as normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from stats.matched_draws.layout import Layout
from stats.noncentral import chi_nodes

METHOD = "generalized interval, F test of no spread"


@dataclass(frozen=True)
class DrawSpread:
    """The spread over draws of what draws have in truth, in units.

    ``variance`` (squared units) is the variance of the draws' means less their mean noise: it is
    unbiased and may be negative. ``sd`` is its root, 0 below 0; [``low``, ``high``] its interval.
    ``F`` with ``num_df`` and ``den_df`` tests that there is no spread. ``sd_seed`` is the standard
    deviation of one pair's value over seeds within a draw. NaN where nothing varies at all, and p
    where seeds do not vary (a p-value of zero would claim too much).
    """

    what: str
    variance: float
    sd: float
    low: float
    high: float
    F: float
    num_df: int
    den_df: float
    p: float
    sd_seed: float


def spread_over_draws(data: Layout, what: str, confidence_level: float = 0.95) -> DrawSpread:
    """The spread of the true means of a layout; ``what`` names it for tables."""
    nan = math.nan
    num_df, sd_seed = len(data.draws) - 1, math.sqrt(data.within)
    variance = float(data.means.var(ddof=1) - data.noise.mean())
    sd = math.sqrt(max(variance, 0.0))
    if data.constant:
        return DrawSpread(what, variance, sd, nan, nan, nan, num_df, data.df, nan, sd_seed)
    f = p = nan
    if data.noise.all():
        f = float(pivot(np.zeros(1), data.noise[None], data.means)[0]) / num_df
        p = float(special.fdtrc(num_df, data.df, f))
    tail = (1 - confidence_level) / 2
    low, high = (math.sqrt(_limit(data, probability)) for probability in (tail, 1 - tail))
    return DrawSpread(what, variance, sd, low, high, f, num_df, data.df, p, sd_seed)


def pivot(variance: np.ndarray, noise: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Q (k,) for variances (k,) of draws and noise (k, H) of the means (H,)."""
    weight = 1.0 / (variance[:, None] + noise)
    centre = (weight @ means) / weight.sum(axis=1)
    return np.asarray((weight * (means[None] - centre[:, None]) ** 2).sum(axis=1))


def _limit(data: Layout, probability: float) -> float:
    """The variance at which P(chi-squared_(H-1) > Q), averaged over the noise, is ``probability``.

    0 where it is larger already at 0: there it is the p-value of the F test.
    """
    w, weight = chi_nodes(data.df)
    heavy = weight > 1e-10
    noise, weight = data.noise[None] / w[heavy, None] ** 2, weight[heavy]
    df = len(data.draws) - 1

    def excess(variance: float) -> float:
        q = pivot(np.full(len(weight), variance), noise, data.means)
        return float(weight @ special.chdtrc(df, q)) - probability

    square = float(((data.means - data.means.mean()) ** 2).sum())
    start = 1e-12 * (square + float(data.noise.sum()))  # at 0 itself a noise of 0 has no weight
    if excess(start) >= 0:
        return 0.0
    high = square / df + start
    while excess(high) < 0:
        high *= 2
    return float(optimize.brentq(excess, start, high, rtol=1e-8))
