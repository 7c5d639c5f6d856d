"""The validated table of per-item outcomes in one cell, and its seed x item differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.columns import (
    Key,
    check_arms,
    label,
    labels,
    natural,
    numbers,
    refuse_duplicates,
    require,
    show,
)
from stats.errors import StatsError, nearest

if TYPE_CHECKING:
    import pandas as pd

_TRUTH = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Differences:
    """Arm minus baseline: one row per pair, one column per item (or per cluster of items).

    ``arm_values`` and ``baseline_values`` are (n pairs, m columns) in reported units; the mean of
    their difference, ``values``, is what is to be reported. ``columns`` names the columns,
    ``unit`` says what they are ("item" or "cluster"), ``mean_over`` what the mean weighs the same
    ("items" or "clusters"). ``clusters`` holds each item's cluster (empty: none). ``magnitude`` is
    the size of the outcomes; it decides what counts as rounding.
    """

    arm_values: np.ndarray = field(repr=False)
    baseline_values: np.ndarray = field(repr=False)
    arm: str
    baseline: str
    pair: tuple[str, ...]
    pairs: tuple[Key, ...] = field(repr=False)
    columns: tuple[str, ...] = field(repr=False)
    clusters: tuple[str, ...] = field(repr=False)
    magnitude: float
    units: str
    cell: Mapping[str, str]
    unit: str = "item"
    mean_over: str = "items"

    @property
    def values(self) -> np.ndarray:
        """Arm minus baseline, (pairs, columns)."""
        return self.arm_values - self.baseline_values

    @property
    def place(self) -> str:
        """``arm - baseline, in backbone=a, benchmark=b`` for messages and estimands."""
        where = show(tuple(self.cell), tuple(self.cell.values())) if self.cell else ""
        return f"{self.arm} minus {self.baseline}" + (f", in {where}" if where else "")

    def need(self, pairs: int, columns: int, what: str) -> None:
        """Raise StatsError when there are fewer pairs or columns than ``what`` needs."""
        for have, least, name in (
            (self.values.shape[0], pairs, "pair"),
            (self.values.shape[1], columns, self.unit),
        ):
            if have < least:
                raise StatsError(
                    f"{what} needs at least {least} {name}s, not {have}",
                    place=self.place,
                    value=have,
                    hint=_REMEDIES[name],
                )


_REMEDIES = {
    "pair": "train more seeds; for one pair of checkpoints use paired_items",
    "item": "score more items; for a benchmark score as a whole use the paired test",
    "cluster": "score items of more clusters",
}


@dataclass(frozen=True)
class ItemTable:
    """Outcomes of every arm, pair and item of one cell, fully crossed.

    ``values`` is (arms, pairs, items) in reported units (points where ``scale`` is 100); all
    finite. Pairs and items are in natural order, whatever the order of the rows, arms in order of
    first appearance. ``clusters`` holds each item's cluster (passage, template), or is empty.
    Make it with ``from_frame``.
    """

    arms: tuple[str, ...]
    pair: tuple[str, ...]
    pairs: tuple[Key, ...] = field(repr=False)
    items: tuple[str, ...] = field(repr=False)
    clusters: tuple[str, ...] = field(repr=False)
    values: np.ndarray = field(repr=False)
    outcome: str
    scale: float
    cell: Mapping[str, str]

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        arm: str = "arm",
        pair: Sequence[str] = ("seed",),
        item: str = "item",
        outcome: str = "correct",
        cluster: str | None = None,
        cell: Mapping[str, str] | None = None,
        percent: bool = False,
    ) -> ItemTable:
        """Check a long table with one row per arm x pair x item and keep what matters.

        ``pair`` names the columns that identify a pair, ``cluster`` the one that groups items
        that are not independent. ``cell`` (column: label) picks the rows of one cell out of a
        larger table. ``outcome`` is any number per item; true and false count as 1 and 0.
        ``percent``: outcomes are fractions, reported x 100.

        Raises StatsError for a missing column or label, an outcome that is missing, text or
        infinite, duplicate rows, fewer than two arms, an item in two clusters, and a table in
        which some arm lacks some pair or item. Rows are counted from 1 in the picked cell.
        """
        import pandas as pd

        pair, cell = tuple(pair), dict(cell or {})
        if not pair:
            raise StatsError("no column identifies a pair", place="pair", hint="name at least one")
        roles: dict[str, Sequence[str]] = {
            "cell": tuple(cell), "pair": pair, "arm": (arm,), "item": (item,),
            "outcome": (outcome,), "cluster": (cluster,) if cluster else (),
        }  # fmt: skip
        require(frame, roles, exclusive=("arm", "item", "outcome", "cluster"))
        frame = _pick(frame, cell)
        names = [arm, *pair, item]
        columns: dict[str, Any] = {name: labels(frame[name], name) for name in names}
        columns[outcome] = numbers(
            _truth_as_numbers(frame[outcome]),
            outcome,
            missing="score the item, or drop it from every arm and pair",
        )
        clean = pd.DataFrame(columns)
        refuse_duplicates(
            clean,
            names,
            "one row per arm, pair and item of one cell; pick a cell (cell={'benchmark': ...}) or "
            "name the columns that tell these rows apart",
        )
        check_arms(clean[arm], arm)
        cluster_of = _clusters(clean[item], labels(frame[cluster], cluster)) if cluster else {}
        return cls._crossed(clean, arm, pair, item, outcome, cluster_of, percent, cell)

    @classmethod
    def _crossed(
        cls,
        clean: pd.DataFrame,
        arm: str,
        pair: tuple[str, ...],
        item: str,
        outcome: str,
        cluster_of: Mapping[str, str],
        percent: bool,
        cell: Mapping[str, str],
    ) -> ItemTable:
        # Lists, because iterating over a column of text is many times slower.
        of_arm, of_item = clean[arm].tolist(), clean[item].tolist()
        keys = list(zip(*(clean[name].tolist() for name in pair), strict=True))
        arms = tuple(dict.fromkeys(of_arm))
        pairs = tuple(sorted(set(keys), key=natural))
        items = tuple(name for (name,) in sorted({(i,) for i in of_item}, key=natural))
        at = tuple(
            _positions(known, column)
            for known, column in ((arms, of_arm), (pairs, keys), (items, of_item))
        )
        values = np.full((len(arms), len(pairs), len(items)), np.nan)
        scale = 100.0 if percent else 1.0
        values[at] = clean[outcome].to_numpy() * scale
        lacking = np.isnan(values)
        if lacking.any():
            a, p, i = (int(index[0]) for index in np.nonzero(lacking))
            raise StatsError(
                f"arm '{arms[a]}' has no row for pair {show(pair, pairs[p])}, item {items[i]} "
                f"({int(lacking.sum())} of {lacking.size} rows are missing)",
                place="table",
                value=(arms[a], pairs[p], items[i]),
                hint="every arm and pair must be scored on every item; add the rows, or drop the "
                "pair or the item from all arms",
            )
        clusters = tuple(cluster_of[name] for name in items) if cluster_of else ()
        return cls(arms, pair, pairs, items, clusters, values, outcome, scale, cell)

    @property
    def units(self) -> str:
        """What outcomes are reported in: "points" or "score units"."""
        return "points" if self.scale == 100.0 else "score units"

    def index(self, arm: str) -> int:
        """The position of an arm; StatsError for one the table does not have."""
        if arm not in self.arms:
            raise StatsError(
                f"there is no arm '{arm}'", place="table", value=arm, hint=nearest(arm, self.arms)
            )
        return self.arms.index(arm)

    def differences(self, arm: str, baseline: str) -> Differences:
        """The (pairs, items) array of ``arm`` minus ``baseline``, with its labels.

        Raises StatsError for an arm the table does not have and for one compared with itself.
        """
        a, b = self.values[self.index(arm)], self.values[self.index(baseline)]
        if arm == baseline:
            raise StatsError(
                f"arm '{arm}' cannot be compared with itself", place="differences", value=arm
            )
        return Differences(
            a,
            b,
            arm,
            baseline,
            self.pair,
            self.pairs,
            self.items,
            self.clusters,
            float(max(np.abs(a).max(), np.abs(b).max())),
            self.units,
            self.cell,
        )


def _truth_as_numbers(column: pd.Series) -> pd.Series:
    """True and false, also as text, as 1 and 0; all else as it is."""
    if column.dtype != object and not hasattr(column, "str"):
        return column
    return column.map(lambda value: _TRUTH.get(str(value).strip().lower(), value))


def _positions(known: Sequence[Any], column: Sequence[Any]) -> np.ndarray:
    position = {key: i for i, key in enumerate(known)}
    return np.array([position[value] for value in column])


def _pick(frame: pd.DataFrame, cell: Mapping[str, str]) -> pd.DataFrame:
    """The rows of one cell; StatsError for a label that does not occur."""
    for name, wanted in cell.items():
        found = frame[name].map(label)
        if not (found == str(wanted)).any():
            raise StatsError(
                f"there is no {name} '{wanted}'",
                place=f"column '{name}'",
                value=wanted,
                hint=nearest(wanted, dict.fromkeys(found)),
            )
        frame = frame[(found == str(wanted)).to_numpy()]
    return frame


def _clusters(items: pd.Series, clusters: Sequence[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for item, cluster in zip(items, clusters, strict=True):
        if out.setdefault(item, cluster) != cluster:
            raise StatsError(
                f"item {item} lies in clusters '{out[item]}' and '{cluster}'",
                place="table",
                value=item,
                hint="an item belongs to one cluster, in every arm and pair",
            )
    return out
