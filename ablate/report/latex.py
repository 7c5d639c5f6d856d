"""``tables.tex``: every table of the report for a paper, in LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.report.panel import SECTIONS
from ablate.report.tables import EXTRA, all_tables
from stats.layout import tex

if TYPE_CHECKING:
    from ablate.report.findings import Findings
    from stats.report.section import Table

LONGEST = 40
"""Rows of a table that still fits a page; longer ones run over several (longtable)."""

_SYMBOLS = {
    "×": r"$\times$", "±": r"$\pm$", "−": "$-$", "–": "--", "—": "---", "·": r"$\cdot$",
    "≤": r"$\leq$", "≥": r"$\geq$", "≠": r"$\neq$", "≈": r"$\approx$", "→": r"$\to$",
    "√": r"$\surd$", "∞": r"$\infty$", "²": r"$^2$", "α": r"$\alpha$", "β": r"$\beta$",
    "δ": r"$\delta$", "η": r"$\eta$", "σ": r"$\sigma$", "τ": r"$\tau$", "ω": r"$\omega$",
    "Δ": r"$\Delta$", "…": r"\ldots{}", "“": "``", "”": "''", "‘": "`", "’": "'",
    "\u00a0": "~", "\u202f": "~",
}  # fmt: skip
"""What pdfLaTeX does not know in running text, whatever its input encoding."""


def tables_tex(findings: Findings) -> str:
    """All tables under a comment per section; the file is meant to be cut from, or \\input."""
    tables = all_tables(findings)
    lines = [
        f"% {comment(findings.title)}: the tables of its significance report.",
        r"% In the preamble: \usepackage{booktabs,longtable}",
        "% Intervals and adjusted p hold over the family that a table or its note names.",
    ]
    for key, title in {**SECTIONS, **EXTRA}.items():
        if tables[key]:
            lines += ["", f"% ---- {title}"]
        for number, table in enumerate(tables[key], start=1):
            lines += ["", *latex_table(table, f"{key}-{number}")]
    return "\n".join(lines) + "\n"


def latex_table(table: Table, label: str) -> list[str]:
    """One table: its title and note are the caption, ``tab:label`` its label."""
    form = "".join("l" if left else "r" for left in table.left)
    caption = escape(f"{table.title}. {table.note}".strip())
    head = [r"\toprule", line(table.head), r"\midrule"]
    body = [line(row) for row in table.rows]
    named = rf"\caption{{{caption}}}\label{{tab:{label}}}"
    if len(table.rows) > LONGEST:
        return [
            rf"\begin{{longtable}}{{{form}}}",
            rf"{named}\\",
            *head,
            r"\endfirsthead",
            *head,
            r"\endhead",
            *body,
            r"\bottomrule",
            r"\end{longtable}",
        ]
    return [
        r"\begin{table}",
        r"\centering",
        named,
        rf"\begin{{tabular}}{{{form}}}",
        *head,
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def line(cells: Sequence[str]) -> str:
    """A row. A cell that begins with a bracket or a star is shielded from the ``\\\\`` before."""
    texts = [escape(cell) for cell in cells]
    return " & ".join(f"{{}}{text}" if text[:1] in ("[", "*") else text for text in texts) + r" \\"


def escape(text: str) -> str:
    """Text as LaTeX sets it: special characters escaped, symbols named, on one line."""
    return "".join(_SYMBOLS.get(part) or tex(part) for part in " ".join(text.split()))


def comment(text: str) -> str:
    """Text that stays within its comment."""
    return " ".join(text.split())
