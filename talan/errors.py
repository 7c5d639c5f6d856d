"""The one exception of this package, and the search for the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TalanError(ValueError):
    """A mistake in how the mechanism is configured or used.

    `place` names the field or call at fault, `value` holds what was given, `hint` says what to
    do instead. `str(error)` renders `place: message; hint` in one line.
    """

    def __init__(
        self, message: str, *, place: str = "", value: object = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.value = value
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}; {self.hint}" if self.hint else text


def nearest(value: object, known: Iterable[object]) -> str:
    """Return a hint such as `did you mean 'memory'? known: insertion, memory`.

    Only close matches are suggested; without one the hint lists the known names alone.
    """
    names = [str(name) for name in known]
    listing = "known: " + ", ".join(names)
    close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}? {listing}" if close else listing
