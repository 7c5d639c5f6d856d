"""Carry a study out: plan it, run what is missing, report. The shell around the pure parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ablate.checkpoints import clear_unfinished
from ablate.errors import AblateError
from ablate.executors import Executor, LocalExecutor, WorldExecutor
from ablate.home import Home, driver_lock, find_home
from ablate.ledger import WAITING, Ledger, open_ledger
from ablate.options import Options
from ablate.plan import Plan, PlannedRun, make_plan
from ablate.probing.choose import block_runs, looks_inside, reference_arms
from ablate.probing.run import probe_missing
from ablate.progress import make_reporter
from ablate.reporting import Conducted, report_runs
from ablate.result import RunResult
from ablate.runner import Tally, run_waiting
from ablate.study import Study

if TYPE_CHECKING:
    from ablate.tracking import BackgroundTracker


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
