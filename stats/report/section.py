"""What a page is made of: sections of answers, tables and figures."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stats.layout import cell as as_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
WIDE = 1500
"""Pixels from which the page scrolls a picture sideways."""


@dataclass(frozen=True)
class Answer:
    """One sentence; ``mark`` and ``look`` are a verdict's mark and CSS name ("" for none)."""

    text: str
    mark: str = ""
    look: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text under a head. ``left`` tells which columns are text; ``note`` stands below."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[bool, ...]
    note: str = ""

    @classmethod
    def of(
        cls, title: str, head: Sequence[str], rows: Sequence[Sequence[Any]], note: str = ""
    ) -> Table:
        """A table of values, formatted as ``layout.cell`` does (p columns are named p ...)."""
        texts = tuple(
            tuple(_text(value, name) for value, name in zip(row, head, strict=True)) for row in rows
        )
        left = tuple(
            i == 0 or any(isinstance(row[i], str) and not _numeric(row[i]) for row in rows)
            for i in range(len(head))
        )
        return cls(title, tuple(head), texts, left, note)


@dataclass(frozen=True)
class Picture:
    """A figure as PNG: what a reader who cannot see it should know, and a caption."""

    name: str
    alt: str
    caption: str
    png: bytes = field(repr=False)
    width: int

    @property
    def is_wide(self) -> bool:
        """Too wide to be shrunk to a page and still be read."""
        return self.width > WIDE

    @classmethod
    def of(cls, name: str, figure: Figure, alt: str, caption: str) -> Picture:
        """Draw a figure."""
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=DPI)
        return cls(name, alt, caption, stream.getvalue(), round(figure.get_figwidth() * DPI))


@dataclass(frozen=True)
class Section:
    """A part of the page; ``results`` are plain values for JSON."""

    title: str
    answers: tuple[Answer, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()
    results: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def anchor(self) -> str:
        """The section's name in links."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def interval(low: float, high: float) -> str:
    """``[low, high]``, or a dash where it is undefined."""
    if math.isnan(low) or math.isnan(high):
        return "–"
    return f"[{as_text(low)}, {as_text(high)}]"


def signed(value: float) -> str:
    """A number with its sign."""
    from stats.wording import number

    return number(value, sign=True)


def _text(value: Any, name: str) -> str:
    text = as_text(value, name)
    return "–" if text == "-" else text


def _numeric(text: str) -> bool:
    return bool(re.fullmatch(r"[-+–<.\d]?[\d.,]*( ?%)?|\[.*\]|inf|-inf", text))
