"""Exact power of the two one-sided tests of equivalence on paired differences."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from stats.errors import StatsError
from stats.noncentral import chi_nodes
from stats.planning.checks import check_margins, check_pairs, check_rates, check_sd
from stats.planning.search import fewest_pairs, smallest_size
from stats.planning.spread import upper_sd


def power_of_tost(
    low: float,
    high: float,
    sd: float,
    n: int,
    *,
    difference: float = 0.0,
    alpha: float = 0.05,
    tests: int = 1,
    groups: int = 1,
) -> float:
    """The probability that two one-sided t tests show low < delta < high at a true ``difference``.

    Both tests must reject at alpha / tests. Given s the mean must lie between low + t s / sqrt n
    and high - t s / sqrt n, which has a normal probability; that is integrated over the chi
    distribution of s, up to the s at which the two bounds meet (Phillips 1990, Journal of
    Pharmacokinetics and Biopharmaceutics 18, 137-144; Owen 1965, Biometrika 52, 437-446). ``sd``,
    ``n`` and ``groups`` are as in ``power.power_of_t``. Raises StatsError for values out of range.
    """
    check_margins(low, high)
    check_sd(sd)
    check_pairs(n, groups)
    check_rates(alpha, tests=tests)
    return _power(low - difference, high - difference, sd, n, n - groups, alpha / tests)


def equivalence_margin(
    sd: float,
    n: int,
    *,
    difference: float = 0.0,
    power: float = 0.8,
    alpha: float = 0.05,
    tests: int = 1,
    groups: int = 1,
) -> float:
    """The smallest margin M such that +-M is shown with that power at a true ``difference``.

    In the units of ``sd``. Arguments and errors are those of ``power_of_tost``.
    """
    check_sd(sd)
    check_pairs(n, groups)
    check_rates(alpha, power, tests)
    off = abs(difference)

    def power_at(beyond: float) -> float:
        margin = off + beyond
        return _power(-margin - off, margin - off, sd, n, n - groups, alpha / tests)

    return off + smallest_size(power_at, power, sd)


def pairs_for_tost(
    low: float,
    high: float,
    sd: float,
    *,
    difference: float = 0.0,
    power: float = 0.8,
    alpha: float = 0.05,
    tests: int = 1,
    groups: int = 1,
) -> int:
    """The fewest pairs, a multiple of ``groups``, that show low < delta < high with that power.

    Arguments are those of ``power_of_tost``. Power rises with n once it exceeds alpha, so that the
    fewest are well defined. Raises StatsError for values out of range and for a true difference
    outside the margin, which no number of pairs shows to be inside.
    """
    check_margins(low, high)
    check_sd(sd)
    check_pairs(2 * groups, groups)
    check_rates(alpha, power, tests)
    if not low < difference < high:
        raise StatsError(
            f"a true difference of {difference:g} is not within {low:g} to {high:g}",
            place="difference",
            value=difference,
            hint="plan at 0, or at a value inside the margin",
        )

    def enough(per_group: int) -> bool:
        n = per_group * groups
        return (
            _power(low - difference, high - difference, sd, n, n - groups, alpha / tests) >= power
        )

    return fewest_pairs(enough, groups)


def pairs_needed_for_equivalence(
    sd: float, df: float, low: float, high: float, alpha: float, *, groups: int = 1
) -> int:
    """Fresh pairs that show equivalence with 80 % power when the true difference is 0.

    ``sd`` was estimated with ``df`` degrees of freedom; the plan takes its upper 80 % limit.
    ``alpha`` is the level of the single test (alpha / tests in a family). The counterpart of
    ``verdict.pairs_needed``; the observed difference plays no part. Errors: ``pairs_for_tost``.
    """
    return pairs_for_tost(low, high, upper_sd(sd, df), alpha=alpha, groups=groups)


def _power(low: float, high: float, sd: float, n: int, df: float, level: float) -> float:
    """Power at margins relative to the true difference."""
    critical = -float(special.stdtrit(df, level))
    scale = math.sqrt(n) / sd
    a, b = low * scale, high * scale
    w, weight = chi_nodes(df, (b - a) / (2 * critical))
    inside = special.ndtr(b - critical * w) - special.ndtr(a + critical * w)
    return float(weight @ np.maximum(inside, 0.0))
