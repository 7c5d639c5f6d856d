"""A replication as plain text for a terminal, at most 100 columns wide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stats.layout import columns, wrap
from stats.verdict import Verdict
from stats.wording import number

if TYPE_CHECKING:
    from stats.replication.outcome import Claim, Replicated, Replication


def render(outcome: Replication) -> str:
    """The claims first, then each contrast with its cells, then how it was done."""
    lines: list[str] = []
    for claim in outcome.claims:
        # Where two-sided was asked, most arms have one direction about which there is news.
        if claim.count.observed or claim.average.p < 0.5 or len(outcome.claims) == 1:
            lines += [*claim_lines(claim), ""]
    for item in outcome.contrasts:
        lines += [*contrast_lines(item), ""]
    return "\n".join(lines + _notes(outcome)) + "\n"


def contrast_lines(item: Replicated) -> list[str]:
    """One contrast: a table of its cells and a line on each statement."""
    units = item.average.units
    cell_columns = list(item.cells[0].cell or {})
    head = [*cell_columns, "n", "delta", "low", "high", "p", "p >0", "p <0", "p adj", "q", ""]
    rows = [
        [
            *(test.cell or {}).values(),
            test.n_pairs,
            number(test.delta, sign=True).rjust(6),
            test.simultaneous_low,
            test.simultaneous_high,
            test.p,
            test.p_greater,
            test.p_less,
            test.p_adjusted,
            math.nan if math.isnan(test.p) else float(q),
            str(test.verdict),
        ]
        for test, q in zip(item.cells, item.exploratory.q, strict=True)
    ]
    further = item.prediction.sentence
    if item.prediction.warning == item.population.warning:  # said on the line before
        further = further.split(". ")[0]
    statements = [
        f"Counts: {item.improved.sentence}; {item.harmed.sentence}.",
        f"These cells: {item.average.sentence}.",
        f"Population of {_unit(item)}s: {item.population.sentence}.",
        f"One more cell, on another {_unit(item)}: {further}.",
    ]
    if item.improved_fisher is not None and item.harmed_fisher is not None:
        statements.insert(
            1,
            "By Fisher's form, as no two cells share a pair: improved in at least "
            f"{item.improved_fisher.k}, harmed in at least {item.harmed_fisher.k}.",
        )
    lines = [f"{item.contrast} in {len(item.cells)} cells ({units})", *columns(head, rows)]
    for text in statements:
        lines += wrap(f"- {text}", hanging="  ")
    return lines


def claim_lines(claim: Claim) -> list[str]:
    """One claim: on average, in how many cells, and in which."""
    lines = wrap(f"Averaged over {len(claim.cells)} cells: {claim.average.sentence}")
    word = "better" if claim.alternative == "greater" else "worse"
    count = claim.count
    lines += wrap(
        f"- In each cell: {claim.arm} is {word} than all of {', '.join(claim.baselines)} in at "
        f"least {count.k} of {count.n} cells with {1 - count.alpha:.0%} confidence (observed: "
        f"{count.observed}).",
        hanging="  ",
    )
    found = [
        f"{'/'.join((test.cell or {}).values()) or 'all'} (every difference beyond "
        f"{number(test.bound, sign=True)})"
        for test, p in zip(claim.cells, claim.p_adjusted, strict=True)
        if p <= count.alpha
    ]
    if found:
        lines += wrap(f"- Shown, by Holm over the cells, in {', '.join(found)}.", hanging="  ")
    return lines


def _unit(item: Replicated) -> str:
    return item.prediction.unit


def _notes(outcome: Replication) -> list[str]:
    notes = []
    if outcome.broken:
        first = outcome.broken[0]
        place = ", ".join(f"{k}={v}" for k, v in {**first.pair, **first.cell}.items())
        notes.append(
            f"Scores lacking: {len(outcome.broken)} (the first: arm {first.arm}, {place}, "
            f"{first.reason}). Their pairs are left out."
        )
    tests = [test for item in outcome.contrasts for test in item.cells]
    one_sided = "" if outcome.alternative == "two-sided" else f" (one-sided, {outcome.alternative})"
    notes.append(f"{outcome.method[0].upper()}{outcome.method[1:]}{one_sided}.")
    notes.append(
        f"low and high hold together at {1 - outcome.alpha:.0%} and verdicts use p adj; p, p >0 "
        "and p <0 are unadjusted, and so are the averages. Counts and claims have a direction and "
        f"hold each at {1 - outcome.alpha:.0%}. q is exploratory."
    )
    if any(test.verdict is Verdict.UNDEFINED for test in tests):
        notes.append("Undefined: too few pairs, or differences without any spread; p adj is 1.")
    return [line for note in notes for line in wrap(note)]
