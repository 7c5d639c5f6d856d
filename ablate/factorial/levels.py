"""The level means of a study's factorial as contrasts, read from its codes and effects."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stats.factorial.level_means import LevelContrast, level_contrasts

if TYPE_CHECKING:
    from ablate.design.factorial import Factorial
    from ablate.plan import Plan


def level_contrasts_of(plan: Plan) -> tuple[LevelContrast, ...]:
    """The mean of each level, and of each combination of two levels whose interaction the design
    tells, minus the baseline; with several adapters, the mean over them minus their baselines."""
    factorial = plan.design.factorial
    assert factorial is not None
    adapters = Counter(arm.adapter for arm in plan.design.arms if arm.name in factorial.codes)
    total = sum(adapters.values())
    return level_contrasts(
        acting_levels(factorial),
        acting_order(factorial),
        {adapter: count / total for adapter, count in adapters.items()},
        {
            (axis, level): contrast
            for contrast in factorial.mains
            for axis, level, _ in [sides(contrast.name)]
        },
        {
            (a, b): contrast
            for contrast in factorial.interactions
            for a, b in [contrast.group.split(":")]
        },
    )


def acting_order(factorial: Factorial) -> dict[str, tuple[str, ...]]:
    """The levels of each axis that act, the reference first."""
    found: dict[str, tuple[str, ...]] = {}
    for contrast in factorial.mains:
        axis, level, reference = sides(contrast.name)
        found[axis] = (*(found.get(axis) or (reference,)), level)
    return found


def acting_levels(factorial: Factorial) -> dict[str, dict[str, str | None]]:
    """The level of each axis that acts in each arm, None where the axis does nothing."""
    order = acting_order(factorial)
    coding = factorial.coding
    columns = {
        axis: [name for name in factorial.code_names if name.split("[")[0] == axis]
        for axis in order
    }

    def level(arm: str, axis: str) -> str | None:
        codes = [int(coding.loc[arm, name]) for name in columns[axis]]
        if 1 in codes:
            return order[axis][1 + codes.index(1)]
        return order[axis][0] if -1 in codes else None

    return {arm: {axis: level(arm, axis) for axis in order} for arm in factorial.codes}


def sides(name: str) -> tuple[str, str, str]:
    """Axis, level and reference of a main effect, which is called ``memory: 4 vs 16``."""
    axis, _, levels = name.partition(": ")
    level, _, reference = levels.partition(" vs ")
    return axis, level, reference
