"""The code of a level: where on its axis a block stands, from 0 to 1."""

from __future__ import annotations

import math

from ablate.spec import Block

AXES_CODED = ("insertion", "memory", "mixer", "writeback", "scope", "gradient_scale")

_NAMED: dict[str, dict[str, float]] = {
    "mixer": {"none": 0.0, "mlp": 0.5, "attention": 1.0},
    "writeback": {"orthogonal": 0.0, "bounded": 1 / 3, "add": 2 / 3, "gate": 1.0},
    "scope": {"readout": 0.0, "joint": 1.0},
}
UNKNOWN = 0.5
"""The code of a level that a plugin registered."""


def code(axis: str, block: Block, n_layers: int) -> float:
    """Where the block stands on an axis, from 0 to 1.

    insertion: share of the layers below the site; memory: log2 of the slots over 6, at most 1;
    gradient_scale: itself, at most 1; the named levels as listed above.
    """
    match axis:
        case "insertion":
            return block.site / n_layers
        case "memory":
            return min(math.log2(block.memory) / 6, 1.0)
        case "gradient_scale":
            return min(block.gradient_scale, 1.0)
        case _:
            return _NAMED[axis].get(str(getattr(block, axis)), UNKNOWN)
