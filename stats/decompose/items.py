"""Components within a benchmark's score: item, arm x item, seed x item.

From the complete array of outcomes (arms, pairs, items) of a cell, by the mean squares of the
three-way analysis of variance with items and pairs random (Scheffe 1959, The Analysis of Variance,
chapter 7). A benchmark's score is a mean over its items, so that a component of variance v adds
v / items to the score's variance: ``on_score`` is the root of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from stats.items.table import ItemTable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ItemComponent:
    """One component, averaged over cells: SDs in reported units, the variance may be negative.

    ``sd`` is that of one item's outcome, ``on_score`` that of a score over ``items`` items, and
    ``low`` and ``high`` its interval. ``inside`` names the component of scores that holds it.
    """

    name: str
    variance: float
    sd: float
    on_score: float
    low: float
    high: float
    items: float
    inside: str


_INSIDE = {
    "item": "cell",
    "mechanism x item": "mechanism x cell",
    "seed x item": "residual",
    "mechanism x seed x item": "residual",
}


def item_components(
    items: pd.DataFrame,
    *,
    arm: str,
    pair: Sequence[str],
    cell: Sequence[str],
    item: str = "item",
    outcome: str = "correct",
    percent: bool = False,
    confidence_level: float = 0.95,
) -> tuple[ItemComponent, ...]:
    """The components of every cell of an item table, averaged with equal weights.

    Needs all items of all arms and pairs of a cell; see ``ItemTable.from_frame`` for what it
    refuses. The interval is normal on the scale of the variance, from the mean squares' own
    variances (2 MS^2 / df).
    """
    keys = items[list(cell)].drop_duplicates().to_numpy().tolist() if cell else [[]]
    found: dict[str, list[tuple[float, float, int]]] = {name: [] for name in _INSIDE}
    for key in keys:
        table = ItemTable.from_frame(
            items, arm=arm, pair=tuple(pair), item=item, outcome=outcome, percent=percent,
            cell=dict(zip(cell, map(str, key), strict=True)),
        )  # fmt: skip
        for name, (value, error) in three_way(table.values).items():
            found[name].append((value, error, len(table.items)))
    z = float(ndtri(0.5 + confidence_level / 2))
    out = []
    for name, values in found.items():
        v, e, m = (np.array(x, dtype=float) for x in zip(*values, strict=True))
        on_score = float((v / m).mean())
        error = float(np.sqrt((e / m**2).sum())) / v.size
        low, high = on_score - z * error, on_score + z * error
        out.append(
            ItemComponent(
                name,
                float(v.mean()),
                _root(float(v.mean())),
                _root(on_score),
                _root(low),
                _root(high),
                float(m.mean()),
                _INSIDE[name],
            )
        )
    return tuple(out)


def three_way(y: np.ndarray) -> dict[str, tuple[float, float]]:
    """Components of y (arms A, pairs n, items m) and the variances of their estimates.

    E MS_item = s_asi + n s_ai + A s_si + A n s_i, E MS_arm,item = s_asi + n s_ai,
    E MS_pair,item = s_asi + A s_si, E MS_arm,pair,item = s_asi.
    """
    a, n, m = y.shape
    grand = y.mean()
    by = {
        "i": y.mean(axis=(0, 1)) - grand,
        "a": y.mean(axis=(1, 2)) - grand,
        "s": y.mean(axis=(0, 2)) - grand,
    }
    ai = y.mean(axis=1) - grand - by["a"][:, None] - by["i"][None]
    si = y.mean(axis=0) - grand - by["s"][:, None] - by["i"][None]
    as_ = y.mean(axis=2) - grand - by["a"][:, None] - by["s"][None]
    rest = (
        y - grand - by["a"][:, None, None] - by["s"][None, :, None] - by["i"][None, None]
        - ai[:, None] - si[None] - as_[:, :, None]
    )  # fmt: skip
    df = {"i": m - 1, "ai": (a - 1) * (m - 1), "si": (n - 1) * (m - 1),
          "asi": (a - 1) * (n - 1) * (m - 1)}  # fmt: skip
    square = {
        "i": a * n * float((by["i"] ** 2).sum()), "ai": n * float((ai**2).sum()),
        "si": a * float((si**2).sum()), "asi": float((rest**2).sum()),
    }  # fmt: skip
    ms = {key: square[key] / df[key] if df[key] else math.nan for key in df}

    def combine(scale: float, **signs: int) -> tuple[float, float]:
        value = sum(sign * ms[key] for key, sign in signs.items()) / scale
        error = sum(2 * ms[key] ** 2 / df[key] for key in signs if df[key]) / scale**2
        return value, error

    return {
        "item": combine(a * n, i=1, ai=-1, si=-1, asi=1),
        "mechanism x item": combine(n, ai=1, asi=-1),
        "seed x item": combine(a, si=1, asi=-1),
        "mechanism x seed x item": combine(1, asi=1),
    }


def binomial_variance(mean_score: float, n_items: int, maximum: float = 1.0) -> float:
    """Var of a score over items redrawn for every run: p (1 - p) / items, in squared units.

    Only then: with fixed items the same formula counts their difficulty as noise.
    """
    p = mean_score / maximum
    return p * (1 - p) / n_items * maximum**2


def _root(value: float) -> float:
    return math.sqrt(value) if value > 0 else 0.0 if value <= 0 else math.nan
