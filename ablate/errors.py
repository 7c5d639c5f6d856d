"""The one error for what a user can mend: a sentence with place, value and the nearest choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AblateError(ValueError):
    """Wrong input. The command line prints it as one sentence and exits with code 2.

    Args:
        message: what is wrong, as a clause without a full stop.
        place: where it stands (``studies/x.yaml: axes``, ``command line: seeds``).
        value: the offending value, kept for callers.
        hint: what to do instead.
    """

    def __init__(
        self, message: str, *, place: str = "", value: object = None, hint: str = ""
    ) -> None:
        self.message, self.place, self.value, self.hint = message, place, value, hint
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.place}: {self.message}" if self.place else self.message
        return f"{head}; {self.hint}" if self.hint else head


class NoInference(AblateError):
    """A study has ended, but too many of its runs have no score for any inference."""


MOST_LISTED = 20
"""Names that a hint lists; of more it tells the nearest only."""


def nearest(value: object, known: Iterable[object]) -> str:
    """The hint for an unknown name: the nearest valid ones first, then all, where few."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(value), names, n=2, cutoff=0.5)
    listing = f"known: {', '.join(names)}" if names else "none is known"
    if len(names) > MOST_LISTED:
        listing = f"--help lists all {len(names)}"
    if not close:
        return listing
    return f"did you mean {' or '.join(repr(name) for name in close)}? {listing}"
