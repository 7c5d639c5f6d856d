"""Columns of a long table: are they there, are labels and numbers complete, is a row unique."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stats.errors import StatsError, nearest

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, ...]

_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})


def require(
    frame: pd.DataFrame, roles: Mapping[str, Sequence[str]], *, exclusive: Sequence[str]
) -> None:
    """Raise StatsError unless the columns named under each role exist.

    A column may serve in several roles, but not if one of them is in ``exclusive``. A table
    without rows is refused too.
    """
    have = [str(name) for name in frame.columns]
    if len(set(have)) != len(have):
        twice = next(name for name in have if have.count(name) > 1)
        raise StatsError(f"column '{twice}' appears twice", place="table", value=twice)
    for role, names in roles.items():
        for name in names:
            if name not in have:
                raise StatsError(
                    f"there is no column '{name}' (asked for as {role})",
                    place="table",
                    value=name,
                    hint=nearest(name, have),
                )
        if len(set(names)) != len(names):
            raise StatsError(f"a column is named twice in {role}", place="table", value=names)
    alone = [name for role in exclusive for name in roles[role]]
    others = dict.fromkeys(
        name for role, names in roles.items() if role not in exclusive for name in names
    )
    used = [*alone, *others]
    if len(set(used)) != len(used):
        twice = next(name for name in used if used.count(name) > 1)
        raise StatsError(
            f"column '{twice}' cannot be {' or '.join(exclusive)} and something else too",
            place="table",
            value=twice,
        )
    if len(frame) == 0:
        raise StatsError("the table holds no rows", place="table")


def labels(column: pd.Series, name: str) -> list[str]:
    """A column of labels as text; StatsError for a missing one. Rows are counted from 1."""
    out = []
    for row, value in enumerate(column.tolist(), start=1):
        text = label(value)
        if not text:
            raise StatsError(
                "the label is missing", place=f"column '{name}', row {row}", hint="fill it in"
            )
        out.append(text)
    return out


def label(value: object) -> str:
    """One label as text; "" where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a seed column that once held a gap comes back as floats
    text = str(value)
    return "" if text in ("<NA>", "NaT") else text


def numbers(column: pd.Series, name: str, *, missing: str = "") -> np.ndarray:
    """A column of scores as floats.

    ``missing`` is the hint given when a score is missing; with "allow" it becomes NaN instead.
    Raises StatsError for text and for infinite values.
    """
    if getattr(column.dtype, "kind", "O") in "iufb" and isinstance(column.dtype, np.dtype):
        out = column.to_numpy(dtype=float)
    else:
        out = np.empty(len(column))
        for row, value in enumerate(column.tolist()):
            number = _number(value)
            if number is None:
                raise StatsError(
                    f"'{value}' is not a number",
                    place=f"column '{name}', row {row + 1}",
                    value=value,
                    hint="scores are numbers",
                )
            out[row] = number
    for wrong, message, hint in (
        (np.isinf(out), "the score is infinite", ""),
        (np.isnan(out) & (missing != "allow"), "the score is missing", missing),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise StatsError(
                message,
                place=f"column '{name}', row {row + 1}",
                value=column.iloc[row],
                hint=hint,
            )
    return out


def refuse_duplicates(frame: pd.DataFrame, names: Sequence[str], hint: str) -> None:
    """Raise StatsError when two rows have the same labels in the columns ``names``."""
    names = list(names)
    again = frame.duplicated(names, keep=False).to_numpy()
    if again.any():
        rows = np.flatnonzero(again)
        key = tuple(frame.iloc[rows[0]][names])
        same = [int(r) + 1 for r in rows if tuple(frame.iloc[r][names]) == key][:2]
        raise StatsError(
            f"{show(names, key)} appears more than once",
            place=f"rows {same[0]} and {same[1]}",
            value=key,
            hint=hint,
        )


def check_arms(column: pd.Series, name: str, required: Sequence[str] = ()) -> None:
    """Raise StatsError for a required arm that does not occur, and for fewer than two arms."""
    arms = list(dict.fromkeys(column.tolist()))
    for wanted in required:
        if wanted not in arms:
            raise StatsError(
                f"there is no arm '{wanted}'",
                place=f"column '{name}'",
                value=wanted,
                hint=nearest(wanted, arms),
            )
    if len(arms) < 2:
        raise StatsError(
            f"there is only one arm, '{arms[0]}'",
            place=f"column '{name}'",
            value=arms[0],
            hint="a comparison needs two",
        )


def natural(key: Key) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """A sort key under which seed 10 follows seed 9."""
    return tuple(
        tuple(
            (0, int(part), "") if part.isdecimal() else (1, 0, part)
            for part in re.split(r"([0-9]+)", text)
            if part
        )
        for text in key
    )


def show(columns: Sequence[str], key: Key) -> str:
    """``backbone=a, seed=3`` for messages."""
    return ", ".join(f"{name}={value}" for name, value in zip(columns, key, strict=True)) or "all"


def _number(value: object) -> float | None:
    if value is None or str(value).strip().lower() in _MISSING or str(value) == "<NA>":
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
