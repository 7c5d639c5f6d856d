"""Pictures of matched draws: sources of variation, the effect of each draw, what moderates it.

Each function returns a new matplotlib Figure and touches no global state of matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError
from stats.figures.canvas import finish, foot, grid, style
from stats.figures.comparison import BLUE, GREEN, GREY, INK, ORANGE
from stats.wording import number, p_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stats.decompose.analysis import Component, Decomposition
    from stats.matched_draws.moderators import Moderator
    from stats.matched_draws.outcome import MatchedDraws

MAX_PANELS = 9
"""Small multiples that are still read: the average and eight cells."""

FEW_VALUES = 4
"""Values of a hyperparameter that are ticks of their own."""

_KINDS = {"fixed": (ORANGE, "D"), "random": (BLUE, "o")}


def sources_plot(
    parts: Mapping[str, Decomposition],
    *,
    label: Callable[[str], str] = str,
    units: str = "points",
    title: str = "",
) -> Figure:
    """SDs with intervals by source, one panel per decomposition (the average, then each cell).

    Sources are sorted by the first panel's SDs, the largest first; all panels share one scale and
    one order. A component of zero is drawn hollow, an interval that leaves the panel with an arrow.
    Raises StatsError without a decomposition.
    """
    if not parts:
        raise StatsError("there is no decomposition to draw", place="sources_plot")
    first = next(iter(parts.values())).components
    order = [c.name for c in sorted(first, key=lambda c: -c.sd)]
    names = [label(name) for name in order]
    across = min(3, len(parts))
    with style("white"):
        figure, axes = grid(
            len(parts), across, width=2.5 if across > 1 else 4.2, height=0.25 * len(names) + 0.1,
            left=0.35 + 0.075 * max(map(len, names)), foot=0.95, title=title,
        )  # fmt: skip
        every = [c for part in parts.values() for c in part.components]
        limit = _limit(every)
        for i, (axis, (name, part)) in enumerate(zip(axes, parts.items(), strict=True)):
            by_name = {c.name: c for c in part.components}
            for y, source in enumerate(order):
                if source in by_name:
                    _bar(axis, y, by_name[source], limit)
            axis.set_title(name, fontsize=9)
            axis.set_xlim(0, limit)
            axis.set_ylim(len(names) - 0.5, -0.5)
            axis.set_yticks(range(len(names)), names if i % across == 0 else [""] * len(names))
            axis.tick_params(axis="y", length=0)
            _plain(axis)
        meanings = {
            "fixed": "fixed: these two arms",
            "random": "random: SD over draws, seeds, runs",
        }
        foot(figure, [_mark(*_KINDS[kind]) for kind in meanings], list(meanings.values()))
        finish(figure, f"standard deviation of a score, {units}", title)
    return figure


def draws_plot(
    result: MatchedDraws, *, sesoi: float | None = None, name: str = "", title: str = ""
) -> Figure:
    """The effect of every draw, sorted, with the interval that seed noise gives it.

    ``name`` stands for the difference on the axis ("": the names of the arms).
    The row on top is the mean over draws with its t interval. The grey band is +/- ``sesoi``, in
    the result's units. Draws whose effect has the other sign than the mean are hollow.
    """
    reading = result.overall
    draws = sorted(reading.draws, key=lambda d: d.effect)
    mean = reading.mean
    turned = [d.effect * mean.mean < 0 for d in draws]
    rows = len(draws) + 2
    with style("white"):
        figure, (axis,) = grid(
            1, 1, width=5.2, height=0.15 * rows + 0.1, left=0.95, foot=0.95, above=0.15, title=title
        )
        if sesoi:
            axis.axvspan(-sesoi, sesoi, color="#e4e4e4", lw=0)
        axis.axvline(0, color=INK, lw=0.9)
        for y, (draw, other) in enumerate(zip(draws, turned, strict=True), start=2):
            axis.plot([draw.low, draw.high], [y, y], color=GREY, lw=1.1, solid_capstyle="butt")
            axis.plot(
                [draw.effect], [y], ls="none", marker="o", ms=4.2, color=ORANGE if other else BLUE,
                markerfacecolor="white" if other else BLUE, zorder=3,
            )  # fmt: skip
        if not math.isnan(mean.ci_low):
            axis.plot([mean.ci_low, mean.ci_high], [0, 0], color=INK, lw=2.4, solid_capstyle="butt")
        axis.plot([mean.mean], [0], ls="none", marker="D", ms=5.5, color=INK, zorder=3)
        axis.axhline(1, color=GREY, lw=0.5)
        axis.set_ylim(rows - 0.3, -0.8)
        ticks = [0, *range(2, rows)]
        axis.set_yticks(ticks, ["mean", *(f"draw {d.draw}" for d in draws)])
        axis.tick_params(axis="y", length=0, labelsize=7)
        axis.tick_params(axis="x", labelsize=8)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        handles = [_mark(INK, "D"), _mark(BLUE, "o")]
        texts = ["mean over the space", "a draw, seed noise as its interval"]
        if any(turned):
            handles.append(_mark(ORANGE, "o", "white"))
            texts.append("the other sign")
        foot(figure, handles, texts)
        difference = name or f"{result.arm} minus {result.baseline}"
        finish(figure, f"{difference}, {result.units}", title)
    return figure


def moderators_plot(
    result: MatchedDraws, *, label: Callable[[str], str] = str, title: str = ""
) -> Figure:
    """The effect of each draw against each hyperparameter, with the fitted line.

    Raises StatsError where no hyperparameter varies over the draws.
    """
    found = result.moderators
    if not found:
        raise StatsError("no hyperparameter varies over the draws", place="moderators_plot")
    across = min(3, len(found))
    draws = result.overall.draws
    effects = np.array([d.effect for d in draws])
    with style("white"):
        figure, axes = grid(
            len(found), across, width=2.15, height=1.6, left=0.75, below=0.55, foot=0.7, above=0.4,
            gap=0.3, title=title,
        )  # fmt: skip
        room = 0.08 * float(np.ptp(effects)) or 1.0
        for i, (axis, moderator) in enumerate(zip(axes, found, strict=True)):
            x = np.array([d.settings[moderator.name] for d in draws])
            axis.axhline(0, color=INK, lw=0.9)
            axis.plot(x, effects, ls="none", marker="o", ms=4, color=BLUE, alpha=0.85)
            _line(axis, x, effects, moderator)
            axis.set_ylim(effects.min() - room, effects.max() + room)
            if moderator.log:
                _log_axis(axis, x)
            if np.unique(x).size <= FEW_VALUES:
                axis.set_xticks(np.unique(x), [f"{value:g}" for value in np.unique(x)])
                axis.minorticks_off()
            axis.set_title(
                f"rank corr. {number(moderator.rho, sign=True)}, p adj "
                f"{p_value(moderator.p_adjusted)}",
                fontsize=8,
            )
            axis.set_xlabel(label(moderator.name), fontsize=8, labelpad=2)
            _plain(axis)
            if i % across == 0:
                axis.set_ylabel(f"effect, {result.units}", fontsize=8)
            else:
                axis.set_yticklabels([])
        finish(figure, "", title)
    return figure


def _line(axis: Axes, x: np.ndarray, effects: np.ndarray, moderator: Moderator) -> None:
    """The least-squares line; on a logarithmic axis it is straight too."""
    scaled = np.log10(x) if moderator.log else x
    ends = np.array([scaled.min(), scaled.max()])
    y = effects.mean() + moderator.slope * (ends - scaled.mean())
    axis.plot(10**ends if moderator.log else ends, y, color=GREEN, lw=1.4, ls="--")


def _log_axis(axis: Axes, x: np.ndarray) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_xscale("log")
    decades = math.log10(float(x.max())) - math.log10(float(x.min()))
    subs = (1.0,) if decades > 1.5 else (1.0, 3.0) if decades > 0.7 else (1.0, 2.0, 5.0)
    axis.xaxis.set_major_locator(LogLocator(subs=subs))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _bar(axis: Axes, y: int, part: Component, limit: float) -> None:
    colour, marker = _KINDS[part.kind]
    axis.barh([y], [min(part.sd, limit)], height=0.55, color=colour, alpha=0.28, lw=0)
    if math.isfinite(part.low):
        axis.plot(
            [min(part.low, limit), min(part.high, limit)], [y, y], color=colour, lw=1.8,
            solid_capstyle="butt",
        )  # fmt: skip
        if part.high > limit:
            axis.plot([limit], [y], marker=">", ms=5, color=colour, clip_on=False, zorder=3)
    axis.plot(
        [min(part.sd, limit)], [y], marker=marker, ms=5, ls="none", color=colour, clip_on=False,
        markerfacecolor=colour if part.sd > 0 else "white", zorder=4,
    )  # fmt: skip


def _limit(parts: Sequence[Component]) -> float:
    """The end of the shared axis: no interval makes it longer than twice what estimates need."""
    largest = max((c.sd for c in parts), default=0.0)
    inside = [c.high for c in parts if math.isfinite(c.high) and c.high <= 2 * largest]
    return 1.06 * max([largest, *inside]) or 1.0


def _mark(colour: str, marker: str, face: str = "") -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], ls="none", marker=marker, ms=5, color=colour, markerfacecolor=face or colour
    )


def _plain(axis: Axes) -> None:
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
