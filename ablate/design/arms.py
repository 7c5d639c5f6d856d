"""Arms: what is compared, and what of the mechanism each trains.

An arm is an adapter alone (a baseline), with the block at one design point, or a control.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.adapters import find_adapter
from ablate.control_arms import CONTROLS
from ablate.design.crossing import reference_point
from ablate.design.registry import DESIGNS
from ablate.errors import AblateError
from ablate.spec import UNADAPTED, Backbone, Block
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


def block_at(
    study: Study,
    point: Point,
    backbone: Backbone,
    control: str | None = None,
    settings: BlockSettings | None = None,
    adapter: str = "",
) -> Block:
    """The block of a design point on a backbone, in the canonical form that identity uses.

    Args:
        study: gives the block's settings that are no axes.
        point: its levels.
        backbone: where it is attached.
        control: one of talan's controls, or None for the mechanism.
        settings: the block's settings of a draw, in place of the study's own.
        adapter: the one beside it, which says what trains below the site; "" for one inside the
            decoder layers.

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
            find_adapter(adapter).trainable_below if adapter else None,
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


def unadapted_arm() -> Arm:
    """The backbone as it is; scored beside the arms for reference, no part of any family."""
    return Arm(UNADAPTED, UNADAPTED, UNADAPTED, None)


def label(study: Study, point: Point) -> str:
    """What a point is called in tables, by the naming of the study's design."""
    return DESIGNS[study.design].name_point(study, point)


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
