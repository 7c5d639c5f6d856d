"""What a settling study says, as panels of the report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ablate.report.answer import capital
from ablate.report.panel import Panel
from ablate.report.picture import make_picture
from ablate.settle.analysis import Settled, settle_claim
from ablate.settle.beside import equivalence_panel, looks_panel, small_panel
from ablate.settle.figures import verdict_map
from ablate.settle.plan_file import SEQUENTIAL, main_benchmarks
from ablate.settle.refuse import seeds_text
from stats.gatekeeping.result import GateVerdict
from stats.report.section import Table, interval, signed
from stats.verdict import Verdict
from stats.wording import amount, p_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan
    from ablate.settle.register import Registration
    from stats.gatekeeping.result import Gate, Gatekept


def settle_panels(
    plan: Plan,
    tables: Tables,
    inference: Inference,
    registration: Registration,
    seen: str,
) -> Sequence[Panel]:
    """The panels of a settling study, the claim first.

    Args:
        plan: the runs that were made.
        tables: their tables.
        inference: the report's own families.
        registration: the plan that was followed.
        seen: what exploration has seen of the test items, a sentence.
    """
    found = settle_claim(plan, tables)
    panels = [claim_panel(plan, found, registration, seen)]
    if found.replays:
        panels.append(looks_panel(found))
    if found.equivalence is not None:
        panels.append(equivalence_panel(found.equivalence, found.n_diverged))
    if found.small or found.lacking:
        panels.append(small_panel(found.small, found.lacking))
    return panels


def claim_panel(plan: Plan, found: Settled, registration: Registration, seen: str) -> Panel:
    """The claim through its gates, and the plan it was settled by."""
    kept = found.gatekept
    headline, *later = kept.sentences()
    picture = make_picture(
        "settled",
        verdict_map(kept),
        alt="; ".join(f"{gate.name}: {gate.verdict}" for gate in kept.gates),
        caption=(
            f"Every claim with its differences in {kept.units}. A box is tested only where the one "
            "before it (its row's average, or the average over all cells) is shown."
        ),
    )
    notes = [_method(kept)]
    if plan.study.settle.stopping == SEQUENTIAL:
        notes.append(
            "Pairs were added until something was decided. Only what rests on e-values holds at "
            "its error rate; t tests, intervals and verdicts elsewhere in this report are for a "
            "number of pairs that was fixed, and describe these pairs."
        )
    same = _same_on_average(found)
    return Panel(
        section="real",
        title="The claim, settled",
        headline=f"{capital(headline)}{same}",
        verdict=Verdict.EQUIVALENT if same else kept.verdict,
        sentences=(*later, _sensitivity(found), registered_sentence(plan, registration), seen),
        tables=(_averages(kept), _gate_table(kept)),
        pictures=(picture,),
        notes=tuple(notes),
        data={
            "plan": {"digest": registration.digest, "written": registration.written},
            "exploratory": list(registration.exploratory),
            "gates": kept.to_dict(),
        },
    )


def _same_on_average(found: Settled) -> str:
    """That no adapter is changed by as much as the SESOI, where the claim is open and this is
    shown; else nothing."""
    done = found.equivalence
    if done is None or found.gatekept.verdict != Verdict.INCONCLUSIVE:
        return ""
    tests = done.primary
    if not tests or any(test.effect.verdict != Verdict.EQUIVALENT for test in tests):
        return ""
    size = amount(done.margin_high, done.units)
    each = " against each of them" if len(tests) > 1 else ""
    p = p_value(max(test.p_adjusted for test in tests), equals=True)
    return f" That the average effect lies within ±{size}{each} is shown (TOST, p {p})."


def registered_sentence(plan: Plan, registration: Registration) -> str:
    """When the plan was written and what it is."""
    stamp = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(registration.written))
    cells = len(plan.backbones) * len(main_benchmarks(plan))
    size = f"{len(plan.study.seeds)} pairs in each of {cells} cells, seeds "
    size += seeds_text(plan.study.seeds)
    if registration.exploratory:
        return f"These runs do not follow a plan that was registered before them ({size})."
    return (
        f"The plan was registered before the first run, on {stamp}, as {registration.digest} "
        f"({size}); plan.json beside this report is that plan."
    )


def _sensitivity(found: Settled) -> str:
    if not found.n_diverged:
        return "No run of the claim diverged, so that nothing depends on how failures count."
    runs = "1 run" if found.n_diverged == 1 else f"{found.n_diverged} runs"
    return (
        f"{runs} of the claim diverged; every claim had to be shown on complete pairs and with "
        "diverged runs scored as the unadapted backbone, and its p is the larger one."
    )


def _method(kept: Gatekept) -> str:
    return f"{capital(kept.method)}. p adj is two-sided, to be held against {kept.alpha:g}."


def _averages(kept: Gatekept) -> Table:
    """The average over all cells, contrast by contrast."""
    rows = [
        [
            f"mechanism vs {part.contrast}", part.n_pairs, part.n_broken, signed(part.delta),
            interval(part.low, part.high), min(1.0, 2 * min(part.p_better, part.p_worse)),
            part.p_signflip,
            signed(part.sensitivity_delta) if kept.sensitivity else "same",
        ]
        for part in kept.average.parts
    ]  # fmt: skip
    inside = "confidence sequence" if kept.evidence == "e" else "interval"
    return Table.of(
        "Averaged over all cells",
        ["contrast", "pairs", "lost", "difference", f"{1 - kept.alpha:.0%} interval", "p", "p flip",
         "with failures"],
        rows,
        f"In {kept.units}; unadjusted two-sided p and {inside}. The claim needs every row.",
    )  # fmt: skip


def _gate_table(kept: Gatekept) -> Table:
    """Every claim: differences, joint p, adjusted p, verdict."""
    rows = [
        [
            _indented(gate),
            *(signed(part.delta) for part in gate.parts),
            p_value(min(1.0, 2 * min(gate.p_better, gate.p_worse))),
            "–" if gate.verdict is GateVerdict.CLOSED else p_value(gate.p_adjusted),
            str(gate.verdict),
        ]
        for gate in kept.gates
    ]
    return Table.of(
        "Gate by gate",
        ["claim", *kept.contrasts, "p", "p adj", "verdict"],
        rows,
        "p joins the contrasts (the largest, two-sided); p adj holds over all claims of the table.",
    )


def _indented(gate: Gate) -> str:
    return "· " * (gate.gate - 1) + gate.name
