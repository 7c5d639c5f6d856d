"""What a search of a given budget finds: the curve that fits how its trials were drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stats.describe.best_of_n import INDEPENDENT, best_of_n
from stats.describe.budget import (
    BudgetCurve,
    BudgetPoint,
    check_direction,
    clean_trials,
    in_natural_order,
)
from stats.describe.running_best import running_best

if TYPE_CHECKING:
    import pandas as pd


def search_curve(
    frame: pd.DataFrame,
    *,
    sampler: str,
    arm: str = "arm",
    search: str = "search",
    trial: str = "trial",
    score: str = "score",
    baseline: str | None = None,
    direction: str = "maximize",
    percent: bool = False,
    confidence_level: float = 0.95,
    rng: int | np.random.Generator = 0,
) -> BudgetCurve:
    """The expected best score against the number of trials, by the method that the trials allow.

    ``frame`` has one row per arm, search and trial. Replicated searches give the mean running best
    with a t interval over searches, paired by search where there is a ``baseline``. One search by
    an independent sampler ("random") gives the best of n with a bootstrap-t interval over trials,
    without differences, for the arms' trials are not the same draws. One search by any other
    sampler gives its own running best, without an interval and without differences: nothing in it
    says what another search would have found.

    Raises StatsError as :func:`~stats.describe.running_best.running_best` and
    :func:`~stats.describe.best_of_n.best_of_n` do.
    """
    if frame[search].nunique() > 1:
        return running_best(
            frame, arm=arm, search=search, trial=trial, score=score, baseline=baseline,
            direction=direction, percent=percent, confidence_level=confidence_level,
        )  # fmt: skip
    if sampler.strip().lower() in INDEPENDENT:
        return best_of_n(
            frame, sampler=sampler, arm=arm, trial=trial, score=score, direction=direction,
            percent=percent, confidence_level=confidence_level, rng=rng,
        )  # fmt: skip
    return _one_search(frame, arm, trial, score, direction, percent, confidence_level)


def _one_search(
    frame: pd.DataFrame,
    arm: str,
    trial: str,
    score: str,
    direction: str,
    percent: bool,
    confidence_level: float,
) -> BudgetCurve:
    check_direction(direction)
    clean = clean_trials(frame, arm, (trial,), ("trial",), score)
    arms = tuple(dict.fromkeys(clean[arm]))
    best = np.maximum if direction == "maximize" else np.minimum
    scale = 100.0 if percent else 1.0
    curves: dict[str, np.ndarray] = {}
    for name, part in clean.groupby(arm):
        values = part.set_index(trial)[score]
        ordered = values.loc[in_natural_order(list(values.index))].to_numpy(dtype=float)
        curves[str(name)] = best.accumulate(ordered * scale)

    def points(name: str, values: np.ndarray) -> list[BudgetPoint]:
        return [
            BudgetPoint(name, n, float(value), math.nan, math.nan, math.nan)
            for n, value in enumerate(values, start=1)
        ]

    return BudgetCurve(
        tuple(p for name in arms for p in points(name, curves[name])),
        (),
        "",
        "best score of this one search after n of its trials",
        "running best of one search; its trials depend on one another, so that it has no interval",
        "points" if percent else "score units",
        direction,
        "search",
        dict.fromkeys(arms, 1),
        confidence_level,
        0,
        None,
    )
