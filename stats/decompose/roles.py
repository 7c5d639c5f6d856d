"""The columns of a results table and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stats.columns import check_arms, labels, numbers, refuse_duplicates, require
from stats.errors import StatsError, nearest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """A checked results table: labels as text, scores in reported units, rows without one left out.

    ``backbone``, ``benchmark``, ``hp`` and each of ``axes`` are column names or "". ``seed`` are
    the columns that, with backbone and hp, identify a pair. ``baseline`` is an arm, or "".
    """

    frame: pd.DataFrame = field(repr=False)
    arm: str
    baseline: str
    backbone: str
    benchmark: str
    hp: str
    seed: tuple[str, ...]
    axes: tuple[str, ...]
    score: str
    units: str
    lost: int

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        arm: str = "arm",
        baseline: str = "",
        backbone: str = "backbone",
        benchmark: str = "benchmark",
        hp: str = "",
        seed: Sequence[str] = ("seed",),
        axes: Sequence[str] = (),
        score: str = "score",
        percent: bool = False,
        allow_failed: bool = False,
    ) -> Results:
        """Check a table with one row per arm, pair and cell.

        ``backbone``, ``benchmark`` and ``hp`` may be "" where the table has no such column.
        ``percent``: scores are fractions, reported x 100. Raises StatsError for missing columns
        and labels, scores that are no numbers (missing ones unless ``allow_failed``), duplicate
        rows, fewer than two arms and an unknown baseline.
        """
        import pandas as pd

        have = [str(name) for name in frame.columns]
        for role, name in (("backbone", backbone), ("benchmark", benchmark)):
            if name and name not in have:
                raise StatsError(
                    f"there is no column '{name}' (asked for as {role})",
                    place="table",
                    value=name,
                    hint=f"say {role}='' (--{role} '') if there is one only; {nearest(name, have)}",
                )
        factors = [name for name in (backbone, benchmark, hp) if name]
        roles = {"arm": (arm,), "seed": tuple(seed), "factor": factors, "axis": tuple(axes),
                 "score": (score,)}  # fmt: skip
        require(frame, roles, exclusive=("arm", "score"))
        columns = {
            name: labels(frame[name], name) for name in dict.fromkeys([arm, *factors, *seed])
        }
        for name in axes:
            columns[name] = ["" if pd.isna(v) else str(v) for v in frame[name]]
        clean = pd.DataFrame(columns)
        hint = "allow failed runs (allow_failed=True, --allow-failed)"
        values = numbers(frame[score], score, missing="allow" if allow_failed else hint)
        clean[score] = values * (100.0 if percent else 1.0)
        refuse_duplicates(
            clean, list(dict.fromkeys([arm, *factors, *seed])),
            "one row per arm, pair and cell; name the columns that tell these rows apart",
        )  # fmt: skip
        check_arms(clean[arm], arm, [baseline] if baseline else [])
        whole = np.isfinite(clean[score].to_numpy())
        if whole.sum() < 4:
            raise StatsError("fewer than four scores", place="table", value=int(whole.sum()))
        return cls(
            clean[whole].reset_index(drop=True), arm, baseline, backbone, benchmark, hp,
            tuple(seed), tuple(axes), score, "points" if percent else "score units",
            int((~whole).sum()),
        )  # fmt: skip

    @property
    def pair(self) -> tuple[str, ...]:
        """The columns that identify a pair."""
        return tuple(dict.fromkeys(name for name in (self.backbone, self.hp, *self.seed) if name))

    @property
    def cell(self) -> tuple[str, ...]:
        """The columns that identify a cell."""
        return tuple(name for name in (self.backbone, self.benchmark) if name)

    def count(self, *columns: str) -> int:
        """The number of combinations of columns that occur."""
        return len(self.frame[list(columns)].drop_duplicates())

    def varies(self, column: str) -> bool:
        """Whether a column is there and has two levels or more."""
        return bool(column) and self.count(column) > 1
