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


def items_of_a_seed(
    results: pd.DataFrame, items: pd.DataFrame, contrast: Contrast, benchmarks: tuple[str, ...]
) -> tuple[float, float]:
    """A 95 % interval in points from the items of the first seed, as if checkpoints were arms."""
    (arm,), (baseline,) = contrast.arms, contrast.baselines
    first = results[(results["seed"] == 0) & results["benchmark"].isin(benchmarks)]
    runs = first.drop_duplicates("run_key").set_index("run_key")
    mine = items[items["run_key"].isin(runs.index) & items["benchmark"].isin(benchmarks)]
    place = runs.loc[mine["run_key"].astype(str), ["arm", "backbone"]].reset_index(drop=True)
    wide = (
        mine.assign(arm=place["arm"].to_numpy(), backbone=place["backbone"].to_numpy())
        .assign(benchmark=mine["benchmark"].astype(str))
        .pivot(index=["backbone", "benchmark", "item"], columns="arm", values="correct")
    )
    d = 100 * (wide[arm].to_numpy(float) - wide[baseline].to_numpy(float))
    half = Z * d.std(ddof=1) / np.sqrt(d.size)
    return float(d.mean() - half), float(d.mean() + half)


def unadjusted(effects: tuple[Effect, ...], alpha: float = 0.05) -> bool:
    """Whether any of the effects has an unadjusted p-value up to alpha."""
    return any(effect.p <= alpha for effect in effects)
