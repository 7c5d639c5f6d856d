"""Power, smallest detectable effect and number of pairs of the paired t test."""

from __future__ import annotations

import math

from stats.noncentral import t_power
from stats.paired import check_alternative
from stats.planning.checks import check_pairs, check_rates, check_sd, check_size
from stats.planning.search import fewest_pairs, smallest_size


def power_of_t(
    effect: float,
    sd: float,
    n: int,
    *,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    tests: int = 1,
    groups: int = 1,
) -> float:
    """The probability that a paired t test finds a true mean difference ``effect``.

    ``sd`` is that of paired differences, in the effect's units; ``n`` pairs in all, spread evenly
    over ``groups``, whose means are averaged (df = n - groups, equal spreads). Each test is held to
    alpha / tests, Bonferroni's share. That is a lower bound for Holm, not for max-T by sign flips
    of few pairs, whose p-values are coarse: see ``family_power``. Power is the noncentral t's at
    nc = effect sqrt(n) / sd (Johnson, Kotz and Balakrishnan 1995, chapter 31): exact for normal
    differences in one group. Raises StatsError for values out of range.
    """
    check_sd(sd)
    check_pairs(n, groups)
    check_rates(alpha, tests=tests)
    check_alternative(alternative)
    return t_power(effect * math.sqrt(n) / sd, n - groups, alpha / tests, alternative)


def detectable_effect(
    sd: float,
    n: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    tests: int = 1,
    groups: int = 1,
) -> float:
    """The minimal detectable effect: the true difference found with probability ``power``.

    In the units of ``sd``; its size, whatever the alternative's direction. Arguments and errors
    are those of ``power_of_t``.
    """
    check_rates(alpha, power, tests)
    check_sd(sd)
    check_pairs(n, groups)
    check_alternative(alternative)
    side = "two-sided" if alternative == "two-sided" else "greater"
    level, root = alpha / tests, math.sqrt(n)
    nc = smallest_size(lambda nc: t_power(nc, n - groups, level, side), power, 3.0)
    return nc * sd / root


def pairs_for_t(
    effect: float,
    sd: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    tests: int = 1,
    groups: int = 1,
) -> int:
    """The fewest pairs, a multiple of ``groups``, that find ``effect`` with that power.

    ``effect`` is a size (positive), whatever the alternative's direction. ``sd`` should be a safe
    one: see ``spread.upper_sd``. Arguments and errors are those of ``power_of_t``.
    """
    check_size(effect, "effect")
    check_sd(sd)
    check_pairs(2 * groups, groups)
    check_rates(alpha, power, tests)
    check_alternative(alternative)
    side = "two-sided" if alternative == "two-sided" else "greater"
    return pairs_at_level(effect, sd, alpha / tests, power, side, groups)


def pairs_at_level(
    effect: float,
    sd: float,
    level: float,
    power: float,
    alternative: str = "two-sided",
    groups: int = 1,
) -> int:
    """The search behind ``pairs_for_t``, for a single test at ``level``; nothing is checked."""

    def enough(per_group: int) -> bool:
        n = per_group * groups
        return t_power(effect * math.sqrt(n) / sd, n - groups, level, alternative) >= power

    return fewest_pairs(enough, groups)
