"""The study's declared inference on its tables: thin glue to ``stats``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ablate.benchmarks import benchmark
from ablate.collect import Tables
from ablate.control_arms import CONTROLS
from ablate.design import Arm
from ablate.plan import Plan
from stats.compare import Comparison, compare
from stats.contrast import Contrast, versus
from stats.table import PairedTable

PAIR = ("backbone", "hp", "seed")
DRAW = ("hp",)
"""The unit of inference over matched draws: backbones share the draws, and the seeds of a draw its
hyperparameters, so that only draws are independent."""

CELL = ("backbone", "benchmark")
RNG_SEED = 0
"""Seed of the resampling methods; the same table gives the same report."""


@dataclass(frozen=True)
class Inference:
    """``main``: the primary and the secondary family over main cells. ``retention``: the same
    contrasts on retention, families of their own. ``controls``: the mechanism against each control
    over main cells, a family. ``averages``: each arm against its baseline over main cells, a
    descriptive family (Optuna's values, MLflow's arm runs)."""

    main: Comparison
    retention: Comparison | None
    controls: Comparison | None
    averages: Comparison | None


def analyse(plan: Plan, tables: Tables) -> Inference:
    """Run the declared families.

    Raises:
        StatsError: no contrast has two complete pairs.
    """
    design = plan.design
    compared = [arm for arm in design.arms if is_compared(arm)]
    arms = [arm.name for arm in compared]
    blocks = [arm for arm in compared if not arm.is_baseline]
    main = plan.main or plan.retention
    return Inference(
        main=_families(plan, tables, arms, main, design.secondary, design.primary),
        retention=(
            _families(plan, tables, arms, plan.retention, design.secondary, design.primary)
            if plan.main and plan.retention
            else None
        ),
        controls=(
            _families(plan, tables, arms, main, (), design.controls) if design.controls else None
        ),
        averages=(
            _families(
                plan, tables, arms, main, (), [versus(arm.name, arm.adapter) for arm in blocks]
            )
            if blocks
            else None
        ),
    )


def _families(
    plan: Plan,
    tables: Tables,
    arms: Sequence[str],
    benchmarks: Sequence[str],
    secondary: Sequence[Contrast],
    primary: Sequence[Contrast],
) -> Comparison:
    table = paired_table(plan, tables.results, benchmarks, arms)
    return compare(
        table,
        cells=secondary,
        primary=primary,
        limits=score_limits(plan, benchmarks),
        sesoi=plan.study.sesoi,
        alpha=plan.study.alpha,
        rng=RNG_SEED,
    )


def score_limits(
    plan: Plan, benchmarks: Sequence[str]
) -> dict[tuple[str, ...], tuple[float, float]]:
    """Chance and maximum of each cell, in points."""
    return {
        (backbone.name, part.benchmark): (100 * benchmark(part.source).chance, 100.0)
        for backbone in plan.backbones
        for part in plan.benchmarks
        if part.benchmark in benchmarks
    }


def paired_table(
    plan: Plan, results: pd.DataFrame, benchmarks: Sequence[str], arms: Sequence[str] = ()
) -> PairedTable:
    """The scores of some benchmarks as the labelled table of the study's unit of inference.

    With several draws of hyperparameters a unit is a draw, its score the mean over the seeds that
    all ``arms`` have; else it is a pair. ``arms`` are those that each unit should have (none: those
    of the design that are compared).
    """
    wanted = list(arms) or [arm.name for arm in plan.design.arms if is_compared(arm)]
    frame = results[results["benchmark"].isin(list(benchmarks)) & results["arm"].isin(wanted)]
    frame = pd.DataFrame(frame[["arm", *PAIR, "benchmark", "score"]])
    if plan.over_draws:
        frame = mean_over_seeds(frame)
    return PairedTable.from_frame(
        frame,
        arm="arm",
        pair=DRAW if plan.over_draws else PAIR,
        cell=CELL,
        score="score",
        percent=True,
        required_arms=wanted,
        allow_failed=True,
    )


def mean_over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Scores of draws: the mean over the seeds in which every arm has all its scores.

    A seed that one arm lost is left out for all arms of its draw and backbone, so that arms are
    always compared on the same seeds; a draw without any seed left has NaN.
    """
    keys = ["arm", "backbone", "hp", "benchmark"]
    return whole_seeds(frame).groupby(keys, sort=False, as_index=False)["score"].mean()


def whole_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame without the scores of seeds in which an arm lacks one."""
    whole = frame.groupby(list(PAIR))["score"].transform(lambda s: bool(s.notna().all()))
    return frame.assign(score=frame["score"].where(whole.astype(bool)))


def is_compared(arm: Arm) -> bool:
    """Whether an arm takes part in the inference; controls that are checks of their own do not."""
    return not arm.control or CONTROLS[arm.control].compared
