"""Pictures of mixed models: residuals, predicted effects, intervals of SDs, interactions.

Each function returns a new matplotlib Figure and touches no global state of matplotlib. Kinds and
factors have a marker or a line style of their own beside their colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError, nearest
from stats.figures.canvas import finish, foot, grid, style
from stats.figures.comparison import BLUE, GREEN, GREY, INK, ORANGE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stats.mixed.emm import Means
    from stats.mixed.fit import LmmFit
    from stats.mixed.profile import Interval, Intervals

# Colour, line style, marker of the lines of an interaction, and of the kinds of components.
_LINES = (
    (BLUE, "-", "o"), (ORANGE, "--", "^"), (GREEN, "-.", "s"), (GREY, ":", "D"),
    (INK, (0, (5, 1)), "v"), ("#cc78bc", (0, (1, 1)), "P"),
)  # fmt: skip
_KINDS = {"random": (BLUE, "o"), "fixed": (ORANGE, "s")}
_MOST_LABELS = 30
_BAND = 0.95


def residual_plots(fit: LmmFit, *, units: str = "", title: str = "") -> Figure:
    """Residuals against fitted values, and against the quantiles of a normal distribution.

    Right, residuals are in units of sigma; the line is a normal distribution with their own spread
    (shrinkage makes it smaller than 1) and the band holds 95 % of each order statistic of as many
    independent normal draws, point by point: i-th of n is Beta(i, n + 1 - i) on the probability
    scale (David and Nagaraja 2003, Order Statistics, section 2.1). One point in twenty leaves it.
    """
    from scipy import special

    table = fit.residuals()
    n = len(table)
    with style("white"):
        figure, (left, right) = grid(
            2, 2, width=3.2, height=2.5, left=0.75, foot=0.85, above=0.35, gap=0.9, title=title
        )
        look: dict[str, Any] = {
            "marker": "o", "ls": "none", "ms": 4 if n <= 200 else 2, "mew": 0, "color": BLUE,
            "alpha": 0.7 if n <= 200 else 0.35,
        }  # fmt: skip
        left.axhline(0, color=INK, lw=0.9)
        left.plot(table["fitted"], table["residual"], **look)
        left.set_xlabel(_with_units("fitted", units), fontsize=8)
        left.set_ylabel(_with_units("residual", units), fontsize=8)
        left.set_title("residuals against fitted values", fontsize=9)
        rank = np.arange(1, n + 1)
        x = special.ndtri((rank - 0.5) / n)
        spread = float(table["scaled"].std(ddof=0))
        tails = ((1 - _BAND) / 2, (1 + _BAND) / 2)
        low, high = (special.ndtri(special.betaincinv(rank, n + 1 - rank, p)) for p in tails)
        band = right.fill_between(x, spread * low, spread * high, color="#d9d9d9", lw=0)
        (line,) = right.plot(x[[0, -1]], spread * x[[0, -1]], color=INK, lw=0.9)
        right.plot(table["quantile"], table["scaled"], **look)
        right.set_xlabel("quantile of a normal distribution", fontsize=8)
        right.set_ylabel("residual / sigma", fontsize=8)
        right.set_title("residuals against the normal", fontsize=9)
        for axis in (left, right):
            _plain(axis)
        foot(figure, [line, band], ["normal distribution", f"{_BAND:.0%} band, point by point"])
        finish(figure, "", title)
    return figure


def random_effects_plot(
    fit: LmmFit, *, groups: Sequence[str] = (), units: str = "", title: str = ""
) -> Figure:
    """Predicted effects of every level with +-1.96 conditional SDs, in order of size.

    One panel for each covariate of each random term; ``groups`` selects terms by their labels.
    Levels are named where a panel has no more than 30. The SDs hold the variances fixed: they are
    too small with few levels. Raises StatsError for an unknown group and a fit without random
    terms.
    """
    table = fit.effects()
    known = list(dict.fromkeys(table["group"]))
    if not known:
        raise StatsError("the fit has no random term", place="random_effects_plot")
    for name in groups:
        if name not in known:
            raise StatsError(
                f"there is no random term over '{name}'", place="random_effects_plot", value=name,
                hint=nearest(name, known),
            )  # fmt: skip
    panels = [
        (group, term, rows.sort_values("value"))
        for group in (groups or known)
        for term, rows in table[table["group"] == group].groupby("term", sort=False)
    ]
    most = max(len(rows) for _, _, rows in panels)
    labels = [str(v) for _, _, rows in panels if len(rows) <= _MOST_LABELS for v in rows["level"]]
    room = 0.35 + 0.062 * max(map(len, labels), default=0)
    across = min(3, len(panels))
    with style("white"):
        figure, axes = grid(
            len(panels), across, width=2.6, height=min(max(0.17 * most, 1.2), 4.5), left=room,
            gap=max(room, 0.35), below=0.3, foot=0.78, above=0.35, title=title,
        )  # fmt: skip
        for axis, (group, term, rows) in zip(axes, panels, strict=True):
            at = np.arange(len(rows))
            value, half = rows["value"].to_numpy(), 1.959964 * rows["sd"].to_numpy()
            dense = len(rows) > _MOST_LABELS
            axis.axvline(0, color=INK, lw=0.9, zorder=1)
            bars, width, size = ("#9db8c9", 0.8, 2.0) if dense else (BLUE, 1.6, 4.0)
            axis.hlines(at, value - half, value + half, color=bars, lw=width)
            axis.plot(value, at, marker="o", ms=size, ls="none", color=BLUE, mew=0, zorder=3)
            axis.set_yticks([] if dense else at, [] if dense else list(rows["level"]))
            axis.set_ylim(-0.7, len(rows) - 0.3)
            name = group if term == "(Intercept)" else f"{group}: {term}"
            axis.set_title(f"{name} ({len(rows)} levels)" if dense else name, fontsize=9)
            _plain(axis)
            axis.tick_params(axis="y", length=0, labelsize=7)
        finish(figure, _with_units("predicted effect ±1.96 SD", units), title)
    return figure


def profile_plot(
    result: LmmFit | Intervals, *, confidence_level: float = 0.95, units: str = "", title: str = ""
) -> Figure:
    """Standard deviations of the random terms with profile intervals; correlations beside them.

    Handing in ``fit.intervals()`` saves computing them again; ``confidence_level`` is for fits. An
    estimate of zero is drawn hollow, an interval without an upper end with an arrow.
    """
    from stats.mixed.profile import Intervals

    found = result if isinstance(result, Intervals) else result.intervals(confidence_level)
    sds = [row for row in found.rows if row.kind == "sd"]
    correlations = [row for row in found.rows if row.kind == "correlation"]
    names = [[_row_name(row) for row in rows] for rows in (sds, correlations) if rows]
    room = 0.35 + 0.065 * max(len(name) for part in names for name in part)
    with style("white"):
        figure, axes = grid(
            len(names), len(names), width=3.4, height=max(0.28 * len(sds) + 0.15, 0.6), left=room,
            gap=room, foot=0.78, above=0.35, title=title,
        )  # fmt: skip
        _intervals(axes[0], sds, names[0])
        axes[0].set_title(_with_units("standard deviation", units), fontsize=9)
        if correlations:
            _intervals(axes[1], correlations, names[1])
            axes[1].axvline(0, color=INK, lw=0.9, zorder=1)
            axes[1].set_xlim(-1.04, 1.04)
            axes[1].set_ylim(*axes[0].get_ylim())
            axes[1].set_title("correlation", fontsize=9)
        finish(figure, f"estimate and {found.confidence_level:.0%} profile interval", title)
    return figure


def interaction_plot(means: Means, *, x: str = "", units: str = "", title: str = "") -> Figure:
    """Marginal means over one or two factors: one along the axis, a line for each level of another.

    ``x`` names the factor along the axis (default: the one with more levels, or the first). Bars
    are the means' intervals; lines that run in parallel show no interaction. Means that cannot be
    estimated leave gaps. Raises StatsError for three factors and more, and an unknown ``x``.
    """
    factors = means.factors
    if len(factors) not in (1, 2):
        raise StatsError(
            f"the means are over {len(factors)} factors", place="interaction_plot",
            value=list(factors), hint="take marginal means over one or two",
        )  # fmt: skip
    levels = {name: list(dict.fromkeys(row[i] for row in means.levels))
              for i, name in enumerate(factors)}  # fmt: skip
    if x and x not in factors:
        raise StatsError(
            f"the means are not over '{x}'", place="x", value=x, hint=nearest(x, factors)
        )
    along = x or max(factors, key=lambda name: len(levels[name]))
    (other,) = [name for name in factors if name != along] or [""]
    table = means.table()
    lines = levels[other] if other else [""]
    ticks = [str(level) for level in levels[along]]
    longest = 0.075 * max(map(len, ticks))
    room = max(longest + 0.1, 0.55, 0.14 * len(lines))
    turned = room * len(ticks) > 7 and longest > 0.5
    width = max(3.2, (max(0.3, 0.14 * len(lines)) if turned else room) * len(ticks))
    if other:  # the legend's five entries in a row
        entry = 0.5 + 0.068 * max(len(f"{other} {level}") for level in lines)
        width = max(width, entry * min(5, len(lines)) - 1.25)
    foot_room = 0.7 + (0.3 if other else 0.0) + (longest if turned else 0.0)
    with style("whitegrid"):
        figure, (axis,) = grid(
            1, 1, width=width, height=2.6, left=0.8, above=0.25, title=title,
            foot=foot_room,
        )  # fmt: skip
        handles: list[Any] = []
        step = min(0.12, 0.5 / max(len(lines), 1))
        for i, (level, look) in enumerate(zip(lines, cycle(_LINES), strict=False)):
            colour, dashes, marker = look
            own = table[table[other] == level] if other else table
            own = own.set_index(along).loc[levels[along]]
            at = np.arange(len(ticks)) + (i - (len(lines) - 1) / 2) * step
            known = own["mean"].notna().to_numpy()
            axis.vlines(
                at[known], own["ci_low"][known], own["ci_high"][known], color=colour, lw=1.4
            )
            handles += axis.plot(
                at, own["mean"], color=colour, ls=dashes, marker=marker, ms=5.5, lw=1.4,
                markerfacecolor=colour, label=str(level),
            )  # fmt: skip
        axis.set_xticks(range(len(ticks)), ticks, rotation=90 if turned else 0)
        axis.set_xlim(-0.5, len(ticks) - 0.5)
        axis.grid(False, axis="x")
        axis.set_ylabel(_with_units("marginal mean", units), fontsize=8)
        axis.set_xlabel(along, fontsize=9)
        axis.tick_params(labelsize=8)
        if other:
            foot(figure, handles, [f"{other} {handle.get_label()}" for handle in handles])
        finish(figure, "", title)
    return figure


def decomposition_plot(rows: pd.DataFrame, *, units: str = "points", title: str = "") -> Figure:
    """Sources of variation as standard deviations with intervals and shares of the variance.

    ``rows`` has the columns component, sd, low, high, share (of 1; NaN for none) and perhaps kind
    ("random", or "fixed": the spread over these very levels); within a kind the largest comes
    first. Zero is drawn hollow, an interval without an upper end with an arrow. Raises StatsError
    for missing columns and an empty table.
    """
    needed = ("component", "sd", "low", "high", "share")
    for name in needed:
        if name not in rows.columns:
            raise StatsError(
                f"there is no column '{name}'", place="decomposition_plot", value=name,
                hint=f"needed: {', '.join(needed)}",
            )  # fmt: skip
    if rows.empty:
        raise StatsError("there is no component to draw", place="decomposition_plot")
    from matplotlib.lines import Line2D

    kinds = list(rows["kind"]) if "kind" in rows.columns else ["random"] * len(rows)
    order = sorted(
        range(len(rows)), key=lambda i: (kinds[i] != "random", -float(rows["sd"].iloc[i]))
    )
    shown = rows.iloc[order]
    kinds = [kinds[i] for i in order]
    names = [str(name) for name in shown["component"]]
    with style("white"):
        figure, (axis,) = grid(
            1, 1, width=4.6, height=0.27 * len(names) + 0.15, above=0.3,
            left=0.35 + 0.07 * max(map(len, names)),
            foot=0.9 if len(set(kinds)) > 1 else 0.78, title=title,
        )  # fmt: skip
        limit = _limit(shown["sd"].tolist(), shown["high"].tolist())
        drawn: dict[str, Any] = {}
        for y, (kind, row) in enumerate(zip(kinds, shown.itertuples(), strict=True)):
            colour, marker = _KINDS.get(kind, _KINDS["random"])
            drawn[kind] = Line2D([], [], ls="none", marker=marker, color=colour)
            _bar(axis, y, row.sd, row.low, row.high, limit, colour, marker)
            share = float(row.share)
            text = "" if math.isnan(share) else "<1 %" if 0 < share < 0.005 else f"{share:.0%}"
            axis.text(
                1.02, y, text.replace("%", " %").replace("  ", " "), fontsize=8, va="center",
                transform=axis.get_yaxis_transform(), clip_on=False,
            )  # fmt: skip
        axis.text(1.02, 1.0, "share", transform=axis.transAxes, fontsize=8, va="bottom", color=GREY)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlim(0, limit)
        _plain(axis)
        axis.tick_params(axis="y", length=0)
        if len(drawn) > 1:
            meanings = {"random": "random", "fixed": "fixed: spread over these levels"}
            foot(figure, list(drawn.values()), [meanings.get(kind, kind) for kind in drawn])
        finish(figure, _with_units("standard deviation", units), title)
    return figure


def _intervals(axis: Axes, rows: Sequence[Interval], names: Sequence[str]) -> None:
    limit = _limit([row.estimate for row in rows], [row.high for row in rows])
    for y, row in enumerate(rows):
        _bar(axis, y, row.estimate, row.low, row.high, limit, BLUE, "o")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(max(len(names), 2) - 0.5, -0.5)
    axis.set_xlim(0, limit)
    _plain(axis)
    axis.tick_params(axis="y", length=0)


def _bar(
    axis: Axes, y: int, value: float, low: float, high: float, limit: float, colour: str,
    marker: str,
) -> None:  # fmt: skip
    """One interval with its estimate; beyond ``limit`` an arrow."""
    if math.isfinite(low) and not math.isnan(high):
        axis.plot([low, min(high, limit)], [y, y], color=colour, lw=2.2, solid_capstyle="butt")
        if high > limit:
            axis.plot([limit], [y], marker=">", ms=5, color=colour, clip_on=False, zorder=3)
    axis.plot(
        [value], [y], marker=marker, ms=6, ls="none", color=colour, clip_on=False, zorder=3,
        markerfacecolor=colour if value != 0 else "white",
    )  # fmt: skip


def _limit(values: Sequence[float], highs: Sequence[float]) -> float:
    """The end of the axis: all intervals but those more than twice as long as the rest need."""
    finite = sorted(high for high in highs if math.isfinite(high))
    largest = max([*(v for v in values if math.isfinite(v)), 0.0])
    if not finite:
        return 1.3 * largest or 1.0
    middle = finite[len(finite) // 2]
    inside = [high for high in finite if high <= max(3 * largest, 1.5 * middle)]
    return 1.05 * max([largest, *inside]) or 1.0


def _row_name(row: Interval) -> str:
    if not row.term or row.term == "(Intercept)":
        return row.group
    return f"{row.group}: {row.term.replace('(Intercept)', 'intercept')}"


def _with_units(text: str, units: str) -> str:
    return f"{text}, {units}" if units else text


def _plain(axis: Axes) -> None:
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
