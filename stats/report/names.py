"""Shorter names for tables and figures, where all names share a part."""

from __future__ import annotations

from collections.abc import Sequence

LEAST = 6
"""Letters that a shared part must have to be worth leaving out."""


def shared_part(names: Sequence[str]) -> str:
    """The longest text inside all names, neither at the start nor the end of any; "" for none.

    ``lora--llama-3.2-3B-rank32`` and ``vera--llama-3.2-3B-default`` share ``--llama-3.2-3B-``. A
    part is given only if names stay distinct without it.
    """
    distinct = list(dict.fromkeys(names))
    if len(distinct) < 3:
        return ""
    shortest = min(distinct, key=len)
    inner = shortest[1:-1]
    for size in range(len(inner), LEAST - 1, -1):
        for start in range(len(inner) - size + 1):
            part = inner[start : start + size]
            if all(part in name[1:-1] for name in distinct):
                short = {name.replace(part, " ", 1) for name in distinct}
                return part if len(short) == len(distinct) else ""
    return ""


def without(name: str, part: str) -> str:
    """A name without the shared part ("" leaves it as it is)."""
    return name.replace(part, " ", 1) if part else name
