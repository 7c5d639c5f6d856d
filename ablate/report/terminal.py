"""The significance report as it is printed: primary family first, then a table per cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablate.report.answer import answer, caveats
from ablate.report.rows import CellTable, Row, cell_tables, methods, primary_rows

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from ablate.report.findings import Findings
    from stats.compare import Comparison

WIDTH = 100
"""Columns the report fits in."""


def terminal_report(findings: Findings) -> Group:
    """The report as a rich renderable, at most ``WIDTH`` columns wide.

    Marks and words carry the verdicts; colour only repeats them.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.text import Text

    parts: list[Any] = [Text(findings.title, style="bold")]
    if findings.question:
        parts.append(Text(findings.question))
    parts += [Text(f"! {line}", style="dark_orange3") for line in caveats(findings)]
    parts += [Text(""), Rule("Answer", align="left", style="dim")]
    parts += [Padding(Text(f"• {line}"), (0, 0, 0, 1)) for line in answer(findings)]
    parts += [Text(""), Rule("Primary family, averaged over cells", align="left", style="dim")]
    parts += [_primary_table(primary_rows(findings.main, findings)), Text("")]
    parts += _family("Per cell", findings.main, findings)
    if findings.retention_comparison is not None:
        parts += _family("Retention (a family of its own)", findings.retention_comparison, findings)
    return Group(*parts)


def _family(title: str, comparison: Comparison, findings: Findings) -> list[Any]:
    from rich.rule import Rule
    from rich.text import Text

    tables = cell_tables(comparison, findings)
    rows = [row for table in tables for row in table.rows]
    level = f"{comparison.confidence_level * 100:g} %"
    foot = (
        f"points · {level} CI unadjusted, of paired t · p t: paired t · p flip: exact sign flip · "
        f"p adj: {methods(rows)} over {len(rows)} tests"
    )
    parts: list[Any] = [Rule(title, align="left", style="dim")]
    for table in tables:
        parts.append(_cell_table(table))
        parts += [Text(f"  {note}") for note in table.notes]
    parts += [Text(foot, style="dim"), Text("")]
    return parts


def _primary_table(rows: tuple[Row, ...]) -> Table:
    table = _table(f"contrast|difference|simultaneous CI|p t|p adj ({methods(rows)})|n|verdict")
    for row in rows:
        table.add_row(
            row.label,
            row.delta,
            row.simultaneous,
            row.p,
            row.p_adjusted,
            row.n,
            f"{row.mark:<2} {row.verdict}",
            style=_style(row),
        )
    return table


def _cell_table(cell: CellTable) -> Table:
    table = _table(f"{cell.title}|base|arm|diff. [CI]|p t|p flip|p adj|d_z|verdict")
    several = len({row.method for row in cell.rows}) > 1
    for row in cell.rows:
        table.add_row(
            row.label,
            row.baseline,
            row.arm,
            f"{row.delta} {row.interval}",
            row.p,
            row.p_signflip,
            f"{row.p_adjusted} {row.method}" if several else row.p_adjusted,
            row.dz,
            f"{row.mark:<2} {row.verdict}",
            style=_style(row),
        )
    return table


def _table(header: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    first, *middle, last = header.split("|")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.width = None
    table.add_column(first, overflow="fold")
    for name in middle:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(last, overflow="fold")
    return table


def _style(row: Row) -> str:
    verdict = str(row.effect.verdict)
    if verdict.startswith("superior"):
        return "bold deep_sky_blue3"
    if verdict.startswith("inferior"):
        return "bold dark_orange3"
    return ""
