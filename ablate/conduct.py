"""Carry a study out: plan, run what is missing, infer, report. The shell around the pure parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.errors import AblateError, NoInference
from ablate.home import Home, driver_lock, find_home
from ablate.ledger import WAITING, Ledger, Reported, open_ledger
from ablate.options import Options
from ablate.plan import Plan, PlannedRun, make_plan
from ablate.progress import make_reporter
from ablate.result import DIVERGED, DONE, RunResult
from ablate.runner import Tally, run_waiting
from ablate.study import Study
from stats.errors import StatsError

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.report.findings import Findings
    from ablate.tracking import BackgroundTracker


@dataclass(frozen=True)
class Conducted:
    """What a command did, and where its report is."""

    tally: Tally
    findings: Findings
    html: Path
    failed: int


def run_study(study: Study, options: Options, command: str) -> Conducted:
    """Run what the ledger lacks, then report."""
    plan = make_plan(study)
    home = find_home(options.home)
    with driver_lock(home):
        ledger = open_ledger(home.ledger)
        try:
            from ablate.tracking import BackgroundTracker, done_benchmarks

            tracker = BackgroundTracker(plan, home)
            places = places_by_key(plan)

            def record(result: RunResult) -> None:
                scores = done_benchmarks(result.scores, result.outcome)
                for place in places[result.key]:
                    tracker.record_run(
                        place, result.outcome, result.reason, result.cost, result.losses, scores
                    )

            tally = train_missing(plan, home, options, ledger, record)
            return _report(plan, home, ledger, tracker, tally, command)
        finally:
            ledger.close()


def report_study(study: Study, options: Options, command: str) -> Conducted:
    """Rebuild the report (and MLflow's and Optuna's views) from the ledger; nothing is trained."""
    plan = make_plan(study)
    home = find_home(options.home)
    require_ledger(home)
    with driver_lock(home):
        ledger = open_ledger(home.ledger)
        try:
            if not ledger.scored(plan.specs):
                raise AblateError(
                    f"no run of study {study.name!r} has a score yet",
                    place=str(home.ledger),
                    hint="start it with: ablate run, and the same arguments",
                )
            from ablate.tracking import BackgroundTracker

            tracker = BackgroundTracker(plan, home)
            return _report(plan, home, ledger, tracker, Tally(0, 0, 0), command)
        finally:
            ledger.close()


def require_ledger(home: Home) -> None:
    """Refuse a home without records."""
    if not home.ledger.exists():
        raise AblateError(
            "there is no ledger yet",
            place=str(home.root),
            value=home.root,
            hint="start with: ablate run axes=insertion,memory; or name another home=DIR",
        )


def train_missing(
    plan: Plan,
    home: Home,
    options: Options,
    ledger: Ledger,
    on_result: Callable[[RunResult], None] = lambda result: None,
) -> Tally:
    """Train and score the plan's runs that have no outcome; the driver's lock must be held."""
    from ablate.executors import LocalExecutor

    ledger.release_running()
    ledger.add(plan.specs)
    waiting = [key for key, state in ledger.states(plan.specs).items() if state == WAITING]
    if not waiting:
        return Tally(0, 0, 0)
    labels = {
        key: f"{at[0].arm.label}, {at[0].backbone}, seed {at[0].seed}"
        for key, at in places_by_key(plan).items()
    }
    executor = LocalExecutor(
        min(options.workers, len(waiting)), plugins=plan.study.plugins, log=home.log
    )
    try:
        with make_reporter(options.progress, len(waiting)) as reporter:
            return run_waiting(plan.specs, labels, ledger, executor, reporter, on_result=on_result)
    finally:
        executor.close()


def places_by_key(plan: Plan) -> dict[str, list[PlannedRun]]:
    """The places in the design that each run fills."""
    places: dict[str, list[PlannedRun]] = {}
    for run in plan.runs:
        places.setdefault(run.key, []).append(run)
    return places


def _report(
    plan: Plan,
    home: Home,
    ledger: Ledger,
    tracker: BackgroundTracker,
    tally: Tally,
    command: str,
) -> Conducted:
    from ablate.analyse import analyse
    from ablate.collect import make_tables
    from ablate.report import write_report
    from ablate.search import design_point_values, record_factorial

    records = ledger.records(plan.specs)
    scores = ledger.scores(plan.specs)
    tables = make_tables(plan, records, scores)
    try:
        inference = analyse(plan, tables)
    except StatsError as error:
        tracker.close()
        raise NoInference(
            error.message,
            place=f"study {plan.study.name}",
            hint="see the reasons with: ablate status, and the same arguments",
        ) from None
    reasons = exploratory_reasons(plan, ledger.reported(plan.design_digest))
    environments = ledger.environments()
    findings = make_findings(
        plan,
        tables,
        inference,
        reasons,
        command,
        describe_environments(
            [environments[r.environment] for r in records.values() if r.environment]
        ),
    )
    files = write_report(findings, home.report(plan.study.name))
    for planned in plan.runs:
        record = records[planned.key]
        if record.state in (DONE, DIVERGED) and record.cost is not None:
            found = {
                part.benchmark: scores[planned.key, part.digest]
                for part in plan.benchmarks
                if record.state == DONE and (planned.key, part.digest) in scores
            }
            tracker.record_run(
                planned, record.state, record.reason, record.cost, record.losses, found
            )
    if inference.averages is not None:
        record_factorial(plan, home, design_point_values(plan, inference.averages))
    tracker.close().record_report(inference.main, inference.averages, files.html.parent)
    ledger.add_report(plan.design_digest, plan.study.name, plan.study.seeds)
    failed = sum(record.state == "failed" for record in records.values())
    return Conducted(tally, findings, files.html, failed)


def exploratory_reasons(plan: Plan, earlier: Sequence[Reported]) -> tuple[str, ...]:
    """Why statements of this report are exploratory: seeds added after a look at the results."""
    fewer = [seen for seen in earlier if set(seen.seeds) < set(plan.study.seeds)]
    if not fewer:
        return ()
    last = fewer[-1]
    day = time.strftime("%Y-%m-%d", time.localtime(last.written))
    return (
        f"seeds were added after a report with {len(last.seeds)} seeds was written ({day}): "
        "adding data after a look at the results raises the error rate",
    )


def make_findings(
    plan: Plan,
    tables: Tables,
    inference: Inference,
    exploratory: tuple[str, ...],
    command: str,
    environment: dict[str, str],
) -> Findings:
    """Everything a report shows, from the pure parts."""
    from ablate.report.findings import ArmInfo, Findings
    from talan.axes import AXES

    study = plan.study
    notes = list(plan.design.notes)
    if tables.environments:
        notes.append(
            f"{len(tables.environments)} runs were made under other package versions than their "
            f"pair's baseline and are left out: {'; '.join(tables.environments[:3])}"
            + (" ..." if len(tables.environments) > 3 else "")
        )
    return Findings(
        title=study.name,
        question=study.question,
        command=command,
        axes={a: tuple(AXES[a].text(level) for level in study.levels[a]) for a in study.axes},
        arms=tuple(
            ArmInfo(
                name=arm.name,
                label=arm.label,
                adapter=arm.adapter,
                baseline="" if arm.is_baseline else arm.adapter,
                levels={} if arm.is_baseline else {a: arm.level_texts()[a] for a in study.axes},
            )
            for arm in plan.design.arms
        ),
        backbones=tuple(b.name for b in plan.backbones),
        benchmarks=plan.main or plan.retention,
        retention=plan.retention if plan.main else (),
        seeds=study.seeds,
        sesoi=study.sesoi,
        alpha=study.alpha,
        notes=tuple(notes),
        exploratory=exploratory,
        results=tables.results,
        costs=tables.costs,
        items=tables.items,
        unadapted=tables.unadapted,
        main=inference.main,
        retention_comparison=inference.retention,
        failures=tables.failures,
        provenance=provenance(plan, environment),
    )


def provenance(plan: Plan, environment: dict[str, str]) -> dict[str, str]:
    """How the numbers were made, for the report's last section."""
    study = plan.study
    settings = {f"train.{name}": f"{value:g}" for name, value in vars(study.hp).items()}
    settings["train.mix"] = ", ".join(study.mix)
    settings |= {f"block.{name}": str(value) for name, value in vars(study.block).items()}
    settings |= {
        f"backbone {b.name}": f"{b.n_layers} layers, {b.digest[:12]}" for b in plan.backbones
    }
    return (
        {"design": plan.design_digest, "written": time.strftime("%Y-%m-%d %H:%M %Z")}
        | settings
        | environment
    )


def describe_environments(environments: Sequence[dict[str, str]]) -> dict[str, str]:
    """Each part of the environment with all values that occurred."""
    merged: dict[str, list[str]] = {}
    for environment in environments:
        for name, value in environment.items():
            seen = merged.setdefault(name, [])
            if value not in seen:
                seen.append(value)
    return {name: ", ".join(values) for name, values in merged.items()}
