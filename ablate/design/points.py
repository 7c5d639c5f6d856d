"""The designs: which points of the axes a study runs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ablate.design.registry import DESIGNS, register_design

if TYPE_CHECKING:
    from ablate.design.arms import Point
    from ablate.study import Study


def points(study: Study) -> list[Point]:
    """The design points of a study, merged ones included."""
    return DESIGNS[study.design].points(study)


def reference_point(study: Study) -> Point:
    """The varied axes at their reference levels."""
    return dict(study.at) | {axis: study.levels[axis][0] for axis in study.axes}


@register_design("factorial", help="every level with every level of the other axes")
def factorial(study: Study) -> list[Point]:
    """The crossing of the varied axes; one point where none is varied."""
    grid = itertools.product(*(study.levels[axis] for axis in study.axes))
    return [dict(study.at) | dict(zip(study.axes, levels, strict=True)) for levels in grid]


@register_design("one-at-a-time", help="each level alone, all other axes at their reference")
def one_at_a_time(study: Study) -> list[Point]:
    """The reference point, then each other level of each axis around it."""
    centre = reference_point(study)
    return [
        centre,
        *({**centre, axis: level} for axis in study.axes for level in study.levels[axis][1:]),
    ]
