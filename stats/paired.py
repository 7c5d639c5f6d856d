"""The paired t test and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.errors import StatsError, nearest
from stats.sample import Sample, estimate

ALTERNATIVES = ("two-sided", "greater", "less")


@dataclass(frozen=True)
class PairedT:
    """A t test on paired differences.

    ``mean``, ``sd``, ``se``, ``ci_low`` and ``ci_high`` are in score units. ``t``, ``p`` and the
    interval are NaN where no test is possible: fewer than two pairs (in a group), or differences
    that do not vary. A zero spread is never turned into p = 0.
    """

    mean: float
    sd: float
    se: float
    t: float
    df: float
    p: float
    ci_low: float
    ci_high: float
    n: int
    confidence_level: float
    alternative: str
    constant: bool


def paired_t(
    d: Sequence[float] | np.ndarray | Sample,
    alternative: str = "two-sided",
    confidence_level: float = 0.95,
) -> PairedT:
    """Student's t on differences d (1-D, one per pair), or on a Sample of several groups.

    The interval is one-sided where the alternative is. Several groups: see ``sample.estimate``.
    Raises StatsError for a wrong alternative or level, and for values that are not finite.
    """
    check_alternative(alternative)
    check_level(confidence_level)
    sample = d if isinstance(d, Sample) else Sample.of([d])
    e = estimate(sample)
    if e.constant or math.isnan(e.se):
        nan = math.nan
        return PairedT(
            e.mean, e.sd, e.se, nan, e.df, nan, nan, nan, e.n, confidence_level, alternative,
            e.constant,
        )  # fmt: skip
    t = e.mean / e.se
    p, low, high = t_inference(t, e.df, alternative, confidence_level)
    return PairedT(
        e.mean, e.sd, e.se, t, e.df, p, e.mean + low * e.se, e.mean + high * e.se, e.n,
        confidence_level, alternative, False,
    )  # fmt: skip


def t_inference(
    t: float, df: float, alternative: str, confidence_level: float
) -> tuple[float, float, float]:
    """The p-value of t, and the interval's two ends around the mean in standard errors."""
    if alternative == "two-sided":
        half = t_quantile(0.5 + confidence_level / 2, df)
        return 2 * float(special.stdtr(df, -abs(t))), -half, half
    half = t_quantile(confidence_level, df)
    if alternative == "greater":
        return float(special.stdtr(df, -t)), -half, math.inf
    return float(special.stdtr(df, t)), -math.inf, half


def t_quantile(probability: float, df: float) -> float:
    """The quantile of Student's t; taken in the small tail, where it is accurate."""
    if probability > 0.5:
        return -float(special.stdtrit(df, 1 - probability))
    return float(special.stdtrit(df, probability))


def check_alternative(alternative: str) -> None:
    """Raise StatsError unless the alternative is one of ``ALTERNATIVES``."""
    if alternative not in ALTERNATIVES:
        raise StatsError(
            f"'{alternative}' is not an alternative",
            place="alternative",
            value=alternative,
            hint=nearest(alternative, ALTERNATIVES),
        )


def check_level(level: float, place: str = "confidence_level") -> None:
    """Raise StatsError unless 0 < level < 1."""
    if not 0 < level < 1:
        raise StatsError(
            f"{level} is not between 0 and 1", place=place, value=level, hint="e.g. 0.95 or 0.05"
        )
