"""Pictures of a factorial: level means, interactions of all pairs of axes, effects in each cell.

Each function returns a new matplotlib Figure. Levels differ in colour, line style and marker.
"""

from __future__ import annotations

import math
from itertools import cycle
from typing import TYPE_CHECKING, Any

from ablate.factorial.levels import acting_order, sides
from ablate.report.picture import DPI
from stats.figures.canvas import foot, grid, style
from stats.figures.comparison import BLUE, GREEN, GREY, INK, MARKS, ORANGE, level_heatmap
from stats.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ablate.factorial.analysis import Analysis

_LINES = (
    (BLUE, "-", "o"), (ORANGE, "--", "^"), (GREEN, "-.", "s"), (GREY, ":", "D"), (INK, "-", "v"),
)  # fmt: skip
_BAND = "#e9e9e9"
_WIDE = 1000 / DPI
"""Inches of a picture that is read at 1000 pixels."""
_SETTLED = {
    Verdict.SUPERIOR_AND_MEANINGFUL: BLUE, Verdict.SUPERIOR: BLUE,
    Verdict.INFERIOR: ORANGE, Verdict.INFERIOR_AND_MEANINGFUL: ORANGE,
}  # fmt: skip


def levels_plot(analysis: Analysis) -> Figure:
    """Each level's mean as difference to the baseline, grouped by axis, with its t interval.

    The reference level is hollow. At the right the main effects against it, with the marks of
    their verdicts. The band is +/- the smallest effect of interest.
    """
    order, means = acting_order(analysis.factorial), analysis.means
    at: list[tuple[float, str, str]] = []
    y = 0.0
    for axis, levels in order.items():
        for level in levels:
            at.append((y, axis, level))
            y += 1.0
        y += 0.7
    labels = [level for _, _, level in at]
    room = 0.3 + 0.075 * (max(map(len, order)) + max(map(len, labels)) + 2)
    shown = {(m.term, m.levels[0]): m for m in means.overall if ":" not in m.term}
    with style("white"):
        figure, (axis_,) = grid(
            1, 1, width=_WIDE - room - 2.4, height=0.21 * y + 0.1, left=room, above=0.2, foot=0.95
        )
        width, height = figure.get_size_inches()
        figure.set_size_inches(width + 1.95, height)  # room for the effects at the right
        left, bottom, w, h = axis_.get_position().bounds
        share = width / (width + 1.95)
        axis_.set_position((left * share, bottom, w * share, h))
        axis_.axvspan(-analysis.sesoi, analysis.sesoi, color=_BAND, lw=0, zorder=0)
        axis_.axvline(0, color=INK, lw=0.9, zorder=1)
        for y_, name, level in at:
            mean = shown.get((name, level))
            if mean is None:
                continue
            reference = level == order[name][0]
            if math.isfinite(mean.ci_low):
                axis_.plot([mean.ci_low, mean.ci_high], [y_, y_], color=BLUE, lw=1.8)
            axis_.plot(
                [mean.delta], [y_], marker="o", ms=5.5, ls="none", color=BLUE, zorder=3,
                markerfacecolor="white" if reference else BLUE,
            )  # fmt: skip
        _names(axis_, at, order)
        _effects(axis_, at, analysis)
        axis_.set_ylim(y - 1.0, -0.7)
        axis_.tick_params(axis="x", labelsize=8)
        for side in ("top", "right", "left"):
            axis_.spines[side].set_visible(False)
        _foot(figure, analysis)
        axis_.set_xlabel(f"difference to the baseline, {means.units}", fontsize=9)
    return figure


def _names(axis: Axes, at: list[tuple[float, str, str]], order: dict[str, tuple[str, ...]]) -> None:
    axis.set_yticks([y for y, _, _ in at], [level for _, _, level in at], fontsize=8)
    axis.tick_params(axis="y", length=0)
    longest = max(len(level) for _, _, level in at)
    for name, levels in order.items():
        rows = [y for y, own, _ in at if own == name]
        axis.annotate(
            name, (0, sum(rows) / len(levels)), xycoords=axis.get_yaxis_transform(),
            xytext=(-(12 + 5.2 * longest), 0), textcoords="offset points", ha="right",
            va="center", fontsize=8.5, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _effects(axis: Axes, at: list[tuple[float, str, str]], analysis: Analysis) -> None:
    by_level = {sides(effect.name)[:2]: effect for effect in analysis.mains}
    for y, name, level in at:
        effect = by_level.get((name, level))
        if effect is None:
            continue
        verdict = analysis.verdicts[effect.name]
        reference = sides(effect.name)[2]
        axis.text(
            1.02, y, f"{effect.delta:+.2f} {MARKS[verdict]}  ({level} - {reference})",
            transform=axis.get_yaxis_transform(), fontsize=8, va="center", clip_on=False,
            color=_SETTLED.get(verdict, GREEN if verdict == Verdict.EQUIVALENT else INK),
        )  # fmt: skip


def _foot(figure: Figure, analysis: Analysis) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    look: dict[str, Any] = {"marker": "o", "ls": "none", "color": BLUE}
    handles: list[Any] = [
        Line2D([], [], markerfacecolor="white", label="reference level", **look),
        Line2D([], [], markerfacecolor=BLUE, label="other level", **look),
        Patch(color=_BAND, label=f"within ±{analysis.sesoi:g}"),
    ]
    said = {analysis.verdicts[effect.name] for effect in analysis.mains}
    handles += [Line2D([], [], ls="none", label=f"{MARKS[v]}  {v}") for v in Verdict if v in said]
    foot(figure, handles, [handle.get_label() for handle in handles])


def interactions_plot(analysis: Analysis) -> Figure:
    """Every pair of axes in the lower triangle of a grid: parallel lines, no interaction.

    Along a panel the levels of its column's axis, a line for each level of its row's axis; values
    are means minus the baseline. The number is the tested interaction with its verdict's mark. A
    pair that the design does not tell has no lines.
    """
    order = acting_order(analysis.factorial)
    names = list(order)
    n = len(names) - 1
    found = analysis.shown
    effects = {t.effect.group: t.effect for t in found.interactions} if found else {}
    left, below = 0.62, 0.55
    size_x = (_WIDE - left - 1.15) / n - 0.1
    size_y = min(0.8 * size_x, 1.5)
    height = 0.15 + n * (size_y + 0.12) + below
    values = [m.delta for m in analysis.means.overall if ":" in m.term and math.isfinite(m.delta)]
    low, high = (min(values), max(values)) if values else (-1.0, 1.0)
    room = 0.12 * (high - low) or 1.0
    with style("white"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as NewFigure

        figure = NewFigure(figsize=(_WIDE, height), facecolor="white")
        FigureCanvasAgg(figure)
        for row in range(n):
            bottom = below + (n - 1 - row) * (size_y + 0.12)
            for column in range(row + 1):
                x = left + column * (size_x + 0.1)
                axis = figure.add_axes(
                    (x / _WIDE, bottom / height, size_x / _WIDE, size_y / height)
                )
                along, lines = names[column], names[row + 1]
                _pair_panel(axis, analysis, along, lines, order, effects)
                axis.set_ylim(low - room, high + 2.2 * room)
                axis.set_xticks(
                    range(len(order[along])), order[along] if row == n - 1 else [], fontsize=8
                )
                axis.set_xlim(-0.35, len(order[along]) - 0.65)
                axis.tick_params(axis="y", labelsize=7, labelleft=column == 0)
                if row == n - 1:
                    axis.set_xlabel(along, fontsize=8.5, fontweight="bold")
                if column == row:
                    _row_legend(axis, lines, order[lines])
        figure.text(
            0.012, 0.55, f"mean difference\nto the baseline, {analysis.means.units}",
            rotation=90, va="center", ha="left", multialignment="center", fontsize=8,
        )  # fmt: skip
    return figure


def _pair_panel(
    axis: Axes,
    analysis: Analysis,
    along: str,
    lines: str,
    order: dict[str, tuple[str, ...]],
    effects: dict[str, Any],
) -> None:
    pair = f"{along}:{lines}"
    at = {mean.levels: mean.delta for mean in analysis.means.of(pair)}
    axis.axhline(0, color="#bbbbbb", lw=0.7, zorder=0)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    if not at:
        axis.text(0.5, 0.5, "not told apart", transform=axis.transAxes, ha="center", va="center",
                  fontsize=7.5, color=GREY)  # fmt: skip
        return
    for level, (colour, dashes, marker) in zip(order[lines], cycle(_LINES), strict=False):
        y = [at.get((x, level), math.nan) for x in order[along]]
        axis.plot(range(len(y)), y, color=colour, ls=dashes, marker=marker, ms=4.5, lw=1.4)
    effect = effects.get(pair)
    if effect is not None:
        verdict = analysis.verdicts[effect.name]
        settled = verdict in _SETTLED
        axis.text(
            0.97, 0.97, f"{effect.delta:+.2f} {MARKS[verdict]}", transform=axis.transAxes,
            ha="right", va="top", fontsize=7.5, color=INK if settled else GREY,
            fontweight="bold" if settled else "normal",
        )  # fmt: skip
        if settled:
            axis.set_facecolor("#fff6dd")


def _row_legend(axis: Axes, name: str, levels: tuple[str, ...]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, ls=dashes, marker=marker, ms=4.5, lw=1.4, label=level)
        for level, (colour, dashes, marker) in zip(levels, cycle(_LINES), strict=False)
    ]
    legend = axis.legend(
        handles=handles, title=name, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False,
        fontsize=8, title_fontsize=8.5, handlelength=2.2, alignment="left",
    )  # fmt: skip
    legend.get_title().set_fontweight("bold")


def cells_plot(analysis: Analysis) -> Figure | None:
    """Main effects down, cells across, with the marks of the family of cells; None with one."""
    import pandas as pd

    cells = analysis.cells
    if cells is None or len({str(e.cell) for e in cells.cells}) < 2:
        return None
    deltas: dict[str, dict[str, float]] = {}
    marks: dict[str, dict[str, str]] = {}
    for effect in cells.cells:
        place = " × ".join((effect.cell or {}).values())
        axis, level, reference = sides(effect.name)
        name = f"{axis}: {level} - {reference}"
        deltas.setdefault(place, {})[name] = effect.delta
        mark = "" if effect.verdict == Verdict.INCONCLUSIVE else MARKS[effect.verdict]
        marks.setdefault(place, {})[name] = mark
    table = pd.DataFrame(deltas)
    figure = level_heatmap(
        table,
        pd.DataFrame(marks).reindex(index=table.index, columns=table.columns).fillna(""),
        baseline="the reference level",
        units=cells.units,
        sesoi=analysis.sesoi,
    )
    figure.axes[-1].set_ylabel(cells.units, fontsize=8)  # the whole label is longer than the bar
    return figure
