"""The running best of replicated searches: budget curves for any sampler."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stats.describe.budget import (
    BudgetCurve,
    BudgetPoint,
    check_direction,
    clean_trials,
    in_natural_order,
    known_baseline,
)
from stats.errors import StatsError
from stats.paired import check_level, paired_t
from stats.sample import Sample

if TYPE_CHECKING:
    import pandas as pd


def running_best(
    frame: pd.DataFrame,
    *,
    arm: str = "arm",
    search: str = "search",
    trial: str = "trial",
    score: str = "score",
    baseline: str | None = None,
    direction: str = "maximize",
    percent: bool = False,
    confidence_level: float = 0.95,
) -> BudgetCurve:
    """The mean over independent searches of the best score so far, with a t interval.

    ``frame`` has one row per arm, search and trial; ``trial`` numbers the trials of a search in
    the order they were run. A search is one independent run of the sampler, all of it: the
    searches are the sample, whatever their number of trials (Bouthillier et al. 2021, MLSys 3:
    the ideal estimator). With a ``baseline``, searches of the same label are paired.

    Raises StatsError for fewer than two searches of an arm, searches of different length, arms
    with different searches where there is a baseline, and bad columns.
    """
    check_level(confidence_level)
    check_direction(direction)
    clean = clean_trials(frame, arm, (search, trial), ("search", "trial"), score)
    arms = tuple(dict.fromkeys(clean[arm]))
    base = known_baseline(baseline, arms)
    scale = 100.0 if percent else 1.0
    curves: dict[str, np.ndarray] = {}
    names: dict[str, list[str]] = {}
    for name, part in clean.groupby(arm):
        table = part.pivot(index=search, columns=trial, values=score)
        names[name] = in_natural_order(list(table.index))
        table = table.loc[names[name], in_natural_order(list(table.columns))]
        _check_searches(table, str(name))
        best = np.maximum if direction == "maximize" else np.minimum
        curves[name] = best.accumulate(table.to_numpy() * scale, axis=1)
    if base:
        _check_same_searches(names, base)
    magnitude = max(float(np.abs(curve).max()) for curve in curves.values())

    def points(name: str, less: str = "") -> list[BudgetPoint]:
        curve = curves[name]
        if less:
            shared = min(curve.shape[1], curves[less].shape[1])
            curve = curve[:, :shared] - curves[less][:, :shared]
        ts = [
            paired_t(Sample.of([column], magnitude=magnitude), "two-sided", confidence_level)
            for column in curve.T
        ]
        return [
            BudgetPoint(name, budget, t.mean, t.ci_low, t.ci_high, math.nan)
            for budget, t in enumerate(ts, start=1)
        ]

    return BudgetCurve(
        tuple(p for name in arms for p in points(name)),
        tuple(p for name in arms if base and name != base for p in points(name, base)),
        base,
        "expected best score of a search after n of its trials, over searches like these",
        "mean of the running best over replicated searches, t interval",
        "points" if percent else "score units",
        direction,
        "search",
        {name: len(names[name]) for name in arms},
        confidence_level,
        0,
        None,
    )


def _check_searches(table: pd.DataFrame, arm: str) -> None:
    if len(table) < 2:
        raise StatsError(
            f"arm '{arm}' has one search only, which says nothing about another",
            place="table",
            value=len(table),
            hint="replicate the whole search with other sampler seeds (5 or more)",
        )
    lacking = np.argwhere(table.isna().to_numpy())
    if lacking.size:
        row, column = lacking[0]
        raise StatsError(
            f"search {table.index[row]} of arm '{arm}' has no trial {table.columns[column]}, which "
            "another of its searches has",
            place="table",
            value=(arm, table.index[row], table.columns[column]),
            hint="number the trials alike and cut all searches to one length",
        )


def _check_same_searches(names: dict[str, list[str]], baseline: str) -> None:
    for name, searches in names.items():
        odd = in_natural_order(list(set(searches) ^ set(names[baseline])))
        if odd:
            raise StatsError(
                f"arms '{name}' and '{baseline}' do not share search {odd[0]}",
                place="table",
                value=odd[0],
                hint="give paired searches one label, or leave baseline out",
            )
