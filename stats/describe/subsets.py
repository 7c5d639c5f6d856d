"""The best over subsets of independent draws: estimators, and their leave-one-out values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stats.describe.budget import check_direction
from stats.errors import StatsError


def expected_best(
    values: Sequence[float] | np.ndarray, budgets: Sequence[int], direction: str = "maximize"
) -> np.ndarray:
    """The unbiased estimate of the expected best of n draws, for each n in ``budgets``.

    The mean of the best over all subsets of n of the B values: sum_i C(i - 1, n - 1) / C(B, n)
    v_(i) over the ordered values (Tang et al. 2020, arXiv 2004.13705). Raises StatsError for
    budgets outside 1..B and values that are not finite.
    """
    ordered = _ordered(values, direction)
    check_budgets(budgets, ordered.size)
    return ordered @ subset_weights(ordered.size, budgets)


def plug_in_best(
    values: Sequence[float] | np.ndarray, budgets: Sequence[int], direction: str = "maximize"
) -> np.ndarray:
    """The plug-in estimate sum_i v_(i) ((i / B)^n - ((i - 1) / B)^n) (Dodge et al. 2019, EMNLP).

    The best of n draws *with* replacement from the B values: biased against the best (low where
    one maximises), often with less variance (Dodge et al. 2021, EMNLP Findings, arXiv 2110.00613).
    Raises StatsError as ``expected_best`` does.
    """
    ordered = _ordered(values, direction)
    check_budgets(budgets, ordered.size)
    share = np.arange(ordered.size + 1)[:, None] / ordered.size
    return ordered @ np.diff(share ** np.asarray(budgets), axis=0)


def subset_weights(size: int, budgets: Sequence[int]) -> np.ndarray:
    """C(i - 1, n - 1) / C(B, n) for i = 1..B and each n: (B, budgets); each column sums to 1.

    From the top down: n / B, then each is the last times (i - n + 1) / i. Only factors in [0, 1]
    are multiplied, so nothing overflows, and what underflows is truly nothing.
    """
    n = np.asarray(budgets, dtype=float)
    i = np.arange(size - 1, 0, -1)[:, None]
    factors = np.vstack([n / size, np.maximum(i - n + 1, 0.0) / i])
    return np.cumprod(factors, axis=0)[::-1]


def leave_one_out(ordered: np.ndarray, budget: int) -> np.ndarray:
    """``expected_best`` (maximize) without each value in turn: (R, B) for R ascending rows of B.

    One pass of sums: the values below the one left out keep their rank, those above lose one.
    ``budget`` is at most B - 1.
    """
    weights = subset_weights(ordered.shape[1] - 1, [budget])[:, 0]
    out = np.zeros(ordered.shape)
    np.cumsum(ordered[:, :-1] * weights, axis=1, out=out[:, 1:])
    out[:, :-1] += np.cumsum((ordered[:, 1:] * weights)[:, ::-1], axis=1)[:, ::-1]
    return out


def check_budgets(budgets: Sequence[int], size: int, arm: str = "") -> None:
    """Raise StatsError unless every budget is a whole number from 1 to ``size``."""
    if len(budgets) == 0:
        raise StatsError("the list of budgets is empty", place="budgets", value=[])
    for n in budgets:
        if n != int(n) or n < 1:
            raise StatsError(f"{n} is not a number of trials", place="budgets", value=n)
        if n > size:
            raise StatsError(
                f"the best of {n} cannot be told from {size} trials"
                + (f" of '{arm}'" if arm else ""),
                place="budgets",
                value=n,
                hint=f"take budgets up to {size}, better up to {max(size // 2, 1)}",
            )


def _ordered(values: Sequence[float] | np.ndarray, direction: str) -> np.ndarray:
    """Sorted from worst to best."""
    check_direction(direction)
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise StatsError("values must be a list of finite numbers", place="values", value=values)
    return np.sort(array) if direction == "maximize" else np.sort(array)[::-1]
