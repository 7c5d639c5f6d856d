"""``ablate search``: search, freeze, confirm, report. The shell around the pure parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.conduct import make_executor, recorder, train_missing
from ablate.executors.base import Executor
from ablate.home import Home, driver_lock, find_home
from ablate.ledger import Ledger, open_ledger
from ablate.options import Options
from ablate.plan import Plan
from ablate.probing.choose import block_runs, looks_inside, reference_arms
from ablate.probing.run import probe_missing
from ablate.progress import make_reporter
from ablate.report.files import tidy_csv, write_bytes
from ablate.reporting import Conducted, report_runs
from ablate.runner import Tally
from ablate.search.execute import Runs
from ablate.search.plan import SearchPlan, make_search_plan
from ablate.search.replay import blocks, run_searches
from ablate.search.trial import Searched
from ablate.study import Study

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.report.panel import Panel


def search_study(study: Study, options: Options, command: str) -> Conducted:
    """Search every arm, confirm the winners, report. The same command resumes.

    Raises:
        AblateError: what :func:`ablate.search.plan.make_search_plan` refuses; nothing was changed.
        NoInference: a run failed for good, or too few confirmed runs have a score.
    """
    plan = make_search_plan(study)
    home = find_home(options.home)
    with driver_lock(home):
        ledger = open_ledger(home.ledger)
        try:
            return _conduct(plan, home, ledger, options, command)
        finally:
            ledger.close()


def _conduct(
    plan: SearchPlan, home: Home, ledger: Ledger, options: Options, command: str
) -> Conducted:
    from ablate.search.confirm import (
        confirmation_plan,
        confirmed_table,
        looked_at,
        selected_table,
    )
    from ablate.tracking import BackgroundTracker

    ledger.release_running()
    # only plugins and the folders are read from a plan here, and both are the study's
    executor = make_executor(plan, home)  # type: ignore[arg-type]
    try:
        searches, searched = search_missing(plan, home, ledger, executor, options)
        final = confirmation_plan(plan, searches)
        exploratory = looked_at(final, ledger.records(ledger.keys()))
        tracker = BackgroundTracker(final, home)
        record = recorder(final, tracker)
        confirmed = train_missing(final, home, options, ledger, record, executor)
        wanted = reference_arms(final.design) if _looks_inside(final, plan, options) else ()
        unprobed = probe_missing(
            block_runs(final, wanted), home.checkpoints, options, ledger, executor
        )
    finally:
        executor.close()

    def panels(final: Plan, tables: Tables, inference: Inference) -> Sequence[Panel]:
        from ablate.search.panel import search_panels

        scored = confirmed_table(
            final, plan.validation, ledger.records(final.specs), ledger.scores(final.specs)
        )
        keys = {key for search in searches for trial in search.trials for key in trial.keys}
        return search_panels(
            plan, searches, scored, selected_table(plan, searches), ledger.records(keys), inference
        )

    from ablate.search.summary import methods_sentences, trial_table

    done = report_runs(
        final, home, ledger, tracker, _sum(searched, confirmed), command, unprobed,
        more=panels, exploratory=exploratory or None,
        hyperparameters=methods_sentences(plan, searches),
    )  # fmt: skip
    table = trial_table(searches)
    keys = ("arm", "search", "trial")
    write_bytes(done.html.parent / "trials.csv", tidy_csv(table, keys))
    return done


def search_missing(
    plan: SearchPlan,
    home: Home,
    ledger: Ledger,
    executor: Executor,
    options: Options,
) -> tuple[tuple[Searched, ...], Tally]:
    """Replay the searches, train what the ledger lacks, and record them with Optuna."""
    from ablate.search.view import record_searches

    def prepare(count: int) -> None:
        grow = getattr(executor, "grow", None)
        if grow is not None:
            grow(min(options.workers, count))

    most = most_runs(plan)
    with make_reporter(options.progress, most, "runs of trials at most") as reporter:
        runs = Runs(ledger, executor, reporter, most, prepare)
        searches = run_searches(
            plan, runs, lambda found: record_searches(home, plan.study.name, found)
        )
    return searches, runs.tally


def most_runs(plan: SearchPlan) -> int:
    """The runs of a search if no trial is stopped and none shares a run, with the unadapted."""
    trials = len(plan.arms) * len(plan.replicates) * plan.study.search.trials
    return trials * len(plan.instances(0)) + len(plan.backbones)


def describe(plan: SearchPlan) -> list[str]:
    """What the command will do, in lines of at most 100 columns."""
    from stats.layout import wrap

    search = plan.study.search
    times = f", {search.replicates} searches each" if search.replicates > 1 else ""
    stops = len(blocks(plan)) > 1
    lines = [f"study       {plan.study.name}, tuned against tuned"]
    lines += [
        line
        for searched in plan.arms
        for line in wrap(
            f"{searched.arm.name:18} {searched.describe()}", indent="  ", hanging=" " * 19
        )
    ]
    lines += wrap(
        f"search      {search.trials} trials per arm by {search.sampler}, {search.round} at once"
        f"{times}; a trial is {len(plan.instances(0))} runs on validation items"
        + (", fewer where racing stops it" if stops else "")
        + f": at most {most_runs(plan)} runs",
        hanging=" " * 12,
    )
    runs = search.confirm * len(plan.backbones) * len(plan.arms) * search.replicates
    lines += wrap(
        f"confirm     each winner on {search.confirm} fresh seeds x {len(plan.backbones)} "
        f"backbones, test items: {runs} runs",
        hanging=" " * 12,
    )
    return lines


def _looks_inside(final: Plan, plan: SearchPlan, options: Options) -> bool:
    """Winners of several searches are several mechanisms, which no probe can average."""
    return looks_inside(final, options) and len(plan.replicates) == 1


def _sum(a: Tally, b: Tally) -> Tally:
    return Tally(a.trained + b.trained, a.diverged + b.diverged, a.failed + b.failed)
