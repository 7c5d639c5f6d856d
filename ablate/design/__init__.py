"""The design of a study: its points, its arms, and the families of contrasts over them."""

from ablate.design.arms import (
    Arm,
    Design,
    Point,
    arm_at,
    block_at,
    control_arm,
    label,
    make_design,
    unadapted_arm,
)
from ablate.design.points import points, reference_point
from ablate.design.registry import DESIGNS, register_design

__all__ = [
    "DESIGNS",
    "Arm",
    "Design",
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
