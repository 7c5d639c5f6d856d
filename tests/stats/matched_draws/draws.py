"""Simulated matched draws with planted components."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stats.matched_draws.layout import Layout, Values, layout
from stats.table import PairedTable


def one_way(
    rng: np.random.Generator,
    *,
    draws: int = 20,
    seeds: int = 2,
    mean: float = 0.0,
    tau: float = 0.0,
    noise: tuple[float, ...] = (1.0,),
    lost: float = 0.0,
) -> Layout:
    """A layout with true SD ``tau`` over draws, a group per entry of ``noise``, some pairs lost."""
    true = mean + tau * rng.standard_normal(draws)
    values, names, groups = [], [], []
    for g, sd in enumerate(noise):
        for h in range(draws):
            for s in range(seeds):
                if s == 0 or rng.random() >= lost:
                    values.append(true[h] + sd * rng.standard_normal())
                    names.append(str(h))
                    groups.append((f"b{g}",))
    given = Values(np.array(values), tuple(names), tuple(groups), 10.0)
    return layout(given, [str(h) for h in range(draws)])


def frame(
    *,
    draws: int = 8,
    seeds: int = 2,
    backbones: int = 2,
    benchmarks: int = 2,
    effect: float = 2.0,
    tau: float = 1.0,
    own_labels: bool = True,
    rng: int = 0,
) -> pd.DataFrame:
    """Scores in 0..1 (effects in points) of lora and talan."""
    g = np.random.default_rng(rng)
    rows = []
    for h in range(draws):
        main, true = 3 * g.standard_normal(), effect + tau * g.standard_normal()
        for b in range(backbones):
            for s in range(seeds):
                pair, run = g.standard_normal(), 0.5 * g.standard_normal()
                for k in range(benchmarks):
                    for arm in ("lora", "talan"):
                        more = (true + run) * (arm == "talan") + 0.5 * g.standard_normal()
                        rows.append(
                            {
                                "arm": arm, "backbone": f"b{b}", "hp": h,
                                "seed": h * seeds + s if own_labels else s, "benchmark": f"k{k}",
                                "score": (50 + main + pair + more) / 100,
                            }
                        )  # fmt: skip
    return pd.DataFrame(rows)


def table(scores: pd.DataFrame) -> PairedTable:
    """The paired table of ``frame``'s scores."""
    return PairedTable.from_frame(
        scores, pair=("backbone", "hp", "seed"), percent=True, allow_failed=True
    )
