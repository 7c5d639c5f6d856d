"""The behaviours, by name: each a function of a spec that fails where the behaviour is absent."""

from __future__ import annotations

from collections.abc import Callable

from tests.talan.matrix.subjects import Spec

Behaviour = Callable[[Spec], None]
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(check: Behaviour) -> Behaviour:
    """Register a check under its name, with spaces."""
    BEHAVIOURS[check.__name__.replace("_", " ")] = check
    return check
