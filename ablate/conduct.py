"""Carry a study out: plan, run what is missing, infer, report. The shell around the pure parts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ablate.checkpoints import clear_unfinished
from ablate.errors import AblateError, NoInference
from ablate.executors import Executor, LocalExecutor, WorldExecutor
from ablate.home import Home, driver_lock, find_home
from ablate.ledger import WAITING, Ledger, Reported, open_ledger
from ablate.options import Options
from ablate.plan import Plan, PlannedRun, make_plan
from ablate.probing.choose import block_runs, looks_inside, reference_arms
from ablate.probing.run import gaps, probe_missing, probed, specs_of
from ablate.progress import make_reporter
from ablate.result import DIVERGED, DONE, RunResult
from ablate.runner import Tally, run_waiting
from ablate.space import BLOCK_ONLY
from ablate.study import Study
from stats.errors import StatsError

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.probing.findings import ProbeFindings
    from ablate.report.findings import Findings
    from ablate.report.panel import Panel
    from ablate.tracking import BackgroundTracker


MorePanels = Callable[["Plan", "Tables", "Inference"], "Sequence[Panel]"]
"""What a command says beside the panels of every report."""


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
            from ablate.tracking import BackgroundTracker

            tracker = BackgroundTracker(plan, home)
            executor = make_executor(plan, home)
            try:
                record = recorder(plan, tracker)
                tally = train_missing(plan, home, options, ledger, record, executor)
                wanted = reference_arms(plan.design) if looks_inside(plan, options) else ()
                failures = probe_missing(
                    block_runs(plan, wanted),
                    home.checkpoints,
                    options,
                    ledger,
                    executor,
                )
            finally:
                executor.close()
            return report_runs(plan, home, ledger, tracker, tally, command, failures)
        finally:
            ledger.close()


def recorder(plan: Plan, tracker: BackgroundTracker) -> Callable[[RunResult], None]:
    """What hands each outcome to MLflow, once per place in the design that the run fills."""
    from ablate.tracking import done_benchmarks

    places = places_by_key(plan)

    def record(result: RunResult) -> None:
        scores = done_benchmarks(result.scores, result.outcome)
        for place in places[result.key]:
            tracker.record_run(
                place, result.outcome, result.reason, result.cost, result.losses, scores
            )

    return record


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
            return report_runs(plan, home, ledger, tracker, Tally(0, 0, 0), command)
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
    executor: Executor | None = None,
) -> Tally:
    """Train and score the plan's runs that have no outcome; the driver's lock must be held.

    An ``executor`` of the caller's is left open; without one, one is made and closed.
    """
    ledger.release_running()
    ledger.add(plan.specs)
    used = executor or make_executor(plan, home)
    try:
        return train_waiting(plan.runs, options, ledger, used, on_result)
    finally:
        if executor is None:
            used.close()


def train_waiting(
    runs: Sequence[PlannedRun],
    options: Options,
    ledger: Ledger,
    executor: Executor,
    on_result: Callable[[RunResult], None] = lambda result: None,
) -> Tally:
    """Train and score those of ``runs`` that wait in the ledger."""
    specs = {run.key: run.spec for run in runs}
    waiting = [key for key, state in ledger.states(specs).items() if state == WAITING]
    if not waiting:
        return Tally(0, 0, 0)
    labels: dict[str, str] = {}
    several = len({run.hp for run in runs}) > 1
    for run in runs:
        draw = f", draw {run.hp}" if several else ""
        labels.setdefault(run.key, f"{run.arm.label}, {run.backbone}{draw}, seed {run.seed}")
    executor.grow(min(options.workers, len(waiting)))
    with make_reporter(options.progress, len(waiting)) as reporter:
        return run_waiting(specs, labels, ledger, executor, reporter, on_result=on_result)


def make_executor(plan: Plan, home: Home) -> Executor:
    """Slots for the study's runs, none started yet; the driver's lock must be held.

    A synthetic world needs none: its runs are drawn in this process.
    """
    if plan.study.world:
        return WorldExecutor()
    clear_unfinished(home.checkpoints)
    return LocalExecutor(plugins=plan.study.plugins, log=home.log, checkpoints=home.checkpoints)


def places_by_key(plan: Plan) -> dict[str, list[PlannedRun]]:
    """The places in the design that each run fills."""
    places: dict[str, list[PlannedRun]] = {}
    for run in plan.runs:
        places.setdefault(run.key, []).append(run)
    return places


def report_runs(
    plan: Plan,
    home: Home,
    ledger: Ledger,
    tracker: BackgroundTracker,
    tally: Tally,
    command: str,
    unprobed: Mapping[str, str] = MappingProxyType({}),
    *,
    more: MorePanels | None = None,
    exploratory: tuple[str, ...] | None = None,
) -> Conducted:
    """Infer from what the ledger has of a plan's runs, write the report, bring the views up to it.

    Args:
        plan: the study's runs.
        home: where the report goes.
        ledger: has the runs.
        tracker: MLflow; it is closed.
        tally: what the command has trained.
        command: as typed.
        unprobed: why runs could not be probed, by key.
        more: panels of a command's own, put before the others.
        exploratory: why the report is exploratory; None: what earlier reports say of it.

    Raises:
        NoInference: no contrast has two complete pairs.
    """
    from ablate.analyse import analyse
    from ablate.collect import make_tables
    from ablate.probing.findings import make_probe_findings
    from ablate.report import write_report
    from ablate.report.probes import metrics
    from ablate.search.view import design_point_values, record_factorial

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
    reasons = exploratory
    if reasons is None:
        reasons = exploratory_reasons(plan, ledger.reported(plan.design_digest))
    environments = ledger.environments()
    blocks, reference = block_runs(plan), reference_arms(plan.design)
    notes = gaps(block_runs(plan, reference), home.checkpoints, ledger, unprobed)
    probes = make_probe_findings(
        blocks, probed(specs_of(blocks), ledger), [arm.name for arm in reference], notes
    )
    findings = make_findings(
        plan,
        tables,
        inference,
        reasons,
        command,
        describe_environments(
            [environments[r.environment] for r in records.values() if r.environment]
        ),
        probes,
        () if probes else notes,
    )
    if more is not None:
        panels = (*more(plan, tables, inference), *findings.panels)
        findings = dataclasses.replace(findings, panels=panels)
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
    inside: dict[str, dict[str, float]] = {}
    for summary in probes.summaries if probes else ():
        inside.setdefault(summary.arm, {}).update(metrics(summary))
    tracker.close().record_report(inference.main, inference.averages, files.html.parent, inside)
    ledger.add_report(plan.design_digest, plan.study.name, plan.units)
    failed = sum(record.state == "failed" for record in records.values())
    return Conducted(tally, findings, files.html, failed)


def exploratory_reasons(plan: Plan, earlier: Sequence[Reported]) -> tuple[str, ...]:
    """Why statements of this report are exploratory: seeds (or draws) added after a look at the
    results."""
    fewer = [seen for seen in earlier if set(seen.seeds) < set(plan.units)]
    if not fewer:
        return ()
    last = fewer[-1]
    day = time.strftime("%Y-%m-%d", time.localtime(last.written))
    units = "draws" if plan.study.draws.count else "seeds"
    return (
        f"{units} were added after a report with {len(last.seeds)} {units} was written ({day}): "
        "adding data after a look at the results raises the error rate",
    )


def make_findings(
    plan: Plan,
    tables: Tables,
    inference: Inference,
    exploratory: tuple[str, ...],
    command: str,
    environment: dict[str, str],
    probes: ProbeFindings | None,
    remarks: Sequence[str],
) -> Findings:
    """Everything a report shows, from the pure parts."""
    from ablate.analyse import DRAW, PAIR
    from ablate.report.findings import ArmInfo, Findings
    from ablate.worlds import banner
    from talan.axes import AXES

    study = plan.study
    notes = [*plan.design.notes, *remarks]
    if tables.environments:
        notes.append(
            f"{len(tables.environments)} runs were made under other package versions than their "
            f"pair's baseline and are left out: {'; '.join(tables.environments[:3])}"
            + (" ..." if len(tables.environments) > 3 else "")
        )
    return Findings(
        title=study.name,
        question=f"{banner(study.world)} {study.question}" if study.world else study.question,
        command=command,
        axes={a: tuple(AXES[a].text(level) for level in study.levels[a]) for a in study.axes},
        arms=tuple(
            ArmInfo(
                name=arm.name,
                label=arm.label,
                adapter=arm.adapter,
                baseline="" if arm.is_baseline else arm.adapter,
                levels=(
                    {a: arm.level_texts()[a] for a in study.axes} if arm.is_design_point else {}
                ),
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
        controls=inference.controls,
        failures=tables.failures,
        provenance=provenance(plan, environment),
        probes=probes,
        panels=make_panels(plan, tables, inference),
        pair=DRAW if study.draws.count else PAIR,
    )


def make_panels(plan: Plan, tables: Tables, inference: Inference) -> tuple[Panel, ...]:
    """What each further analysis has to say about the study."""
    from ablate import control_checks

    analyses = [control_checks.panel]
    found = [analysis(plan, tables, inference) for analysis in analyses]
    return tuple(panel for panel in found if panel is not None)


def provenance(plan: Plan, environment: dict[str, str]) -> dict[str, str]:
    """How the numbers were made, for the report's last section."""
    study = plan.study
    settings = {f"train.{name}": f"{value:g}" for name, value in vars(study.hp).items()}
    settings["train.mix"] = ", ".join(study.mix)
    settings |= {f"block.{name}": str(value) for name, value in vars(study.block).items()}
    if study.draws.count:
        settings |= {
            f"{'block' if name in BLOCK_ONLY else 'train'}.{name}": f"drawn from {ranged.text()}"
            for name, ranged in study.space.dimensions.items()
        }
    if study.world:
        settings["world"] = study.world
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
