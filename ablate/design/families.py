"""The families of contrasts that a study tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.design.contrasts import PointEffect, as_contrasts
from ablate.design.sameness import acting_level
from stats.contrast import Contrast
from talan.axes import AXES

if TYPE_CHECKING:
    from ablate.design.factorial import ArmNames, Factorial
    from ablate.design.registry import Layout
    from ablate.design.sameness import Same
    from ablate.study import Study
