"""From ledger records to the labelled tables that inference and reports read. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ablate.ledger import FAILED, WAITING, RunRecord
from ablate.plan import Plan, PlannedRun
from ablate.result import DONE, Score
from ablate.spec import UNADAPTED
from talan.axes import AXES

RESULT_COLUMNS = (
    "run_key", "arm", "adapter", *AXES, "backbone", "hp", "seed", "benchmark", "n_items",
    "outcome", "score", "loglik",
)  # fmt: skip
NO_SCORE = float("nan")
OTHER_ENVIRONMENT = "other environment"
"""The outcome of a run that was made under other package versions than its pair."""


@dataclass(frozen=True)
class Tables:
    """The tables of one study.

    ``results``: one row per planned run x benchmark (identity and scores only; NaN without an
    outcome); ``costs``: one row per run; ``items``: one row per run x benchmark x item;
    ``unadapted``: backbone, benchmark, score; ``failures``: per arm counts and reasons;
    ``environments``: pairs left out because their runs were made under different versions.
    """

    results: pd.DataFrame
    costs: pd.DataFrame
    items: pd.DataFrame
    unadapted: pd.DataFrame
    failures: pd.DataFrame
    environments: tuple[str, ...]


def make_tables(
    plan: Plan,
    records: Mapping[str, RunRecord],
    scores: Mapping[tuple[str, str], Score],
) -> Tables:
    """Join the plan's places with what the ledger knows of their runs."""
    adapted = [run for run in plan.runs if run.arm.name != UNADAPTED]
    results = pd.DataFrame(
        [row for run in adapted for row in _rows(plan, run, records, scores)],
        columns=list(RESULT_COLUMNS),
    )
    results, mixed = _one_environment(plan, results, adapted, records)
    return Tables(
        results=results,
        costs=_costs(adapted, records),
        items=_items(plan, adapted, scores),
        unadapted=_unadapted(plan, scores),
        failures=_failures(adapted, records),
        environments=mixed,
    )


def _rows(
    plan: Plan,
    run: PlannedRun,
    records: Mapping[str, RunRecord],
    scores: Mapping[tuple[str, str], Score],
) -> list[dict[str, object]]:
    record = records.get(run.key)
    same = {"run_key": run.key, "arm": run.arm.name, "adapter": run.arm.adapter}
    same |= run.arm.level_texts()
    rows = []
    for part in plan.benchmarks:
        score = scores.get((run.key, part.digest))
        outcome = record.state if record else WAITING
        row: dict[str, object] = {
            "backbone": run.backbone,
            "hp": run.hp,
            "seed": run.seed,
            "benchmark": part.benchmark,
            "n_items": score.n_items if score else 0,
            "outcome": outcome,
            "score": score.score if score and outcome == DONE else NO_SCORE,
            "loglik": score.mean_loglik if score and outcome == DONE else NO_SCORE,
        }
        rows.append(same | row)
    return rows


def _one_environment(
    plan: Plan,
    results: pd.DataFrame,
    runs: list[PlannedRun],
    records: Mapping[str, RunRecord],
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Blank the scores of runs whose environment differs from that of their pair's first baseline
    that has one: contrasts that average adapters compare within the whole pair."""
    environment = {run.key: records[run.key].environment for run in runs if run.key in records}
    first: dict[tuple[str, int, int], str] = {}
    for run in runs:
        if run.arm.is_baseline and (made := environment.get(run.key)):
            first.setdefault((run.backbone, run.hp, run.seed), made)
    differs = {
        run.key
        for run in runs
        if (made := environment.get(run.key))
        and made != first.get((run.backbone, run.hp, run.seed), made)
    }
    left_out = sorted(
        {
            run.backbone
            + (f", {plan.unit} {run.hp}" if plan.over_draws else "")
            + f", seed {run.seed}: {run.arm.name}"
            for run in runs
            if run.key in differs
        }
    )
    results = results.copy()
    where = results["run_key"].isin(differs)
    results.loc[where, ["score", "loglik"]] = NO_SCORE
    results.loc[where, "outcome"] = OTHER_ENVIRONMENT
    return results, tuple(left_out)


def _costs(runs: list[PlannedRun], records: Mapping[str, RunRecord]) -> pd.DataFrame:
    rows = []
    for run in runs:
        record = records.get(run.key)
        if record is None or record.cost is None:
            continue
        rows.append(
            {
                "run_key": run.key,
                "arm": run.arm.name,
                "backbone": run.backbone,
                "hp": run.hp,
                "seed": run.seed,
                "settings": ", ".join(f"{k} {v:g}" for k, v in vars(run.spec.hp).items()),
                "attempts": record.attempts,
                **vars(record.cost),
            }
        )
    columns = [
        "run_key", "arm", "backbone", "hp", "seed", "settings", "attempts", "train_seconds",
        "eval_seconds", "peak_mb", "adapter_parameters", "block_parameters",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _items(
    plan: Plan, runs: list[PlannedRun], scores: Mapping[tuple[str, str], Score]
) -> pd.DataFrame:
    keys = list(dict.fromkeys(run.key for run in runs))
    found = [
        (key, scores[key, part.digest])
        for key in keys
        for part in plan.benchmarks
        if (key, part.digest) in scores
    ]
    if not found:
        return pd.DataFrame(columns=["run_key", "benchmark", "item", "correct", "loglik"])
    sizes = [score.n_items for _, score in found]
    return pd.DataFrame(
        {
            "run_key": pd.Categorical(np.repeat([key for key, _ in found], sizes)),
            "benchmark": pd.Categorical(np.repeat([s.benchmark for _, s in found], sizes)),
            "item": np.concatenate([np.arange(n, dtype=np.int32) for n in sizes]),
            "correct": np.concatenate([s.correct for _, s in found]),
            "loglik": np.concatenate([s.loglik for _, s in found]),
        }
    )


def _unadapted(plan: Plan, scores: Mapping[tuple[str, str], Score]) -> pd.DataFrame:
    rows = [
        {"backbone": run.backbone, "benchmark": part.benchmark, "score": found.score}
        for run in plan.runs
        if run.arm.name == UNADAPTED
        for part in plan.benchmarks
        if (found := scores.get((run.key, part.digest)))
    ]
    return pd.DataFrame(rows, columns=["backbone", "benchmark", "score"])


def _failures(runs: list[PlannedRun], records: Mapping[str, RunRecord]) -> pd.DataFrame:
    rows = []
    for arm in dict.fromkeys(run.arm.name for run in runs):
        mine = [records.get(run.key) for run in runs if run.arm.name == arm]
        states = [record.state if record else WAITING for record in mine]
        bad = [r for r in mine if r is not None and r.state not in (DONE, WAITING) and r.reason]
        rows.append(
            {
                "arm": arm,
                "runs": len(mine),
                "done": states.count(DONE),
                "diverged": states.count("diverged"),
                "failed": states.count(FAILED),
                "reasons": "; ".join(dict.fromkeys(record.reason for record in bad)),
            }
        )
    return pd.DataFrame(rows)
