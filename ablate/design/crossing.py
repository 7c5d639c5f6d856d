"""Designs without a choice: all combinations, or one axis moved from the reference point."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ablate.design.naming import ABSENT, moved, put_back, without
from ablate.design.registry import Layout, register_design
from talan.axes import AXES, Level

if TYPE_CHECKING:
    from ablate.design.arms import Point
    from ablate.design.sameness import Same
    from ablate.study import Study


def reference_point(study: Study) -> Point:
    """The varied axes at their reference levels, the others where the study holds them."""
    return dict(study.at) | {axis: study.levels[axis][0] for axis in study.axes}


def crossing(study: Study, levels: Mapping[str, Sequence[Level]]) -> list[Point]:
    """All combinations of ``levels``, the reference first; the last axis moves fastest."""
    return [
        dict(study.at) | dict(zip(levels, chosen, strict=True))
        for chosen in itertools.product(*levels.values())
    ]


@register_design("factorial", help="every level with every level of the other axes")
def factorial(study: Study, same: Same) -> Layout:
    """The crossing of the varied axes; one point where none is varied."""
    return Layout(
        points=tuple(crossing(study, study.levels)),
        levels=study.levels,
        estimates="interactions" if study.axes else "simple",
        crossed=True,
    )


@register_design(
    "one-at-a-time",
    help="each level alone, all other axes at their reference",
    name_point=moved,
)
def one_at_a_time(study: Study, same: Same) -> Layout:
    """The reference point, then each other level of each axis around it."""
    centre = reference_point(study)
    others = [{**centre, axis: level} for axis in study.axes for level in study.levels[axis][1:]]
    return Layout((centre, *others), study.levels, "simple")


@register_design(
    "leave-one-out",
    help="the full mechanism, and each time one component taken out of it",
    name_point=without,
)
def leave_one_out(study: Study, same: Same) -> Layout:
    """The full mechanism (all axes at their reference level) and, for each axis, it without one.

    What is taken out is the axis's component: the level of ``naming.ABSENT`` where the study
    declares it. An axis without such a level, or which lacks it at the reference already, goes to
    its second declared level instead; the note says so.
    """
    full = reference_point(study)
    levels = {axis: _with_and_without(axis, study.levels[axis]) for axis in study.axes}
    replaced = [
        f"{axis}={AXES[axis].text(other)}"
        for axis, (_, other) in levels.items()
        if other != ABSENT.get(axis, (None, ""))[0]
    ]
    notes = [
        "leave-one-out: each effect is a simple effect at the full mechanism only; it says nothing "
        "of the component beside other levels, and the effects do not add up"
    ]
    if replaced:
        notes.append(f"nothing to leave out, another level instead: {', '.join(replaced)}")
    points = [full, *({**full, axis: other} for axis, (_, other) in levels.items())]
    return Layout(tuple(points), levels, "simple", notes=tuple(notes))


@register_design(
    "leave-one-at-default",
    help="an operating point (the second level of each axis), and each axis put back to its first",
    name_point=put_back,
)
def leave_one_at_default(study: Study, same: Same) -> Layout:
    """The point of all first levels, that of all second ones, and it with one axis put back."""
    levels = {axis: study.levels[axis][:2] for axis in study.axes}
    default = reference_point(study)
    operating = {**default, **{axis: other for axis, (_, other) in levels.items()}}
    points = [default, operating]
    for axis, (reference, _) in levels.items():
        if (point := {**operating, axis: reference}) not in points:
            points.append(point)
    note = (
        "leave-one-at-default: each effect is a simple effect at the operating point only, what "
        "moving that axis alone away from its default adds there"
    )
    return Layout(tuple(points), levels, "simple", centre=operating, notes=(note,))


def _with_and_without(axis: str, levels: Sequence[Level]) -> tuple[Level, Level]:
    absent = ABSENT.get(axis, (None, ""))[0]
    reference, *others = levels
    return reference, next((level for level in others if level == absent), others[0])
