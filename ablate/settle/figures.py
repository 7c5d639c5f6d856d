"""Pictures of a settled claim: a map of verdicts, and what smaller studies would have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stats.figures.canvas import finish, foot, grid, style
from stats.figures.comparison import BLUE, GREY, INK, ORANGE
from stats.gatekeeping.result import GateVerdict
from stats.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stats.gatekeeping.result import Gate, Gatekept
    from stats.gatekeeping.small_studies import SmallStudies

MARKS = {
    GateVerdict.BETTER: "▲ better",
    GateVerdict.WORSE: "▼ worse",
    GateVerdict.NOT_SHOWN: "? not shown",
    GateVerdict.CLOSED: "· not tested",
    GateVerdict.IDENTICAL: "= identical",
    GateVerdict.UNDEFINED: "✕ undefined",
}
"""A mark and a word per verdict, so that nothing hangs on colour alone."""

_FILLS = {GateVerdict.BETTER: BLUE, GateVerdict.WORSE: ORANGE, GateVerdict.NOT_SHOWN: "#e4e4e4"}


def verdict_map(kept: Gatekept, title: str = "") -> Figure:
    """The tree of claims as a table of boxes: the average first, then a row per group of cells.

    In each box the verdict and the differences, one line per contrast. A dashed box was not tested,
    because the claim that opens it was not shown.
    """
    rows, heads = _layout(kept)
    across, down = max(map(len, rows)), len(rows)
    lines = 1 + len(kept.contrasts)
    width, height = max(1.35 * across, 3.2), (0.2 * lines + 0.18) * down
    with style("white"):
        figure, axes = grid(
            1, 1, width=width, height=height, left=0.35 + 0.075 * max(map(len, heads)),
            foot=0.5, above=0.45, title=title,
        )  # fmt: skip
        axis = axes[0]
        for y, row in enumerate(rows):
            for x, gate in enumerate(row):
                if gate is not None:
                    _box(axis, x, y, gate)
        axis.set_xlim(-0.02, across + 0.02)
        axis.set_ylim(down + 0.02, -0.02)
        axis.set_yticks([y + 0.5 for y in range(down)], heads, fontsize=9)
        axis.set_xticks([x + 0.5 for x in range(across)], _columns(kept, across), fontsize=9)
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
        finish(figure, f"difference to {', '.join(kept.contrasts)}, {kept.units}", title)
    return figure


def _layout(kept: Gatekept) -> tuple[list[list[Gate | None]], list[str]]:
    """Boxes row by row with each row's name: average, then groups with their cells."""
    groups = kept.at(2)
    rows: list[list[Gate | None]] = [[kept.average]]
    heads = ["all cells"]
    loose = [g for g in kept.at(3) if g.parent == kept.average.name]
    if loose and not groups:
        rows[0] += loose
        return rows, heads
    for group in groups:
        rows.append([group, *(cell for cell in kept.at(3) if cell.parent == group.name)])
        heads.append(group.name)
    for cell in loose:
        rows.append([None, cell])
        heads.append(cell.name)
    return rows, heads


def _columns(kept: Gatekept, across: int) -> list[str]:
    """What stands above the boxes: the columns of the cell that are not the group's."""
    names: list[str] = []
    for cell in kept.at(3):
        shared = next((g.place for g in kept.at(2) if g.name == cell.parent), {})
        own = "/".join(value for key, value in cell.place.items() if key not in shared)
        if own not in names:
            names.append(own)
    return (["average", *names] + [""] * across)[:across]


def _box(axis: Axes, x: float, y: float, gate: Gate) -> None:
    from matplotlib.patches import Rectangle

    fill = _FILLS.get(gate.verdict, "white")
    closed = gate.verdict is GateVerdict.CLOSED
    axis.add_patch(
        Rectangle(
            (x + 0.02, y + 0.04), 0.96, 0.92, facecolor=fill, edgecolor=GREY,
            linestyle=(0, (3, 2)) if closed else "-", linewidth=0.8,
        )
    )  # fmt: skip
    ink = "white" if fill in (BLUE, ORANGE) else GREY if closed else INK
    deltas = [f"{part.contrast} {number(part.delta, sign=True)}" for part in gate.parts]
    axis.text(
        x + 0.5, y + 0.5, "\n".join([MARKS[gate.verdict], *deltas]), ha="center", va="center",
        fontsize=8, color=ink, linespacing=1.25,
    )  # fmt: skip


def small_study_strips(found: Sequence[SmallStudies], title: str = "") -> Figure:
    """The mean of every smaller study, one panel per contrast, one row per number of seeds.

    Triangles are studies that would have claimed a gain (up) or a loss (down), grey dots those that
    would have claimed nothing. The line is the mean of all seeds.
    """
    sizes = sorted({size for each in found for size in each.sizes}, reverse=True)
    generator = np.random.default_rng(0)
    with style("white"):
        figure, axes = grid(
            len(found), min(2, len(found)), width=3.9 if len(found) > 1 else 6.0,
            height=0.62 * len(sizes) + 0.15, left=0.75, gap=0.4, foot=0.85, title=title,
        )  # fmt: skip
        for axis, each in zip(axes, found, strict=True):
            for y, size in enumerate(sizes):
                if size in each.averages:
                    _strip(axis, y, *each.averages[size], each.alpha, generator)
            full = each.average(each.sizes[0]).full
            axis.axvline(full, color=INK, linewidth=1.2)
            axis.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (3, 2)))
            axis.set_title(f"{each.contrast}: {number(full, sign=True)} with all "
                           f"{each.n_indices} seeds", fontsize=9)  # fmt: skip
            names = [f"{size} seeds" for size in sizes] if axis is axes[0] else []
            axis.set_yticks(range(len(sizes)), names or [""] * len(sizes), fontsize=8)
            axis.set_ylim(-0.55, len(sizes) - 0.35)
            axis.tick_params(labelsize=8)
        limits = [axis.get_xlim() for axis in axes]
        for axis in axes:
            axis.set_xlim(min(low for low, _ in limits), max(high for _, high in limits))
        _strip_legend(figure)
        finish(figure, f"mean of a study, averaged over cells, {found[0].units}", title)
    return figure


def _strip(
    axis: Axes,
    y: float,
    mean: np.ndarray,
    p: np.ndarray,
    alpha: float,
    generator: np.random.Generator,
) -> None:
    jitter = y + generator.uniform(-0.26, 0.26, mean.size)
    hit = p < alpha
    for chosen, marker, colour, size in (
        (~hit, "o", GREY, 3.0),
        (hit & (mean > 0), "^", BLUE, 9.0),
        (hit & (mean < 0), "v", ORANGE, 9.0),
    ):
        axis.scatter(
            mean[chosen], jitter[chosen], s=size, marker=marker, color=colour, alpha=0.45,
            linewidths=0, rasterized=True,
        )  # fmt: skip
    gain, loss = float((hit & (mean > 0)).mean()), float((hit & (mean < 0)).mean())
    axis.annotate(
        f"gain claimed in {gain:.0%}, loss in {loss:.0%}",
        (0.985, y + 0.31), xycoords=("axes fraction", "data"),
        ha="right", va="bottom", fontsize=7.5, color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip


def _strip_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=marker, color=colour, linestyle="none", markersize=5)
        for marker, colour in (("^", BLUE), ("v", ORANGE), ("o", GREY))
    ]
    handles.append(Line2D([], [], color=INK, linewidth=1.2))
    foot(figure, handles, ["claims a gain", "claims a loss", "claims nothing", "all seeds"])
