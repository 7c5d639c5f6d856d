"""Where tables are printed: never wider than they are made for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""Columns that the plan and the report fit in."""


def make_console() -> Console:
    """Standard output, at most ``WIDTH`` columns wide, and exactly so where it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    if console.is_terminal and console.width <= WIDTH:
        return console
    return Console(highlight=False, width=WIDTH)
