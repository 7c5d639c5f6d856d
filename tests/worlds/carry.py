"""A study carried through a world: the way of `ablate run`, without MLflow and pages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from ablate.analyse import Inference, analyse
from ablate.collect import Tables, make_tables
from ablate.executors import WorldExecutor
from ablate.ledger import open_ledger
from ablate.parse import read_overrides
from ablate.plan import Plan, make_plan
from ablate.progress import Quiet
from ablate.runner import run_waiting
from ablate.study import Study, load_study
from ablate.worlds import World, contrast_truth, find_world
from stats.compare import compare
from stats.contrast import Contrast
from stats.result import Comparison, Effect
from stats.verdict import Verdict

RESAMPLES = 499
"""Of bootstrap intervals, and of sign flips beyond 20 pairs (up to there all are enumerated)."""

CLAIMED = (Verdict.SUPERIOR, Verdict.SUPERIOR_AND_MEANINGFUL)
DIFFERENT = (*CLAIMED, Verdict.INFERIOR, Verdict.INFERIOR_AND_MEANINGFUL)


@dataclass(frozen=True)
class Carried:
    """A study in a world, from its plan to its inference."""

    world: World
    plan: Plan
    tables: Tables
    inference: Inference

    def truth(self, effect: Effect, contrasts: Sequence[Contrast]) -> float:
        """The true value, in points, of what an effect of the plan estimates."""
        contrast = next(c for c in contrasts if c.name == effect.name)
        where = effect.cell or {}
        return contrast_truth(
            self.world,
            self.plan,
            contrast,
            backbones=[where["backbone"]] if "backbone" in where else None,
            benchmarks=[where["benchmark"]] if "benchmark" in where else None,
        )


def study_in(world: str, settings: Sequence[str]) -> Study:
    """The study of ``key=value`` settings in a world."""
    return load_study(read_overrides([*settings, f"world={world}"]))


def carry(
    world: str, settings: Sequence[str], plan_of: Callable[[Study], Plan] = make_plan
) -> Carried:
    """Plan, run, collect and analyse a study in a world."""
    study = study_in(world, settings)
    plan = plan_of(study)
    ledger = open_ledger(Path(":memory:"))
    try:
        ledger.add(plan.specs)
        run_waiting(plan.specs, {}, ledger, WorldExecutor(), Quiet())
        tables = make_tables(plan, ledger.records(plan.specs), ledger.scores(plan.specs))
    finally:
        ledger.close()
    with few_resamples():
        inference = analyse(plan, tables)
    return Carried(find_world(study.world), plan, tables, inference)


def few_resamples(module: str = "ablate.analyse") -> mock._patch:
    """Bootstrap intervals from few resamples, for speed, wherever ``module`` compares."""
    quick: Callable[..., Comparison] = functools.partial(compare, n_resamples=RESAMPLES)
    return mock.patch(f"{module}.compare", quick)


def found(effects: Sequence[Effect]) -> bool:
    """Whether any of the effects is said to differ from zero."""
    return any(says_difference(effect) for effect in effects)


def says_difference(effect: Effect) -> bool:
    """Whether the verdict says that the difference is not zero."""
    return effect.verdict in DIFFERENT or effect.also != ""


def says_better(effect: Effect) -> bool:
    """Whether the verdict says that the arm is better."""
    return effect.verdict in CLAIMED or effect.also == "superior"
