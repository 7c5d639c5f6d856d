"""The panel on failed runs: rates by arm, and which verdicts survive counting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.failures.rescored import SETTLED, Rescored, rates, rescore
from ablate.report.panel import Panel
from ablate.result import DIVERGED, DONE
from stats.figures.comparison import MARKS
from stats.report.section import Table, interval
from stats.wording import number, plural

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan
    from stats.failed import FailureRates, Joined

MOST_NAMED = 3
MOST_ROWS = 12


def panel(plan: Plan, tables: Tables, inference: Inference) -> Panel | None:
    """What failed runs do to the verdicts, or None where every run gave its scores."""
    if (tables.results["outcome"] == DONE).all():
        return None
    if not (tables.results["outcome"] == DIVERGED).any():
        return _only_missing(tables)
    arms = plan.design.arms
    labels = {arm.name: arm.label for arm in arms}
    called = {arm.name: arm.label if arm.is_baseline else f"arm {arm.label}" for arm in arms}
    rate, again = rates(plan, tables), rescore(plan, tables, inference)
    return Panel(
        section="real",
        title="Failed runs",
        headline=_headline(again, labels),
        qualifies=True,
        sentences=(rate.describe(called), *_verdict_sentences(again, labels)),
        tables=tuple(
            table for table in (_rate_table(rate, labels), _verdict_table(again, labels)) if table
        ),
        notes=(
            "A diverged run is an outcome of its arm: it is scored as the unadapted backbone, "
            "which is what is left when training fails. Runs that the machine lost, or that were "
            "not made, stay missing.",
            "Verdicts elsewhere on this page are those that both analyses support; the numbers "
            "beside them, and tables without verdicts, are of whole pairs unless they say "
            "otherwise.",
            f"Rates: {rate.method}.",
        ),
        data={
            "rates": rate.to_dict(),
            "scored_as_unadapted": again.n_scored,
            "still_missing": again.n_missing,
            "claims": [
                {
                    "name": claim.complete.name,
                    "cell": claim.complete.cell,
                    "complete": str(claim.complete.verdict),
                    "scored": str(claim.scored.verdict),
                    "verdict": str(claim.verdict),
                }
                for claim in again.claims
            ],
        },
    )


def _only_missing(tables: Tables) -> Panel:
    """Runs are missing, none of them by its arm's fault."""
    runs = tables.results.drop_duplicates("run_key")
    lost = int((runs["outcome"] != DONE).sum())
    return Panel(
        section="real",
        title="Failed runs",
        sentences=(
            f"{_runs(lost)} no score, and no run diverged: what is missing was lost by the "
            "machine or not made, which says nothing of an arm. Verdicts rest on whole pairs.",
        ),
        data={"lost": lost},
    )


def _runs(count: int) -> str:
    return "1 run has" if count == 1 else f"{count} runs have"


def _headline(again: Rescored, labels: dict[str, str]) -> str:
    withdrawn, held = (
        again.withdrawn,
        [claim for claim in again.claims if claim.complete.verdict in SETTLED],
    )
    count = "1 run" if again.n_scored == 1 else f"{again.n_scored} runs"
    if not withdrawn:
        which = "it changes no verdict" if held else "there was no verdict to change"
        return f"{count} diverged; scored as the unadapted backbone, {which}{_only_scored(again)}."
    return (
        f"{count} diverged; scored as the unadapted backbone, {len(withdrawn)} of {len(held)} "
        f"verdicts do not hold, among them {_place(withdrawn[0], labels)} "
        f"({withdrawn[0].complete.verdict} on whole pairs only): such a verdict is not to be "
        f"claimed{_only_scored(again)}."
    )


def _only_scored(again: Rescored) -> str:
    """The primary claim that only the analysis with diverged runs scored makes, if there is one."""
    for claim in again.primary:
        if claim.scored.verdict in SETTLED and claim.complete.verdict not in SETTLED:
            return (
                f", but counted so {claim.place} is {claim.scored.verdict} "
                f"({number(claim.scored.delta, sign=True)} points)"
            )
    return ""


def _verdict_sentences(again: Rescored, labels: dict[str, str]) -> list[str]:
    out = []
    for claim in again.primary:
        if claim.complete.verdict in SETTLED or claim.scored.verdict in SETTLED:
            out.append(
                f"{_place(claim, labels)}: {number(claim.complete.delta, sign=True)} points on "
                f"whole pairs ({claim.complete.verdict}), "
                f"{number(claim.scored.delta, sign=True)} with diverged runs scored "
                f"({claim.scored.verdict}); both together: {claim.verdict}."
            )
    if again.n_missing:
        out.append(
            f"{_runs(again.n_missing)} still no score: lost by the machine, not made, or on a "
            "backbone without an unadapted score."
        )
    return out


def _place(claim: Joined, labels: dict[str, str]) -> str:
    name = claim.complete.name
    return claim.place.replace(name, labels.get(name, name), 1)


def _rate_table(rate: FailureRates, labels: dict[str, str]) -> Table:
    units = plural(rate.unit)
    rows = [
        [
            labels.get(arm.arm, arm.arm),
            arm.n_runs,
            arm.failed,
            f"{arm.failed_units} of {arm.n_units}",
            interval(100 * arm.low, 100 * arm.high),
            f"{arm.more} / {arm.fewer}" if arm.baseline else "",
            arm.p_adjusted,
        ]
        for arm in rate.arms
    ]
    head = (
        "arm", "runs", "diverged", f"{units} hit", "95 % interval, %", "more / fewer",
        "p adjusted",
    )  # fmt: skip
    return Table.of(
        "Diverged runs by arm",
        head,
        rows,
        f"{units} hit: those with a diverged run, with Jeffreys' interval of their share; "
        f"more / fewer: {units} in which the arm diverged more, or less, often than its "
        "baseline.",
    )


def _verdict_table(again: Rescored, labels: dict[str, str]) -> Table | None:
    shown: Sequence[Joined] = [
        claim
        for claim in again.claims
        if claim in again.primary or claim in again.controls or claim in again.withdrawn
    ][:MOST_ROWS]
    if not shown:
        return None
    rows = [
        [
            _place(claim, labels),
            number(claim.complete.delta, sign=True),
            MARKS[claim.complete.verdict],
            number(claim.scored.delta, sign=True),
            MARKS[claim.scored.verdict],
            str(claim.verdict),
        ]
        for claim in shown
    ]
    used = {v for claim in shown for v in (claim.complete.verdict, claim.scored.verdict)}
    legend = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items() if verdict in used)
    more = len(again.claims) - len(shown)
    return Table.of(
        "Verdicts with diverged runs scored",
        ("claim", "whole pairs", "says", "scored", "says ", "both together"),
        rows,
        "Differences in points: on whole pairs, and with diverged runs scored as the unadapted "
        f"backbone; a verdict is kept only where both give it ({legend})."
        + (f" {more} more claims, in cells and on retention, are in report.json." if more else ""),
    )
