"""Plausible wrong analyses of the same tables, which the claims must be able to tell from ours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.stats

from stats.contrast import Contrast
from stats.result import Effect

Z = 1.96
RUN = ["backbone", "hp", "seed"]


def by_score(
    results: pd.DataFrame, contrast: Contrast, benchmarks: tuple[str, ...]
) -> tuple[float, float]:
    """A 95 % interval in points, every paired difference of every benchmark independent."""
    frame = results[results["benchmark"].isin(benchmarks)]
    wide = frame.pivot(index=[*RUN, "benchmark"], columns="arm", values="score")
    d = 100 * sum(wide[arm] * weight for arm, weight in contrast.weights.items())
    d = d.dropna().to_numpy()
    half = Z * d.std(ddof=1) / np.sqrt(d.size)
    return float(d.mean() - half), float(d.mean() + half)


def unpaired_p(results: pd.DataFrame, contrast: Contrast, benchmarks: tuple[str, ...]) -> float:
    """One-sided p of Welch's t on run means: pairs ignored, backbones centred."""
    frame = results[results["benchmark"].isin(benchmarks)]
    runs = frame.groupby(["arm", *RUN])["score"].mean()
    centred = runs - runs.groupby(level="backbone").transform("mean")
    (arm,), (baseline,) = contrast.arms, contrast.baselines
    test = scipy.stats.ttest_ind(
        centred[arm], centred[baseline], equal_var=False, alternative="greater"
    )
    return float(test.pvalue)


def unadjusted(effects: tuple[Effect, ...], alpha: float = 0.05) -> bool:
    """Whether any of the effects has an unadjusted p-value up to alpha."""
    return any(effect.p <= alpha for effect in effects)
