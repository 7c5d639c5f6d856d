"""The design of a study: its arms, and the contrasts of its primary and secondary families.

An arm is an adapter alone (a baseline) or with the block at one design point. Points that are the
same mechanism on every backbone (levels on one layer, an inert gradient scale) are merged into the
first of them; the note says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.control_arms import CONTROLS
from ablate.design.points import points, reference_point
from ablate.errors import AblateError
from ablate.spec import UNADAPTED, Backbone, Block
from stats.contrast import Contrast, versus
from talan.axes import AXES, Level
from talan.config import TalanConfig, canonical, recipes
from talan.errors import TalanError

if TYPE_CHECKING:
    from ablate.study import BlockSettings, Study

Point = Mapping[str, Level]
"""One level for each of the six axes."""

SIDE = "side"
"""The control in which no adapter acts, so that one arm stands for all adapters."""


@dataclass(frozen=True)
class Arm:
    """What is compared. A baseline has no ``point``, and its name is its adapter's.

    ``control`` names what a control arm does otherwise than the mechanism at ``point``, or than
    the baseline where it has no block (see ``ablate.control_arms``).
    """

    name: str
    label: str
    adapter: str
    point: Point | None
    control: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether it is an adapter alone."""
        return self.point is None and not self.control

    @property
    def is_design_point(self) -> bool:
        """Whether it is the mechanism at a point of the design."""
        return self.point is not None and not self.control

    def level_texts(self) -> dict[str, str]:
        """The level of each axis as text; empty texts for a baseline."""
        if self.point is None:
            return dict.fromkeys(AXES, "")
        return {axis: AXES[axis].text(self.point[axis]) for axis in AXES}


@dataclass(frozen=True)
class Design:
    """Arms in order (each adapter's baseline first) and the families of contrasts.

    ``primary`` contrasts are averaged over the main cells; each ``secondary`` one (arm against its
    baseline) is tested in every cell. ``controls`` compare the mechanism at the reference point
    with each control arm, averaged over the main cells. ``notes`` tell what was merged or is the
    same somewhere.
    """

    arms: tuple[Arm, ...]
    primary: tuple[Contrast, ...]
    secondary: tuple[Contrast, ...]
    controls: tuple[Contrast, ...]
    notes: tuple[str, ...]


def block_at(
    study: Study,
    point: Point,
    backbone: Backbone,
    control: str | None = None,
    settings: BlockSettings | None = None,
) -> Block:
    """The block of a design point on a backbone, in the canonical form that identity uses.

    Args:
        study: gives the block's settings that are no axes.
        point: its levels.
        backbone: where it is attached.
        control: one of talan's controls, or None for the mechanism.
        settings: the block's settings of a draw, in place of the study's own.

    Raises:
        AblateError: the point does not exist there (a layer beyond the last, for example).
    """
    settings = settings or study.block
    try:
        config = canonical(
            TalanConfig(
                **{axis: point[axis] for axis in AXES},  # type: ignore[arg-type]
                conditioning=settings.conditioning,
                width=settings.width,
                control=control,
            ),
            backbone.n_layers,
        )
    except TalanError as error:
        raise AblateError(
            f"{error.message} ({backbone.name})",
            place=error.place,
            value=error.value,
            hint=error.hint,
        ) from None
    assert isinstance(config.insertion, int)
    return Block(
        site=config.insertion,
        memory=config.memory,
        mixer=config.mixer,
        writeback=config.writeback,
        scope=config.scope,
        gradient_scale=config.gradient_scale,
        conditioning=config.conditioning,
        width=config.width,
        lr_multiplier=settings.lr_multiplier,
        control=config.control,
        recipes=tuple(sorted(recipes(config).items())),
    )


def make_design(study: Study, backbones: Sequence[Backbone]) -> Design:
    """Arms, merged points and families of a study on its backbones (none of it needs torch)."""
    kept: dict[tuple[Block, ...], Point] = {}
    stands_for: list[tuple[Point, Point]] = []
    notes: list[str] = []
    for point in points(study):
        blocks = tuple(block_at(study, point, backbone) for backbone in backbones)
        same = kept.setdefault(blocks, point)
        stands_for.append((point, same))
        if same is not point:
            notes.append(
                f"{label(study, point)} is the same mechanism as {label(study, same)} on every "
                "backbone: one arm"
            )
    for i, backbone in enumerate(backbones):
        for a, b in itertools.combinations(kept, 2):
            if a[i] == b[i]:
                notes.append(
                    f"{label(study, kept[a])} and {label(study, kept[b])} are the same mechanism "
                    f"on {backbone.name}: one run there"
                )
    arms: list[Arm] = []
    for adapter in study.adapters:
        arms.append(Arm(adapter, adapter, adapter, None))
        arms += [arm_at(study, adapter, point) for point in kept.values()]
        arms += [
            control_arm(study, adapter, control)
            for control in study.controls
            if control != SIDE or adapter == study.adapters[0]
        ]
    return Design(
        arms=tuple(arms),
        primary=tuple(primary_family(study, stands_for)),
        secondary=tuple(versus(arm.name, arm.adapter) for arm in arms if arm.is_design_point),
        controls=tuple(
            Contrast(
                f"mechanism vs {arm.label}",
                {arm_at(study, arm.adapter, stands_for[0][1]).name: 1.0, arm.name: -1.0},
                "control",
            )
            for arm in arms
            if arm.control and CONTROLS[arm.control].compared
        ),
        notes=tuple(notes),
    )


def unadapted_arm() -> Arm:
    """The backbone as it is; scored beside the arms for reference, no part of any family."""
    return Arm(UNADAPTED, UNADAPTED, UNADAPTED, None)


def label(study: Study, point: Point) -> str:
    """The varied levels of a point for people: ``early · 4``, or one ``axis=level`` where each
    axis is varied in turn."""
    texts = {axis: AXES[axis].text(point[axis]) for axis in study.axes}
    if study.design == "one-at-a-time":
        moved = [axis for axis in study.axes if point[axis] != study.levels[axis][0]]
        return f"{moved[0]}={texts[moved[0]]}" if moved else "default point"
    return " · ".join(texts.values()) or "talan"


def arm_at(study: Study, adapter: str, point: Point) -> Arm:
    """The arm of an adapter with the block at a point."""
    levels = "/".join(f"{axis}={AXES[axis].text(point[axis])}" for axis in study.axes)
    prefix = f"{adapter} + " if len(study.adapters) > 1 or not study.axes else ""
    name = f"{adapter}+talan/{levels}" if levels else f"{adapter}+talan"
    return Arm(name, prefix + label(study, point), adapter, point)


def control_arm(study: Study, adapter: str, control: str) -> Arm:
    """A control of an adapter: at the reference point if it has a block, else without one."""
    kind = CONTROLS[control]
    prefix = f"{adapter} + " if len(study.adapters) > 1 or not study.axes else ""
    point = dict(reference_point(study)) if kind.has_block else None
    if point is not None and kind.scope:
        point["scope"] = kind.scope
    if control == SIDE:
        return Arm("talan/control=side", "side path alone", adapter, point, control)
    name = f"{adapter}+talan/control={control}" if kind.has_block else f"{adapter}/{control}"
    return Arm(name, f"{prefix}{control}", adapter, point, control)


def primary_family(study: Study, stands_for: Sequence[tuple[Point, Point]]) -> list[Contrast]:
    """ "Mechanism present" for each adapter, then each axis's levels against its reference level.

    The mean over design points counts a merged point as often as it was declared, so that a
    level's mean is over the same other levels as its reference's.
    """
    family = []
    for adapter in study.adapters:
        suffix = f" ({adapter})" if len(study.adapters) > 1 else ""
        weights = _mean(study, [adapter], [same for _, same in stands_for])
        weights[adapter] = -1.0
        family.append(Contrast(f"mechanism present{suffix}", weights, "mechanism"))
    for axis in study.axes:
        reference, *others = study.levels[axis]
        for level in others:
            weights = _level_contrast(study, stands_for, axis, level, reference)
            if weights:
                text = AXES[axis].text
                family.append(
                    Contrast(f"{axis}: {text(level)} vs {text(reference)}", weights, axis)
                )
    return family


def _level_contrast(
    study: Study,
    stands_for: Sequence[tuple[Point, Point]],
    axis: str,
    level: Level,
    reference: Level,
) -> dict[str, float]:
    def others_at_reference(point: Point) -> bool:
        return study.design != "one-at-a-time" or all(
            point[other] == study.levels[other][0] for other in study.axes if other != axis
        )

    at_level, at_reference = (
        _mean(
            study,
            study.adapters,
            [s for p, s in stands_for if p[axis] == wanted and others_at_reference(p)],
        )
        for wanted in (level, reference)
    )
    weights = {
        arm: at_level.get(arm, 0.0) - at_reference.get(arm, 0.0)
        for arm in [*at_level, *(arm for arm in at_reference if arm not in at_level)]
    }
    return {arm: weight for arm, weight in weights.items() if abs(weight) > 1e-12}


def _mean(study: Study, adapters: Sequence[str], chosen: Sequence[Point]) -> dict[str, float]:
    """Equal weights over the arms of ``chosen`` points with each of ``adapters``."""
    weights: dict[str, float] = {}
    share = 1.0 / (len(chosen) * len(adapters))
    for adapter in adapters:
        for point in chosen:
            name = arm_at(study, adapter, point).name
            weights[name] = weights.get(name, 0.0) + share
    return weights
