"""From a table to the differences of each test: which pairs, which cells, what is broken."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stats.contrast import Contrast
from stats.errors import StatsError, nearest
from stats.result import Broken
from stats.sample import Sample
from stats.table import Key, PairedTable, Scores, show

Limits = Mapping[Key, tuple[float, float]]


@dataclass(frozen=True)
class Room:
    """How far a baseline must stay from chance and maximum (``limits``): 2 x ``sesoi``."""

    limits: Limits
    sesoi: float | None

    def lacks(self, baseline: float, cell: Key) -> bool:
        """Whether a difference of interest from this baseline mean may not show in the cell."""
        if self.sesoi is None or cell not in self.limits:
            return False
        chance, maximum = self.limits[cell]
        return not chance + 2 * self.sesoi < baseline < maximum - 2 * self.sesoi


@dataclass(frozen=True)
class Prepared:
    """A contrast made ready: its differences by group of pairs, and what the table says of it.

    ``cell`` is None for an average; means are in reported units.
    """

    contrast: Contrast
    cell: Key | None
    sample: Sample
    n_broken: int
    mean_baseline: float
    mean_arm: float
    no_room: bool


def each_test(
    table: PairedTable,
    scores: Scores,
    room: Room,
    *,
    cells: Sequence[Contrast],
    primary: Sequence[Contrast],
    average_over: Sequence[Key] | None = None,
) -> tuple[list[Prepared], list[Prepared]]:
    """Every ``cells`` contrast in every cell that ran it, and every ``primary`` one averaged.

    Averages go over the cells in ``average_over`` (None: all). Raises StatsError for unknown arms
    and cells, two contrasts of one name, and a table in which no contrast has two pairs.
    """
    for contrasts, place in ((cells, "cells"), (primary, "primary")):
        check_contrasts(contrasts, scores, place)
    chosen = cell_indices(average_over, scores, table, "average_over")
    per_cell = [
        test
        for c in range(len(scores.cells))
        for contrast in cells
        if (test := in_cell(contrast, c, scores, room)) is not None
    ]
    means = [averaged(contrast, chosen, table, scores, room) for contrast in primary]
    if not any(max((g.size for g in t.sample.values), default=0) > 1 for t in per_cell + means):
        raise StatsError(
            "no contrast has two complete pairs, so no inference is possible",
            place="table",
            hint="add pairs (6 or more let an exact test reach .05)",
        )
    return per_cell, means


def in_cell(contrast: Contrast, c: int, scores: Scores, room: Room) -> Prepared | None:
    """The contrast in cell ``c``, or None where one of its arms has no row (was not run there)."""
    if not _rows(contrast, scores)[:, :, c].any(axis=1).all():
        return None
    wanted = np.asarray(_rows(contrast, scores)[:, :, c].any(axis=0))
    return _prepare(contrast, scores, [np.flatnonzero(wanted)], [[c]], scores.cells[c], room)


def averaged(
    contrast: Contrast,
    chosen: list[int],
    table: PairedTable,
    scores: Scores,
    room: Room,
) -> Prepared:
    """The contrast averaged over the ``chosen`` cells, pairs and cells grouped by what they share.

    Raises StatsError when a pair has no row in a cell of its group and the table does not allow
    failed runs.
    """
    by_group: dict[Key, list[int]] = {}
    for c in chosen:
        by_group.setdefault(table.group_of(scores.cells[c], table.cell), []).append(c)
    rows = np.asarray(_rows(contrast, scores).any(axis=0))
    pairs, cells = [], []
    for group, columns in by_group.items():
        inside = [
            p
            for p in np.flatnonzero(rows[:, columns].any(axis=1))
            if table.group_of(scores.pairs[p], table.pair) == group
        ]
        if not table.allow_failed:
            for p in inside:
                for c in columns:
                    if not rows[p, c]:
                        raise StatsError(
                            f"pair {show(table.pair, scores.pairs[p])} has no row in cell "
                            f"{show(table.cell, scores.cells[c])}, which '{contrast.name}' is "
                            "averaged over",
                            place="table",
                            value=(scores.pairs[p], scores.cells[c]),
                            hint="add the runs, or average over fewer cells",
                        )
        pairs.append(np.array(inside, dtype=int))
        cells.append(columns)
    return _prepare(contrast, scores, pairs, cells, None, room)


def _prepare(
    contrast: Contrast,
    scores: Scores,
    pairs: list[np.ndarray],
    cells: list[list[int]],
    cell: Key | None,
    room: Room,
) -> Prepared:
    """Difference of each pair, averaged over the cells of its group; broken pairs left out."""
    index = np.array([scores.arms.index(arm) for arm in contrast.weights])
    weights = np.array(list(contrast.weights.values()))
    groups, members, baseline, arm = [], [], [], []
    magnitude, broken, no_room = 0.0, 0, False
    for where, columns in zip(pairs, cells, strict=True):
        block = scores.values[np.ix_(index, where, np.array(columns))]
        whole = ~np.isnan(block).any(axis=(0, 2))
        broken += int((~whole).sum())
        block, where = block[:, whole], where[whole]
        magnitude = max(magnitude, float(np.abs(block).max(initial=0.0)))
        groups.append(np.tensordot(weights, block, axes=1).mean(axis=1))
        members.append(where)
        below = -np.tensordot(np.minimum(weights, 0), block, axes=1)
        above = np.tensordot(np.maximum(weights, 0), block, axes=1)
        baseline.append(below.mean() if where.size else math.nan)
        arm.append(above.mean() if where.size else math.nan)
        for k, c in enumerate(columns):
            no_room |= where.size > 0 and room.lacks(float(below[:, k].mean()), scores.cells[c])
    return Prepared(
        contrast,
        cell,
        Sample.of(groups, members, magnitude),
        broken,
        float(np.mean(baseline)) if baseline else math.nan,
        float(np.mean(arm)) if arm else math.nan,
        no_room,
    )


def _rows(contrast: Contrast, scores: Scores) -> np.ndarray:
    """Where the contrast's arms have rows: (arms of the contrast, pairs, cells)."""
    index = np.array([scores.arms.index(arm) for arm in contrast.weights])
    return np.asarray(scores.present[index])


def broken_runs(scores: Scores, table: PairedTable, arms: set[str]) -> tuple[Broken, ...]:
    """Runs of ``arms`` without a score where another of them has a row, in natural order."""
    index = [i for i, arm in enumerate(scores.arms) if arm in arms]
    planned = np.asarray(scores.present[index].any(axis=0))
    run_there = np.asarray(scores.present.any(axis=1))
    out = []
    for p, c in np.argwhere(planned):
        for a in index:
            if np.isnan(scores.values[a, p, c]) and run_there[a, c]:
                out.append(
                    Broken(
                        scores.arms[a],
                        dict(zip(table.pair, scores.pairs[p], strict=True)),
                        dict(zip(table.cell, scores.cells[c], strict=True)),
                        "failed" if scores.present[a, p, c] else "missing",
                    )
                )
    return tuple(out)


def check_contrasts(contrasts: Sequence[Contrast], scores: Scores, place: str) -> None:
    """Raise StatsError for an arm the table does not have, and for two contrasts of one name."""
    names = [contrast.name for contrast in contrasts]
    for contrast in contrasts:
        if names.count(contrast.name) > 1:
            raise StatsError(
                f"two contrasts are called '{contrast.name}'", place=place, value=contrast.name
            )
        for arm in contrast.weights:
            if arm not in scores.arms:
                raise StatsError(
                    f"there is no arm '{arm}'",
                    place=f"contrast '{contrast.name}'",
                    value=arm,
                    hint=nearest(arm, scores.arms),
                )


def cell_indices(
    cells: Sequence[Key] | None, scores: Scores, table: PairedTable, place: str
) -> list[int]:
    """The positions of cells given by key (None: all); StatsError for one the table lacks."""
    if cells is None:
        return list(range(len(scores.cells)))
    if not cells:
        raise StatsError("the list of cells is empty", place=place, value=[])
    for cell in cells:
        if tuple(cell) not in scores.cells:
            raise StatsError(
                f"there is no cell {tuple(cell)}",
                place=f"{place} ({', '.join(table.cell) or 'no cell columns'})",
                value=cell,
                hint=nearest("/".join(map(str, cell)), ["/".join(key) for key in scores.cells]),
            )
    return sorted({scores.cells.index(tuple(cell)) for cell in cells})


def check_limits(limits: Limits, table: PairedTable) -> None:
    """Raise StatsError for limits that are not chance < maximum in reported units."""
    for cell, (chance, maximum) in limits.items():
        if not chance < maximum or not math.isfinite(maximum - chance):
            raise StatsError(
                f"chance {chance} is not below the maximum {maximum}",
                place=f"limits of {show(table.cell, cell)}",
                value=(chance, maximum),
            )
        if table.scale > 1 and maximum <= 1:
            raise StatsError(
                f"a maximum of {maximum} points looks like a fraction",
                place=f"limits of {show(table.cell, cell)}",
                value=maximum,
                hint="the table reports points: give e.g. (25.0, 100.0)",
            )
