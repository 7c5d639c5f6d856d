"""Simulated studies with planted components."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd


def study(
    *,
    arms: Sequence[str] = ("lora", "talan"),
    effects: Sequence[float] = (0.0, 1.0),
    backbones: int = 2,
    benchmarks: int = 4,
    draws: int = 1,
    seeds: int = 6,
    sd: dict[str, float] | None = None,
    rng: int = 0,
) -> pd.DataFrame:
    """Scores around 50 with a planted effect per arm and SDs by name: hp, hp_arm, cell, cell_arm,
    seed, run, residual (all 0 but the residual, 1, unless given)."""
    size = {"hp": 0.0, "hp_arm": 0.0, "cell": 0.0, "cell_arm": 0.0, "seed": 0.0, "run": 0.0,
            "residual": 1.0} | (sd or {})  # fmt: skip
    g = np.random.default_rng(rng)
    index = np.array(
        list(
            itertools.product(
                range(len(arms)), range(backbones), range(benchmarks), range(draws), range(seeds)
            )
        )
    )
    a, b, k, h, s = index.T

    def effect(scale: float, *keys: np.ndarray) -> np.ndarray:
        _, at = np.unique(np.column_stack(keys), axis=0, return_inverse=True)
        return np.asarray(g.normal(0, scale, at.max() + 1)[at.reshape(-1)])

    score = 50.0 + np.asarray(effects)[a] + 3.0 * b + 2.0 * k
    score = score + effect(size["hp"], h) + effect(size["hp_arm"], h, a)
    score = score + effect(size["cell"], b, k) + effect(size["cell_arm"], b, k, a)
    score = score + effect(size["seed"], b, h, s) + effect(size["run"], b, h, s, a)
    return pd.DataFrame(
        {
            "arm": np.asarray(arms)[a],
            "backbone": [f"b{v}" for v in b],
            "benchmark": [f"k{v}" for v in k],
            "draw": [f"h{v}" for v in h],
            "seed": s,
            "score": score + g.normal(0, size["residual"], len(index)),
        }
    )
