"""Tables for people: aligned text for a terminal, and LaTeX. Rounding is ``stats.wording``'s."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stats.wording import number, p_value

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 100
_TEX = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
    "<": r"$<$", ">": r"$>$", "|": r"$|$",
}  # fmt: skip


def cell(value: Any, column: str = "") -> str:
    """One value as text: p columns (``p``, ``p_...``) as p-values, numbers short, None as "-"."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if column == "p" or column.startswith(("p_", "p ")):
            return p_value(value)
        if math.isfinite(value) and value == round(value) and abs(value) < 1e6:
            return f"{value:.0f}"
        return f"{value:.2g}" if 0 < abs(value) < 0.001 else number(value)
    return str(value)


def columns(head: Sequence[str], rows: Sequence[Sequence[Any]], *, indent: str = "") -> list[str]:
    """Rows under a head, in columns two spaces apart, at most ``WIDTH`` characters wide.

    Text is aligned left, numbers right. Where the whole is too wide, the widest text column is
    shortened with an ellipsis.
    """
    texts = [[cell(v, name) for v, name in zip(row, head, strict=True)] for row in rows]
    left = [any(isinstance(row[i], str) for row in rows) or not rows for i in range(len(head))]
    widths = [max([len(name), *(len(t[i]) for t in texts)]) for i, name in enumerate(head)]
    excess = len(indent) + sum(widths) + 2 * (len(widths) - 1) - WIDTH
    while excess > 0 and any(left):
        widest = max((i for i in range(len(head)) if left[i]), key=lambda i: widths[i])
        if widths[widest] <= 8:
            break
        widths[widest] -= 1
        excess -= 1
    lines = []
    for texts_of_row in [list(head), *texts]:
        parts = []
        for text, width, at_left in zip(texts_of_row, widths, left, strict=True):
            short = text if len(text) <= width else text[: width - 1] + "…"
            parts.append(short.ljust(width) if at_left else short.rjust(width))
        lines.append((indent + "  ".join(parts)).rstrip())
    return lines


def frame_lines(frame: pd.DataFrame, *, indent: str = "") -> list[str]:
    """A data frame as ``columns`` prints it."""
    return columns([str(name) for name in frame.columns], frame.to_numpy().tolist(), indent=indent)


def wrap(text: str, *, indent: str = "", hanging: str = "") -> list[str]:
    """A paragraph in lines of at most ``WIDTH`` characters."""
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + hanging)


def latex(frame: pd.DataFrame, caption: str = "") -> str:
    """A data frame as a LaTeX table that needs the package booktabs; numbers as in text."""
    head = [str(name) for name in frame.columns]
    rows = frame.to_numpy().tolist()
    numeric = [
        bool(rows) and not any(isinstance(row[i], str) for row in rows) for i in range(len(head))
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        *([rf"\caption{{{tex(caption)}}}"] if caption else []),
        rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
        r"\toprule",
        " & ".join(tex(name) for name in head) + r" \\",
        r"\midrule",
        *(
            " & ".join(tex(cell(v, name)) for v, name in zip(row, head, strict=True)) + r" \\"
            for row in rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def tex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_TEX.get(character, character) for character in text)
