"""Frozen winners on fresh seeds: the plan of a confirmation, and its tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ablate.collect import make_tables
from ablate.design import Design
from ablate.phases import CONFIRM
from ablate.plan import Plan
from ablate.search.plan import TEST, VALIDATION, Instance, SearchPlan, draw_of
from ablate.search.trial import Searched
from stats.contrast import Contrast, versus

if TYPE_CHECKING:
    from ablate.ledger import RunRecord
    from ablate.result import Score


CHOSEN = (
    "Each arm is compared at the setting that its own search chose on validation items; these are "
    "fresh seeds and test items."
)
UNIT = (
    "A pair in this report is a search of both arms with its confirmation: seeds are averaged "
    "within it, so that intervals include what tuning varies."
)


def report_name(study: str) -> str:
    """The name of a search's report, Optuna studies and MLflow experiment."""
    return f"{study}-search"


def confirmation_plan(plan: SearchPlan, searches: Sequence[Searched]) -> Plan:
    """The runs of every search's winner on its confirmation seeds, as a plan like any other.

    ``hp`` of a run is its replicate. Runs are scored on validation items too, but the plan's
    benchmarks are the test splits alone: what is concluded rests on them.
    """
    study = dataclasses.replace(
        plan.study,
        name=report_name(plan.study.name),
        question=plan.study.question,
        axes=(),
        levels={},
        seeds=tuple(seed for r in plan.replicates for seed in plan.confirm_seeds(r)),
    )
    parts = (*plan.validation, *plan.tests)
    runs = [plan.unadapted_run(backbone, parts) for backbone in plan.backbones]
    for replicate in plan.replicates:
        mine = [search for search in searches if search.replicate == replicate]
        for seed in plan.confirm_seeds(replicate):
            for backbone in plan.backbones:
                at = Instance(backbone, seed)
                runs += [
                    plan.confirmation_run(s.searched, s.winner.values, at, replicate) for s in mine
                ]
    draws = tuple(draw_of(plan.study, {}, replicate) for replicate in plan.replicates)
    return Plan(study, _design(plan), plan.backbones, plan.tests, draws, tuple(runs))


def _design(plan: SearchPlan) -> Design:
    arms = tuple(searched.arm for searched in plan.arms)
    several = len(plan.study.adapters) > 1
    blocks = [arm for arm in arms if not arm.is_baseline]
    return Design(
        arms=arms,
        primary=tuple(
            Contrast(
                "tuned mechanism present" + (f" ({arm.adapter})" if several else ""),
                {arm.name: 1.0, arm.adapter: -1.0},
                "mechanism",
            )
            for arm in blocks
        ),
        secondary=tuple(versus(arm.name, arm.adapter) for arm in blocks),
        controls=(),
        notes=(CHOSEN, *((UNIT,) if len(plan.replicates) > 1 else ())),
    )


def confirmed_table(
    plan: Plan,
    validation: Sequence,
    records: Mapping[str, RunRecord],
    scores: Mapping[tuple[str, str], Score],
) -> pd.DataFrame:
    """The confirmed scores of main benchmarks as ``tuned_versus_tuned`` takes them.

    Columns arm, search, backbone, seed, benchmark, split and score (0 to 1, NaN where there is
    none); pairs across environments are left out as in any other table.
    """
    frames = []
    for split, parts in ((VALIDATION, tuple(validation)), (TEST, plan.benchmarks)):
        results = make_tables(dataclasses.replace(plan, benchmarks=parts), records, scores).results
        results = results[results["benchmark"].isin(plan.main)]
        frames.append(results.assign(split=split).rename(columns={"hp": "search"}))
    columns = ["arm", "search", "backbone", "seed", "benchmark", "split", "score"]
    return pd.DataFrame(pd.concat(frames, ignore_index=True)[columns])


def selected_table(plan: SearchPlan, searches: Sequence[Searched]) -> pd.DataFrame:
    """The score by which each winner was chosen, by arm, search and backbone (mean over seeds)."""
    rows = []
    for search in searches:
        instances = plan.instances(search.replicate)
        for backbone in plan.backbones:
            scores = [
                score
                for instance, score in zip(instances, search.winner.scores, strict=True)
                if instance.backbone == backbone
            ]
            rows.append((search.arm, search.replicate, backbone.name, sum(scores) / len(scores)))
    return pd.DataFrame(rows, columns=["arm", "search", "backbone", "score"])


def looked_at(plan: Plan, records: Mapping[str, RunRecord]) -> tuple[str, ...]:
    """Why the confirmation is exploratory: its seeds were used by other configurations before.

    Who has seen test scores of other settings on these seeds, and then searched again, may have
    chosen the search by them. ``records`` are those of the ledger before the confirmation.
    """
    from ablate.settle.refuse import confirmation_runs

    seeds = [seed for seed in plan.study.seeds if seed in CONFIRM]
    backbones = [backbone.digest for backbone in plan.backbones]
    study = plan.study
    used = confirmation_runs(records, backbones, study.adapters, seeds, world=study.world)
    foreign = [record for record in used if record.key not in plan.specs]
    if not foreign:
        return ()
    count = f"{len(foreign)} runs" if len(foreign) > 1 else "1 run"
    return (
        f"{count} of other settings had test scores on these confirmation seeds before (an earlier "
        "search or another study of this home): a search that was changed after a look at them is "
        "no confirmation",
    )
