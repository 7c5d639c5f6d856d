"""Carry a settling study out: register its plan, run what is missing, report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.conduct import looks_inside, make_executor, recorder, train_missing
from ablate.executors import Executor
from ablate.home import Home, driver_lock, find_home
from ablate.ledger import Ledger, open_ledger
from ablate.options import Options
from ablate.plan import Plan, make_plan
from ablate.probing.choose import block_runs, reference_arms
from ablate.probing.run import probe_missing
from ablate.report.files import write_bytes
from ablate.reporting import Conducted, report_runs
from ablate.runner import Tally
from ablate.settle.plan_file import SEQUENTIAL, settling_plan
from ablate.settle.refuse import explored, explored_sentence, refuse_leaks, refuse_selected_items
from ablate.settle.register import methods_sentences, register
from ablate.settle.sequential import decided, looks
from ablate.study import Study

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.report.panel import Panel
    from ablate.tracking import BackgroundTracker


def settle_study(study: Study, options: Options, command: str) -> Conducted:
    """Settle a claim: write the plan down, run its pairs, say what the plan's gates let through.

    The same command resumes. The report's folder has a copy of the plan.

    Raises:
        AblateError: what :mod:`ablate.settle.plan_file`, :mod:`ablate.settle.refuse` and
            :mod:`ablate.settle.register` refuse; no run has been started.
        NoInference: too few runs have a score.
    """
    whole = settling_plan(study)
    refuse_leaks(whole)
    home = find_home(options.home)
    with driver_lock(home):
        ledger = open_ledger(home.ledger)
        try:
            records = ledger.records(ledger.keys())
            refuse_selected_items(whole, records)
            plan_file = register(whole, home, ledger, records, exploratory=options.exploratory)
            seen = explored_sentence(explored(whole, records, ledger.scored(records)))
            from ablate.tracking import BackgroundTracker

            tracker = BackgroundTracker(whole, home)
            executor = make_executor(whole, home)
            try:
                plan, tally = _run(whole, home, options, ledger, tracker, executor)
                wanted = reference_arms(plan.design) if looks_inside(plan, options) else ()
                unprobed = probe_missing(
                    block_runs(plan, wanted), home.checkpoints, options, ledger, executor
                )
            finally:
                executor.close()

            def panels(plan: Plan, tables: Tables, inference: Inference) -> Sequence[Panel]:
                from ablate.settle.panel import settle_panels

                return settle_panels(plan, tables, inference, plan_file, seen)

            done = report_runs(
                plan, home, ledger, tracker, tally, command, unprobed,
                more=panels, exploratory=plan_file.exploratory,
                methods=methods_sentences(plan_file),
            )  # fmt: skip
            write_bytes(home.report(study.name) / "plan.json", plan_file.to_bytes())
            return done
        finally:
            ledger.close()


def _run(
    whole: Plan,
    home: Home,
    options: Options,
    ledger: Ledger,
    tracker: BackgroundTracker,
    executor: Executor,
) -> tuple[Plan, Tally]:
    """Run the pairs that the stopping rule asks for; returns their plan."""
    rule = whole.study.settle
    record = recorder(whole, tracker)
    if rule.stopping != SEQUENTIAL:
        return whole, train_missing(whole, home, options, ledger, record, executor)
    tally = Tally(0, 0, 0)
    for pairs in looks(rule.look, rule.budget):
        plan = first_pairs(whole, pairs)
        tally = _sum(tally, train_missing(plan, home, options, ledger, record, executor))
        if decided(plan, ledger):
            break
    return plan, tally


def first_pairs(whole: Plan, pairs: int) -> Plan:
    """The plan of the first pairs of each backbone."""
    study = whole.study
    return make_plan(dataclasses.replace(study, seeds=study.seeds[:pairs]))


def _sum(a: Tally, b: Tally) -> Tally:
    return Tally(a.trained + b.trained, a.diverged + b.diverged, a.failed + b.failed)
