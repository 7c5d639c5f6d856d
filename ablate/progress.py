"""Live progress of a study: done of total, time left, current arm, failures."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

MODES = ("auto", "rich", "plain", "off")
PLAIN_SECONDS = 10.0
"""Without a terminal, a line is printed at most this often."""


class Reporter(AbstractContextManager["Reporter"], Protocol):
    """Told of each run's end; shows it or not."""

    def update(self, done: int, failed: int, current: str, seconds_left: float | None) -> None:
        """``done`` runs have ended, ``failed`` of them without a score."""
        ...


class Quiet(Reporter):
    """Shows nothing."""

    def __exit__(self, *exc: object) -> None:
        return None

    def update(self, done: int, failed: int, current: str, seconds_left: float | None) -> None:
        """Nothing."""


class Plain(Quiet):
    """Lines for logs and pipes, on standard error."""

    def __init__(self, total: int, what: str = "runs") -> None:
        self._total = total
        self._what = what
        self._last = 0.0

    def update(self, done: int, failed: int, current: str, seconds_left: float | None) -> None:
        """A line now and then, and one at the end."""
        now = time.monotonic()
        if done < self._total and now - self._last < PLAIN_SECONDS:
            return
        self._last = now
        left = left_text(seconds_left) + failure_text(failed)
        print(f"{done}/{self._total} {self._what}, {left}: {current}", file=sys.stderr, flush=True)


class Live(Quiet):
    """A bar in the terminal."""

    def __init__(self, total: int, console: Console, what: str = "runs") -> None:
        self._progress = Progress(
            TextColumn(what),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}{task.fields[failed]}"),
            TextColumn("{task.fields[current]}", style="dim"),
            console=console,
        )
        self._task: TaskID = self._progress.add_task(
            "", total=total, left=left_text(None), failed="", current=""
        )

    def __enter__(self) -> Live:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def update(self, done: int, failed: int, current: str, seconds_left: float | None) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            completed=done,
            left=left_text(seconds_left),
            failed=failure_text(failed),
            current=current[:36],
        )


def make_reporter(mode: str, total: int, what: str = "runs") -> Reporter:
    """The display for ``mode``: ``auto`` is a bar in a terminal and plain lines elsewhere.

    ``what`` is the plural of what is counted.
    """
    if mode == "off" or total == 0:
        return Quiet()
    console = Console(stderr=True)
    if mode == "plain" or (mode == "auto" and not console.is_terminal):
        return Plain(total, what)
    return Live(total, console, what)


def duration_text(seconds: float) -> str:
    """``45 s``, ``4 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def left_text(seconds: float | None) -> str:
    """Time left, as far as known."""
    return "time left unknown yet" if seconds is None else f"{duration_text(seconds)} left"


def failure_text(failed: int) -> str:
    """Nothing, or the number of runs without a score."""
    return f", {failed} without a score" if failed else ""
