"""Effects coding: a design's factors and their interactions as columns that sum to zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.columns import labels, natural
from stats.errors import StatsError, nearest

if TYPE_CHECKING:
    import pandas as pd

Levels = Mapping[str, Sequence[object]]


@dataclass(frozen=True)
class Coded:
    """The columns of one term: ``columns`` (runs, c), their ``names`` (c,)."""

    term: str
    names: tuple[str, ...]
    columns: np.ndarray


def factor_levels(design: pd.DataFrame, name: str, levels: Levels | None = None) -> tuple[str, ...]:
    """The levels of a factor as text: as given, else as numbers ascend, else in natural order.

    Raises StatsError for a factor the design lacks, fewer than two levels, and values that are not
    among the levels given.
    """
    known = [str(column) for column in design.columns]
    if name not in known:
        raise StatsError(
            f"there is no factor '{name}'", place="design", value=name, hint=nearest(name, known)
        )
    found = set(labels(design[name], name))
    if levels is not None and name in levels:
        given = tuple(str(level) for level in levels[name])
        for value in sorted(found - set(given)):
            raise StatsError(
                f"'{value}' is not among the levels", place=f"factor '{name}'", value=value,
                hint=nearest(value, given),
            )  # fmt: skip
        ordered = tuple(level for level in given if level in found)
    else:
        ordered = _sorted(found)
    if len(ordered) < 2:
        raise StatsError(
            f"it has one level only, '{ordered[0]}'", place=f"factor '{name}'", value=ordered,
            hint="leave it out",
        )  # fmt: skip
    return ordered


def code(design: pd.DataFrame, terms: Sequence[str], levels: Levels | None = None) -> list[Coded]:
    """The columns of terms such as "mixer" and "mixer:scope", in effects (sum-to-zero) coding.

    A factor of L levels has L - 1 columns: 1 at a level, -1 at the first level, 0 elsewhere; with
    two levels that is -1 and 1. Columns of interactions are products. Raises StatsError for
    unknown or repeated factors, repeated terms, and factors of one level.
    """
    mains: dict[str, Coded] = {}
    out: list[Coded] = []
    seen: set[frozenset[str]] = set()
    for term in terms:
        parts = [part.strip() for part in term.split(":")]
        if len(set(parts)) != len(parts):
            raise StatsError(f"term '{term}' names a factor twice", place="terms", value=term)
        if frozenset(parts) in seen:
            raise StatsError(f"term '{term}' is asked for twice", place="terms", value=term)
        seen.add(frozenset(parts))
        for part in parts:
            if part not in mains:
                mains[part] = _main(design, part, levels)
        names: tuple[str, ...] = ("",)
        columns = np.ones((len(design), 1))
        for part in parts:
            main = mains[part]
            names = tuple(f"{a}:{b}" if a else b for a in names for b in main.names)
            columns = (columns[:, :, None] * main.columns[:, None, :]).reshape(len(design), -1)
        out.append(Coded(":".join(parts), names, columns))
    return out


def _main(design: pd.DataFrame, name: str, levels: Levels | None) -> Coded:
    order = factor_levels(design, name, levels)
    values = np.array(labels(design[name], name))
    columns = np.column_stack([(values == level).astype(float) for level in order[1:]])
    columns[values == order[0]] = -1.0
    names = (name,) if len(order) == 2 else tuple(f"{name}[{level}]" for level in order[1:])
    return Coded(name, names, columns)


def _sorted(found: set[str]) -> tuple[str, ...]:
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        return tuple(sorted(found, key=lambda level: natural((level,))))
