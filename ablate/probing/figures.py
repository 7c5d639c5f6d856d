"""Pictures of a run's inside: curves over layers, one row of panels per backbone.

Each function returns a new matplotlib Figure and touches no global state of matplotlib. Lines
differ in colour, style and marker, so that nothing hangs on colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.probing.summary import BLOCK, RANDOM, SHUFFLED, STATIC, Mean, Summary
from stats.figures.canvas import finish, grid, style
from stats.figures.comparison import BLUE, GREEN, GREY, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PURPLE = "#8d4f9f"
HEADROOM = 1.8
"""The frame's height over the highest mean of a curve."""
_LOOKS = {
    BLOCK: (BLUE, "-", "o"),
    STATIC: (ORANGE, "--", "s"),
    SHUFFLED: (GREEN, "-.", "^"),
    RANDOM: (GREY, ":", "x"),
}
_BENCHMARKS = (
    (BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, "-.", "^"), (PURPLE, ":", "D"),
    (INK, (0, (5, 1)), "v"), (GREY, (0, (1, 1)), "x"),
)  # fmt: skip
NAMES = {
    BLOCK: "the block",
    STATIC: "static memory",
    SHUFFLED: "memory of another sequence",
    RANDOM: "random direction of equal size",
}
"""The variants for people."""


def growth_plot(summaries: Sequence[Summary], *, title: str = "") -> Figure:
    """rel_diff over layers: left per benchmark, right the block beside what was put in its place.

    A row of panels per summary; bands are t intervals over seeds, the dotted upright line the site.
    """
    benchmarks = list(dict.fromkeys(name for s in summaries for name in s.benchmarks))
    looks = dict(zip(benchmarks, cycle(_BENCHMARKS), strict=False))
    with style("white"):
        figure, axes = _panels(summaries, title)
        lines: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for row, summary in enumerate(summaries):
            left, right = axes[2 * row : 2 * row + 2]
            means = [0.0]
            for name in summary.benchmarks:
                curve = summary.curve("rel_diff", BLOCK, name)
                lines[0][name] = _line(left, curve, looks[name])
                means += [point.mean for point in curve]
            for variant in summary.variants:
                curve = summary.curve("rel_diff", variant)
                lines[1][NAMES[variant]] = _line(right, curve, _LOOKS[variant])
                means += [point.mean for point in curve]
            # Bands of few seeds may leave the frame: they would press all else flat.
            top = HEADROOM * float(np.nanmax(means)) or 1.0
            for axis, text in ((left, "the block, per benchmark"), (right, "substitutions")):
                axis.set_ylim(0, top)
                _frame(axis, summary, f"{summary.backbone}: {text}")
            left.set_ylabel("rel_diff", fontsize=8)
        _foot(figure, lines, title)
    return figure


def direction_plot(summaries: Sequence[Summary], *, title: str = "") -> Figure:
    """The adapter's update beside the perturbation over layers: ratio of sizes, and cosines.

    The random directions show which cosine "near zero" is; bands are t intervals over seeds.
    """
    with style("white"):
        figure, axes = _panels(summaries, title)
        lines: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for row, summary in enumerate(summaries):
            left, right = axes[2 * row : 2 * row + 2]
            ratio = summary.curve("update_ratio")
            lines[0]["size of update / size of perturbation"] = _line(left, ratio, _LOOKS[BLOCK])
            if any(point.mean > 0 for point in ratio):
                left.set_yscale("log")
                left.yaxis.set_major_formatter("{x:g}")
            left.axhline(1, color=GREY, lw=0.8, zorder=0)
            looks = (
                ("cosine_tokens", BLOCK, "cosine per token, averaged", (BLUE, "-", "o")),
                ("cosine_mean", BLOCK, "cosine of averages", (ORANGE, "--", "s")),
                ("cosine_tokens", RANDOM, "per token, random direction", _LOOKS[RANDOM]),
            )
            for measure, variant, text, look in looks:
                lines[1][text] = _line(right, summary.curve(measure, variant), look)
            right.axhline(0, color=INK, lw=0.8, zorder=0)
            _frame(left, summary, f"{summary.backbone}: sizes")
            _frame(right, summary, f"{summary.backbone}: directions")
            right.set_ylim(-1.05, 1.05)
            left.set_ylabel("ratio", fontsize=8)
            right.set_ylabel("cosine", fontsize=8)
        _foot(figure, lines, title)
    return figure


def _panels(summaries: Sequence[Summary], title: str) -> tuple[Figure, Any]:
    """A row of two panels per summary, and room below for the legends."""
    return grid(
        2 * len(summaries), 2, width=4.1, height=2.2, left=0.75, below=0.55, above=0.4,
        foot=1.05, gap=0.75, title=title,
    )  # fmt: skip


def _line(axis: Axes, curve: Sequence[Mean], look: tuple[Any, ...]) -> Any:
    """A curve of means over layers with its band; returns its line."""
    colour, dash, marker = look
    layers = np.arange(len(curve))
    mean = np.array([point.mean for point in curve])
    low = np.array([point.low if point.has_interval else point.mean for point in curve])
    high = np.array([point.high if point.has_interval else point.mean for point in curve])
    axis.fill_between(layers, low, high, color=colour, alpha=0.15, lw=0)
    (line,) = axis.plot(
        layers, mean, color=colour, ls=dash, lw=1.5, marker=marker, ms=3.5,
        markevery=max(1, len(curve) // 9),
    )  # fmt: skip
    return line


def _frame(axis: Axes, summary: Summary, text: str) -> None:
    axis.set_title(text, fontsize=9, loc="left")
    axis.axvline(summary.site, color=INK, ls=":", lw=0.9, zorder=0)
    axis.set_xlim(-0.2, summary.layers + 0.2)
    step = max(1, round(summary.layers / 8))
    axis.set_xticks(range(0, summary.layers + 1, step))
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _foot(figure: Figure, lines: tuple[dict[str, Any], dict[str, Any]], title: str) -> None:
    """The label of all x axes, and below it a legend for each column of panels."""
    finish(figure, "", title)
    left, right = figure.axes[0].get_position(), figure.axes[1].get_position()
    for box, named in zip((left, right), lines, strict=True):
        figure.legend(
            list(named.values()), list(named), loc="lower left", bbox_to_anchor=(box.x0, 0.0),
            ncols=2 if len(named) < 5 else 3, fontsize=8, frameon=False, borderpad=0,
        )  # fmt: skip
    figure.text(
        0.5, 0.56 / float(figure.get_figheight()),
        "state: 0 enters the first layer, the last one leaves the last layer; dotted: the site",
        ha="center", va="bottom", fontsize=8.5,
    )  # fmt: skip
