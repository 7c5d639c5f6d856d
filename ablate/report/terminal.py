"""The significance report as it is printed: primary family first, then a table per cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ablate.console import WIDTH
from ablate.probing.answer import caption, sentences
from ablate.report.answer import (
    caveats,
    cell_sentences,
    control_sentences,
    failure_sentence,
    primary_sentences,
    retention_sentences,
)
from ablate.report.probes import TITLE
from ablate.report.probes import heading as probe_heading
from ablate.report.rows import CellTable, Row, cell_tables, methods, primary_rows
from stats.figures.comparison import MARKS

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from ablate.probing.findings import ProbeFindings
    from ablate.report.findings import Findings
    from stats.result import Comparison

MAX_T = "max-T"
"""The usual correction; tables only name the method of rows that had another."""


def terminal_report(findings: Findings) -> Group:
    """The report as a rich renderable, at most ``WIDTH`` columns wide.

    Marks and words carry the verdicts; colour only repeats them.
    """
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text(findings.title, style="bold")]
    if findings.question:
        parts.append(Text(findings.question))
    parts += [Text(f"! {line}", style="dark_orange3") for line in caveats(findings)]
    parts += [*_heading("Answer"), _answer(findings)]
    parts += _primary("Primary family, averaged over cells", findings.main, findings)
    parts += _cells("Per cell", findings.main, findings)
    if findings.controls is not None:
        parts += _primary("Mechanism against its controls", findings.controls, findings)
    retention = findings.retention_comparison
    if retention is not None:
        parts += _primary("Retention, a family of its own", retention, findings)
        parts += _cells("Retention per cell", retention, findings)
    parts += _probes(findings)
    parts += _failures(findings)
    if findings.notes:
        parts += _heading("Notes")
        parts += [Text(note) for note in findings.notes]
    return Group(*parts)


def _heading(title: str) -> list[Any]:
    from rich.rule import Rule
    from rich.text import Text

    return [Text(""), Rule(title, align="left", style="dim")]


def _answer(findings: Findings) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.width = WIDTH
    grid.add_column(width=2, no_wrap=True)
    grid.add_column()
    for effect, sentence in primary_sentences(findings):
        mark = MARKS[effect.verdict] if effect is not None else ""
        grid.add_row(Text(mark, style="bold"), Text(sentence))
    others = cell_sentences(findings.main, findings, "arm × cell comparisons")
    others += control_sentences(findings)
    others += retention_sentences(findings)
    for sentence in (*others, failure_sentence(findings)):
        grid.add_row("", Text(sentence))
    return grid


def _primary(title: str, comparison: Comparison, findings: Findings) -> list[Any]:
    from rich.text import Text

    rows = primary_rows(comparison, findings)
    if not rows:
        return []
    table = _table(("contrast", "diff.", "simultaneous CI", "p t", "p adj", "n", "verdict"), rows)
    for row in rows:
        table.add_row(
            row.label,
            row.delta,
            row.simultaneous,
            row.p,
            _adjusted(row),
            row.n,
            f"{row.mark:<2} {row.verdict}",
            style=_style(row),
        )
    foot = f"{comparison.units} · p adj: {_method_text(rows)} · n: pairs (lost ones in brackets)"
    return [*_heading(title), table, Text(foot, style="dim")]


def _cells(title: str, comparison: Comparison, findings: Findings) -> list[Any]:
    from rich.text import Text

    tables = cell_tables(comparison, findings)
    rows = [row for table in tables for row in table.rows]
    if not rows:
        return []
    parts: list[Any] = _heading(title)
    for table in tables:
        parts += [Text(table.title, style="bold"), _cell_table(table, rows)]
        parts += [*(Text(note, style="dim") for note in table.notes), Text("")]
    foot = (
        f"{comparison.units} · [ ]: {comparison.confidence_level * 100:g} % CI of the paired t, "
        f"unadjusted · p flip: exact sign flip · p adj: {_method_text(rows)}"
    )
    return [*parts, Text(foot, style="dim")]


def _cell_table(cell: CellTable, rows: Sequence[Row]) -> Table:
    headers = ("arm", "base", "mean", "diff. [CI]", "p t", "p flip", "p adj", "d_z", "verdict")
    # All cells are laid out alike, so that the eye can run down the page.
    widths = {
        "diff. [CI]": max(len(f"{row.delta} {row.interval}") for row in rows),
        "p t": max(len(row.p) for row in rows),
        "p adj": max(len(_adjusted(row)) for row in rows),
        "d_z": max(len(row.dz) for row in rows),
    }
    table = _table(headers, rows, widths)
    for row in cell.rows:
        table.add_row(
            row.label,
            row.baseline,
            row.arm,
            f"{row.delta} {row.interval}",
            row.p,
            row.p_signflip,
            _adjusted(row),
            row.dz,
            f"{row.mark:<2} {row.verdict}",
            style=_style(row),
        )
    return table


def _probes(findings: Findings) -> list[Any]:
    """What the insides of the trained runs say; nothing where none was probed."""
    if findings.probes is None:
        return []
    names = [summary.arm for summary in findings.probes.summaries]
    foot = "More: the HTML page and probes.csv."
    return [*_heading(TITLE), *probe_parts(findings.probes, names, foot)]


def probe_parts(probes: ProbeFindings, arms: Sequence[str], foot: str = "") -> list[Any]:
    """The answers that the probes of ``arms`` give, backbone by backbone, and what is missing."""
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = []
    for summary in probes.summaries:
        if summary.arm not in arms:
            continue
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.width = WIDTH
        grid.add_column(width=26)
        grid.add_column()
        for question, answer in sentences(summary):
            grid.add_row(Text(question), Text(answer))
        parts += [Text(""), Text(probe_heading(summary), style="bold"), grid]
    parts += [Text(""), *(Text(note, style="dim") for note in probes.notes)]
    bands = caption(probes.summaries).replace("Bands", "[ ]")
    return [*parts, Text(f"{bands} {foot}".strip(), style="dim")]


def _failures(findings: Findings) -> list[Any]:
    """Arms that lost runs; nothing where none did."""
    from rich.text import Text

    lines = [
        f"{findings.label(row['arm'])}: {row['diverged']} diverged, {row['failed']} failed of "
        f"{row['runs']}" + (f" ({row['reasons']})" if row["reasons"] else "")
        for row in findings.failures.to_dict("records")
        if row["done"] < row["runs"]
    ]
    return [*_heading("Failures"), *(Text(line) for line in lines)] if lines else []


def _adjusted(row: Row) -> str:
    return row.p_adjusted + (f" {row.method[0]}" if row.method not in ("", MAX_T) else "")


def _method_text(rows: Sequence[Row]) -> str:
    """``max-T over 72 tests``, and what the letters behind other p-values stand for."""
    used = [method for method in methods(rows).split(", ") if method != MAX_T]
    letters = "".join(f", {method[0]}: {method}" for method in used if method != "none")
    main = f"{MAX_T} " if len(used) < len(methods(rows).split(", ")) else ""
    return f"{main}over {sum(bool(row.method) for row in rows)} tests{letters}"


def _table(
    headers: Sequence[str], rows: Sequence[Row], widths: dict[str, int] | None = None
) -> Table:
    from rich.table import Table

    first, *middle, last = headers
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    # Verdicts are the words that must not be cut; a long label wraps instead.
    verdict = max(len(word) for row in rows for word in row.verdict.split()) + 3
    table.add_column(first, min_width=min(12, max(len(row.label) for row in rows)))
    for name in middle:
        table.add_column(name, justify="right", no_wrap=True, min_width=(widths or {}).get(name))
    table.add_column(last, min_width=verdict)
    return table


def _style(row: Row) -> str:
    verdict = str(row.effect.verdict)
    if verdict.startswith("superior"):
        return "bold deep_sky_blue3"
    if verdict.startswith("inferior"):
        return "bold dark_orange3"
    return ""
