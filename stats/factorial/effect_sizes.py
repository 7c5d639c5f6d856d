"""Shares of variance from an F test: partial eta squared and omega squared, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stats.errors import StatsError
from stats.factorial.noncentral_f import ncf_noncentrality
from stats.paired import check_level


@dataclass(frozen=True)
class EffectSizes:
    """Partial eta squared and omega squared of one F test (no unit; shares between 0 and 1).

    Both estimate the same share of the population, so that their intervals are the same numbers;
    ``omega2`` is nearly unbiased, ``eta2`` is too large with few observations. ``nc_low`` and
    ``nc_high`` hold the noncentrality. NaN where F is not defined.
    """

    eta2: float
    eta2_low: float
    eta2_high: float
    omega2: float
    omega2_low: float
    omega2_high: float
    nc_low: float
    nc_high: float
    F: float
    num_df: float
    den_df: float
    n: float
    confidence_level: float


def effect_sizes(
    F: float,
    num_df: float,
    den_df: float,
    n: float,
    confidence_level: float = 0.95,
) -> EffectSizes:
    """Effect sizes of an effect whose F test has ``num_df`` and ``den_df`` degrees of freedom.

        eta2 = num_df F / (num_df F + den_df)
        omega2 = num_df (F - 1) / (num_df (F - 1) + n),  at least 0

    (Cohen 1973, Educational and Psychological Measurement 33, 107-112; Keren and Lewis 1979, same
    journal 39, 119-128). ``n`` is the number of observations in all. The population's share is
    nc / (nc + n), nc the noncentrality of F; the interval holds the nc that the observed F does not
    reject in either tail (Steiger 2004, Psychological Methods 9, 164-182), 0 where even nc = 0 puts
    F below that tail. The interval of level 1 - 2 alpha leaves out 0 exactly when the F test
    rejects at alpha: take 0.90 to match a test at .05. Exact for fixed effects and normal errors;
    in a mixed model an approximation, as good as its degrees of freedom, relative to the error that
    the effect is tested against.

    Raises StatsError for a negative F, degrees of freedom or n that are not positive, and a level
    outside (0, 1). An F that is NaN or infinite gives NaN.
    """
    check_level(confidence_level)
    if F < 0:
        raise StatsError(f"{F} is negative", place="F", value=F, hint="F is a ratio of variances")
    for name, value in (("num_df", num_df), ("den_df", den_df), ("n", n)):
        if not value > 0:
            raise StatsError(f"{value} is not positive", place=name, value=value)
    if not math.isfinite(F):
        nan = math.nan
        return EffectSizes(
            nan, nan, nan, nan, nan, nan, nan, nan, F, num_df, den_df, n, confidence_level
        )
    tail = (1 - confidence_level) / 2
    nc_low = ncf_noncentrality(F, num_df, den_df, 1 - tail)
    nc_high = ncf_noncentrality(F, num_df, den_df, tail)
    low, high = nc_low / (nc_low + n), nc_high / (nc_high + n)
    above = num_df * (F - 1)
    return EffectSizes(
        eta2=num_df * F / (num_df * F + den_df),
        eta2_low=low,
        eta2_high=high,
        omega2=above / (above + n) if above > 0 else 0.0,
        omega2_low=low,
        omega2_high=high,
        nc_low=nc_low,
        nc_high=nc_high,
        F=F,
        num_df=num_df,
        den_df=den_df,
        n=n,
        confidence_level=confidence_level,
    )
