"""The significance report as it is printed: an answer per question, then a section for each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ablate.console import WIDTH
from ablate.probing.answer import caption, sentences
from ablate.report.answer import (
    NO_AXES,
    NO_CONTROLS,
    NO_PROBES,
    NO_RETENTION,
    caveats,
    cell_sentences,
    control_sentences,
    failure_sentence,
    primary_sentences,
    retention_sentences,
)
from ablate.report.costs import overhead
from ablate.report.panel import SECTIONS
from ablate.report.printed import marked, panel_parts, spoken, text_table
from ablate.report.probes import heading as probe_heading
from ablate.report.rows import CellTable, Row, cell_tables, methods, primary_rows
from ablate.report.screen import first_screen
from ablate.report.settle import settle_table, settling
from ablate.report.tables import split_primary
from stats.figures.comparison import MARKS

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from ablate.probing.findings import ProbeFindings
    from ablate.report.answer import Sentence
    from ablate.report.findings import Findings
    from stats.result import Comparison

MAX_T = "max-T"
"""The usual correction; tables only name the method of rows that had another."""
MOST_ROWS = 100
"""Rows of all cells together that are printed; more are counted, cell by cell."""
MOST_ARMS = 16
"""Rows of one cell that are printed."""


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
    own = {
        "real": _real,
        "mechanism": _mechanism,
        "axes": _axes,
        "cost": _cost,
        "inside": _probes,
        "settle": _settle,
    }
    for key, title in SECTIONS.items():
        parts += _heading(title)
        parts += own[key](findings)
        for panel in findings.panels:
            if panel.section == key:
                parts += panel_parts(panel)
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
    grid.add_column(width=22)
    grid.add_column()
    for line in first_screen(findings):
        mark = MARKS[line.verdict] if line.verdict is not None else ""
        text = Text(f"{line.word}. " if line.word else "", style="bold")
        text.append(line.text, style="not bold")
        if line.command:
            text.append(f"\nNext: {line.command}", style="not bold dim")
        grid.add_row(Text(mark, style="bold"), Text(line.question), text)
    return grid


def _real(findings: Findings) -> list[Any]:
    rows, _ = split_primary(findings.main, findings)
    lines: list[Sentence] = [
        (None, line) for line in cell_sentences(findings.main, findings, "arm × cell comparisons")
    ]
    return [
        spoken([*lines, (None, failure_sentence(findings))]),
        *_primary("The mechanism, averaged over cells", findings.main, rows),
        *_cells("Per cell", findings.main, findings),
        *_failures(findings),
    ]


def _mechanism(findings: Findings) -> list[Any]:
    from rich.text import Text

    if findings.controls is None:
        return [Text(NO_CONTROLS)]
    rows = primary_rows(findings.controls, findings)
    return [
        spoken(control_sentences(findings)),
        *_primary("The mechanism against its controls", findings.controls, rows),
    ]


def _axes(findings: Findings) -> list[Any]:
    from rich.text import Text

    _, rows = split_primary(findings.main, findings)
    if not rows:  # a factorial has a panel in place of level contrasts
        return [] if findings.axes else [Text(NO_AXES)]
    names = {row.effect.name for row in rows}
    lines = [
        (effect, text)
        for effect, text in primary_sentences(findings)
        if effect is None or effect.name in names
    ]
    return [
        spoken(lines),
        *_primary("Level contrasts, averaged over cells", findings.main, rows),
    ]


def _cost(findings: Findings) -> list[Any]:
    from rich.text import Text

    more = overhead(findings)
    told = [Text(more)] if more else []
    retention = findings.retention_comparison
    if retention is None:
        return [Text(NO_RETENTION), *told]
    lines: list[Sentence] = [(None, line) for line in retention_sentences(findings)]
    rows = primary_rows(retention, findings)
    return [
        spoken(lines),
        *told,
        *_primary("Retention, a family of its own", retention, rows),
        *_cells("Retention per cell", retention, findings),
    ]


def _settle(findings: Findings) -> list[Any]:
    from rich.text import Text

    plan = settling(findings)
    table = settle_table(plan, findings)
    parts: list[Any] = [Text(plan.sentence)]
    if plan.warning:
        parts.append(Text(f"! {plan.warning}", style="dark_orange3"))
    if table is not None:
        parts += text_table(table)
    if plan.steps:
        parts.append(Text(""))
        parts.append(marked(("→", f"{step.why}\n{step.command}") for step in plan.steps))
    return parts


def _primary(title: str, comparison: Comparison, rows: Sequence[Row]) -> list[Any]:
    from rich.text import Text

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
    tests = comparison.families["primary"].n_tests
    foot = (
        f"{comparison.units} · p adj: {_method_text(rows, tests)} · n: pairs (lost ones in "
        "brackets)"
    )
    return [Text(""), Text(title, style="bold"), table, Text(foot, style="dim")]


def _cells(title: str, comparison: Comparison, findings: Findings) -> list[Any]:
    from rich.text import Text

    tables = cell_tables(comparison, findings)
    rows = [row for table in tables for row in table.rows]
    if not rows:
        return []
    parts: list[Any] = [Text(""), Text(title, style="bold italic")]
    if len(rows) > MOST_ROWS or max(len(table.rows) for table in tables) > MOST_ARMS:
        parts += [Text(f"{table.title}: {table.counts}") for table in tables]
        return [*parts, Text("Row by row: the page, or report.json.", style="dim")]
    for table in tables:
        parts += [Text(table.title, style="bold"), _cell_table(table, rows)]
        parts += [*(Text(note, style="dim") for note in table.notes), Text("")]
    foot = (
        f"{comparison.units} · [ ]: {comparison.confidence_level * 100:g} % CI of the paired t, "
        f"unadjusted · p flip: exact sign flip · p adj: "
        f"{_method_text(rows, sum(bool(row.method) for row in rows))}"
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
    """What the insides of the trained runs say."""
    from rich.text import Text

    if findings.probes is None:
        return [Text(NO_PROBES)]
    names = [summary.arm for summary in findings.probes.summaries]
    foot = "More: the HTML page and probes.csv."
    return probe_parts(findings.probes, names, foot)


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
        f"{findings.label(row['arm'])}: {_lost(row)} of {row['runs']} runs"
        + (f" ({row['reasons']})" if row["reasons"] else "")
        for row in findings.failures.to_dict("records")
        if row["done"] < row["runs"]
    ]
    head = [Text(""), Text("Failures", style="bold")]
    return [*head, *(Text(line) for line in lines)] if lines else []


def _lost(row: Mapping[Hashable, Any]) -> str:
    """What became of an arm's runs without a score, ``2 diverged, 1 not run``."""
    waiting = row["runs"] - row["done"] - row["diverged"] - row["failed"]
    kinds = (("diverged", row["diverged"]), ("failed", row["failed"]), ("not run", waiting))
    return ", ".join(f"{n} {name}" for name, n in kinds if n)


def _adjusted(row: Row) -> str:
    return row.p_adjusted + (f" {row.method[0]}" if row.method not in ("", MAX_T) else "")


def _method_text(rows: Sequence[Row], tests: int) -> str:
    """``max-T over 72 tests``, and what the letters behind other p-values stand for."""
    used = [method for method in methods(rows).split(", ") if method != MAX_T]
    letters = "".join(f", {method[0]}: {method}" for method in used if method != "none")
    main = f"{MAX_T} " if len(used) < len(methods(rows).split(", ")) else ""
    return f"{main}over {tests} test{'' if tests == 1 else 's'}{letters}"


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
