"""Parts of a printed report that every section uses: marked sentences, tables of text, panels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ablate.console import WIDTH
from stats.figures.comparison import MARKS

if TYPE_CHECKING:
    from rich.table import Table

    from ablate.report.answer import Sentence
    from ablate.report.panel import Panel
    from stats.report.section import Table as TextTable

LONGEST = 24
"""Rows of a table of text that are printed."""


def panel_parts(panel: Panel) -> list[Any]:
    """A panel as it is printed: its sentences, its tables, its notes."""
    from rich.text import Text

    parts: list[Any] = [Text(""), Text(panel.title, style="bold")]
    if panel.headline:
        mark = MARKS[panel.verdict] if panel.verdict is not None else ""
        parts.append(marked([(mark, panel.headline)]))
    parts += [Text(line) for line in panel.sentences]
    for table in panel.tables:
        parts += text_table(table)
    return [*parts, *(Text(note, style="dim") for note in panel.notes)]


def text_table(table: TextTable) -> list[Any]:
    """A table of texts with its title and note; a long one is cut and says so."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    for name, left in zip(table.head, table.left, strict=True):
        shown.add_column(Text(name), justify="left" if left else "right", overflow="fold")
    for row in table.rows[:LONGEST]:
        shown.add_row(*(Text(cell) for cell in row))
    parts: list[Any] = [Text(""), Text(table.title, style="italic"), shown]
    if len(table.rows) > LONGEST:
        parts.append(Text(f"And {len(table.rows) - LONGEST} more rows: see the page."))
    return [*parts, Text(table.note, style="dim")] if table.note else parts


def marked(lines: Iterable[tuple[str, str]]) -> Table:
    """Sentences with the mark of their verdict before them."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.width = WIDTH
    grid.add_column(width=2, no_wrap=True)
    grid.add_column()
    for mark, sentence in lines:
        grid.add_row(Text(mark, style="bold"), Text(sentence))
    return grid


def spoken(lines: Iterable[Sentence]) -> Table:
    """Sentences with the marks of their effects."""
    return marked((MARKS[e.verdict] if e is not None else "", text) for e, text in lines)
