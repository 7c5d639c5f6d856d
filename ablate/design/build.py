"""The design of a study: its arms, and the contrasts of its families.

Points that are the same mechanism on every backbone (levels on one layer, an inert gradient scale)
are merged into the first of them; the notes say so, and what it does to the design.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablate.control_arms import CONTROLS
from ablate.design.arms import SIDE, Arm, Point, arm_at, control_arm, label
from ablate.design.points import lay_out
from ablate.design.registry import DESIGNS
from ablate.design.sameness import Same, same_on
from ablate.spec import Backbone
from stats.contrast import Contrast, versus

if TYPE_CHECKING:
    from ablate.design.factorial import Factorial
    from ablate.study import Study

LISTED_PAIRS = 3
"""Of more pairs of points that are one mechanism the first is shown and all are counted."""


@dataclass(frozen=True)
class Design:
    """Arms in order (each adapter's baseline first) and the families of contrasts.

    ``primary`` contrasts are averaged over the main cells; each ``secondary`` one (arm against its
    baseline; where effects have families of their own, the mechanism's presence) is tested in every
    cell. ``controls`` compare the mechanism at the reference point
    with each control arm, averaged over the main cells. ``factorial`` holds main effects and
    interactions, None where the design tells simple effects only. ``notes`` tell what was merged,
    is the same somewhere or cannot be estimated.
    """

    arms: tuple[Arm, ...]
    primary: tuple[Contrast, ...]
    secondary: tuple[Contrast, ...]
    controls: tuple[Contrast, ...]
    notes: tuple[str, ...]
    factorial: Factorial | None = None


def make_design(study: Study, backbones: Sequence[Backbone]) -> Design:
    """Arms, merged points and families of a study on its backbones (none of it needs torch).

    Raises:
        AblateError: a point does not exist on a backbone, levels do not suit the design, or a term
            that was asked for cannot be estimated.
    """
    # What needs numpy is imported here, so that a command line is read and checked without it.
    from ablate.design.factorial import make_factorial
    from ablate.design.families import primary_family
    from ablate.design.structure import factorial_notes

    kind = DESIGNS[study.design]
    same = same_on(study, backbones)
    layout = lay_out(study, same)
    kept: dict[Hashable, Point] = {}
    for point in layout.points:
        kept.setdefault(same(point), point)
    names = {
        key: [arm_at(study, adapter, point).name for adapter in study.adapters]
        for key, point in kept.items()
    }
    at = [names[same(point)] for point in layout.points]
    factorial = make_factorial(study, layout, kind, same, at, len(kept))
    arms: list[Arm] = []
    for adapter in study.adapters:
        arms.append(Arm(adapter, adapter, adapter, None))
        arms += [arm_at(study, adapter, point) for point in kept.values()]
        arms += [
            control_arm(study, adapter, control)
            for control in study.controls
            if control != SIDE or adapter == study.adapters[0]
        ]
    reference = layout.points[0]
    primary = primary_family(study.adapters, layout, at, factorial)
    each_point = tuple(versus(arm.name, arm.adapter) for arm in arms if arm.is_design_point)
    return Design(
        arms=tuple(arms),
        primary=primary,
        # Dozens of points in every cell would be a family in which nothing can be found.
        secondary=primary if layout.own_families else each_point,
        controls=tuple(
            Contrast(
                f"mechanism vs {arm.label}",
                {arm_at(study, arm.adapter, reference).name: 1.0, arm.name: -1.0},
                "control",
            )
            for arm in arms
            if arm.control and CONTROLS[arm.control].compared
        ),
        notes=(
            *layout.notes,
            *_merged(study, layout.points, list(kept.values()), same, backbones),
            *(factorial_notes(factorial) if factorial else ()),
        ),
        factorial=factorial,
    )


def _merged(
    study: Study,
    declared: Sequence[Point],
    kept: Sequence[Point],
    same: Same,
    backbones: Sequence[Backbone],
) -> list[str]:
    """Which points are one mechanism: everywhere, on one backbone, or beside one adapter."""
    first = {same(point): point for point in kept}
    merged = [(point, first[same(point)]) for point in declared if point not in kept]
    notes = [
        f"{label(study, a)} is the same mechanism as {label(study, b)} on every backbone: one arm"
        for a, b in _listed(merged)
    ]
    if len(merged) > LISTED_PAIRS:
        notes.append(f"{len(merged)} of {len(declared)} points so, one arm for each mechanism")
    parts = {f"on {backbone.name}": _on(k) for k, backbone in enumerate(backbones)}
    if len(study.adapters) > 1:
        parts |= {f"beside {adapter}": _beside(k) for k, adapter in enumerate(study.adapters)}
    for where, part in parts.items():
        seen: dict[Hashable, Point] = {}
        twins = [
            (twin, point)
            for point in kept
            if (twin := seen.setdefault(part(same(point)), point)) is not point
        ]
        notes += [
            f"{label(study, a)} and {label(study, b)} are the same mechanism {where}: one run there"
            for a, b in _listed(twins)
        ]
        if len(twins) > LISTED_PAIRS:
            notes.append(f"{len(twins)} of {len(kept)} points so {where}, one run for each there")
    return notes


def _listed(pairs: list[tuple[Point, Point]]) -> list[tuple[Point, Point]]:
    return pairs[:1] if len(pairs) > LISTED_PAIRS else pairs


Part = Callable[[tuple[Any, ...]], Hashable]
"""A part of what ``Same`` gives: blocks by backbone, then adapter."""


def _on(k: int) -> Part:
    return lambda blocks: blocks[k]


def _beside(k: int) -> Part:
    return lambda blocks: tuple(on[k] for on in blocks)
