"""Whether it is the mechanism: better than its adapter and each control (intersection-union)."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ablate.analyse import RNG_SEED, paired_table
from ablate.design import Design
from ablate.failures import scored_at_unadapted
from ablate.report.panel import Panel
from ablate.report.rows import p_value, signed
from ablate.result import DIVERGED
from stats.contrast import Contrast
from stats.replication.replicate import replicate
from stats.report.section import Table
from stats.verdict import Verdict
from stats.wording import number
from stats.wording import p_value as prose_p

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan
    from stats.replication.outcome import Claim
    from stats.table import PairedTable

NULLS = ("reseed",)
"""Controls that no mechanism has to beat: differences to them show the noise."""
WORDS = {
    Verdict.SUPERIOR: "Yes, by its controls",
    Verdict.INCONCLUSIVE: "Not shown",
    Verdict.UNDEFINED: "No test is possible",
}
TITLE = "Better than everything it could be mistaken for"
SCORED = (
    "Runs diverged: the claim is tested on whole pairs and with diverged runs scored as the "
    "unadapted backbone; both have to show it, and the numbers are of the one that shows less."
)


def mechanism_panel(plan: Plan, tables: Tables, inference: Inference) -> Panel | None:
    """The claim for each adapter with controls; None without any."""
    claimed = claims(plan.design)
    if not claimed:
        return None
    benchmarks = plan.main or plan.retention
    found = tested(claimed, paired_table(plan, tables.results, benchmarks), plan.study.alpha)
    diverged = bool((tables.results["outcome"] == DIVERGED).any())
    if diverged:
        scored = paired_table(plan, scored_at_unadapted(plan, tables), benchmarks)
        again = tested(claimed, scored, plan.study.alpha)
        found = {adapter: less_shown(found[adapter], again[adapter]) for adapter in found}
    labels = {arm.name: arm.label for arm in plan.design.arms}
    shown = all(claim.average.shown for claim in found.values())
    known = all(not math.isnan(claim.average.p) for claim in found.values())
    verdict = Verdict.SUPERIOR if shown else Verdict.INCONCLUSIVE if known else Verdict.UNDEFINED
    told = {adapter: statement(claim, labels) for adapter, claim in found.items()}
    weakest = max(found, key=lambda adapter: _order(found[adapter].average.p))
    return Panel(
        section="mechanism",
        title=TITLE,
        headline=told[weakest],
        verdict=verdict,
        word=WORDS[verdict],
        sentences=tuple(
            line
            for adapter, claim in found.items()
            for line in ([] if adapter == weakest else [told[adapter]]) + [count(claim)]
        ),
        tables=tuple(part_table(claim, labels) for claim in found.values()),
        notes=(
            "The largest of the one-sided p-values is the claim's, and needs no correction over "
            "the baselines: all of them have to be beaten at once. The noisy null (reseed) is not "
            "among them.",
            *((SCORED,) if diverged else ()),
        ),
        data={adapter: claim.to_dict() for adapter, claim in found.items()},
    )


def tested(
    claimed: dict[str, list[Contrast]], table: PairedTable, alpha: float
) -> dict[str, Claim]:
    """The claim of each adapter on a table."""
    return {
        adapter: replicate(
            table, contrasts, alternative="greater", alpha=alpha, rng=RNG_SEED
        ).claims[0]
        for adapter, contrasts in claimed.items()
    }


def less_shown(complete: Claim, scored: Claim) -> Claim:
    """Of a claim on whole pairs and with diverged runs scored, what is shown less, on average and
    in the number of cells: it then holds only where both hold it (intersection-union)."""
    return dataclasses.replace(
        max((complete, scored), key=lambda claim: _order(claim.average.p)),
        count=min((complete.count, scored.count), key=lambda count: count.k),
    )


def claims(design: Design) -> dict[str, list[Contrast]]:
    """For each adapter with controls: the reference point against the adapter and each control."""
    kinds = {arm.name: arm for arm in design.arms}
    found: dict[str, list[Contrast]] = {}
    for contrast in design.controls:
        (point,) = contrast.arms
        (control,) = contrast.baselines
        if kinds[control].control not in NULLS:
            adapter = kinds[point].adapter
            base = [Contrast(f"mechanism vs {adapter}", {point: 1.0, adapter: -1.0})]
            found.setdefault(adapter, base).append(contrast)
    return found


def statement(claim: Claim, labels: dict[str, str]) -> str:
    """The claim on average over cells, in words."""
    test = claim.average
    names = ", ".join(labels.get(name, name) for name in claim.baselines)
    many = f"all of {names}"
    weakest = f"{test.deciding.removeprefix('mechanism vs ')}"
    if math.isnan(test.p):
        return f"No test is possible of whether the mechanism is better than {many}."
    size = f"{number(test.delta, sign=True)} {test.units}"
    proof = (
        f"the least certain gain is {size}, over {weakest}, one-sided p "
        f"{prose_p(test.p, equals=True)}"
    )
    if test.shown:
        return (
            f"The mechanism at its reference point is better than {many}: {proof}; every gain is "
            f"at least {number(test.bound, sign=True)} with {1 - test.alpha:.0%} confidence."
        )
    return f"It is not shown that the mechanism is better than {many}: {proof}."


def count(claim: Claim) -> str:
    """In how many cells the claim holds."""
    held = claim.count
    if not held.k:
        return (
            f"Cell by cell: better than all of them in none of {held.n} for sure (observed: "
            f"{held.observed})."
        )
    return (
        f"Cell by cell: better than all of them in at least {held.k} of {held.n} cells with "
        f"{1 - held.alpha:.0%} confidence (observed: {held.observed})."
    )


def part_table(claim: Claim, labels: dict[str, str]) -> Table:
    """A row per baseline, on average over cells."""
    return Table.of(
        f"{labels.get(claim.arm, claim.arm)} against each",
        ("against", "difference", "bound", "p >0", "p flip", "pairs"),
        [
            (
                labels.get(name, name),
                signed(part.delta),
                signed(part.bound),
                p_value(part.p),
                p_value(part.p_signflip),
                str(part.n_pairs),
            )
            for name, part in zip(claim.baselines, claim.average.parts, strict=True)
        ],
        f"{claim.average.units.capitalize()}, averaged over cells. Bound: the true difference is "
        f"above it with {1 - claim.average.alpha:.0%} confidence. One-sided, unadjusted.",
    )


def _order(p: float) -> float:
    """A claim without a test is the weakest."""
    return math.inf if math.isnan(p) else p
