"""Where the variation of scores comes from when arms share hyperparameter draws."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.contrast import Contrast
from stats.decompose.analysis import Decomposition, decompose
from stats.decompose.finite import spread_of
from stats.errors import StatsError
from stats.mixed.fit import lmm
from stats.prepare import cell_indices
from stats.table import Key, PairedTable, natural

if TYPE_CHECKING:
    import pandas as pd

ARM, BASELINE = "mechanism", "baseline"


@dataclass(frozen=True)
class CellSpread:
    """Mechanism x cell: the spread of the mean effects over these very cells, in units.

    ``sd`` with [``low``, ``high``] is on the scale of differences and has estimation error taken
    off; ``p`` is that of the F test that all cells have the same mean effect.
    """

    n_cells: int
    sd: float
    low: float
    high: float
    num_df: int
    den_df: float
    p: float


def decomposition(
    table: PairedTable,
    contrast: Contrast,
    *,
    draw: str = "hp",
    cells: Sequence[Key] | None = None,
    confidence_level: float = 0.95,
) -> Decomposition:
    """Mechanism, hyperparameters, their interplay, seed and residual, by ``decompose``.

    The score of a run is its average over ``cells`` (keys in the order of ``table.cell``; None:
    all; one: that cell). Where cells lie in several groups (backbones), whose seeds are different
    streams, the k-th seeds of the groups are averaged to one. The sides of the contrast are two
    arms. All components are on the scale of a score: two arms that differ by d in every pair have
    the SD d / sqrt(2), and an interplay that moves differences with an SD of t one of t / sqrt(2).
    Pairs that lack a score are left out.

    Raises StatsError as ``decompose`` does.
    """
    scores = table.scores()
    chosen = cell_indices(cells, scores, table, "cells")
    sides = _sides(contrast, scores.arms)
    place = table.pair.index(draw)
    by_group: dict[Key, list[int]] = {}
    for c in chosen:
        by_group.setdefault(table.group_of(scores.cells[c], table.cell), []).append(c)
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for group, columns in by_group.items():
        count: dict[str, int] = {}
        for p, key in sorted(enumerate(scores.pairs), key=lambda item: natural(item[1])):
            if table.group_of(key, table.pair) != group:
                continue
            both = np.tensordot(sides, scores.values[:, p, :][:, columns], axes=1).mean(axis=1)
            if np.isfinite(both).all():
                label = key[place]
                found.setdefault((label, count.get(label, 0)), []).append(both)
                count[label] = count.get(label, 0) + 1
    rows = [
        {"arm": arm, "draw": label, "seed": f"{label}.{k}", "score": float(value)}
        for (label, k), parts in found.items()
        if len(parts) == len(by_group)
        for arm, value in zip((ARM, BASELINE), np.mean(parts, axis=0), strict=True)
    ]
    made = decompose(
        _frame(rows), baseline=BASELINE, backbone="", benchmark="", hp="draw",
        confidence_level=confidence_level,
    )  # fmt: skip
    return dataclasses.replace(made, units=table.units)


def spread_over_cells(
    table: PairedTable,
    contrast: Contrast,
    *,
    draw: str = "hp",
    cells: Sequence[Key] | None = None,
    confidence_level: float = 0.95,
) -> CellSpread:
    """How much the effect differs between cells, judged by what it does over draws.

    A draw's effect in a cell is the mean over its complete pairs; effects are compared within the
    draw (cells fixed, draws random), so that what a draw does to all cells drops out. Raises
    StatsError for one cell, and for fewer than two draws.
    """
    scores = table.scores()
    chosen = cell_indices(cells, scores, table, "cells")
    if len(chosen) < 2:
        raise StatsError("one cell has no spread over cells", place="cells", value=len(chosen))
    arm, base = _sides(contrast, scores.arms)
    place = table.pair.index(draw)
    rows = []
    for c in chosen:
        by_draw: dict[str, list[float]] = {}
        difference = (arm - base) @ scores.values[:, :, c]
        for key, value in zip(scores.pairs, difference, strict=True):
            if math.isfinite(value):
                by_draw.setdefault(key[place], []).append(float(value))
        rows += [
            {"cell": f"c{c}", "draw": label, "effect": float(np.mean(values))}
            for label, values in by_draw.items()
        ]
    fit = lmm("effect ~ cell + (1 | draw)", _frame(rows), contrasts="sum", factors=("cell", "draw"))
    s = spread_of(fit, ("cell",), confidence_level)
    low, high = (math.sqrt(max(end, 0.0)) for end in (s.low, s.high))
    return CellSpread(
        len(chosen), math.sqrt(max(s.variance, 0.0)), low, high, s.num_df, s.den_df, s.p
    )


def _sides(contrast: Contrast, arms: Sequence[str]) -> np.ndarray:
    """Weights (2, arms) of the contrast's two sides, each summing to one."""
    weights = np.array([contrast.weights.get(arm, 0.0) for arm in arms])
    sides = np.array([np.maximum(weights, 0.0), np.maximum(-weights, 0.0)])
    return np.asarray(sides / sides.sum(axis=1, keepdims=True))


def _frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    import pandas as pd

    if not rows:
        raise StatsError("no draw has a complete pair in every cell", place="table")
    return pd.DataFrame(rows)
