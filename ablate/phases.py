"""The phases of a claim, each with seeds of its own, so that no seed both selects and confirms."""

from __future__ import annotations

EXPLORE = range(1000)
"""Seeds of ``run``: designs, controls, matched draws."""

SEARCH = range(1000, 2000)
"""Seeds of ``search``, on validation items only."""

CONFIRM = range(10_000, 20_000)
"""Seeds of confirmations: frozen winners of a search, and settled claims."""

PHASES = {"explore": EXPLORE, "search": SEARCH, "confirm": CONFIRM}


def phase_of(seed: int) -> str:
    """The phase that owns ``seed``: explore, search or confirm.

    Raises:
        ValueError: no phase owns it.
    """
    for name, seeds in PHASES.items():
        if seed in seeds:
            return name
    raise ValueError(f"seed {seed} belongs to no phase")
