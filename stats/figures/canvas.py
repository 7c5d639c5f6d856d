"""Layout of figures: style, a grid of panels in inches, legend and titles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@contextmanager
def style(name: str) -> Iterator[None]:
    """One of seaborn's styles with the font that matplotlib brings along, for this block only."""
    import matplotlib
    import seaborn

    with matplotlib.rc_context(
        seaborn.axes_style(name)
        | {"font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"]}
    ):
        yield


def grid(
    n: int,
    across: int,
    *,
    width: float,
    height: float,
    left: float,
    below: float = 0.3,
    foot: float = 0.72,
    above: float = 0.4,
    gap: float = 0.28,
    title: str = "",
) -> tuple[Figure, list[Axes]]:
    """A figure of ``n`` panels of ``width`` x ``height``, row by row, ``across`` in a row.

    All lengths are inches: room ``left`` of the first column, ``below`` each row, ``above`` the
    first and for the ``foot`` (legend, axis label) under the last, a ``gap`` between columns.
    Set by hand because matplotlib's layout engines measure every text of every panel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    down = math.ceil(n / across)
    top, right = above + (0.3 if title else 0.0), 0.45
    step_x, step_y = width + gap, height + below + 0.32
    whole_x = left + step_x * across - gap + right
    whole_y = top + step_y * (down - 1) + height + foot
    figure = Figure(figsize=(whole_x, whole_y), facecolor="white")
    FigureCanvasAgg(figure)
    axes = []
    for i in range(n):
        row, column = divmod(i, across)
        x, y = left + column * step_x, whole_y - top - row * step_y - height
        axes.append(figure.add_axes((x / whole_x, y / whole_y, width / whole_x, height / whole_y)))
    return figure, axes


def foot(figure: Figure, handles: list[Any], labels: list[str]) -> None:
    """A legend for the whole figure, under its panels."""
    figure.legend(
        handles, labels, loc="lower center", ncols=5, fontsize=8, frameon=False, borderpad=0
    )


def finish(figure: Figure, x_label: str, title: str) -> None:
    """The label that all x axes share and the title; "" for none."""
    height = float(figure.get_figheight())
    if x_label:
        figure.text(0.5, 0.3 / height, x_label, ha="center", va="bottom", fontsize=9)
    if title:
        figure.text(0.01, 1 - 0.1 / height, title, ha="left", va="top", fontsize=10.5)
