"""Parameters, time and memory of the mechanism, against the adapter alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stats.median import MedianInterval, median_interval
from stats.record import Record


@dataclass(frozen=True)
class Resources(Record):
    """What one arm takes.

    ``added`` holds, by backbone, the least and the largest number of parameters that the block adds
    to what trains, and ``share`` those numbers over the parameters of backbone and adapter.
    ``train`` and ``score`` are the arm's seconds over the baseline's, ``memory`` is the arm's peak
    less the baseline's in MB: medians over units, None where no unit has both. ``peak_mb`` is the
    median peak of the arm. ``unlike`` counts the runs that differ from their baseline's in shared
    hyperparameters: they say nothing of what the block takes, and have no part in ``train``,
    ``score`` and ``memory``.
    """

    estimand: str
    method: str
    arm: str
    label: str
    adapter: str
    added: dict[str, tuple[int, int]]
    share: dict[str, tuple[float, float]]
    train: MedianInterval | None
    score: MedianInterval | None
    memory: MedianInterval | None
    peak_mb: float
    unlike: int


def resources(
    costs: pd.DataFrame,
    arms: Sequence[tuple[str, str, str]],
    backbone_parameters: Mapping[str, int],
    *,
    whole: Sequence[str] = (),
    over_draws: bool = False,
    confidence_level: float = 0.95,
) -> tuple[Resources, ...]:
    """What each arm takes beyond its adapter alone, paired within pairs.

    Args:
        costs: a row per run: arm, backbone, hp, seed, settings (the shared hyperparameters as
            text), train_seconds, eval_seconds, peak_mb, adapter_parameters, block_parameters.
        arms: name, label and adapter (the name of the baseline arm) of each arm with the mechanism.
        backbone_parameters: of each backbone.
        whole: adapters that train the backbone's own weights, which are not counted twice.
        over_draws: a unit is a draw of hyperparameters, with the geometric mean of the ratios (the
            mean of the differences) of its runs on all backbones; else every pair is one.
        confidence_level: of each interval; it holds for one number alone.
    """
    table = costs.set_index(["arm", "backbone", "hp", "seed"]).sort_index()
    known = set(table.index.get_level_values("arm"))
    found = []
    for name, label, adapter in arms:
        if name not in known or adapter not in known:
            continue
        both = table.loc[name].join(table.loc[adapter].add_suffix("_base"), how="inner")
        alike = both[both["settings"] == both["settings_base"]]
        added: dict[str, tuple[int, int]] = {}
        share: dict[str, tuple[float, float]] = {}
        for backbone, runs in both.groupby(level="backbone"):
            block = runs["block_parameters"]
            beside = 0 if adapter in whole else runs["adapter_parameters_base"]
            parts = block / (backbone_parameters[str(backbone)] + beside)
            added[str(backbone)] = (int(block.min()), int(block.max()))
            share[str(backbone)] = (float(parts.min()), float(parts.max()))
        found.append(
            Resources(
                "median over pairs of arm over baseline (memory: arm minus baseline)",
                "order statistics, exact by the binomial distribution",
                name,
                label,
                adapter,
                added,
                share,
                _median(_units(_ratio(alike, "train_seconds"), over_draws, _geometric),
                        confidence_level),
                _median(_units(_ratio(alike, "eval_seconds"), over_draws, _geometric),
                        confidence_level),
                _median(_units(alike["peak_mb"] - alike["peak_mb_base"], over_draws, _mean),
                        confidence_level),
                float(both["peak_mb"].median()),
                len(both) - len(alike),
            )
        )  # fmt: skip
    return tuple(found)


def _ratio(both: pd.DataFrame, column: str) -> pd.Series:
    """Arm over baseline in pairs in which both took time."""
    timed = both[(both[column] > 0) & (both[f"{column}_base"] > 0)]
    return timed[column] / timed[f"{column}_base"]


def _units(
    values: pd.Series, over_draws: bool, mean: Callable[[np.ndarray], float]
) -> Sequence[float]:
    if not over_draws:
        return [float(value) for value in values]
    return [mean(group.to_numpy()) for _, group in values.groupby(level="hp")]


def _geometric(ratios: np.ndarray) -> float:
    return float(np.exp(np.log(ratios).mean()))


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _median(units: Sequence[float], confidence_level: float) -> MedianInterval | None:
    return median_interval(units, confidence_level=confidence_level) if len(units) else None
