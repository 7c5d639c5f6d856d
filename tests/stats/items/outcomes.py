"""Item tables with known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stats.items.table import ItemTable


def long(values: np.ndarray, clusters: list[str] | None = None) -> pd.DataFrame:
    """A long table from outcomes (2 arms, seeds, items)."""
    arms, seeds, items = values.shape
    rows = [
        (("lora", "talan")[a], s, i, values[a, s, i])
        for a in range(arms)
        for s in range(seeds)
        for i in range(items)
    ]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "item", "correct"])
    if clusters is not None:
        frame["passage"] = [clusters[i] for i in frame["item"]]
    return frame


def table(
    values: np.ndarray, clusters: list[str] | None = None, percent: bool = False
) -> ItemTable:
    return ItemTable.from_frame(
        long(values, clusters), cluster="passage" if clusters else None, percent=percent
    )


def binary(
    seeds: int = 6, items: int = 30, effect: float = 0.1, sd_item: float = 0.1, rng: int = 0
) -> np.ndarray:
    """Right or wrong (2, seeds, items): the arm's chance on an item is the baseline's + noise."""
    g = np.random.default_rng(rng)
    base = np.full((seeds, items), 0.6)
    arm = np.clip(base + effect + g.normal(0, sd_item, items), 0, 1)
    return (g.random((2, seeds, items)) < np.stack([base, arm])).astype(float)
