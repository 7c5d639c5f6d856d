"""The validated long table that all inference starts from."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError, nearest
from stats.reading import read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PairedTable", "Scores", "read_table"]

Key = tuple[str, ...]

_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})


@dataclass(frozen=True)
class Scores:
    """The table as an array, in reported units (points where the table is in percent).

    ``values`` is (arms, pairs, cells), NaN where there is no score; ``present`` has the same shape
    and tells where there is a row, so that a failed run (a row without a score) and a missing one
    can be told apart. Pairs and cells are in natural order, whatever the order of the rows.
    """

    arms: tuple[str, ...]
    pairs: tuple[Key, ...]
    cells: tuple[Key, ...]
    values: np.ndarray = field(repr=False)
    present: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class PairedTable:
    """One row per arm x pair x cell, checked once, so that nothing behind it need doubt the data.

    Make it with ``from_frame``. ``frame`` holds exactly the needed columns: labels as text, the
    score as float in the file's own units (NaN marks a failed run). ``scale`` is 100 when scores
    are fractions to be reported in points, else 1. Columns that are both in ``pair`` and ``cell``
    (a backbone) are the ``groups``: a pair lives in one group and is averaged within it first.
    """

    frame: pd.DataFrame = field(repr=False)
    arm: str
    pair: tuple[str, ...]
    cell: tuple[str, ...]
    score: str
    scale: float = 1.0
    allow_failed: bool = False

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        arm: str = "arm",
        pair: Sequence[str] = ("backbone", "seed"),
        cell: Sequence[str] = ("backbone", "benchmark"),
        score: str = "score",
        percent: bool = False,
        required_arms: Sequence[str] = (),
        allow_failed: bool = False,
    ) -> PairedTable:
        """Check a long table and keep the columns that matter.

        ``pair`` names the columns that identify a pair (the unit of independence), ``cell`` those
        that identify a cell (none: one cell). ``percent``: scores are fractions, reported x 100.
        ``required_arms`` must all occur. A missing score, or a (pair, cell) that one arm has and
        another lacks, is an error that names its place; with ``allow_failed`` it is a failed run,
        and breaks its pair for every contrast that needs it.

        Raises StatsError for a missing column, a missing label, text or an infinite value in the
        score column, duplicate rows, fewer than two arms, an unknown arm, and missing pairs.
        Rows are counted from 1, the header not included.
        """
        import pandas as pd

        pair, cell = tuple(pair), tuple(cell)
        if not pair:
            raise StatsError("no column identifies a pair", place="pair", hint="name at least one")
        _check_columns(frame, arm, pair, cell, score)
        if len(frame) == 0:
            raise StatsError("the table holds no rows", place="table")
        labels = list(dict.fromkeys((arm, *pair, *cell)))
        columns: dict[str, Any] = {name: _labels(frame[name], name) for name in labels}
        columns[score] = _scores(frame[score], score, allow_failed)
        clean = pd.DataFrame(columns)
        _check_duplicates(clean, labels)
        _check_arms(clean[arm], arm, required_arms)
        table = cls(clean, arm, pair, cell, score, 100.0 if percent else 1.0, allow_failed)
        if not allow_failed:
            _check_complete(table)
        return table

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns that a pair and a cell share, in the order of ``cell``."""
        return tuple(name for name in self.cell if name in self.pair)

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms, in order of first appearance."""
        return tuple(dict.fromkeys(self.frame[self.arm]))

    @property
    def units(self) -> str:
        """What scores are reported in: "points" or "score units"."""
        return "points" if self.scale == 100.0 else "score units"

    def group_of(self, key: Key, columns: tuple[str, ...]) -> Key:
        """The part of a pair's or a cell's key that names its group."""
        return tuple(key[columns.index(name)] for name in self.groups)

    def scores(self) -> Scores:
        """The table as a (arms, pairs, cells) array in reported units."""
        arms = self.arms
        pair_keys = list(zip(*(self.frame[name] for name in self.pair), strict=True))
        cell_keys: list[Key] = (
            list(zip(*(self.frame[name] for name in self.cell), strict=True))
            if self.cell
            else [()] * len(self.frame)
        )
        pairs = tuple(sorted(set(pair_keys), key=natural))
        cells = tuple(sorted(set(cell_keys), key=natural))
        arm_at = {name: i for i, name in enumerate(arms)}
        pair_at = {key: i for i, key in enumerate(pairs)}
        cell_at = {key: i for i, key in enumerate(cells)}
        at = (
            np.array([arm_at[name] for name in self.frame[self.arm]]),
            np.array([pair_at[key] for key in pair_keys]),
            np.array([cell_at[key] for key in cell_keys]),
        )
        shape = (len(arms), len(pairs), len(cells))
        values, present = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        values[at] = self.frame[self.score].to_numpy() * self.scale
        present[at] = True
        return Scores(arms, pairs, cells, values, present)


def natural(key: Key) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """A sort key under which seed 10 follows seed 9."""
    return tuple(
        tuple(
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.split(r"([0-9]+)", text)
            if part
        )
        for text in key
    )


def show(columns: Sequence[str], key: Key) -> str:
    """``backbone=a, seed=3`` for messages."""
    return ", ".join(f"{name}={value}" for name, value in zip(columns, key, strict=True)) or "all"


def _check_columns(
    frame: pd.DataFrame, arm: str, pair: tuple[str, ...], cell: tuple[str, ...], score: str
) -> None:
    have = [str(name) for name in frame.columns]
    if len(set(have)) != len(have):
        twice = next(name for name in have if have.count(name) > 1)
        raise StatsError(f"column '{twice}' appears twice", place="table", value=twice)
    for role, names in (("arm", (arm,)), ("pair", pair), ("cell", cell), ("score", (score,))):
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
    roles = [arm, score, *dict.fromkeys((*pair, *cell))]
    if len(set(roles)) != len(roles):
        twice = next(name for name in roles if roles.count(name) > 1)
        raise StatsError(
            f"column '{twice}' cannot be arm or score and something else too",
            place="table",
            value=twice,
        )


def _labels(column: pd.Series, name: str) -> list[str]:
    labels = []
    for row, value in enumerate(column.tolist(), start=1):
        text = _label(value)
        if not text:
            raise StatsError(
                "the label is missing", place=f"column '{name}', row {row}", hint="fill it in"
            )
        labels.append(text)
    return labels


def _label(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a seed column that once held a gap comes back as floats
    text = str(value)
    return "" if text in ("<NA>", "NaT") else text


def _scores(column: pd.Series, name: str, allow_failed: bool) -> np.ndarray:
    out = np.empty(len(column))
    for row, value in enumerate(column.tolist()):
        place = f"column '{name}', row {row + 1}"
        number = _number(value)
        if number is None:
            raise StatsError(
                f"'{value}' is not a number", place=place, value=value, hint="scores are numbers"
            )
        if math.isinf(number):
            raise StatsError("the score is infinite", place=place, value=value)
        if math.isnan(number) and not allow_failed:
            raise StatsError(
                "the score is missing",
                place=place,
                value=value,
                hint="allow failed runs (allow_failed=True, --allow-failed) to count it as one",
            )
        out[row] = number
    return out


def _number(value: object) -> float | None:
    if value is None or str(value).strip().lower() in _MISSING or str(value) == "<NA>":
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _check_duplicates(frame: pd.DataFrame, labels: list[str]) -> None:
    again = frame.duplicated(labels, keep=False).to_numpy()
    if again.any():
        rows = np.flatnonzero(again)
        key = tuple(frame.iloc[rows[0]][labels])
        same = [int(r) + 1 for r in rows if tuple(frame.iloc[r][labels]) == key][:2]
        raise StatsError(
            f"{show(labels, key)} appears more than once",
            place=f"rows {same[0]} and {same[1]}",
            value=key,
            hint="one row per arm, pair and cell; name the columns that tell these rows apart",
        )


def _check_arms(column: pd.Series, name: str, required: Sequence[str]) -> None:
    arms = list(dict.fromkeys(column))
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


def _check_complete(table: PairedTable) -> None:
    scores = table.scores()
    lacking = np.asarray(scores.present.any(axis=0))[None] & ~scores.present
    if lacking.any():
        a, p, c = (int(i[0]) for i in np.nonzero(lacking))
        other = scores.arms[int(np.flatnonzero(scores.present[:, p, c])[0])]
        raise StatsError(
            f"arm '{scores.arms[a]}' has no row for pair {show(table.pair, scores.pairs[p])} in "
            f"cell {show(table.cell, scores.cells[c])}, which arm '{other}' has "
            f"(gaps in all: {int(lacking.sum())})",
            place="table",
            value=(scores.arms[a], scores.pairs[p], scores.cells[c]),
            hint="add the run, or allow failed runs (allow_failed=True, --allow-failed)",
        )
