"""The study's declared inference on its tables: thin glue to ``stats``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ablate.benchmarks import benchmark
from ablate.collect import Tables
from ablate.plan import Plan
from stats.compare import Comparison, compare
from stats.contrast import Contrast, versus
from stats.table import PairedTable

PAIR = ("backbone", "hp", "seed")
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
    arms = [arm.name for arm in design.arms]
    blocks = [arm for arm in design.arms if not arm.is_baseline]
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
    frame = tables.results[tables.results["benchmark"].isin(list(benchmarks))]
    table = PairedTable.from_frame(
        pd.DataFrame(frame[["arm", *PAIR, "benchmark", "score"]]),
        arm="arm",
        pair=PAIR,
        cell=CELL,
        score="score",
        percent=True,
        required_arms=arms,
        allow_failed=True,
    )
    limits: dict[tuple[str, ...], tuple[float, float]] = {
        (backbone.name, part.benchmark): (100 * benchmark(part.source).chance, 100.0)
        for backbone in plan.backbones
        for part in plan.benchmarks
        if part.benchmark in benchmarks
    }
    return compare(
        table,
        cells=secondary,
        primary=primary,
        limits=limits,
        sesoi=plan.study.sesoi,
        alpha=plan.study.alpha,
        rng=RNG_SEED,
    )
