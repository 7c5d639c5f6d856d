"""The picture of tuned against tuned: from the selected score to the confirmed one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from stats.figures.canvas import finish, foot, grid, style
from stats.figures.comparison import BLUE, GREY, INK
from stats.tuned.result import DIFFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stats.tuned.result import Tuned

STAGES = ("as selected", "fresh seeds", "test items")
"""Validation items and the search's seeds; the same items, fresh seeds; test items, fresh seeds."""


def shrinkage_plot(
    result: Tuned, *, label: Callable[[str], str] = str, sesoi: float | None = None, title: str = ""
) -> Figure:
    """Both arms' scores at the three stages, left, and their difference, right.

    Only the last difference is a result and has an interval: the result's headline. The band on
    the right is +/- ``sesoi``, in the result's units.
    """
    with style("white"):
        figure, (left, right) = grid(
            2, 2, width=3.1, height=2.2, left=0.75, foot=0.78, above=0.35, gap=0.85, title=title
        )
        looks = ((result.baseline, GREY, "--", "s"), (result.arm, BLUE, "-", "o"))
        handles = []
        for who, colour, line, marker in looks:
            row = result.shrunk(who)
            handles += left.plot(
                range(3), (row.selected, row.fresh, row.test), color=colour, ls=line, lw=1.6,
                marker=marker, ms=5, label=label(who),
            )  # fmt: skip
        left.set_ylabel(f"score, {result.units}", fontsize=8)
        left.set_title("each arm at its chosen setting", fontsize=9)
        gap, found = result.shrunk(DIFFERENCE), result.headline
        if sesoi is not None:
            right.axhspan(-sesoi, sesoi, color="#ececec", lw=0)
        right.axhline(0, color=INK, lw=0.9)
        right.plot(
            range(3), (gap.selected, gap.fresh, gap.test), color=BLUE, lw=1.2, ls=":", zorder=2
        )
        right.plot(
            range(2), (gap.selected, gap.fresh), color=BLUE, ls="none", marker="o", ms=5,
            markerfacecolor="white", zorder=3,
        )  # fmt: skip
        if not math.isnan(found.ci_low):
            right.plot([2, 2], [found.ci_low, found.ci_high], color=BLUE, lw=2.2, zorder=2)
        right.plot([2], [found.mean], color=BLUE, marker="o", ms=6, ls="none", zorder=3)
        right.set_ylabel(f"difference, {result.units}", fontsize=8)
        right.set_title(f"{label(result.arm)} minus {label(result.baseline)}", fontsize=9)
        for axis in (left, right):
            _stages(axis)
        foot(figure, handles, [str(handle.get_label()) for handle in handles])
        finish(figure, "", title)
    return figure


def _stages(axis: Axes) -> None:
    axis.set_xticks(range(3), STAGES)
    axis.set_xlim(-0.25, 2.25)
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
