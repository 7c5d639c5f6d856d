"""The result that budget curves share, and what their tables have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.columns import labels, natural, numbers, refuse_duplicates, require
from stats.errors import StatsError, nearest
from stats.layout import columns, wrap
from stats.record import Record
from stats.wording import number

if TYPE_CHECKING:
    import pandas as pd

DIRECTIONS = ("maximize", "minimize")


@dataclass(frozen=True)
class BudgetPoint:
    """The expected best score of ``arm`` after ``budget`` trials, with its interval, in ``units``.

    ``plug_in`` is the plug-in estimate beside the unbiased one (NaN for replicated searches).
    In a curve of differences, arm minus baseline.
    """

    arm: str
    budget: int
    expected: float
    low: float
    high: float
    plug_in: float


@dataclass(frozen=True)
class BudgetCurve(Record):
    """Expected best score against budget, one curve per arm, and differences to a baseline.

    ``points`` are by arm, then budget; ``differences`` likewise, for every arm but ``baseline``
    (empty without one). ``n`` counts what is resampled or averaged per arm (``unit``: "trial" or
    "search"). Intervals are pointwise; NaN where nothing varies.
    """

    points: tuple[BudgetPoint, ...]
    differences: tuple[BudgetPoint, ...]
    baseline: str
    estimand: str
    method: str
    units: str
    direction: str
    unit: str
    n: dict[str, int]
    confidence_level: float
    n_resamples: int
    rng_seed: int | None

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms, in order."""
        return tuple(dict.fromkeys(point.arm for point in self.points))

    def table(self) -> pd.DataFrame:
        """One row per arm and budget; nothing is rounded."""
        import pandas as pd

        return pd.DataFrame([vars(point) for point in self.points])

    def difference_table(self) -> pd.DataFrame:
        """One row per arm and budget, arm minus baseline; nothing is rounded."""
        import pandas as pd

        return pd.DataFrame(
            [vars(point) for point in self.differences], columns=list(BudgetPoint.__annotations__)
        )

    def summary(self) -> str:
        """Text of at most 100 columns: at most eight budgets, a column per arm."""
        lines = wrap(f"Expected best score ({self.units}, {self.direction}) by number of trials")
        lines += _blocks(self.points)
        if self.differences:
            lines += ["", f"Minus {self.baseline}", *_blocks(self.differences)]
        counts = ", ".join(f"{arm} {count}" for arm, count in self.n.items())
        lines += ["", *wrap(f"{_PLURAL[self.unit]}: {counts}. Method: {self.method}.")]
        return "\n".join(lines) + "\n"


_PLURAL = {"trial": "Trials", "search": "Searches"}
_ABREAST = 4  # arms that fit beside one another in 100 columns


def _blocks(points: Sequence[BudgetPoint]) -> list[str]:
    """At most eight budgets down, arms across, so many abreast as fit."""
    arms = list(dict.fromkeys(point.arm for point in points))
    budgets = list(dict.fromkeys(point.budget for point in points))
    shown = np.unique(np.linspace(0, len(budgets) - 1, 8).round().astype(int))
    cells = {(point.arm, point.budget): point for point in points}
    lines: list[str] = []
    for start in range(0, len(arms), _ABREAST):
        abreast = arms[start : start + _ABREAST]
        rows: list[list[Any]] = [
            [budgets[i], *(_text(cells.get((arm, budgets[i]))) for arm in abreast)] for i in shown
        ]
        lines += columns(["trials", *abreast], rows, indent="  ")
    return lines


def _text(point: BudgetPoint | None) -> str:
    if point is None:
        return "-"
    return f"{number(point.expected)} [{number(point.low)}, {number(point.high)}]"


def check_direction(direction: str) -> None:
    """Raise StatsError unless the direction is one of ``DIRECTIONS``."""
    if direction not in DIRECTIONS:
        raise StatsError(
            f"'{direction}' is not a direction",
            place="direction",
            value=direction,
            hint=nearest(direction, DIRECTIONS),
        )


def clean_trials(
    frame: pd.DataFrame, arm: str, keys: Sequence[str], roles: Sequence[str], score: str
) -> pd.DataFrame:
    """The columns arm, ``keys`` (as text) and score of a table of trials, checked.

    Raises StatsError for missing columns, labels or scores, and for duplicate rows.
    """
    import pandas as pd

    named = {"arm": (arm,), **{r: (k,) for r, k in zip(roles, keys, strict=True)}}
    require(frame, {**named, "score": (score,)}, exclusive=("arm", *roles, "score"))
    clean = pd.DataFrame({name: labels(frame[name], name) for name in (arm, *keys)})
    clean[score] = numbers(
        frame[score],
        score,
        missing="a failed trial spent budget too: give it the score it is worth (the unadapted "
        "backbone's)",
    )
    refuse_duplicates(clean, [arm, *keys], f"one row per arm, {' and '.join(roles)}")
    return clean


def known_baseline(baseline: str | None, arms: Sequence[str]) -> str:
    """The baseline, "" for none; StatsError for an arm the table does not have."""
    if baseline is not None and baseline not in arms:
        raise StatsError(
            f"there is no arm '{baseline}'",
            place="baseline",
            value=baseline,
            hint=nearest(baseline, arms),
        )
    return baseline or ""


def in_natural_order(names: Sequence[str]) -> list[str]:
    """Labels sorted so that trial 10 follows trial 9."""
    return [name for (name,) in sorted({(name,) for name in names}, key=natural)]
