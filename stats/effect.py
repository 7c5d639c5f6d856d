"""The standardised paired effect d_z with its exact interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.noncentral import nct_noncentrality
from stats.paired import check_level
from stats.sample import Sample, estimate


@dataclass(frozen=True)
class EffectSize:
    """d_z = mean / sd of the paired differences (no unit); NaN where they do not vary."""

    dz: float
    low: float
    high: float
    n: int
    confidence_level: float


def effect_size(
    d: Sequence[float] | np.ndarray | Sample, confidence_level: float = 0.95
) -> EffectSize:
    """d_z of differences d (1-D, one per pair) with a noncentral-t interval.

    The interval holds the noncentralities that the observed t does not reject (Cumming and Finch
    2001, Educational and Psychological Measurement 61, 532-574), times se / sd, which is
    1 / sqrt(n) for one group. Several groups: sd is the root of the groups' mean variance and df
    is Satterthwaite's, so that the interval is approximate. Not corrected for small-sample bias.
    """
    check_level(confidence_level)
    sample = d if isinstance(d, Sample) else Sample.of([d])
    e = estimate(sample)
    if e.constant or math.isnan(e.se):
        return EffectSize(math.nan, math.nan, math.nan, e.n, confidence_level)
    t, tail = e.mean / e.se, (1 - confidence_level) / 2
    ratio = e.se / e.sd
    low = nct_noncentrality(t, e.df, 1 - tail) * ratio
    high = nct_noncentrality(t, e.df, tail) * ratio
    return EffectSize(t * ratio, low, high, e.n, confidence_level)
