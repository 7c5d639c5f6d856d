"""What a search is: its arms with their spaces, its instances, its splits. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from ablate import backbones as backbone_room
from ablate.benchmarks import benchmark
from ablate.design import Arm, Point, block_at, reference_point, unadapted_arm
from ablate.errors import AblateError
from ablate.phases import CONFIRM, SEARCH
from ablate.plan import Draw, PlannedRun, device_class, part_of, place_run, refuse_twins
from ablate.search.samplers import find_sampler
from ablate.space import SHARED, Dimension, Value, apply
from ablate.spec import Backbone, Part, content_key
from ablate.study import Study
from talan.axes import AXES

VALIDATION = "validation"
TEST = "test"

Values = Mapping[str, Value | str]
"""A trial's configuration: hyperparameters by name, axis levels as text by axis."""


@dataclass(frozen=True)
class SearchArm:
    """An arm and what its search varies: hyperparameters, and levels of axes as text.

    A baseline has the shared hyperparameters only.
    """

    arm: Arm
    dimensions: Mapping[str, Dimension]
    levels: Mapping[str, tuple[str, ...]]

    @property
    def varied(self) -> tuple[str, ...]:
        """The names of what has more than one value."""
        return (*(n for n, d in self.dimensions.items() if d.varies), *self.levels)

    def describe(self) -> str:
        """The space for people: ``lr 0.001..0.01, rank 4,8,16, memory 1,4``."""
        parts = [f"{name} {d.text()}" for name, d in self.dimensions.items()]
        parts += [f"{axis} {','.join(texts)}" for axis, texts in self.levels.items()]
        return ", ".join(parts)


@dataclass(frozen=True)
class Instance:
    """What every trial of a search is measured on: a backbone with a training seed."""

    backbone: Backbone
    seed: int


@dataclass(frozen=True)
class SearchPlan:
    """A search per arm and replicate, and how its winners are confirmed.

    ``validation`` are the validation splits of the main benchmarks, ``tests`` the test splits of
    all benchmarks. A trial is one configuration for all backbones.
    """

    study: Study
    arms: tuple[SearchArm, ...]
    backbones: tuple[Backbone, ...]
    validation: tuple[Part, ...]
    tests: tuple[Part, ...]
    mix: tuple[Part, ...]
    device: str

    @property
    def replicates(self) -> range:
        """The searches of each arm."""
        return range(self.study.search.replicates)

    def instances(self, replicate: int) -> tuple[Instance, ...]:
        """The instances of a search in order: every backbone with a seed, then the next seed."""
        seeds = self.study.search.seeds
        return tuple(
            Instance(backbone, SEARCH[replicate * seeds + i])
            for i in range(seeds)
            for backbone in self.backbones
        )

    def confirm_seeds(self, replicate: int) -> tuple[int, ...]:
        """Fresh seeds of a search's winners; searches share none, so that they stay a sample."""
        count = self.study.search.confirm
        return tuple(CONFIRM[replicate * count + i] for i in range(count))

    def search_key(self, searched: SearchArm, replicate: int) -> str:
        """What identifies a search, its number of trials apart: more trials continue it."""
        study = self.study
        same = {
            "arm": searched.arm.name,
            "space": {name: d.text() for name, d in searched.dimensions.items()},
            "levels": {axis: list(texts) for axis, texts in searched.levels.items()},
            "hp": dataclasses.asdict(study.hp),
            "backbones": [b.digest for b in self.backbones],
            "validation": [part.digest for part in self.validation],
            "mix": [part.digest for part in self.mix],
            "seeds": study.search.seeds,
            "sampler": study.search.sampler,
            "world": study.world,
        }
        return f"{content_key(same)}/{searched.arm.name}/{replicate}"

    def trial_run(
        self, searched: SearchArm, values: Values, instance: Instance, replicate: int
    ) -> PlannedRun:
        """The run of a configuration on an instance. It is scored on validation items, by
        construction: a search has no way to ask for others."""
        return self._place(searched, values, instance, replicate, self.validation)

    def confirmation_run(
        self, searched: SearchArm, values: Values, instance: Instance, replicate: int
    ) -> PlannedRun:
        """The run of a frozen winner, scored on validation and test items."""
        parts = (*self.validation, *self.tests)
        return self._place(searched, values, instance, replicate, parts)

    def unadapted_run(self, backbone: Backbone, parts: tuple[Part, ...]) -> PlannedRun:
        """The scoring of a backbone as it is."""
        draw = draw_of(self.study, {}, 0)
        return place_run(
            self.study, unadapted_arm(), backbone, draw, 0, self.mix, parts, self.device
        )

    def _place(
        self,
        searched: SearchArm,
        values: Values,
        instance: Instance,
        replicate: int,
        parts: tuple[Part, ...],
    ) -> PlannedRun:
        return place_run(
            self.study,
            at_values(searched.arm, values),
            instance.backbone,
            draw_of(self.study, values, replicate),
            instance.seed,
            self.mix,
            parts,
            self.device,
        )


def at_values(arm: Arm, values: Values) -> Arm:
    """The arm at the axis levels of a configuration."""
    if arm.point is None:
        return arm
    levels = {axis: AXES[axis].parse(str(values[axis])) for axis in AXES if axis in values}
    return dataclasses.replace(arm, point={**arm.point, **levels})


def draw_of(study: Study, values: Values, index: int) -> Draw:
    """A configuration as a draw of hyperparameters."""
    numbers = {name: v for name, v in values.items() if not isinstance(v, str)}
    return Draw(index, numbers, *apply(numbers, study.hp, study.block))


def make_search_plan(study: Study) -> SearchPlan:
    """Resolve what a search needs and check what concerns several settings.

    Raises:
        AblateError: an unknown sampler, an arm in whose space nothing varies, more seeds than the
            phase has, controls or draws (which a search does not have), unreadable items.
    """
    find_sampler(study.search.sampler)
    _check(study)
    backbones = tuple(backbone_room.resolve(name) for name in study.backbones)
    refuse_twins([backbone.name for backbone in backbones], "backbones")
    main = [name for name in study.benchmarks if benchmark(name).main]
    if not main:
        raise AblateError(
            "no main benchmark is named, so that there is nothing to choose by",
            place="benchmarks",
            value=study.benchmarks,
            hint="a search chooses by validation items of main benchmarks; retention is not one",
        )
    plan = SearchPlan(
        study=study,
        arms=search_arms(study),
        backbones=backbones,
        validation=tuple(part_of(name, VALIDATION) for name in main),
        tests=tuple(part_of(name, TEST) for name in study.benchmarks),
        mix=tuple(part_of(name, "train") for name in study.mix),
        device=device_class(study.device),
    )
    refuse_twins([part.benchmark for part in plan.tests], "benchmarks")
    for part in plan.validation:
        if part.digest in {test.digest for test in plan.tests}:
            raise AblateError(
                f"the validation items of {part.benchmark} are its test items",
                place="benchmarks",
                value=part.benchmark,
                hint="a search must not choose by what confirms its choice",
            )
    _check_points(plan)
    return plan


def search_arms(study: Study) -> tuple[SearchArm, ...]:
    """Each adapter alone, then with the block; the axes of the study are part of its search.

    Raises:
        AblateError: nothing varies in the space of an arm.
    """
    shared = {n: d for n, d in study.space.dimensions.items() if n in SHARED}
    levels = {axis: tuple(map(AXES[axis].text, study.levels[axis])) for axis in study.axes}
    point = reference_point(study)
    arms = []
    for adapter in study.adapters:
        alone = Arm(adapter, f"{adapter}, tuned", adapter, None)
        both = Arm(f"{adapter}+talan", f"{adapter} + talan, tuned", adapter, point)
        arms += [
            SearchArm(alone, shared, {}),
            SearchArm(both, study.space.dimensions, levels),
        ]
    for searched in arms:
        if not searched.varied:
            raise AblateError(
                f"nothing varies in the space of {searched.arm.name}, so that it cannot be tuned",
                place="hp",
                value=study.space.describe(),
                hint="give a range that all arms share, such as hp.lr=1e-3..1e-2",
            )
    return tuple(arms)


def _check(study: Study) -> None:
    search = study.search
    if study.controls:
        raise AblateError(
            "a search tunes adapters with and without the mechanism, not controls",
            place="controls",
            value=study.controls,
            hint="give controls=no here, and compare controls with: ablate run controls=yes",
        )
    if study.draws.count:
        raise AblateError(
            "a search makes trials, not draws",
            place="hp.draws",
            value=study.draws.count,
            hint="give search.trials, or use ablate run for matched draws",
        )
    if search.confirm < 2:
        raise AblateError(
            "with one confirmation seed no inference is possible",
            place="search.confirm",
            value=search.confirm,
            hint="20 find a difference of two thirds of the SD of paired differences",
        )
    for name, seeds, phase in (
        ("search.seeds", search.seeds, SEARCH),
        ("search.confirm", search.confirm, CONFIRM),
    ):
        if seeds * search.replicates > len(phase):
            raise AblateError(
                f"{search.replicates} searches with {seeds} seeds each need more than the "
                f"{len(phase)} seeds of this phase",
                place=name,
                value=seeds,
                hint=f"at most {len(phase) // search.replicates} for so many searches",
            )


def _check_points(plan: SearchPlan) -> None:
    """Refuse a level that does not exist on a backbone before anything is trained."""
    point: Point = reference_point(plan.study)
    for axis in plan.study.axes:
        for level in plan.study.levels[axis]:
            for backbone in plan.backbones:
                block_at(plan.study, {**point, axis: level}, backbone)
