"""The expected score of the best of n independent trials of a hyperparameter search.

It reuses the B trials of one random search for every budget n <= B. Trials of adaptive samplers
(TPE, evolution, Bayesian optimisation) depend on those before them, and no reshuffling of one
search tells what another would have found: for them there is ``running_best``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stats.bootstrap import check_resamples
from stats.describe.budget import (
    BudgetCurve,
    BudgetPoint,
    check_direction,
    clean_trials,
    in_natural_order,
    known_baseline,
)
from stats.describe.subsets import (
    check_budgets,
    expected_best,
    leave_one_out,
    plug_in_best,
    subset_weights,
)
from stats.errors import StatsError, nearest
from stats.paired import check_level
from stats.record import seed_of
from stats.sample import ROUNDING

if TYPE_CHECKING:
    import pandas as pd

INDEPENDENT = ("random",)
_ADAPTIVE = ("tpe", "gp", "bo", "cmaes", "cma-es", "nsga2", "evolution", "hyperband")
_SPREAD = ("sobol", "qmc", "halton", "grid")
_CHUNK_CELLS = 1 << 20  # trials drawn at a time; bounds memory to some 10 MB an array

# An arm's curve, or the difference of two arms' curves.
_Line = tuple[str, ...]


def best_of_n(
    frame: pd.DataFrame,
    *,
    sampler: str,
    arm: str = "arm",
    trial: str = "trial",
    score: str = "score",
    baseline: str | None = None,
    budgets: Sequence[int] | None = None,
    direction: str = "maximize",
    percent: bool = False,
    confidence_level: float = 0.95,
    n_resamples: int = 2000,
    rng: int | np.random.Generator = 0,
) -> BudgetCurve:
    """The expected best of n trials for each arm, with bootstrap-t intervals over trials.

    ``frame`` has one row per arm and trial. ``sampler`` says how trials were drawn; "random" is
    the only one for which they are independent, any other is refused. ``budgets`` are the n
    (default: up to 30 of them, from 1 to half the smallest number of trials B; beyond that the
    estimate rests on the very best trials and the data do not tell how far off they are; at n = B
    there is no interval). With a ``baseline`` the differences are given too: trials of the same
    label are the same draw of hyperparameters and are resampled together.

    The interval is a bootstrap-t (Efron 1981) with the jackknife's standard error; the percentile
    interval covers far less than it says as soon as n exceeds B / 10.

    Raises StatsError for another sampler, a budget below 1 or above an arm's number of trials,
    fewer than two trials, arms with different trials where there is a baseline, and bad columns.
    """
    check_level(confidence_level)
    check_resamples(n_resamples)
    check_direction(direction)
    _check_sampler(sampler)
    clean = clean_trials(frame, arm, (trial,), ("trial",), score)
    arms = tuple(dict.fromkeys(clean[arm]))
    base = known_baseline(baseline, arms)
    scale = 100.0 if percent else 1.0
    trials = {str(name): part.set_index(trial)[score] for name, part in clean.groupby(arm)}
    values = {
        name: trials[name].loc[in_natural_order(trials[name].index)].to_numpy() * scale
        for name in arms
    }
    if base:
        _check_same_trials(trials, base)
    chosen = _budgets(budgets, values)
    lines: list[_Line] = [(name,) for name in arms]
    lines += [(name, base) for name in arms if base and name != base]
    limits = _limits(values, lines, chosen, direction, confidence_level, n_resamples, rng)
    unbiased = {name: expected_best(values[name], chosen, direction) for name in arms}
    plug_in = {name: plug_in_best(values[name], chosen, direction) for name in arms}

    def points(line: _Line) -> list[BudgetPoint]:
        low, high = limits[line]
        at, beside = _less(unbiased, line), _less(plug_in, line)
        rows = zip(chosen, at.tolist(), low.tolist(), high.tolist(), beside.tolist(), strict=True)
        return [BudgetPoint(line[0], *row) for row in rows]

    return BudgetCurve(
        tuple(p for line in lines if len(line) == 1 for p in points(line)),
        tuple(p for line in lines if len(line) == 2 for p in points(line)),
        base,
        "expected best score of n independent trials of the declared search space",
        "unbiased U-statistic (Tang et al. 2020), bootstrap-t interval over trials",
        "points" if percent else "score units",
        direction,
        "trial",
        {name: values[name].size for name in arms},
        confidence_level,
        n_resamples,
        seed_of(rng),
    )


def _limits(
    values: Mapping[str, np.ndarray],
    lines: Sequence[_Line],
    budgets: Sequence[int],
    direction: str,
    level: float,
    n_resamples: int,
    rng: int | np.random.Generator,
) -> dict[_Line, tuple[np.ndarray, np.ndarray]]:
    """Bootstrap-t limits of every line, (budgets,) each; NaN where nothing varies or n = B."""
    generator = np.random.default_rng(rng)
    sign = 1.0 if direction == "maximize" else -1.0
    oriented = {name: sign * part for name, part in values.items()}
    least = ROUNDING * max(float(np.abs(part).max()) for part in values.values())
    observed = _estimates({name: part[None] for name, part in oriented.items()}, lines, budgets)
    sizes = {name: part.size for name, part in values.items()}
    joint = any(len(line) == 2 for line in lines)
    t: dict[_Line, list[np.ndarray]] = {line: [] for line in lines}
    rows = max(1, _CHUNK_CELLS // max(sizes.values()))
    for start in range(0, n_resamples, rows):
        size = min(rows, n_resamples - start)
        shared = generator.integers(0, min(sizes.values()), size=(size, min(sizes.values())))
        drawn = {
            name: part[
                shared if joint else generator.integers(0, part.size, size=(size, part.size))
            ]
            for name, part in oriented.items()
        }
        for line, (means, errors) in _estimates(drawn, lines, budgets).items():
            shift = means - observed[line][0]
            shift[np.abs(shift) <= least] = 0.0
            errors[errors <= least] = 0.0
            with np.errstate(divide="ignore", invalid="ignore"):
                t[line].append(
                    np.nan_to_num(shift / errors, nan=0.0, posinf=np.inf, neginf=-np.inf)
                )
    tail = (1 - level) / 2
    out = {}
    for line, parts in t.items():
        mean, error = (array[0] for array in observed[line])
        error = np.where(error <= least, np.nan, error)
        low, high = np.quantile(
            np.concatenate(parts), [tail, 1 - tail], axis=0, method="inverted_cdf"
        )
        ends = sign * np.stack([mean - high * error, mean - low * error])
        out[line] = (ends.min(axis=0), ends.max(axis=0))
    return out


def _estimates(
    drawn: Mapping[str, np.ndarray], lines: Sequence[_Line], budgets: Sequence[int]
) -> dict[_Line, tuple[np.ndarray, np.ndarray]]:
    """Expected best and jackknife standard error of every line: two arrays (R, budgets).

    ``drawn`` is (R, B) per arm, to be maximised. Two arms of a line have their trials in the same
    columns, so that a trial is left out of both at once. The error is NaN for n = B.
    """
    order = {name: np.argsort(rows, axis=1, kind="stable") for name, rows in drawn.items()}
    ordered = {name: np.take_along_axis(rows, order[name], axis=1) for name, rows in drawn.items()}
    means = {n: rows @ subset_weights(rows.shape[1], budgets) for n, rows in ordered.items()}
    errors = {line: np.full(means[line[0]].shape, np.nan) for line in lines}
    for k, budget in enumerate(budgets):
        without: dict[str, np.ndarray] = {}
        for name, rows in ordered.items():
            if budget < rows.shape[1]:
                without[name] = np.empty(rows.shape)
                values = leave_one_out(rows, budget)
                np.put_along_axis(without[name], order[name], values, axis=1)
        for line in lines:
            if line[0] in without:
                part = _less(without, line)
                errors[line][:, k] = np.sqrt((part.shape[1] - 1) * part.var(axis=1))
    return {line: (_less(means, line), errors[line]) for line in lines}


def _less(of_arm: Mapping[str, np.ndarray], line: _Line) -> np.ndarray:
    """An arm's array, less the baseline's where the line is a difference."""
    return of_arm[line[0]] - of_arm[line[1]] if len(line) == 2 else of_arm[line[0]]


def _budgets(budgets: Sequence[int] | None, values: Mapping[str, np.ndarray]) -> list[int]:
    name, least = min(
        ((name, part.size) for name, part in values.items()), key=lambda item: item[1]
    )
    if least < 2:
        raise StatsError(
            f"arm '{name}' has one trial only", place="table", value=least, hint="add trials"
        )
    if budgets is None:
        top = least // 2
        return np.unique(np.geomspace(1, top, min(top, 30)).round().astype(int)).tolist()
    check_budgets(budgets, least, name)
    return sorted({int(n) for n in budgets})


def _check_sampler(sampler: str) -> None:
    name = sampler.strip().lower()
    if name in INDEPENDENT:
        return
    why = (
        "its trials depend on one another"
        if name in _ADAPTIVE
        else "its points are spread on purpose, not drawn independently"
        if name in _SPREAD
        else "its trials are not known to be independent"
    )
    raise StatsError(
        f"the best of n cannot be told from one search by '{sampler}': {why}",
        place="sampler",
        value=sampler,
        hint=f"use running_best on replicated searches ({nearest(sampler, INDEPENDENT)})",
    )


def _check_same_trials(trials: Mapping[str, pd.Series], baseline: str) -> None:
    known = set(trials[baseline].index)
    for name, part in trials.items():
        odd = in_natural_order(list(known ^ set(part.index)))
        if odd:
            here, there = (name, baseline) if odd[0] in set(part.index) else (baseline, name)
            raise StatsError(
                f"arm '{here}' has trial {odd[0]}, arm '{there}' has not "
                f"({len(odd)} trials differ)",
                place="table",
                value=odd[0],
                hint="arms share the draws of hyperparameters; or leave the baseline out, for "
                "curves without differences",
            )
