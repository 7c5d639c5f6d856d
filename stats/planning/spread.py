"""The standard deviation that a plan should count on, from one that was estimated."""

from __future__ import annotations

import math

from scipy import special

from stats.errors import StatsError


def upper_sd(sd: float, df: float, confidence_level: float = 0.8) -> float:
    """The one-sided upper confidence limit of a standard deviation, sd sqrt(df / chi2_{1-C, df}).

    A pilot's ``sd`` (any unit, with ``df`` degrees of freedom) is as often too small as too large;
    a plan that takes its upper 80 % limit is underpowered in one study of five instead of one of
    two (Browne 1995, Statistics in Medicine 14, 1933-1940). Normal differences. NaN gives NaN.
    Raises StatsError for a negative sd, df that are not positive and a level outside (0, 1).
    """
    if sd < 0:
        raise StatsError(f"{sd} is negative", place="sd", value=sd)
    if not (df > 0 or math.isnan(df)):
        raise StatsError(f"{df} is not positive", place="df", value=df)
    if not 0 < confidence_level < 1:
        raise StatsError(
            f"{confidence_level} is not between 0 and 1",
            place="confidence_level",
            value=confidence_level,
            hint="e.g. 0.8",
        )
    return sd * math.sqrt(df / float(special.chdtri(df, confidence_level)))
