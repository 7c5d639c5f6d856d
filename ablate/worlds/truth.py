"""What is true in a world of what a study estimates, in points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.spec import UNADAPTED, Part, RunSpec
from ablate.worlds.world import World

if TYPE_CHECKING:
    from ablate.plan import Plan
    from stats.contrast import Contrast


@dataclass(frozen=True)
class Truth:
    """The true value of a contrast, in points; ``cell`` is (backbone, benchmark), None an average
    over the main cells."""

    contrast: str
    cell: tuple[str, str] | None
    points: float


def truths(world: World, plan: Plan) -> tuple[Truth, ...]:
    """The truth of every contrast of a plan: primary and controls averaged, secondary by cell."""
    design = plan.design
    found = [
        Truth(c.name, None, contrast_truth(world, plan, c))
        for c in (*design.primary, *design.controls)
    ]
    for contrast in design.secondary:
        for backbone in plan.backbones:
            for name in plan.main or plan.retention:
                points = contrast_truth(
                    world, plan, contrast, backbones=[backbone.name], benchmarks=[name]
                )
                found.append(Truth(contrast.name, (backbone.name, name), points))
    return tuple(found)


def contrast_truth(
    world: World,
    plan: Plan,
    contrast: Contrast,
    *,
    backbones: Sequence[str] | None = None,
    benchmarks: Sequence[str] | None = None,
    population: bool = False,
) -> float:
    """The true value of a contrast in points, with equal weights over cells and settings.

    Args:
        world: where it is true.
        plan: its runs give the arms' settings; every setting of hyperparameters counts alike.
        contrast: weighs arms of the plan.
        backbones, benchmarks: those averaged over; None: all backbones, the main benchmarks.
        population: leave out what is peculiar to the plan's backbones.
    """
    total = 0.0
    parts = _parts(plan, benchmarks)
    wanted = backbones if backbones is not None else [b.name for b in plan.backbones]
    for arm, weight in contrast.weights.items():
        specs = _specs(plan, arm, wanted)
        values = [world.accuracy(s, part, population=population) for s in specs for part in parts]
        total += weight * sum(values) / len(values)
    return 100 * total


def population_truth(world: World, plan: Plan, contrast: Contrast) -> float:
    """The true value over the population of backbones, in points."""
    return contrast_truth(world, plan, contrast, population=True)


def flip_share(world: World, specs: Sequence[tuple[RunSpec, RunSpec]], part: Part) -> float:
    """The share of (arm, baseline) settings in which the arm's true difference is below zero."""
    below = [world.accuracy(a, part) < world.accuracy(b, part) for a, b in specs]
    return sum(below) / len(below)


def _parts(plan: Plan, benchmarks: Sequence[str] | None) -> list[Part]:
    wanted = benchmarks if benchmarks is not None else plan.main or plan.retention
    return [part for part in plan.benchmarks if part.benchmark in wanted]


def _specs(plan: Plan, arm: str, backbones: Sequence[str]) -> list[RunSpec]:
    """The arm's runs on the backbones, one for each setting of hyperparameters."""
    found: dict[object, RunSpec] = {}
    for run in plan.runs:
        if run.arm.name == arm and arm != UNADAPTED and run.backbone in backbones:
            found.setdefault((run.backbone, run.spec.hp, run.spec.block), run.spec)
    return list(found.values())
