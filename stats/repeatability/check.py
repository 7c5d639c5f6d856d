"""The floor held against the repeats themselves, without a distribution."""

from __future__ import annotations

import math

import numpy as np

from stats.bootstrap import check_resamples
from stats.items.proportions import proportion_interval
from stats.paired import t_quantile
from stats.repeatability.grid import RunGrid
from stats.repeatability.result import Check
from stats.repeatability.within import Deletion


def check_floor(
    grid: RunGrid,
    deleted: list[Deletion],
    residuals: np.ndarray,
    *,
    confidence_level: float,
    n_resamples: int,
    rng: int | np.random.Generator,
) -> Check:
    """How often two runs of one entry differ by more than the floor that the others give.

    Every entry is left out in turn: shifts and sigma come from the others, so that an entry cannot
    raise the threshold it is held against. The share's interval is Jeffreys' at the number of
    independent pairs that it is worth (``effective_number``); that of the quantile resamples
    entries, and both are left out where the pairs are too few to reach the quantile. ``residuals``
    (n,) are the mixed model's: each is an average of several errors, so that their tails are
    lighter than those of the noise.
    """
    check_resamples(n_resamples)
    expected = 1 - confidence_level
    used = [d for d in deleted if d.differences.size and d.df_rest > 0]
    nan = math.nan
    share = share_low = share_high = quantile = low = high = nan
    if used:
        sizes = np.concatenate([np.abs(d.differences) for d in used])
        beyond = np.concatenate([_beyond(d, confidence_level) for d in used])
        owner = np.repeat(np.arange(len(used)), [d.differences.size for d in used])
        # An entry of k runs has k (k - 1) / 2 differences that carry k - 1 degrees of freedom.
        weight = np.array([(d.runs - 1) / d.differences.size for d in used])[owner]
        share = float(np.average(beyond, weights=weight))
        number = effective_number(beyond, weight, owner)
        ends = proportion_interval(share * number, number, confidence_level=confidence_level)
        share_low, share_high = (float(end) for end in ends)
        if sizes.size * expected >= 1:
            order = np.argsort(sizes)
            quantile = _quantile(sizes[order], weight[order], confidence_level)
            times = np.random.default_rng(rng).multinomial(
                len(used), np.full(len(used), 1 / len(used)), size=n_resamples
            )
            drawn = (times[:, owner] * weight)[:, order]
            found = [_quantile(sizes[order], w, confidence_level) for w in drawn]
            low, high = np.quantile(found, [expected / 2, 1 - expected / 2]).tolist()
    return Check(
        pairs=sum(d.differences.size for d in used),
        entries=len(used),
        expected=expected,
        share=share,
        share_low=share_low,
        share_high=share_high,
        quantile=quantile,
        quantile_low=low,
        quantile_high=high,
        kurtosis=_standardised_moment(residuals, 4) - 3,
        skewness=_standardised_moment(residuals, 3),
        differences=tuple(
            (grid.entries[d.entry], float(x)) for d in used for x in np.abs(d.differences)
        ),
    )


def effective_number(beyond: np.ndarray, weight: np.ndarray, owner: np.ndarray) -> float:
    """How many independent pairs of runs carry as much about a share as these.

    ``beyond`` (m,) is 1 where a pair exceeds, ``weight`` (m,) its weight, ``owner`` (m,) its entry.
    p (1 - p) / v, v the variance of the weighted share by linearisation over entries (Cochran
    1977, Sampling Techniques, section 6.3; Korn and Graubard 1998, Survey Methodology 24, 193-201),
    not above the sum of weights, the pairs' degrees of freedom; that sum where none or all exceed.
    """
    p = float(np.average(beyond, weights=weight))
    entries = int(owner.max()) + 1
    most = max(1.0, float(weight.sum()))
    parts = np.bincount(owner, weights=weight * (beyond - p), minlength=entries)
    if entries < 2 or p in (0.0, 1.0) or not parts.any():
        return most
    v = entries / (entries - 1) * float((parts**2).sum()) / float(weight.sum()) ** 2
    return max(1.0, min(p * (1 - p) / v, most))


def _beyond(deletion: Deletion, level: float) -> np.ndarray:
    t = t_quantile(0.5 + level / 2, deletion.df_rest)
    floor = t * math.sqrt(2) * deletion.sd_rest
    return (np.abs(deletion.differences) > floor).astype(float)


def _quantile(ordered: np.ndarray, weights: np.ndarray, probability: float) -> float:
    """The smallest value at which the weights below and at it reach the probability."""
    reached = np.cumsum(weights)
    return float(ordered[np.searchsorted(reached, probability * reached[-1] - 1e-12)])


def _standardised_moment(values: np.ndarray, power: int) -> float:
    centred = values - values.mean()
    spread = float((centred**2).mean())
    return float((centred**power).mean()) / spread ** (power / 2) if spread > 0 else math.nan
