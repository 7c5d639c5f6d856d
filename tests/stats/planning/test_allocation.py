"""Budgets divided between seeds and items, and between backbones and seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stats.errors import StatsError
from stats.planning.allocation import Allocation, allocate_backbones, allocate_items


def brute_force(
    parts: tuple[float, float, float],
    budget: float,
    fixed: float,
    each: float,
    least: int,
    inner: int,
) -> float:
    a, b, c = parts
    best = math.inf
    for n in range(least, int(budget / fixed) + 1 if fixed else int(budget / each) + 1):
        for m in range(inner, int(budget / (n * each)) + 1):
            if n * (fixed + m * each) <= budget * (1 + 1e-12):
                best = min(best, a / n + b / m + c / (n * m))
    return best


@pytest.mark.parametrize(
    ("sigmas", "budget", "cost_pair", "cost_item"),
    [
        ((1.0, 8.0, 10.0), 120.0, 5.0, 0.3),
        ((1.0, 0.0, 10.0), 120.0, 5.0, 0.3),
        ((0.0, 8.0, 3.0), 60.0, 1.0, 1.0),
        ((2.0, 0.5, 0.0), 60.0, 1.0, 2.0),
        ((1.0, 2.0, 2.0), 50.0, 0.0, 1.0),
        ((0.1, 5.0, 1.0), 300.0, 20.0, 0.7),
    ],
)
@pytest.mark.parametrize("items", ["random", "fixed"])
def test_no_other_division_is_better(
    sigmas: tuple[float, float, float],
    budget: float,
    cost_pair: float,
    cost_item: float,
    items: str,
) -> None:
    result = allocate_items(
        *sigmas, budget=budget, cost_pair=cost_pair, cost_item=cost_item, items=items
    )
    parts = (sigmas[0] ** 2, sigmas[1] ** 2 * (items == "random"), sigmas[2] ** 2)
    inner = 2 if items == "random" else 1
    best = brute_force(parts, budget, cost_pair, cost_item, 2, inner)
    assert result.variance == pytest.approx(best, rel=1e-12)
    assert result.cost <= budget * (1 + 1e-9)
    assert result.se == pytest.approx(math.sqrt(result.variance))


@pytest.mark.parametrize("items", ["random", "fixed"])
def test_the_closed_form_is_where_the_search_ends_up(items: str) -> None:
    result = allocate_items(
        1.0, 8.0, 10.0, budget=1e5, cost_pair=50.0, cost_item=0.5, items=items, min_pairs=6
    )
    n, m = result.continuous
    assert result.outer == pytest.approx(n, rel=0.02)
    assert result.inner == pytest.approx(m, rel=0.02)
    b = 64.0 if items == "random" else 0.0
    free = 1 / n + b / m + 100 / (n * m)
    assert free <= result.variance <= free * 1.001


def test_variance_is_that_of_simulated_studies() -> None:
    """Seeds and items crossed, both drawn anew: the variance of the grand mean."""
    sigmas = (0.7, 2.0, 3.0)
    result = allocate_items(*sigmas, budget=100.0, cost_pair=5.0, cost_item=0.2)
    n, m, repeats = result.outer, result.inner, 4000
    rng = np.random.default_rng(0)
    means = (
        sigmas[0] * rng.normal(size=(repeats, n)).mean(axis=1)
        + sigmas[1] * rng.normal(size=(repeats, m)).mean(axis=1)
        + sigmas[2] * rng.normal(size=(repeats, n, m)).mean(axis=(1, 2))
    )
    assert means.var() == pytest.approx(result.variance, rel=4.5 * math.sqrt(2 / repeats))


def test_items_taken_as_fixed_need_fewer_of_them() -> None:
    given = {"budget": 600.0, "cost_pair": 20.0, "cost_item": 0.02}
    random, fixed = (
        allocate_items(1.0, 8.0, 10.0, **given, items=items)  # type: ignore[arg-type]
        for items in ("random", "fixed")
    )
    assert fixed.inner < random.inner
    assert fixed.outer > random.outer
    assert fixed.variance < random.variance
    assert "these very items" in fixed.estimand


def test_what_does_not_vary_is_not_paid_for() -> None:
    only_seeds = allocate_items(1.0, 0.0, 0.0, budget=100.0, cost_pair=4.0, cost_item=0.5)
    assert (only_seeds.inner, only_seeds.outer) == (2, 20)
    only_items = allocate_items(0.0, 1.0, 0.0, budget=100.0, cost_pair=4.0, cost_item=0.5)
    assert (only_items.outer, only_items.inner) == (2, 92)


def test_limits_bind() -> None:
    result = allocate_items(
        1.0, 8.0, 10.0, budget=600.0, cost_pair=20.0, cost_item=0.02, max_items=200
    )
    assert result.inner == 200
    assert result.outer == 25  # 600 / (20 + 4)
    few = allocate_items(
        1.0, 8.0, 10.0, budget=600.0, cost_pair=20.0, cost_item=0.02, max_pairs=4, max_items=500
    )
    assert (few.outer, few.inner) == (4, 500)
    assert "4 pairs are too few for a sign flip to reach .05, which needs 6" in few.warning
    more = allocate_items(0.1, 8.0, 10.0, budget=600.0, cost_pair=20.0, cost_item=0.02, min_pairs=6)
    assert more.outer >= 6
    assert more.warning == ""


@pytest.mark.parametrize("exact", [(0.1, 0.3), (0.7, 0.1), (1e6, 1e-3)])
def test_a_budget_that_pays_exactly_is_spent_whatever_its_binary_fraction(
    exact: tuple[float, float],
) -> None:
    cost_pair, cost_item = exact
    budget = 7 * (cost_pair + 11 * cost_item)
    result = allocate_items(
        1.0, 1.0, 1.0, budget=budget, cost_pair=cost_pair, cost_item=cost_item,
        min_pairs=7, max_pairs=7,
    )  # fmt: skip
    assert (result.outer, result.inner) == (7, 11)


def test_backbones_against_seeds() -> None:
    result = allocate_backbones(0.5, 1.2, budget=1000.0, cost_backbone=10.0, cost_pair=1.0)
    assert result.continuous[1] == pytest.approx(math.sqrt(10) * 1.2 / 0.5)
    best = brute_force((0.25, 0.0, 1.44), 1000.0, 10.0, 1.0, 2, 1)
    assert result.variance == pytest.approx(best, rel=1e-12)
    assert result.df == result.outer - 1
    assert result.warning == ""
    few = allocate_backbones(
        0.5, 1.2, budget=1000.0, cost_backbone=10.0, cost_pair=1.0, max_backbones=3
    )
    assert few.outer == 3
    assert "3 backbones say little about a population" in few.warning
    assert "Warning: 3 backbones" in few.summary()
    assert isinstance(few, Allocation)


def test_degrees_of_freedom_of_crossed_means() -> None:
    """Without items' variance it is the pairs' df; without the pairs', the items'."""
    seeds = allocate_items(
        1.0, 0.0, 1e-6, budget=100.0, cost_pair=4.0, cost_item=0.5, max_items=9, max_pairs=8
    )
    assert seeds.df == pytest.approx(seeds.outer - 1, rel=1e-3)
    items = allocate_items(
        1e-6, 1.0, 1e-6, budget=100.0, cost_pair=4.0, cost_item=0.5, max_items=9, max_pairs=8
    )
    assert items.df == pytest.approx(items.inner - 1, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"budget": 5.0}, "budget: 5 does not pay for 2 x 2; the smallest study costs 10"),
        ({"budget": 0.0}, "budget: 0 does not pay for 2 x 2"),
        ({"sigma_seed": -1.0}, "sigma_seed: -1 is not 0 or more"),
        ({"sigma_item": math.nan}, "sigma_item: nan is not 0 or more"),
        ({"sigma_seed": 0.0, "sigma_item": 0.0, "sigma_seed_item": 0.0}, "nothing varies"),
        ({"cost_pair": -1.0}, "cost_pair: a cost of -1 is not 0 or more"),
        ({"cost_item": 0.0}, "cost_item: a cost of 0 is not positive"),
        ({"max_pairs": 1}, "max_pairs: 1 is less than 2"),
        ({"min_pairs": 1}, "min_pairs: 1 is less than 2"),
        ({"max_items": 1}, "max_items: 1 is less than 2"),
        ({"items": "fix"}, "'fix' is neither way to take items; did you mean 'fixed'?"),
        ({"budget": 1e9, "cost_pair": 1e-3, "cost_item": 1e-3}, "limit one of them: max_pairs or"),
    ],
)
def test_refusals(changes: dict[str, object], words: str) -> None:
    given: dict[str, object] = {
        "sigma_seed": 1.0, "sigma_item": 1.0, "sigma_seed_item": 1.0, "budget": 100.0,
        "cost_pair": 3.0, "cost_item": 1.0,
    }  # fmt: skip
    with pytest.raises(StatsError) as error:
        allocate_items(**(given | changes))  # type: ignore[arg-type]
    assert words in str(error.value)


def test_refusals_of_backbones() -> None:
    with pytest.raises(StatsError, match="backbones that do not differ need no allocation"):
        allocate_backbones(0.0, 1.0, budget=100.0, cost_backbone=1.0, cost_pair=1.0)
    with pytest.raises(StatsError, match="the smallest study costs 22"):
        allocate_backbones(1.0, 1.0, budget=20.0, cost_backbone=10.0, cost_pair=1.0)
