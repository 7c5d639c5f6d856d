"""A simulated ablation study, for timing."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd


def study(
    *, backbones: int, benchmarks: int, seeds: int, arms: int, draws: int = 1, rng: int = 0
) -> pd.DataFrame:
    """Scores of a simulated study: backbone SD 3, benchmark 5, cell 2, cell x arm .8, block 1,
    hp draw 1.5, hp x arm .5, run .7, residual 1; every second arm adds 1."""
    g = np.random.default_rng(rng)
    axes = [range(n) for n in (backbones, benchmarks, seeds, arms, draws)]
    index = np.array(list(itertools.product(*axes)))
    b, k, s, a, h = index.T

    def effect(sd: float, *keys: np.ndarray) -> np.ndarray:
        _, at = np.unique(np.column_stack(keys), axis=0, return_inverse=True)
        at = at.reshape(-1)
        return np.asarray(g.normal(0, sd, at.max() + 1)[at])

    score = 50.0 + (a % 2) + effect(3, b) + effect(5, k) + effect(2, b, k) + effect(0.8, b, k, a)
    score += effect(1, b, h, s) + effect(0.7, b, h, s, a) + g.normal(0, 1, len(index))
    if draws > 1:
        score += effect(1.5, h) + effect(0.5, h, a)
    text = {name: [f"{name[0]}{v}" for v in values] for name, values in
            (("backbone", b), ("benchmark", k), ("arm", a), ("hp", h))}  # fmt: skip
    frame = pd.DataFrame(text)
    frame["cell"] = [f"{x}.{y}" for x, y in zip(b, k, strict=True)]
    frame["block"] = [f"{x}.{y}.{z}" for x, y, z in zip(b, h, s, strict=True)]
    frame["run"] = [f"{x}.{y}.{z}.{w}" for x, y, z, w in zip(b, h, s, a, strict=True)]
    return frame.assign(score=score)
