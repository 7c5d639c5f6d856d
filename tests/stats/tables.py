"""Small results tables with known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ["arm", "backbone", "seed", "benchmark", "score"]


def frame(
    effects: Mapping[str, float],
    *,
    backbones: Sequence[str] = ("deep", "wide"),
    benchmarks: Sequence[str] = ("algebra", "recall"),
    seeds: int = 6,
    noise: float = 0.6,
    rng: int = 0,
) -> pd.DataFrame:
    """Scores around 50: a shared pair effect, plus each arm's effect and its own noise."""
    g = np.random.default_rng(rng)
    rows = []
    for backbone in backbones:
        for seed in range(seeds):
            luck = g.normal(0, 2)
            for benchmark in benchmarks:
                here = 50 + luck + g.normal(0, 1)
                for arm, effect in effects.items():
                    own = 0.0 if effect == 0.0 and arm == "lora" else g.normal(0, noise)
                    rows.append((arm, backbone, seed, benchmark, here + effect + own))
    return pd.DataFrame(rows, columns=COLUMNS)


def write(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path
