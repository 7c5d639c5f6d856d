"""The panel "Which axes": a factorial's answer as the report shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.factorial.analysis import Analysis, analyse_factorial
from ablate.factorial.tables import all_tables
from ablate.factorial.text import headline, notes, sentences
from ablate.report.panel import Panel
from stats.errors import StatsError

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan
    from ablate.report.picture import Picture

SECTION, TITLE = "axes", "The factorial: main effects, interactions, level means"


def panel(plan: Plan, tables: Tables, inference: Inference) -> Panel | None:
    """Which axes move the score and which depend on each other or on the cell.

    None where the design tells simple effects only, or varies no axis.
    """
    from ablate.design.structure import structure_tables, structure_text

    if plan.design.factorial is None or not plan.design.factorial.mains:
        return None
    structure = f"The design: {structure_text(plan.design)[0]}."
    try:
        analysis = analyse_factorial(plan, tables, inference.main.primary)
    except StatsError as error:
        return Panel(
            SECTION,
            TITLE,
            headline=f"No test of the factorial is possible: {error.message}.",
            sentences=(structure,),
            tables=structure_tables(plan.design),
        )
    assert analysis is not None
    return Panel(
        section=SECTION,
        title=TITLE,
        headline=headline(analysis),
        sentences=(structure, *sentences(analysis)),
        tables=(*all_tables(analysis), *structure_tables(plan.design)),
        pictures=pictures(analysis),
        notes=tuple(notes(analysis)),
        data=analysis.to_dict(),
    )


def pictures(analysis: Analysis) -> tuple[Picture, ...]:
    """Level means, interactions where the design tells any, main effects in cells."""
    from ablate.factorial.figures import cells_plot, interactions_plot, levels_plot
    from ablate.report.picture import make_picture

    found = [
        make_picture(
            "factorial-levels",
            levels_plot(analysis),
            "Means of the levels of each axis as differences to the baseline, with intervals, and "
            "the main effects.",
            "Means over all design points at a level, minus the baseline, with t intervals (each "
            "for itself: two that overlap may well differ). At the right the tested main effects "
            "with the marks of their verdicts.",
        )
    ]
    if analysis.factorial.interactions:
        found.append(
            make_picture(
                "factorial-interactions",
                interactions_plot(analysis),
                "Interaction plots of all pairs of axes: one axis along, a line for each level of "
                "the other.",
                "Parallel lines: no interaction. "
                + (
                    "The number is half the difference of differences, with its verdict's mark "
                    "(shaded: settled). "
                    if analysis.shown
                    else "The study tests none of them. "
                )
                + "No bars are drawn, because all means share the baseline's noise, which no "
                "interaction has.",
            )
        )
    cells = cells_plot(analysis)
    if cells is not None:
        found.append(
            make_picture(
                "factorial-cells",
                cells,
                "Heat map of the main effects, axes down, cells across.",
                "The effect of each axis in each cell, with marks of its verdict there (none: "
                "inconclusive); all of them are one family, apart from the others.",
            )
        )
    return tuple(found)
