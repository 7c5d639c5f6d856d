"""A picture of retention: how far each arm's lower limits stay above the margin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablate.cost.retention import AS_IS, Retention
from stats.figures.canvas import finish, foot, grid, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, INK = "#0173b2", "#c9730a", "#222222"


def retention_figure(kept: Retention) -> Figure:
    """A panel per backbone and benchmark, a row per arm: mean differences with lower limits.

    Circles compare with the adapter alone, squares with the backbone as it is; filled ones exclude
    a loss of the margin. The line is the margin. Arms without a limit show their mean alone.
    """
    cells = list(
        dict.fromkeys(
            (place.backbone, place.benchmark) for arm in kept.arms for place in arm.places
        )
    )
    labels = [arm.label for arm in kept.arms]
    across = min(3, len(cells))
    with style("white"):
        figure, axes = grid(
            len(cells),
            across,
            width=2.7 if across > 1 else 5.0,
            height=0.34 * len(labels) + 0.2,
            left=0.35 + 0.072 * max(map(len, labels)),
        )
        for i, (panel, (backbone, benchmark)) in enumerate(zip(axes, cells, strict=True)):
            for row, arm in enumerate(kept.arms):
                for place in arm.places:
                    if (place.backbone, place.benchmark) != (backbone, benchmark):
                        continue
                    test = arm.together.tests[place.key]
                    as_is = place.against == AS_IS
                    colour, y = (ORANGE, row + 0.15) if as_is else (BLUE, row - 0.15)
                    shown = test.holds or test.identical
                    if not math.isnan(test.low):
                        panel.plot([test.low, test.mean], [y, y], color=colour, lw=1.4)
                        panel.plot([test.low], [y], marker="|", ms=6, color=colour)
                    panel.plot(
                        [test.mean],
                        [y],
                        marker="s" if as_is else "o",
                        ms=5,
                        color=colour,
                        mfc=colour if shown else "white",
                        ls="none",
                    )
            panel.axvline(0, color=INK, lw=0.6)
            panel.axvline(-kept.margin, color=INK, lw=0.9, ls="--")
            panel.set_ylim(len(labels) - 0.5, -0.5)
            panel.set_yticks(range(len(labels)), labels if i % across == 0 else [], fontsize=8)
            panel.tick_params(axis="x", labelsize=8)
            panel.set_title(f"{backbone} × {benchmark}", fontsize=8.5)
            for side in ("top", "right", "left"):
                panel.spines[side].set_visible(False)
        _share_x(axes)
        _legend(figure, kept.margin)
        finish(figure, "difference on retention, points", "")
    return figure


def _share_x(axes: list[Axes]) -> None:
    low = min(axis.get_xlim()[0] for axis in axes)
    high = max(axis.get_xlim()[1] for axis in axes)
    for axis in axes:
        axis.set_xlim(low, high)


def _legend(figure: Figure, margin: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", color=BLUE, lw=1.4),
        Line2D([], [], marker="s", color=ORANGE, lw=1.4),
        Line2D([], [], marker="o", color=INK, mfc="white", ls="none"),
        Line2D([], [], color=INK, lw=0.9, ls="--"),
    ]
    words = ["against the adapter", "against the backbone as it is", "open: not shown",
             f"margin, -{margin:g}"]  # fmt: skip
    foot(figure, handles, words)
