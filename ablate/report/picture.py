"""A figure as the page embeds it and the folder keeps it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
WIDE = 1600
"""Pixels from which the page scrolls a picture sideways."""


@dataclass(frozen=True)
class Picture:
    """A figure as PNG: file stem, what a reader who cannot see it should know, caption.

    ``width`` is in pixels.
    """

    name: str
    alt: str
    caption: str
    png: bytes
    width: int

    @property
    def is_wide(self) -> bool:
        """Too wide to be shrunk to a page and still be read."""
        return self.width > WIDE


def make_picture(name: str, figure: Figure, alt: str, caption: str) -> Picture:
    """Draw a figure."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    width = round(float(figure.get_figwidth()) * DPI)
    return Picture(name, alt, caption, stream.getvalue(), width)
