"""From the ledger to a report, and the views that follow it: inference, panels, MLflow, Optuna."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ablate.errors import NoInference
from ablate.home import Home
from ablate.ledger import Ledger, Reported
from ablate.plan import Plan
from ablate.probing.choose import block_runs, reference_arms
from ablate.probing.run import gaps, probed, specs_of
from ablate.result import DIVERGED, DONE
from ablate.runner import Tally
from ablate.space import BLOCK_ONLY
from ablate.spec import UNADAPTED
from stats.errors import StatsError

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.probing.findings import ProbeFindings
    from ablate.report.findings import Findings
    from ablate.report.panel import Panel
    from ablate.tracking import BackgroundTracker

CHOSEN = "chosen by each arm's search"
"""In place of a hyperparameter that the arms do not share."""

MorePanels = Callable[["Plan", "Tables", "Inference"], "Sequence[Panel]"]
"""What a command says beside the panels of every report."""


@dataclass(frozen=True)
class Conducted:
    """What a command did, and where its report is."""

    tally: Tally
    findings: Findings
    html: Path
    failed: int


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
    hyperparameters: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
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
        hyperparameters: sentences on them for ``methods.md``, where arms have settings of their
            own.
        methods: sentences for ``methods.md`` on analyses of a command's own.

    Raises:
        NoInference: no contrast has two complete pairs.
    """
    from ablate.analyse import analyse
    from ablate.collect import make_tables
    from ablate.failures import rescore, surviving
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
    first = complete_panels(plan, tables, inference)
    if (tables.results["outcome"] == DIVERGED).any():
        inference = surviving(inference, rescore(plan, tables, inference))
    environments = ledger.environments()
    blocks, reference = block_runs(plan), reference_arms(plan.design)
    notes = gaps(block_runs(plan, reference), home.checkpoints, ledger, unprobed)
    probes = make_probe_findings(
        blocks, probed(specs_of(blocks), ledger), [arm.name for arm in reference], notes
    )
    own = () if more is None else more(plan, tables, inference)
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
        (*own, *first, *make_panels(plan, tables, inference)),
    )
    findings = dataclasses.replace(
        findings, hyperparameters=hyperparameters, methods=(*findings.methods, *methods)
    )
    files = write_report(findings, home.report(plan.study.name))
    for planned in plan.runs:
        record = records.get(planned.key)
        if record and record.state in (DONE, DIVERGED) and record.cost is not None:
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
    ledger.add_report(plan.design_digest, plan.study.name, plan.seen)
    failed = sum(record.state == "failed" for record in records.values())
    return Conducted(tally, findings, files.html, failed)


def exploratory_reasons(plan: Plan, earlier: Sequence[Reported]) -> tuple[str, ...]:
    """Why statements of this report are exploratory: seeds (or draws) added after a look at the
    results."""
    fewer = [seen for seen in earlier if set(seen.seeds) < set(plan.seen)]
    if not fewer:
        return ()
    last = fewer[-1]
    day = time.strftime("%Y-%m-%d", time.localtime(last.written))
    added, over = ("draws or seeds", " of draws") if plan.study.draws.count else ("seeds", "")
    return (
        f"{added} were added after a report with {len(last.seeds)} seeds{over} was written "
        f"({day}): adding data after a look at the results raises the error rate",
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
    panels: tuple[Panel, ...],
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
            f"pair's first baseline and are left out: {'; '.join(tables.environments[:3])}"
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
        panels=panels,
        pair=DRAW if plan.over_draws else PAIR,
    )


def complete_panels(plan: Plan, tables: Tables, inference: Inference) -> tuple[Panel, ...]:
    """What failed runs do to the verdicts on complete pairs; nothing where none failed."""
    from ablate import failures

    panel = failures.panel(plan, tables, inference)
    return () if panel is None else (panel,)


def make_panels(plan: Plan, tables: Tables, inference: Inference) -> tuple[Panel, ...]:
    """What each further analysis has to say about the study, in the order of the report."""
    from ablate import control_checks, cost, factorial, matched_draws
    from ablate.replicability import cells, controls

    analyses = (
        cells.panel,
        matched_draws.panel,
        controls.mechanism_panel,
        control_checks.panel,
        factorial.panel,
        cost.panel,
    )
    found = [analysis(plan, tables, inference) for analysis in analyses]
    return tuple(panel for panel in found if panel is not None)


def provenance(plan: Plan, environment: dict[str, str]) -> dict[str, str]:
    """How the numbers were made, for the report's last section."""
    study = plan.study
    specs = [run.spec for run in plan.runs if run.arm.name != UNADAPTED]
    blocks = [spec.block for spec in specs if spec.block is not None]
    settings = {
        f"train.{name}": _shared([getattr(spec.hp, name) for spec in specs])
        for name in vars(study.hp)
    }
    settings["train.mix"] = ", ".join(study.mix)
    settings |= {
        f"block.{name}": _shared([getattr(block, name) for block in blocks])
        for name in vars(study.block)
        if blocks
    }
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


def _shared(values: Sequence[float | str]) -> str:
    """The value that all runs have; only the arms of a search differ in what no draw says."""
    if len(set(values)) > 1:
        return CHOSEN
    return values[0] if isinstance(values[0], str) else f"{values[0]:g}"


def describe_environments(environments: Sequence[dict[str, str]]) -> dict[str, str]:
    """Each part of the environment with all values that occurred."""
    merged: dict[str, list[str]] = {}
    for environment in environments:
        for name, value in environment.items():
            seen = merged.setdefault(name, [])
            if value not in seen:
                seen.append(value)
    return {name: ", ".join(values) for name, values in merged.items()}
