"""The design of a study: its points, its arms, and the families of contrasts over them."""

from ablate.design.arms import (
    Arm,
    Point,
    arm_at,
    block_at,
    control_arm,
    label,
    unadapted_arm,
)
from ablate.design.build import Design, make_design
from ablate.design.crossing import reference_point
from ablate.design.points import points
from ablate.design.registry import DESIGNS, DesignKind, Layout, register_design

__all__ = [
    "DESIGNS",
    "Arm",
    "Design",
    "DesignKind",
    "Layout",
    "Point",
    "arm_at",
    "block_at",
    "control_arm",
    "label",
    "make_design",
    "points",
    "reference_point",
    "register_design",
    "unadapted_arm",
]
