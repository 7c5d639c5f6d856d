"""Which design points are the same mechanism, found by comparing the blocks that would train."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ablate.design.arms import block_at
from talan.axes import AXES, Level

if TYPE_CHECKING:
    from ablate.design.arms import Point
    from ablate.spec import Backbone
    from ablate.study import Study

Same = Callable[["Point"], tuple[Any, ...]]
"""What trains at a point on each backbone beside each adapter: equal for two points exactly where
they are the same mechanism everywhere."""


def same_on(study: Study, backbones: Sequence[Backbone]) -> Same:
    """What tells points apart: for each of ``backbones`` their canonical blocks beside each of the
    study's adapters.

    Without backbones every combination of levels counts as a mechanism of its own. Raises
    AblateError, when called, for a point that does not exist on a backbone.
    """

    @functools.cache
    def blocks(levels: tuple[Level, ...]) -> tuple[Any, ...]:
        point = dict(zip(AXES, levels, strict=True))
        if not backbones:
            return levels
        return tuple(
            tuple(block_at(study, point, backbone, adapter=adapter) for adapter in study.adapters)
            for backbone in backbones
        )

    return lambda point: blocks(tuple(point[axis] for axis in AXES))


def distinct(points: Iterable[Point], same: Same) -> list[Point]:
    """The first of the points of each mechanism, in order."""
    kept: dict[Hashable, Point] = {}
    for point in points:
        kept.setdefault(same(point), point)
    return list(kept.values())


def acting_level(point: Point, axis: str, levels: Sequence[Level], same: Same) -> Level | None:
    """The level of ``axis`` that acts at ``point``: the first that is the same mechanism there.

    None where the axis is inert: all of ``levels``, put in the point's place, are one mechanism.
    """
    mechanisms = [same({**point, axis: level}) for level in levels]
    if len(set(mechanisms)) == 1:
        return None
    return levels[mechanisms.index(same(point))]


def acting_levels(
    points: Sequence[Point], levels: Mapping[str, Sequence[Level]], same: Same
) -> list[dict[str, Level | None]]:
    """For each point the acting level of each axis of ``levels``."""
    return [
        {axis: acting_level(point, axis, levels[axis], same) for axis in levels} for point in points
    ]
