"""What a user of the package did wrong, in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StatsError(ValueError):
    """A mistake in the data or the arguments, told with its place and the nearest valid choice.

    ``str(e)`` is one line: ``place: message; hint``, with the parts that are empty left out.
    ``value`` is the offending value, for programs; people read it in the message.
    """

    def __init__(
        self, message: str, *, place: str = "", value: object = None, hint: str = ""
    ) -> None:
        self.message = message
        self.place = place
        self.value = value
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.place}: {self.message}" if self.place else self.message
        return " ".join((f"{line}; {self.hint}" if self.hint else line).split())


def nearest(value: object, known: Iterable[object], *, most: int = 12) -> str:
    """The hint for an unknown name: the closest known one, then the known ones (``most`` shown)."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    listing = f"known: {shown}" if names else "none is known"
    return f"did you mean '{close[0]}'? {listing}" if close else listing
