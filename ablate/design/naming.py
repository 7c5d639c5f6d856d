"""How the points of a design are called in tables: by the levels that tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from talan.axes import AXES, Level

if TYPE_CHECKING:
    from ablate.design.arms import Point
    from ablate.study import Study

Namer = Callable[["Study", "Point"], str]

ABSENT: dict[str, tuple[Level, str]] = {
    "memory": (1, "slots"),
    "mixer": ("none", "mixer"),
    "writeback": ("add", "writeback rule"),
    "scope": ("readout", "trained memory"),
    "gradient_scale": (0.0, "stream gradient"),
}
"""The level at which a component of the mechanism is absent, and what is missing then."""


def crossed(study: Study, point: Point) -> str:
    """The varied levels in the order of the axes: ``early · 4``."""
    return " · ".join(_texts(study, point)) or "talan"


def compact(study: Study, point: Point) -> str:
    """The same without spaces, for many axes: ``early·16·mlp·gate·joint·1``."""
    return "·".join(_texts(study, point)) or "talan"


def moved(study: Study, point: Point) -> str:
    """The one axis that is not at its reference level: ``memory=4``."""
    axis = _moved(study, point)
    return f"{axis}={AXES[axis].text(point[axis])}" if axis else "default point"


def without(study: Study, point: Point) -> str:
    """The component that is left out, ``w/o mixer``, or the one axis that is at another level."""
    axis = _moved(study, point)
    if not axis:
        return "full"
    level, component = ABSENT.get(axis, (None, ""))
    return f"w/o {component}" if point[axis] == level else moved(study, point)


def put_back(study: Study, point: Point) -> str:
    """The one axis that is back at its reference level, ``memory at 16``, or which point it is."""
    back = [axis for axis in study.axes if point[axis] == study.levels[axis][0]]
    if len(back) == len(study.axes):
        return "default point"
    if not back:
        return "operating point"
    return ", ".join(f"{axis} at {AXES[axis].text(point[axis])}" for axis in back)


def _texts(study: Study, point: Point) -> list[str]:
    return [AXES[axis].text(point[axis]) for axis in study.axes]


def _moved(study: Study, point: Point) -> str:
    return next((axis for axis in study.axes if point[axis] != study.levels[axis][0]), "")
