"""From a study to its runs: pure, and fast enough to answer before torch could be imported."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate import backbones as backbone_room
from ablate import benchmarks as benchmark_room
from ablate.adapters import find_adapter
from ablate.control_arms import CONTROLS
from ablate.design import Arm, Design, block_at, make_design, reference_point, unadapted_arm
from ablate.errors import AblateError
from ablate.recipes import TRAIN_RECIPE
from ablate.spec import UNADAPTED, Backbone, Part, RunSpec, content_key
from ablate.study import Study


@dataclass(frozen=True)
class PlannedRun:
    """A place in the design (arm, backbone, seed) and the run that fills it.

    Two places may be filled by one run: levels on the same layer, the same baseline.
    """

    arm: Arm
    backbone: str
    seed: int
    spec: RunSpec
    key: str


@dataclass(frozen=True)
class Plan:
    """All runs of a study. ``runs`` is ordered pair by pair, so that an interrupted study has
    complete pairs."""

    study: Study
    design: Design
    backbones: tuple[Backbone, ...]
    benchmarks: tuple[Part, ...]
    runs: tuple[PlannedRun, ...]

    @property
    def specs(self) -> dict[str, RunSpec]:
        """The distinct runs by key, in order."""
        return {run.key: run.spec for run in self.runs}

    @property
    def main(self) -> tuple[str, ...]:
        """Benchmarks of the main cells."""
        return tuple(
            p.benchmark for p in self.benchmarks if benchmark_room.benchmark(p.source).main
        )

    @property
    def retention(self) -> tuple[str, ...]:
        """Benchmarks that measure what was unlearned; a family of their own."""
        return tuple(p.benchmark for p in self.benchmarks if p.benchmark not in self.main)

    @property
    def design_digest(self) -> str:
        """Identity of everything but the seeds: more seeds are the same study, continued."""
        runs = sorted({dataclasses.replace(run.spec, seed=0).key for run in self.runs})
        return content_key([runs, [part.digest for part in self.benchmarks]])


def make_plan(study: Study) -> Plan:
    """Resolve backbones and benchmarks, lay out the design, make every RunSpec.

    Raises:
        AblateError: unknown or unreadable backbone or benchmark, impossible design point.
    """
    backbones = tuple(backbone_room.resolve(name) for name in study.backbones)
    benchmarks = tuple(part_of(name, "test") for name in study.benchmarks)
    mix = tuple(part_of(name, "train") for name in study.mix)
    refuse_twins([backbone.name for backbone in backbones], "backbones")
    refuse_twins([part.benchmark for part in benchmarks], "benchmarks")
    device = device_class(study.device)
    design = make_design(study, backbones)

    def planned(arm: Arm, backbone: Backbone, seed: int) -> PlannedRun:
        control = arm.control if arm.control and CONTROLS[arm.control].has_block else None
        spec = RunSpec(
            backbone=backbone,
            adapter=arm.adapter,
            adapter_recipe=0 if arm.adapter == UNADAPTED else find_adapter(arm.adapter).recipe,
            train_recipe=TRAIN_RECIPE,
            hp=study.hp,
            mix=mix,
            block=None if arm.point is None else block_at(study, arm.point, backbone, control),
            seed=seed,
            device=device,
            precision=study.precision,
            benchmarks=benchmarks,
            matched=(
                block_at(study, reference_point(study), backbone)
                if arm.control == "matched"
                else None
            ),
            reseed=arm.control == "reseed",
        )
        return PlannedRun(arm, backbone.name, seed, spec, spec.key)

    runs = [planned(unadapted_arm(), backbone, 0) for backbone in backbones]
    runs += [
        planned(arm, backbone, seed)
        for seed in study.seeds
        for backbone in backbones
        for arm in design.arms
    ]
    return Plan(study, design, backbones, benchmarks, tuple(runs))


def part_of(source: str, split: str) -> Part:
    """A split of a benchmark given by name or path."""
    name = benchmark_room.benchmark(source).name
    return Part(name, benchmark_room.digest(source, split), source)


def refuse_twins(names: Sequence[str], place: str) -> None:
    """Two files of one name would share a cell in every table."""
    for i, name in enumerate(names):
        if name in names[:i]:
            raise AblateError(
                f"two of them are called {name!r}", place=place, value=name, hint="rename one"
            )


def device_class(wanted: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` asks torch only where a driver and a CUDA build are present."""
    if wanted != "auto":
        return wanted
    if "+cpu" in importlib.metadata.version("torch") or not Path("/dev/nvidiactl").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
