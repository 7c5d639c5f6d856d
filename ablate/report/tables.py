"""Every table of the report as rows of text, by section: the page, LaTeX and the tests read it.

The page draws tables of effects with bars of its own (``page.py``); here they are without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ablate.report.answer import MECHANISM
from ablate.report.costs import cost_table, standing_table
from ablate.report.panel import SECTIONS
from ablate.report.probes import TextTable
from ablate.report.probes import heading as probe_heading
from ablate.report.probes import tables as probe_tables
from ablate.report.rows import ABSENT, Row, cell_tables, primary_rows
from ablate.report.settle import settle_table, settling
from stats.report.section import Table

if TYPE_CHECKING:
    from ablate.report.findings import Findings
    from stats.result import Comparison

EXTRA = {"design": "Design and provenance"}
"""Where tables stand that answer no question."""


def all_tables(findings: Findings) -> dict[str, list[Table]]:
    """The tables of each section, in the order of the page."""
    main, retention, controls = (
        findings.main,
        findings.retention_comparison,
        findings.controls,
    )
    found: dict[str, list[Table]] = {key: [] for key in (*SECTIONS, *EXTRA)}
    mechanism, levels = split_primary(main, findings)
    if mechanism:
        found["real"].append(effect_table("The mechanism, averaged over cells", mechanism, main))
    found["real"] += cells(main, findings)
    found["real"].append(failure_table(findings))
    if controls is not None and controls.primary:
        rows = primary_rows(controls, findings)
        found["mechanism"].append(
            effect_table("The mechanism against its controls", rows, controls)
        )
    if levels:
        found["axes"].append(effect_table("Level contrasts, averaged over cells", levels, main))
    if retention is not None:
        if rows := primary_rows(retention, findings):
            found["cost"].append(effect_table("Retention, averaged over cells", rows, retention))
        found["cost"] += cells(retention, findings, "Retention: ")
    found["cost"] += [table for table in [cost_table(findings)] if table]
    if findings.probes is not None:
        found["inside"] += [
            as_table(table, f"{probe_heading(summary)}: {table.title}")
            for summary in findings.probes.summaries
            for table in probe_tables(summary)
            if table.rows
        ]
    found["settle"] += [table for table in [settle_table(settling(findings), findings)] if table]
    for panel in findings.panels:
        found[panel.section] += panel.tables
    found["design"].append(standing_table(findings))
    return found


def split_primary(
    comparison: Comparison, findings: Findings
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The primary family's rows on the mechanism, and those on levels."""
    rows = primary_rows(comparison, findings)
    mechanism = tuple(row for row in rows if row.effect.group == MECHANISM)
    return mechanism, tuple(row for row in rows if row.effect.group != MECHANISM)


def cells(comparison: Comparison, findings: Findings, prefix: str = "") -> list[Table]:
    """A table per cell."""
    return [
        effect_table(f"{prefix}{table.title}", table.rows, comparison, table.notes)
        for table in cell_tables(comparison, findings)
    ]


def effect_table(
    title: str, rows: Iterable[Row], comparison: Comparison, notes: Sequence[str] = ()
) -> Table:
    """Effects as they are told in a paper: sizes, intervals, adjusted p, verdict."""
    return Table.of(
        title,
        ("contrast", "base", "mean", "diff.", "simultaneous CI", "p adj", "verdict", "n"),
        [
            (
                row.label,
                row.baseline,
                row.arm,
                row.delta,
                row.simultaneous,
                row.p_adjusted,
                row.verdict,
                row.n,
            )
            for row in rows
        ],
        " ".join(
            (
                f"{comparison.units.capitalize()}; intervals hold together at "
                f"{100 * (1 - comparison.alpha):g} %; n: pairs (lost ones in brackets).",
                *notes,
            )
        ),
    )


def failure_table(findings: Findings) -> Table:
    """What became of each arm's runs."""
    return Table.of(
        "Failures and broken pairs",
        ("arm", "runs", "done", "diverged", "failed", "reasons"),
        [
            (
                findings.label(str(line["arm"])),
                str(line["runs"]),
                str(line["done"]),
                str(line["diverged"]),
                str(line["failed"]),
                str(line["reasons"]) or ABSENT,
            )
            for line in findings.failures.to_dict("records")
        ],
        "A diverged run is an outcome of its arm, a failed one of the machine. Neither has a "
        "score; its pair is left out of every comparison that needs it.",
    )


def as_table(table: TextTable, title: str) -> Table:
    """A probes' table as the others are."""
    return Table.of(title, table.headers, table.rows, "Mean [95 % CI] over seeds.")
