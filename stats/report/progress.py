"""A line on stderr for whoever waits longer than a moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 2.0
"""Seconds after which what takes so long is named."""


@contextmanager
def working_on(what: str, patience: float = PATIENCE) -> Iterator[None]:
    """Name ``what`` on stderr if the block takes longer than ``patience`` seconds."""
    timer = threading.Timer(patience, _say, (what,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(what: str) -> None:
    print(f"working on: {what} ...", file=sys.stderr, flush=True)
