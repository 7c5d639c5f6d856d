"""The outcomes as a table: 100 columns for a terminal, Markdown for the page on methods."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from stats.layout import WIDTH, wrap
from tests.stats.gates.gate import BAND, Gate, Outcome

BEGIN, END = "<!-- gates: begin -->", "<!-- gates: end -->"
HEADING = "## Error rates, simulated"
HEAD = ("claim", "expected", "found", "replicates", "mutant", "its rate")
_WIDTHS = (40, 8, 7, 10, 17, 8)
_SIGNS = {"equal": "", "at most": "≤ ", "at least": "≥ "}
assert sum(_WIDTHS) + 2 * (len(_WIDTHS) - 1) == WIDTH


def rate(value: float) -> str:
    """Four digits, without the zero before the point."""
    return f"{value:.4f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.4f}"


def expected(gate: Gate) -> str:
    """The expected value: "≤" and "≥" for one side, "~" where it was itself simulated."""
    return ("~" if gate.known else _SIGNS[gate.kind]) + rate(gate.expected)


def mark(outcome: Outcome) -> str:
    """What is wrong with a gate, or "" ."""
    if not outcome.holds:
        return "FAILS"
    return "" if outcome.bites else "CANNOT FAIL"


def _cells(outcome: Outcome) -> tuple[str, ...]:
    gate = outcome.gate
    return (
        f"{gate.claim} {mark(outcome)}".strip(), expected(gate), rate(outcome.found),
        f"{outcome.replicates:,}", gate.mutant, rate(outcome.mutant),
    )  # fmt: skip


def text_table(outcomes: Sequence[Outcome], head: Sequence[str] = HEAD) -> str:
    """One row per gate, at most 100 columns wide, long claims on several lines; what fails last."""
    lines = []
    for row in [head, *map(_cells, outcomes)]:
        parts = [textwrap.wrap(text, width) for text, width in zip(row, _WIDTHS, strict=True)]
        for line in zip_longest(*parts, fillvalue=""):
            texts = [
                text.ljust(width) if i in (0, 4) else text.rjust(width)
                for i, (text, width) in enumerate(zip(line, _WIDTHS, strict=True))
            ]
            lines.append("  ".join(texts).rstrip())
    wrong = [o for o in outcomes if mark(o)]
    lines.append("")
    for o in wrong:
        lines += wrap(f"{mark(o)}: {o.sentence}", hanging="  ")
    return "\n".join([*lines, f"{len(outcomes) - len(wrong)} of {len(outcomes)} gates hold."])


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table with what is needed to read it."""
    chance = 1 - BAND ** len(outcomes)
    lines = [
        f"{len(outcomes)} claims: what is expected, what is found by simulation, and what a "
        "plausible wrong method (the mutant) has on the same data. Expected values are exact, "
        "bounds (≤, ≥), or themselves simulated, by others or from a formula (~). A claim fails "
        "where it leaves the band that holds 999 of 1,000 simulations of a true one; its mutant "
        "must leave it, for a check that cannot fail is none. If all claims are true, at most "
        f"{chance:.0%} of such tables show a failure: another `--seed` tells. `python -m "
        "tests.stats.gates` prints the table; the tests run it with fewer replicates.",
        "",
        *rows(outcomes),
    ]
    return "\n".join(lines)


def rows(outcomes: Sequence[Outcome], head: Sequence[str] = HEAD) -> list[str]:
    """The lines of the Markdown table."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(_cells(o))} |" for o in outcomes),
    ]


def write(
    path: Path, text: str, begin: str = BEGIN, end: str = END, heading: str = HEADING
) -> None:
    """Replace what stands between the marker lines, or add them under a heading at the end.

    Raises ValueError where one marker is there without the other, or one is there twice.
    """
    page = path.read_text(encoding="utf-8")
    found = page.count(begin), page.count(end)
    if found == (0, 0):
        page = f"{page.rstrip()}\n\n{heading}\n{begin}\n{end}\n"
    elif found != (1, 1) or page.index(end) < page.index(begin):
        raise ValueError(f"{path}: the markers {begin} and {end} must be there once, in order")
    before, after = page.index(begin) + len(begin), page.index(end)
    path.write_text(f"{page[:before]}\n{text}\n{page[after:]}", encoding="utf-8")
