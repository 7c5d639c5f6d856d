"""Pictures of a noise floor: the ranking, the shift of occasions, how entries repeat.

Each function returns a new matplotlib Figure and touches no global state of matplotlib. ``label``
shortens the names of entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError, nearest
from stats.figures.canvas import finish, foot, grid, style
from stats.figures.comparison import BLUE, GREY, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stats.repeatability.result import NoiseFloor

_ROW = 0.165  # inches between rows of a list


def ranking_plot(
    floor: NoiseFloor,
    occasion: str = "",
    *,
    label: Callable[[str], str] = str,
    title: str = "",
) -> Figure:
    """Scores on one occasion (default: the one with most runs), the best first, with half floors.

    Two entries whose thick bars do not overlap differ by at least the floor of a comparison chosen
    beforehand; where the thin ones do not, by the floor of all comparisons at once. A hollow mark
    is an entry within the latter of the best. StatsError for an occasion that was not ranked.
    """
    rankings = {r.occasion: r for r in floor.rankings}
    if not rankings:
        raise StatsError("no occasion has two runs", place="ranking_plot")
    occasion = occasion or max(floor.rankings, key=lambda r: r.runs).occasion
    if occasion not in rankings:
        raise StatsError(
            f"there is no ranking of '{occasion}'", place="ranking_plot", value=occasion,
            hint=nearest(occasion, rankings),
        )  # fmt: skip
    runs = floor.residuals[floor.residuals[floor.occasion] == occasion]
    runs = runs.sort_values(floor.score, ascending=False, kind="stable")
    scores = runs[floor.score].to_numpy(dtype=float)
    names = [label(name) for name in runs[floor.entry]]
    y = np.arange(scores.size)
    leaders = scores[0] - scores < floor.floor_all
    with style("white"):
        figure, (axis,) = grid(
            1, 1, width=6.0, height=_ROW * scores.size + 0.15, left=_margin(names), foot=0.85,
            above=0.15, title=title,
        )  # fmt: skip
        thin = axis.hlines(
            y, scores - floor.floor_all / 2, scores + floor.floor_all / 2, color=GREY, lw=0.8
        )
        thick = axis.hlines(
            y, scores - floor.floor / 2, scores + floor.floor / 2, color=BLUE, lw=2.6
        )
        marks: list[Any] = []
        for chosen, filled, text in (
            (leaders, False, "not told apart from the best"),
            (~leaders, True, "told apart from the best"),
        ):
            marks += axis.plot(
                scores[chosen], y[chosen], "o", ms=4.5, color=INK, zorder=3,
                markerfacecolor=INK if filled else "white", label=text,
            )  # fmt: skip
        axis.axvspan(scores[0] - floor.floor_all, scores[0], color="#eeeeee", lw=0, zorder=0)
        axis.set_yticks(y, names, fontsize=7)
        axis.set_ylim(scores.size - 0.4, -0.6)
        _plain(axis)
        foot(
            figure,
            [thick, thin, *marks],
            ["± half the floor, chosen beforehand", "± half the floor, all pairs",
             *(str(mark.get_label()) for mark in marks)],
        )  # fmt: skip
        figure.legends[0].set_ncols(2)
        _label(figure, f"{floor.score} on {occasion}, {floor.units}", title, 0.44)
    return figure


def shift_plot(floor: NoiseFloor, *, title: str = "") -> Figure:
    """Every occasion's mean shift against the first, with simultaneous intervals.

    Filled where a shift is shown; the number of entries shared with the first stands at the right.
    Raises StatsError where there is only one occasion.
    """
    rows = floor.occasions[1:]
    if not rows:
        raise StatsError("there is only one occasion", place="shift_plot")
    alpha = 1 - floor.confidence_level
    with style("white"):
        figure, (axis,) = grid(
            1, 1, width=5.2, height=0.25 * len(rows) + 0.2,
            left=_margin([row.occasion for row in rows], 0.075), foot=0.78, above=0.3, title=title,
        )  # fmt: skip
        axis.axvline(0, color=INK, lw=0.9)
        seen: dict[str, Any] = {}
        for y, row in enumerate(rows):
            shown = row.p_adjusted <= alpha
            colour = (BLUE if row.shift > 0 else ORANGE) if shown else GREY
            axis.plot([row.low, row.high], [y, y], color=colour, lw=1.6)
            (mark,) = axis.plot(
                [row.shift], [y], marker=("^" if row.shift > 0 else "v") if shown else "o", ms=6,
                color=colour, ls="none", zorder=3, markerfacecolor=colour if shown else "white",
            )  # fmt: skip
            text = ("higher" if row.shift > 0 else "lower") if shown else "no shift shown"
            seen.setdefault(text, mark)
            axis.text(
                1.035, y, str(row.shared), transform=axis.get_yaxis_transform(), fontsize=8,
                ha="center", va="center", clip_on=False,
            )  # fmt: skip
        axis.text(
            1.035, -0.95, "shared", transform=axis.get_yaxis_transform(), fontsize=7, color=GREY,
            ha="center", va="center", clip_on=False,
        )  # fmt: skip
        axis.set_yticks(range(len(rows)), [row.occasion for row in rows], fontsize=8)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        _plain(axis)
        foot(figure, list(seen.values()), list(seen))
        finish(figure, f"mean shift against {floor.reference}, {floor.units}", title)
    return figure


def difference_plot(
    floor: NoiseFloor, *, label: Callable[[str], str] = str, named: int = 4, title: str = ""
) -> Figure:
    """The share of pairs of runs of one entry that differ by more than x, and what normal noise
    would give.

    The dashed line is the floor, the dotted one the level that pairs should not exceed beyond it.
    The ``named`` largest differences bear the names of their entries. Raises StatsError without
    pairs.
    """
    from scipy.special import ndtr

    differences = sorted(floor.check.differences, key=lambda item: item[1])
    if not differences:
        raise StatsError("there is no pair of runs", place="difference_plot")
    sizes = np.array([size for _, size in differences])
    counts: dict[str, int] = {}
    for name, _ in differences:
        counts[name] = counts.get(name, 0) + 1
    # k (k - 1) / 2 differences of k runs weigh k - 1 in all.
    weight = np.array(
        [((math.sqrt(1 + 8 * counts[name]) - 1) / 2) / counts[name] for name, _ in differences]
    )
    beyond = 1 - np.cumsum(weight) / weight.sum() + weight / weight.sum()
    x = np.linspace(0, max(float(sizes[-1]), floor.floor) * 1.05, 200)
    with style("white"):
        figure, (axis,) = grid(
            1, 1, width=5.6, height=2.6, left=0.75, foot=0.8, above=0.15, title=title
        )
        (seen,) = axis.step(sizes, beyond, where="post", color=BLUE, lw=1.6)
        axis.plot(sizes, beyond, ".", color=BLUE, ms=4)
        (normal,) = axis.plot(
            x, 2 * ndtr(-x / (math.sqrt(2) * floor.sigma)), color=ORANGE, ls="-.", lw=1.4
        )
        line = axis.axvline(floor.floor, color=INK, ls="--", lw=1)
        axis.axhline(floor.check.expected, color=GREY, ls=":", lw=1)
        top = float(np.ptp(x))
        last = ""
        for (name, size), y in list(zip(differences, beyond, strict=True))[::-1][:named]:
            if name != last:
                right = size < 0.55 * top
                axis.annotate(
                    label(name), (size, y), (5 if right else -5, 8),
                    textcoords="offset points", fontsize=7, color=INK,
                    ha="left" if right else "right",
                )  # fmt: skip
            last = name
        axis.set_yscale("log")
        axis.set_ylim(float(beyond[-1]) * 0.6, 1.3)
        axis.set_yticks(
            [0.01, 0.05, 0.1, 0.5, 1.0], ["1 %", "5 %", "10 %", "50 %", "100 %"], fontsize=8
        )
        axis.minorticks_off()
        axis.set_xlim(0, x[-1])
        axis.set_ylabel("share of pairs beyond", fontsize=8)
        _plain(axis)
        foot(
            figure, [seen, normal, line],
            ["pairs of runs of one entry", "normal noise of this sigma", "floor"],
        )  # fmt: skip
        finish(figure, f"difference of two runs, shifts taken off, {floor.units}", title)
    return figure


def residual_map(
    floor: NoiseFloor, *, label: Callable[[str], str] = str, title: str = ""
) -> Figure:
    """What is left of each run when its entry's mean and its occasion's shift are taken off.

    Entries with two runs or more, the one that repeats worst on top; white is as expected, blue
    above, orange below; grey: no run. Residuals beyond two sigma are written out.
    """
    from matplotlib.colors import LinearSegmentedColormap

    table = floor.residuals
    names = [row.entry for row in floor.entries]
    occasions = [row.occasion for row in floor.occasions]
    values = np.full((len(names), len(occasions)), np.nan)
    place, column = ({n: i for i, n in enumerate(known)} for known in (names, occasions))
    for name, occasion, residual in zip(
        table[floor.entry], table[floor.occasion], table["residual"], strict=True
    ):
        if name in place:
            values[place[name], column[occasion]] = residual
    limit = float(np.nanmax(np.abs(values)))
    texts = [label(name) for name in names]
    widest = max(len(name) for name in occasions)
    with style("white"):
        figure, (axis,) = grid(
            1, 1, width=max(0.5, 0.15 + 0.068 * widest) * len(occasions) + 0.9,
            height=_ROW * len(names), left=_margin(texts), foot=0.35, above=0.35, title=title,
        )  # fmt: skip
        axis.set_facecolor("#e3e3e3")
        colours = LinearSegmentedColormap.from_list("", ["#de8f05", "#ffffff", "#4a9fd0"])
        image = axis.imshow(
            np.ma.masked_invalid(values), cmap=colours, vmin=-limit, vmax=limit, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        for y, x in np.argwhere(np.abs(np.nan_to_num(values)) > 2 * floor.sigma):
            axis.text(
                x, y, f"{values[y, x]:+.1f}", ha="center", va="center", fontsize=6.5, color=INK
            )
        axis.set_yticks(range(len(names)), texts, fontsize=7)
        axis.set_xticks(range(len(occasions)), occasions, fontsize=7.5)
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.set_xticks(np.arange(len(occasions) - 1) + 0.5, minor=True)
        axis.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
        axis.grid(which="minor", color="white", lw=0.8)
        axis.tick_params(which="minor", length=0)
        scale = figure.colorbar(image, ax=axis, pad=0.02, fraction=0.05, aspect=40)
        scale.set_label(f"residual, {floor.units}", fontsize=8)
        scale.ax.tick_params(labelsize=8)
        scale.outline.set_visible(False)
        for side in axis.spines.values():
            side.set_visible(False)
        finish(figure, "", title)
    return figure


def _margin(names: list[str], per_letter: float = 0.062) -> float:
    """Inches that the longest name needs at the left."""
    return 0.35 + per_letter * max(map(len, names))


def _label(figure: Figure, text: str, title: str, height: float) -> None:
    """The label of the x axis, ``height`` inches above the bottom (a legend of two rows below)."""
    finish(figure, "", title)
    figure.text(
        0.5, height / float(figure.get_figheight()), text, ha="center", va="bottom", fontsize=9
    )


def _plain(axis: Axes) -> None:
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
