"""In how many cells the mechanism improves; over a population of backbones; in a further cell."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ablate.analyse import RNG_SEED, paired_table
from ablate.design import Design
from ablate.failures import scored_at_unadapted
from ablate.probing.choose import reference_arms
from ablate.report.answer import MECHANISM, capital
from ablate.report.panel import Panel
from ablate.report.rows import interval, signed
from ablate.result import DIVERGED
from stats.contrast import Contrast
from stats.replication.replicate import replicate
from stats.report.section import Table

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan
    from stats.replication.outcome import Replicated, Replication

TITLE = "Does it replicate"
SCORED = (
    "Runs diverged: a count of cells is the smaller of the one on whole pairs and the one with "
    "diverged runs scored as the unadapted backbone; population and prediction are of whole pairs."
)


def panel(plan: Plan, tables: Tables, inference: Inference) -> Panel | None:
    """The mean mechanism and the reference point over the main cells; None without the mechanism
    or with a single cell, where nothing can replicate."""
    benchmarks = plan.main or plan.retention
    contrasts = replicated_contrasts(plan.design)
    if not contrasts or len(plan.backbones) * len(benchmarks) < 2:
        return None
    table = paired_table(plan, tables.results, benchmarks)
    found = replicate(table, contrasts, alpha=plan.study.alpha, rng=RNG_SEED)
    diverged = bool((tables.results["outcome"] == DIVERGED).any())
    if diverged:
        scored = paired_table(plan, scored_at_unadapted(plan, tables), benchmarks)
        again = replicate(scored, contrasts, alpha=plan.study.alpha, rng=RNG_SEED)
        found = fewer_counted(found, again)
    nested = bool(table.groups)
    return Panel(
        section="real",
        title=TITLE,
        sentences=tuple(line for item in found.contrasts for line in sentences(item, nested)),
        tables=(overview(found, nested),),
        notes=(*notes(found, nested), *((SCORED,) if diverged else ())),
        data=found.to_dict(),
    )


def fewer_counted(complete: Replication, scored: Replication) -> Replication:
    """``complete`` with the smaller of the two counts of cells: a bound that both support."""
    return dataclasses.replace(
        complete,
        contrasts=tuple(
            dataclasses.replace(
                one,
                improved=min((one.improved, two.improved), key=lambda count: count.k),
                harmed=min((one.harmed, two.harmed), key=lambda count: count.k),
            )
            for one, two in zip(complete.contrasts, scored.contrasts, strict=True)
        ),
    )


def replicated_contrasts(design: Design) -> list[Contrast]:
    """The mean over design points against each adapter, and the reference point where it is not
    the same arm."""
    means = [contrast for contrast in design.primary if contrast.group == MECHANISM]
    told = [set(contrast.weights) for contrast in means]
    arms = reference_arms(design)
    points = [
        Contrast(
            "reference point" + (f" ({arm.adapter})" if len(arms) > 1 else ""),
            {arm.name: 1.0, arm.adapter: -1.0},
        )
        for arm in arms
    ]
    return [*means, *(point for point in points if set(point.weights) not in told)]


def sentences(item: Replicated, nested: bool) -> list[str]:
    """A contrast's statements: counts, and what they say of other backbones."""
    lines = [
        f"{capital(item.contrast)}, over {item.improved.n} cells: {item.improved.sentence}; "
        f"{item.harmed.sentence}."
    ]
    if nested:
        lines.append(
            f"{capital(item.contrast)}, over a population of backbones: {item.population.sentence}."
        )
        further = item.prediction.sentence
        if item.prediction.warning == item.population.warning:  # said on the line before
            further = further.split(". ")[0]
        lines.append(
            f"{capital(item.contrast)}, as measured in one more cell, on another backbone: "
            f"{further}."
        )
    return lines


def overview(found: Replication, nested: bool) -> Table:
    """A row per contrast."""
    head = ["contrast", "cells", "better", "improved ≥", "harmed ≥"]
    rows = [
        [
            item.contrast,
            str(item.improved.n),
            str(item.improved.observed),
            str(item.improved.k),
            str(item.harmed.k),
        ]
        for item in found.contrasts
    ]
    if nested:
        head += ["population", "CI", "new cell"]
        for row, item in zip(rows, found.contrasts, strict=True):
            row += [
                signed(item.population.mean),
                interval(item.population.ci_low, item.population.ci_high),
                interval(item.prediction.low, item.prediction.high),
            ]
    return Table.of(
        "Over cells and beyond them",
        head,
        rows,
        f"{found.units.capitalize()}. Better: cells with a positive difference. Improved ≥, harmed "
        f"≥: the number of cells with a true effect is at least this with {1 - found.alpha:.0%} "
        "confidence (partial conjunction, any dependence)."
        + (
            " Population: t over backbone means. New cell: the effect measured with as many "
            "pairs in one cell of a further backbone."
            if nested
            else ""
        ),
    )


def notes(found: Replication, nested: bool) -> tuple[str, ...]:
    """What the counts rest on."""
    lines = [
        f"{found.method[0].upper()}{found.method[1:]}. Each count holds at its own level "
        f"{found.alpha:g}, one-sided; averages and predictions are unadjusted."
    ]
    if nested:
        lines.append(
            "A population statement takes these backbones as drawn from it at random; backbones "
            "that were picked describe only themselves."
        )
    else:
        lines.append(
            "Backbones share hyperparameters, draw by draw or search by search, so that nothing is "
            "said of a population of backbones here."
        )
    return tuple(lines)
