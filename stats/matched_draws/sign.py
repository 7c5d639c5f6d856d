"""In how much of the space the effect has the other sign."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.items.proportions import jeffreys
from stats.matched_draws.layout import Layout
from stats.matched_draws.spread import pivot

N_FIDUCIAL = 4_000
_HALVINGS = 40


@dataclass(frozen=True)
class SignShare:
    """The share of the space in which the sign of the effect is opposite to its mean's.

    ``share`` in [0, 1] is about *true* effects and rests on their being normal over draws:
    Phi(-|mean| / sd of the interplay); [``low``, ``high``] is its interval, beyond one half where
    the sign of the mean itself is in doubt. ``opposite`` of ``n`` draws *showed* the other sign:
    this count assumes nothing of the distribution but holds seed noise, which flips signs as well;
    [``opposite_low``, ``opposite_high``] is the interval of its share. NaN where nothing varies.
    """

    share: float
    low: float
    high: float
    opposite: int
    n: int
    opposite_low: float
    opposite_high: float


def sign_share(
    data: Layout,
    variance: float,
    confidence_level: float = 0.95,
    *,
    n_resamples: int = N_FIDUCIAL,
    rng: np.random.Generator,
) -> SignShare:
    """The share of the space where effects have the other sign than the mean of ``data``.

    ``variance`` is the estimated variance of true effects over draws. The interval is generalized
    (fiducial): random chi-squared numbers in the pivots of ``spread`` give a variance tau^2 (0
    where the pivot has no root), a normal one then the mean, centre - Z / sqrt(sum W), and both the
    share; its quantiles are the ends (Weerahandi 1993, Journal of the American Statistical
    Association 88, 899-905).
    """
    mean = float(data.means.mean())
    sign = 1.0 if mean >= 0 else -1.0
    count = len(data.draws)
    opposite = int((sign * data.means < 0).sum())
    few, many = jeffreys(opposite, count, confidence_level)
    if data.constant or mean == 0:
        nan = math.nan
        return SignShare(nan, nan, nan, opposite, count, few, many)
    share = float(special.ndtr(-abs(mean) / math.sqrt(variance))) if variance > 0 else 0.0
    found = _fiducial(data, sign, n_resamples, rng)
    tail = (1 - confidence_level) / 2
    low, high = (float(x) for x in np.quantile(found, [tail, 1 - tail]))
    # The plug-in estimate is a point of the same model; rounding of quantiles may not exclude it.
    return SignShare(share, min(low, share), max(high, share), opposite, count, few, many)


def _fiducial(data: Layout, sign: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """``n`` shares from the generalized distribution of mean and variance."""
    scale = rng.chisquare(data.df, n) / data.df
    noise = data.noise[None] / scale[:, None]
    wanted = rng.chisquare(len(data.draws) - 1, n)
    square = float(((data.means - data.means.mean()) ** 2).sum())
    # Q <= square / variance, so the root lies below square / wanted.
    low, high = np.full(n, 1e-14 * (square + float(data.noise.sum()))), square / wanted
    none = pivot(low, noise, data.means) <= wanted
    high = np.maximum(high, low)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = pivot(middle, noise, data.means) > wanted
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    variance = np.where(none, 0.0, (low + high) / 2)
    weight = 1.0 / np.maximum(variance[:, None] + noise, 1e-300)
    total = weight.sum(axis=1)
    mean = (weight @ data.means) / total - rng.standard_normal(n) / np.sqrt(total)
    with np.errstate(divide="ignore"):
        return np.asarray(special.ndtr(-sign * mean / np.sqrt(variance)))
