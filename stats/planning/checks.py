"""The conditions on a plan's numbers, each told in one sentence."""

from __future__ import annotations

import math

from stats.errors import StatsError


def check_sd(sd: float) -> None:
    """Raise StatsError unless sd is a positive number."""
    if not (sd > 0 and math.isfinite(sd)):
        raise StatsError(
            f"{sd:g} is not a positive number",
            place="sd",
            value=sd,
            hint="the standard deviation of paired differences, in the units of the effect",
        )


def check_size(value: float, place: str) -> None:
    """Raise StatsError unless an effect or a margin is a positive number."""
    if not (value > 0 and math.isfinite(value)):
        raise StatsError(f"{value:g} is not a positive number", place=place, value=value)


def check_margins(low: float, high: float) -> None:
    """Raise StatsError unless low < high, both finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise StatsError(
            f"{low:g} to {high:g} is not a bounded range",
            place="margin",
            value=(low, high),
            hint="for one bound only, test non-inferiority",
        )
    if not low < high:
        raise StatsError(
            f"the lower bound {low:g} is not below the upper bound {high:g}",
            place="margin",
            value=(low, high),
            hint="e.g. -1 and 1",
        )


def check_pairs(n: int, groups: int = 1) -> None:
    """Raise StatsError for fewer than two pairs in a group, or pairs that cannot be spread evenly.

    ``n`` counts the pairs of all groups.
    """
    if groups < 1:
        raise StatsError(f"{groups} is less than 1", place="groups", value=groups)
    if n < 2 * groups:
        where = "a spread" if groups == 1 else f"a spread in each of {groups} groups"
        raise StatsError(
            f"{n} pairs show no {where.removeprefix('a ')}",
            place="n",
            value=n,
            hint=f"{2 * groups} is the smallest",
        )
    if n % groups:
        raise StatsError(
            f"{n} pairs cannot be spread evenly over {groups} groups",
            place="n",
            value=n,
            hint=f"take {n - n % groups} or {n + groups - n % groups}",
        )


def check_rates(alpha: float, power: float | None = None, tests: int = 1) -> None:
    """Raise StatsError unless 0 < alpha < 1/2, alpha < power < 1 and tests >= 1."""
    if not 0 < alpha < 0.5:
        raise StatsError(
            f"{alpha:g} is not between 0 and 0.5", place="alpha", value=alpha, hint="e.g. 0.05"
        )
    if tests < 1:
        raise StatsError(f"{tests} is less than 1", place="tests", value=tests)
    if power is not None and not alpha < power < 1:
        raise StatsError(
            f"{power:g} is not between alpha = {alpha:g} and 1",
            place="power",
            value=power,
            hint="e.g. 0.8",
        )
