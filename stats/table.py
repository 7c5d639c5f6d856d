"""The validated long table that all inference starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.columns import (
    Key,
    check_arms,
    labels,
    natural,
    numbers,
    refuse_duplicates,
    require,
    show,
)
from stats.errors import StatsError
from stats.reading import read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Key", "PairedTable", "Scores", "natural", "read_table", "show"]


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
        roles = {"arm": (arm,), "pair": pair, "cell": cell, "score": (score,)}
        require(frame, roles, exclusive=("arm", "score"))
        names = list(dict.fromkeys((arm, *pair, *cell)))
        columns: dict[str, Any] = {name: labels(frame[name], name) for name in names}
        missing = (
            "allow"
            if allow_failed
            else "allow failed runs (allow_failed=True, --allow-failed) to count it as one"
        )
        columns[score] = numbers(frame[score], score, missing=missing)
        clean = pd.DataFrame(columns)
        refuse_duplicates(
            clean,
            names,
            "one row per arm, pair and cell; name the columns that tell these rows apart",
        )
        check_arms(clean[arm], arm, required_arms)
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
