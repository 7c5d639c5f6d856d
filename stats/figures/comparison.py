"""Pictures of a comparison: forest plots, seed-by-seed lines, a heat map of levels.

Each function returns a new matplotlib Figure and touches no global state of matplotlib.
matplotlib and seaborn are imported when a figure is made, not with this module. Colours are
seaborn's "colorblind" palette (blue: better, orange: worse); every verdict also has a mark of its
own, so that nothing hangs on colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError, nearest
from stats.figures.canvas import finish, foot, grid, style
from stats.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stats.result import Effect
    from stats.table import Key, PairedTable

MARKS: Mapping[Verdict, str] = {
    Verdict.SUPERIOR_AND_MEANINGFUL: "++",
    Verdict.SUPERIOR: "+",
    Verdict.EQUIVALENT: "=",
    Verdict.INCONCLUSIVE: "?",
    Verdict.INFERIOR: "-",
    Verdict.INFERIOR_AND_MEANINGFUL: "--",
    Verdict.IDENTICAL: "==",
    Verdict.UNDEFINED: "x",
}
"""A short mark per verdict, for tables and figures."""

CHARACTER = 0.055
"""Inches that a character of a tick's label takes."""

BLUE, ORANGE, GREEN, GREY, INK = "#0173b2", "#c9730a", "#027a5a", "#767676", "#222222"

# Verdict -> colour, marker, filled. Shapes alone tell the verdicts apart.
_LOOKS: Mapping[Verdict, tuple[str, str, bool]] = {
    Verdict.SUPERIOR_AND_MEANINGFUL: (BLUE, "^", True),
    Verdict.SUPERIOR: (BLUE, "^", False),
    Verdict.EQUIVALENT: (GREEN, "s", True),
    Verdict.INCONCLUSIVE: (GREY, "o", False),
    Verdict.INFERIOR: (ORANGE, "v", False),
    Verdict.INFERIOR_AND_MEANINGFUL: (ORANGE, "v", True),
    Verdict.IDENTICAL: (GREY, "D", True),
    Verdict.UNDEFINED: (INK, "x", True),
}


def cell_title(cell: Mapping[str, str] | None) -> str:
    """``llama-tiny × recall``; the average over cells has a name too."""
    return "average over cells" if cell is None else " × ".join(cell.values()) or "all"


def forest(
    effects: Sequence[Effect],
    *,
    label: Callable[[Effect], str] = lambda effect: effect.name,
    baseline: str = "baseline",
    units: str = "points",
    sesoi: float | None = None,
    columns: int = 4,
    title: str = "",
) -> Figure:
    """Differences with intervals, one panel per cell, one row per effect.

    Thin lines are simultaneous intervals (they hold together for the whole family), thick ones the
    unadjusted 95 % intervals. The band is +/- ``sesoi``. All panels share one scale, in ``units``.
    Effects without a difference get a row with a cross at zero. Raises StatsError without effects.
    """
    if not effects:
        raise StatsError("there is no effect to draw", place="forest")
    panels: dict[str, list[Effect]] = {}
    for effect in effects:
        panels.setdefault(cell_title(effect.cell), []).append(effect)
    names = list(dict.fromkeys(label(effect) for effect in effects))
    across = min(columns, len(panels))
    with style("white"):
        figure, axes = grid(
            len(panels),
            across,
            width=2.45 if across > 1 else 6.0,
            height=0.23 * len(names) + 0.1,
            left=0.35 + 0.072 * max(map(len, names)),
            title=title,
        )
        for axis, (name, rows) in zip(axes, panels.items(), strict=True):
            _forest_panel(axis, rows, names, label, sesoi)
            axis.set_title(name, fontsize=9)
        low, high = _span(effects, sesoi)
        for i, axis in enumerate(axes):
            axis.set_xlim(low, high)
            axis.set_ylim(len(names) - 0.4, -0.6)
            axis.set_yticks(range(len(names)), names if i % across == 0 else [""] * len(names))
        _legend(figure, effects, sesoi, units)
        finish(figure, f"difference to {baseline}, {units}", title)
    return figure


def paired_lines(
    table: PairedTable,
    *,
    arms: Sequence[str] = (),
    cells: Sequence[Key] = (),
    label: Callable[[str], str] = str,
    columns: int = 4,
    title: str = "",
) -> Figure:
    """Every pair's score in every arm, one panel per cell: a line is a pair, in black their mean.

    Lines that run in parallel show that pairing removes noise. A failed run leaves a gap, and its
    pair is not in the mean. ``arms`` and ``cells`` select and order (default: all, in the table's
    order). Raises StatsError for an arm or a cell that the table does not have.
    """
    scores = table.scores()
    shown = _known(arms or scores.arms, scores.arms, "arm")
    panels = _known(cells or scores.cells, scores.cells, "cell")
    at = [scores.arms.index(arm) for arm in shown]
    texts = [label(arm) for arm in shown]
    across = min(columns, len(panels))
    replicates = _replicates(table, scores.pairs)
    colours = _line_colours(len(set(replicates)))
    width = max(2.3, 0.24 * len(shown)) if across > 1 else max(4.0, 0.4 * len(shown))
    longest = max(map(len, texts))
    turned = CHARACTER * longest * len(shown) > width  # labels would run into each other
    with style("whitegrid"):
        figure, axes = grid(
            len(panels),
            across,
            width=width,
            height=1.75,
            left=0.7,
            below=0.2,
            foot=0.75 + CHARACTER * (longest if turned else 1),
            gap=0.5,
            title=title,
        )
        seen: dict[str, Any] = {}
        for i, (axis, cell) in enumerate(zip(axes, panels, strict=True)):
            values = scores.values[at, :, scores.cells.index(cell)]
            for pair in np.flatnonzero(np.isfinite(values).any(axis=0)):
                name = replicates[pair]
                colour = colours[list(dict.fromkeys(replicates)).index(name)]
                (line,) = axis.plot(values[:, pair], color=colour, lw=1, marker=".", ms=4)
                seen.setdefault(name, line)
            # An arm that lost every run must not take the mean of the others with it.
            alive = np.isfinite(values).any(axis=1)
            complete = np.isfinite(values[alive]).all(axis=0)
            if alive.any() and complete.any():
                means = np.where(alive, values[:, complete].mean(axis=1), np.nan)
                (mean,) = axis.plot(means, color=INK, lw=2)
                seen["mean"] = mean
            axis.set_title(cell_title(dict(zip(table.cell, cell, strict=True))), fontsize=9)
            lowest = i + across >= len(panels)
            blank = [""] * len(shown)
            axis.set_xticks(
                range(len(shown)),
                texts if lowest else blank,
                rotation=90 if turned else 0,
                fontsize=7.5,
            )
            axis.set_xlim(-0.4, len(shown) - 0.6)
            axis.tick_params(axis="y", labelsize=7)
            if i % across == 0:
                axis.set_ylabel(f"score, {table.units}", fontsize=8)
        if len(seen) > 9:
            seen = {"a pair": next(iter(seen.values())), "mean": seen.get("mean")}
        handles = {name: line for name, line in seen.items() if line is not None}
        foot(figure, list(handles.values()), list(handles))
        finish(figure, "", title)
    return figure


def level_heatmap(
    deltas: pd.DataFrame,
    marks: pd.DataFrame,
    *,
    baseline: str = "baseline",
    units: str = "points",
    sesoi: float | None = None,
    rule_after: int = 0,
    title: str = "",
) -> Figure:
    """Mean differences as colours and numbers, levels or arms down, cells across.

    ``deltas`` and ``marks`` (text under each number, "" for none) have the same labels. A rule is
    drawn under the first ``rule_after`` rows, to set one kind of row apart from another. White is
    zero, blue better, orange worse; the scale is symmetric and reaches at least ``sesoi``. Absent
    differences (NaN) are left grey with a dash. Raises StatsError when the frames do not match.
    """
    if deltas.empty or not (
        deltas.index.equals(marks.index) and deltas.columns.equals(marks.columns)
    ):
        raise StatsError("deltas and marks must have the same labels", place="level_heatmap")
    values = deltas.to_numpy(dtype=float)
    finite = np.abs(values[np.isfinite(values)])
    limit = max([sesoi or 0.0, *finite.tolist()]) or 1.0
    notes = np.array(
        [
            [
                _number(value) + (f" {mark}" if mark else "")
                for value, mark in zip(*row, strict=True)
            ]
            for row in zip(values, marks.to_numpy(dtype=object), strict=True)
        ]
    )
    rows, across = values.shape
    left = 0.35 + 0.072 * max(len(str(name)) for name in deltas.index)
    titles = [str(name).replace(" × ", "\n") for name in deltas.columns]
    longest = max(len(line) for title in titles for line in title.split("\n"))
    with style("white"):
        from matplotlib.colors import LinearSegmentedColormap
        from seaborn import heatmap

        figure, (axis,) = grid(
            1,
            1,
            width=max(0.86, 0.2 + 0.068 * longest) * across + 0.9,
            height=0.27 * rows,
            left=left,
            foot=0.5,
            above=0.15,
            title=title,
        )
        colours = LinearSegmentedColormap.from_list("", ["#de8f05", "#ffffff", "#4a9fd0"])
        axis.set_facecolor("#dddddd")
        heatmap(
            np.where(np.isfinite(values), values, 0.0),
            mask=~np.isfinite(values),
            ax=axis,
            cmap=colours,
            vmin=-limit,
            vmax=limit,
            annot=notes,
            fmt="",
            annot_kws={"fontsize": 8, "color": INK},
            linewidths=0.6,
            linecolor="white",
            cbar=False,
            xticklabels=titles,
            yticklabels=list(deltas.index),
        )
        for y, x in zip(*np.nonzero(~np.isfinite(values)), strict=True):
            axis.text(x + 0.5, y + 0.5, "–", ha="center", va="center", fontsize=8)
        axis.tick_params(axis="x", rotation=0, labelsize=8, length=0)
        axis.tick_params(axis="y", rotation=0, labelsize=8, length=0)
        scale = figure.colorbar(axis.collections[0], ax=axis, pad=0.02)
        scale.set_label(f"difference to {baseline}, {units}", fontsize=8)
        scale.ax.tick_params(labelsize=8)
        scale.outline.set_visible(False)
        if 0 < rule_after < rows:
            axis.axhline(rule_after, color=INK, lw=1.2)
        finish(figure, "", title)
    return figure


def _forest_panel(
    axis: Axes,
    rows: Sequence[Effect],
    names: Sequence[str],
    label: Callable[[Effect], str],
    sesoi: float | None,
) -> None:
    if sesoi:
        axis.axvspan(-sesoi, sesoi, color="#e9e9e9", lw=0, zorder=0)
    axis.axvline(0, color=INK, lw=0.9, zorder=1)
    for effect in rows:
        y = names.index(label(effect))
        colour, marker, filled = _LOOKS[effect.verdict]
        for low, high, width in (
            (effect.simultaneous_low, effect.simultaneous_high, 0.9),
            (effect.ci_low, effect.ci_high, 2.6),
        ):
            if math.isfinite(low) and math.isfinite(high):
                axis.plot([low, high], [y, y], color=colour, lw=width, solid_capstyle="butt")
        axis.plot(
            [effect.delta if math.isfinite(effect.delta) else 0.0],
            [y],
            marker=marker,
            ms=5.5,
            color=colour,
            markerfacecolor=colour if filled else "white",
            linestyle="none",
            zorder=3,
        )
        axis.text(
            1.02,
            y,
            MARKS[effect.verdict],
            transform=axis.get_yaxis_transform(),
            fontsize=8,
            family="monospace",
            va="center",
            color=colour,
            clip_on=False,
        )
    axis.tick_params(axis="y", labelsize=8, length=0)
    axis.tick_params(axis="x", labelsize=8)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _span(effects: Sequence[Effect], sesoi: float | None) -> tuple[float, float]:
    ends = [0.0, sesoi or 0.0, -(sesoi or 0.0)]
    for e in effects:
        ends += [e.delta, e.ci_low, e.ci_high, e.simultaneous_low, e.simultaneous_high]
    finite = [end for end in ends if math.isfinite(end)]
    low, high = min(finite), max(finite)
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def _replicates(table: PairedTable, pairs: Sequence[tuple[str, ...]]) -> list[str]:
    """What tells the pairs of one panel apart: the columns that do not name the cell and vary."""
    free = [i for i, name in enumerate(table.pair) if name not in table.cell]
    varying = [i for i in free if len({pair[i] for pair in pairs}) > 1] or free
    return [", ".join(f"{table.pair[i]} {pair[i]}" for i in varying) or "pair" for pair in pairs]


def _line_colours(n: int) -> list[Any]:
    from seaborn import color_palette

    return list(color_palette("colorblind", n)) if n <= 8 else ["#9db8c9"] * n


def _known(wanted: Sequence[Any], known: Sequence[Any], what: str) -> list[Any]:
    for name in wanted:
        if name not in known:
            raise StatsError(
                f"there is no {what} {name!r}",
                place="paired_lines",
                value=name,
                hint=nearest(name, known),
            )
    return list(wanted)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return ""
    text = f"{value:+.1f}"
    return text[1:] if float(text) == 0 else text


def _legend(figure: Figure, effects: Sequence[Effect], sesoi: float | None, units: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    present = {effect.verdict for effect in effects}
    handles: list[Any] = []
    for verdict, (colour, marker, filled) in _LOOKS.items():
        if verdict in present:
            handles.append(
                Line2D(
                    [],
                    [],
                    marker=marker,
                    linestyle="none",
                    color=colour,
                    markerfacecolor=colour if filled else "white",
                    label=f"{MARKS[verdict]}  {verdict}",
                )
            )
    if sesoi:
        handles.append(Patch(color="#e9e9e9", label=f"within ±{sesoi:g}"))
    foot(figure, handles, [handle.get_label() for handle in handles])
