"""Pictures of descriptions: performance profiles, budget curves, where differences vary.

Each function returns a new matplotlib Figure and touches no global state of matplotlib. Arms have
their own line style and marker beside their colour, so that nothing hangs on colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError
from stats.figures.canvas import finish, foot, grid, style
from stats.figures.comparison import BLUE, GREEN, GREY, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stats.describe.budget import BudgetCurve, BudgetPoint
    from stats.describe.profiles import Profile
    from stats.items.twoway import TwoWay

# Colour, line style, marker: the baseline has the first, arms the others in turn.
_BASELINE = (GREY, "--", "s")
_TITLES = {"trial": "best of n trials", "search": "best score so far"}
_ARMS = ((BLUE, "-", "o"), (ORANGE, "-.", "^"), (GREEN, ":", "D"), (INK, (0, (5, 1)), "v"))


def profile_plot(profile: Profile, *, label: Callable[[str], str] = str, title: str = "") -> Figure:
    """Both arms' shares of runs above each threshold, left, and their difference, right.

    Bands are pointwise, at the profile's confidence level; that of the difference uses the pairs.
    """
    with style("white"):
        figure, (left, right) = grid(
            2, 2, width=3.3, height=2.3, left=0.7, foot=0.8, above=0.35, gap=0.85, title=title
        )
        sides = (
            (profile.baseline, _BASELINE, "baseline"),
            (profile.arm, _ARMS[0], "arm"),
        )
        handles: list[Any] = []
        for name, (colour, line, marker), side in sides:
            low, high = getattr(profile, f"{side}_low"), getattr(profile, f"{side}_high")
            left.fill_between(profile.thresholds, low, high, color=colour, alpha=0.18, lw=0)
            share = getattr(profile, f"{side}_share")
            handles += left.plot(
                profile.thresholds, share, color=colour, ls=line, lw=1.6, marker=marker, ms=4,
                markevery=max(1, profile.thresholds.size // 8), label=label(name),
            )  # fmt: skip
        left.set_ylim(-0.03, 1.03)
        left.set_ylabel("share of runs above", fontsize=8)
        left.set_title("profiles", fontsize=9)
        right.axhline(0, color=INK, lw=0.9)
        right.fill_between(
            profile.thresholds, profile.delta_low, profile.delta_high, color=BLUE, alpha=0.18, lw=0
        )
        right.plot(profile.thresholds, profile.delta, color=BLUE, lw=1.6)
        right.set_ylabel("difference of shares", fontsize=8)
        right.set_title(f"{label(profile.arm)} minus {label(profile.baseline)}", fontsize=9)
        for axis in (left, right):
            _plain(axis)
            axis.set_xlim(profile.thresholds[0], profile.thresholds[-1])
        foot(figure, [_band(), *handles], [_band_label(profile.confidence_level), *_names(handles)])
        finish(figure, f"threshold, {profile.units}", title)
    return figure


def budget_plot(
    curve: BudgetCurve, *, label: Callable[[str], str] = str, title: str = ""
) -> Figure:
    """Expected best score against the number of trials (log scale), one curve per arm, with bands.

    With differences in the curve a second panel shows them, arm minus baseline. Bands of the
    largest third of the budgets may leave the frame: they would press all else flat.
    """
    looks = dict(_looks(curve.arms, curve.baseline))
    n = 2 if curve.differences else 1
    with style("white"):
        figure, axes = grid(
            n, n, width=3.3 if n > 1 else 4.2, height=2.3, left=0.75, foot=0.8, above=0.35,
            gap=0.85, title=title,
        )  # fmt: skip
        handles = [
            _curve(axes[0], [p for p in curve.points if p.arm == arm], looks[arm], label(arm))
            for arm in curve.arms
        ]
        axes[0].set_ylabel(f"expected best score, {curve.units}", fontsize=8)
        axes[0].set_title(_TITLES[curve.unit], fontsize=9)
        if curve.differences:
            axes[1].axhline(0, color=INK, lw=0.9)
            for arm in curve.arms:
                minus = [p for p in curve.differences if p.arm == arm]
                if minus:
                    _curve(axes[1], minus, looks[arm], label(arm))
            axes[1].set_ylabel(f"difference, {curve.units}", fontsize=8)
            axes[1].set_title(f"minus {label(curve.baseline)}", fontsize=9)
        for axis, points in zip(axes, (curve.points, curve.differences), strict=False):
            _plain(axis)
            _budget_axis(axis, max(p.budget for p in curve.points))
            axis.set_ylim(*_frame(points))
        names = _names(handles)
        if any(np.isfinite(p.low) for p in curve.points):
            handles, names = [_band(), *handles], [_band_label(curve.confidence_level), *names]
        foot(figure, handles, names)
        finish(figure, "trials", title)
    return figure


def component_plot(result: TwoWay, *, title: str = "") -> Figure:
    """The standard deviations of the differences by source, with their intervals.

    A source whose variance estimate is negative is drawn hollow, at zero. Raises StatsError where
    nothing varies.
    """
    parts = result.components
    if not any(np.isfinite(part.high) for part in parts):
        raise StatsError("the differences do not vary", place="component_plot")
    with style("white"):
        figure, (axis,) = grid(
            1, 1, width=4.6, height=0.3 * len(parts) + 0.2, left=1.35, foot=0.72, above=0.2,
            title=title,
        )  # fmt: skip
        for y, part in enumerate(parts):
            if np.isfinite(part.high):
                ends = np.sqrt([part.low, part.high])
                axis.plot(ends, [y, y], color=BLUE, lw=2.2, solid_capstyle="butt")
            axis.plot(
                [part.sd], [y], marker="o", ms=6, color=BLUE, ls="none", clip_on=False, zorder=3,
                markerfacecolor=BLUE if part.raw > 0 else "white",
            )  # fmt: skip
        axis.set_yticks(range(len(parts)), [part.name for part in parts])
        axis.set_ylim(len(parts) - 0.5, -0.5)
        axis.set_xlim(left=0)
        _plain(axis)
        axis.tick_params(axis="y", length=0)
        finish(figure, f"SD of the differences by source, {result.units}", title)
    return figure


def _looks(arms: Sequence[str], baseline: str) -> list[tuple[str, tuple[Any, ...]]]:
    others = cycle(_ARMS)
    return [(arm, _BASELINE if arm == baseline else next(others)) for arm in arms]


def _curve(axis: Axes, points: Sequence[BudgetPoint], look: tuple[Any, ...], name: str) -> Any:
    colour, line, marker = look
    x = np.array([p.budget for p in points], dtype=float)
    low, high = np.array([p.low for p in points]), np.array([p.high for p in points])
    # An open end has no place in a picture: the band is left out there, as where it is undefined.
    shown = np.isfinite(low) & np.isfinite(high)
    axis.fill_between(x, low, high, where=shown.tolist(), color=colour, alpha=0.12, lw=0)
    for end in (low, high):
        axis.plot(x, np.where(shown, end, np.nan), color=colour, ls=line, lw=0.6, alpha=0.7)
    (drawn,) = axis.plot(
        x, [p.expected for p in points], color=colour, ls=line, lw=1.6, marker=marker, ms=4,
        markevery=max(1, len(points) // 8), label=name,
    )  # fmt: skip
    return drawn


def _frame(points: Sequence[BudgetPoint]) -> tuple[float, float]:
    budgets = sorted({p.budget for p in points})
    early = budgets[2 * (len(budgets) - 1) // 3]
    ends = [p.expected for p in points]
    ends += [end for p in points if p.budget <= early for end in (p.low, p.high)]
    finite = [end for end in ends if np.isfinite(end)]
    room = 0.06 * (max(finite) - min(finite)) or 1.0
    return min(finite) - room, max(finite) + room


def _budget_axis(axis: Axes, largest: int) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    if largest > 10:
        axis.set_xscale("log")
        ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if t <= largest]
        axis.set_xticks(ticks, [str(t) for t in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.set_xticks(range(1, largest + 1))


def _plain(axis: Axes) -> None:
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _band() -> Any:
    from matplotlib.patches import Patch

    return Patch(color="#d9d9d9")


def _band_label(level: float) -> str:
    return f"{level:.0%} band, point by point"


def _names(handles: Sequence[Any]) -> list[str]:
    return [str(handle.get_label()) for handle in handles]
