"""The families of contrasts that a study tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ablate.design.contrasts import ArmsAt, PointEffect, as_contrasts
from stats.contrast import Contrast
from talan.axes import AXES

if TYPE_CHECKING:
    from ablate.design.factorial import Factorial
    from ablate.design.registry import Layout


def primary_family(
    adapters: Sequence[str], layout: Layout, arms_at: ArmsAt, factorial: Factorial | None
) -> tuple[Contrast, ...]:
    """ "Mechanism present" for each adapter, then each axis's levels against its reference level.

    The mean over design points counts a merged point as often as it was declared. The levels are
    left to families of their own where the design says so.
    """
    present = []
    for k, adapter in enumerate(adapters):
        suffix = f" ({adapter})" if len(adapters) > 1 else ""
        weights: dict[str, float] = {}
        for i in range(len(layout.points)):
            arm = arms_at[i][k]
            weights[arm] = weights.get(arm, 0.0) + 1.0 / len(layout.points)
        weights[adapter] = -1.0
        present.append(Contrast(f"mechanism present{suffix}", weights, "mechanism"))
    if layout.own_families:
        return tuple(present)
    levels = factorial.mains if factorial else as_contrasts(simple_effects(layout), arms_at)
    return (*present, *levels)


def simple_effects(layout: Layout) -> list[PointEffect]:
    """Each level of an axis against its reference, all other axes where the layout's centre is.

    Levels that are the same mechanism there have the same arm, so that nothing is left of their
    contrast.
    """
    centre = layout.centre or layout.points[0]
    found = []
    for axis, (reference, *others) in layout.levels.items():
        for level in others:
            weights = np.zeros(len(layout.points))
            weights[layout.points.index({**centre, axis: level})] = 1.0
            weights[layout.points.index({**centre, axis: reference})] = -1.0
            text = AXES[axis].text
            found.append(PointEffect(f"{axis}: {text(level)} vs {text(reference)}", axis, weights))
    return found
