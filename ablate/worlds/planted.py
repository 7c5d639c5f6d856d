"""What a world plants: effects in points of accuracy, and the noise around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Noise:
    """Standard deviations in points, and shares of items.

    ``pair`` is shared by the arms of a pair over all benchmarks, ``pair_cell`` by them on one
    benchmark; ``own`` and ``own_cell`` are a run's own. A share ``pair_items`` of the items is
    answered anew by each pair, ``own_items`` by each run.
    """

    pair: float = 3.0
    pair_cell: float = 1.5
    own: float = 0.8
    own_cell: float = 0.6
    pair_items: float = 0.2
    own_items: float = 0.05


@dataclass(frozen=True)
class Planted:
    """The effects of a world, in points; a world without any is a null world.

    Attributes:
        mechanism: gain of the block that reads the sequence, over the adapter alone.
        perturbation: gain of any block, whatever it reads (static, shuffled and random too).
        parameters: gain per thousand trainable parameters beyond the adapter's own, whether they
            are the block's or additional ranks.
        axes: range of each axis's main effect, see ``levels.code``; 0 at the middle of its code.
        interactions: for two axes, the difference between the effect of the one at the other's
            highest code and at its lowest.
        curvature: points lost per squared decade of learning rate from the arm's optimum.
        optimum: log10 of the learning rate at which arms without the mechanism are best.
        shift: how many decades above it the arms with the mechanism are best.
        interplay: change of the mechanism's gain per decade of learning rate above 5e-3.
        by_backbone: SD of the mechanism's gain over backbones.
        by_cell: SD of the mechanism's gain over cells of a backbone.
        retention: change of the score on retention that the mechanism brings.
        diverging: share of the mechanism's runs that diverge: those with the least luck.
        accidents: share of all runs that diverge whatever their luck.
        noise: see :class:`Noise`.
    """

    mechanism: float = 0.0
    perturbation: float = 0.0
    parameters: float = 0.0
    axes: Mapping[str, float] = field(default_factory=dict)
    interactions: Mapping[tuple[str, str], float] = field(default_factory=dict)
    curvature: float = 2.0
    optimum: float = -2.301
    shift: float = 0.0
    interplay: float = 0.0
    by_backbone: float = 0.0
    by_cell: float = 0.0
    retention: float = 0.0
    diverging: float = 0.0
    accidents: float = 0.0
    noise: Noise = Noise()
