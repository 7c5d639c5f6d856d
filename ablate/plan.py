"""From a study to its runs: pure, and fast enough to answer before torch could be imported."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate import backbones as backbone_room
from ablate import benchmarks as benchmark_room
from ablate.adapters import find_adapter, refuse_unfit
from ablate.control_arms import CONTROLS
from ablate.design import Arm, Design, block_at, make_design, reference_point, unadapted_arm
from ablate.errors import AblateError
from ablate.recipes import TRAIN_RECIPE
from ablate.space import MAX_DRAWS, Value, apply
from ablate.spec import UNADAPTED, Backbone, Hp, Part, RunSpec, content_key
from ablate.study import BlockSettings, Study


@dataclass(frozen=True)
class PlannedRun:
    """A place in the design (arm, backbone, draw, seed) and the run that fills it.

    ``hp`` is the index of the draw, 0 where hyperparameters are fixed. Two places may be filled by
    one run: levels on the same layer, the same baseline.
    """

    arm: Arm
    backbone: str
    hp: int
    seed: int
    spec: RunSpec
    key: str


@dataclass(frozen=True)
class Draw:
    """One point of the space of hyperparameters, shared by all arms.

    ``values`` are those that were drawn (none where hyperparameters are fixed).
    """

    index: int
    values: Mapping[str, Value]
    hp: Hp
    block: BlockSettings


@dataclass(frozen=True)
class Plan:
    """All runs of a study. ``runs`` is ordered pair by pair, so that an interrupted study has
    complete pairs."""

    study: Study
    design: Design
    backbones: tuple[Backbone, ...]
    benchmarks: tuple[Part, ...]
    draws: tuple[Draw, ...]
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
    def over_draws(self) -> bool:
        """Whether there are several settings of hyperparameters (draws, or the winners of
        replicated searches): then a setting is the unit of inference, its seeds are averaged."""
        return len({run.hp for run in self.runs}) > 1

    @property
    def unit(self) -> str:
        """What is independent: ``pair``, ``draw`` of hyperparameters, ``search`` of all arms."""
        if not self.over_draws:
            return "pair"
        return "draw" if self.study.draws.count else "search"

    @property
    def seen(self) -> tuple[int, ...]:
        """The seeds that a report of this plan shows; more draws, and more seeds of each draw, are
        more of them."""
        if not self.study.draws.count:
            return self.study.seeds
        return tuple(seed for draw in self.draws for seed in seeds_of(self.study, draw))

    @property
    def design_digest(self) -> str:
        """Identity of everything but seeds and draws: more of them are the same study,
        continued."""
        first = [run for run in self.runs if run.hp == 0]
        runs = sorted({dataclasses.replace(run.spec, seed=0).key for run in first})
        return content_key([runs, [part.digest for part in self.benchmarks]])


def make_plan(study: Study) -> Plan:
    """Resolve backbones and benchmarks, lay out the design, make every RunSpec.

    Raises:
        AblateError: unknown or unreadable backbone or benchmark, impossible design point,
            an adapter that a backbone cannot take.
    """
    backbones = tuple(backbone_room.resolve(name) for name in study.backbones)
    benchmarks = tuple(part_of(name, "test") for name in study.benchmarks)
    draws = tuple(draw_at(study, i) for i in range(max(1, study.draws.count)))
    mix = tuple(part_of(name, "train") for name in study.mix)
    refuse_twins([backbone.name for backbone in backbones], "backbones")
    refuse_twins([part.benchmark for part in benchmarks], "benchmarks")
    for draw in draws:
        refuse_unfit(study.adapters, backbones, draw.hp)
    device = device_class(study.device)
    design = make_design(study, backbones)

    runs = [
        place_run(study, unadapted_arm(), backbone, draws[0], 0, mix, benchmarks, device)
        for backbone in backbones
    ]
    runs += [
        place_run(study, arm, backbone, draw, seed, mix, benchmarks, device)
        for draw in draws
        for seed in seeds_of(study, draw)
        for backbone in backbones
        for arm in design.arms
    ]
    return Plan(study, design, backbones, benchmarks, draws, tuple(runs))


def place_run(
    study: Study,
    arm: Arm,
    backbone: Backbone,
    draw: Draw,
    seed: int,
    mix: tuple[Part, ...],
    benchmarks: tuple[Part, ...],
    device: str,
) -> PlannedRun:
    """The run of an arm on a backbone at a draw with a seed, scored on ``benchmarks``."""
    control = CONTROLS[arm.control].block if arm.control else None
    spec = RunSpec(
        backbone=backbone,
        adapter=arm.adapter,
        adapter_recipe=0 if arm.adapter == UNADAPTED else find_adapter(arm.adapter).recipe,
        train_recipe=TRAIN_RECIPE,
        hp=draw.hp,
        mix=mix,
        block=(
            None
            if arm.point is None
            else block_at(study, arm.point, backbone, control, draw.block, arm.adapter)
        ),
        seed=seed,
        device=device,
        precision=study.precision,
        benchmarks=benchmarks,
        matched=(
            block_at(
                study,
                reference_point(study),
                backbone,
                settings=draw.block,
                adapter=arm.adapter,
            )
            if arm.control == "matched"
            else None
        ),
        reseed=arm.control == "reseed",
        world=study.world,
    )
    return PlannedRun(arm, backbone.name, draw.index, seed, spec, spec.key)


def seeds_of(study: Study, draw: Draw) -> tuple[int, ...]:
    """The seeds of a draw: its own, so that two draws that agree in what a baseline has are never
    the same run; they stay what they are when draws or seeds are added."""
    if not study.draws.count:
        return study.seeds
    return tuple(seed * MAX_DRAWS + draw.index for seed in study.seeds)


def draw_at(study: Study, index: int) -> Draw:
    """Draw ``index`` of the study's space, or its fixed hyperparameters where it makes none."""
    if not study.draws.count:
        return Draw(index, {}, study.hp, study.block)
    values = study.space.draw(index, study.draws.sampler)
    return Draw(index, values, *apply(values, study.hp, study.block))


def part_of(source: str, split: str) -> Part:
    """A split of a benchmark given by name or path."""
    name = benchmark_room.benchmark(source).name
    return Part(name, benchmark_room.digest(source, split), source, split)


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
