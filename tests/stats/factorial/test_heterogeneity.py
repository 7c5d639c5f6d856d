"""Effects that differ between backbones and benchmarks: exact tests, and their rates."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats
from statsmodels.multivariate.manova import MANOVA
from statsmodels.stats.oneway import anova_oneway

from stats.contrast import Contrast
from stats.errors import StatsError
from stats.factorial.heterogeneity import heterogeneity, vector_test
from stats.factorial.wilks import welch, wilks
from stats.table import PairedTable
from tests.stats.factorial.designs import contrasts, design, scores, table
from tests.stats.factorial.rates import places

POINTS = design()
MAINS, _ = contrasts(POINTS)


def vectors(y: np.ndarray, contrast: Contrast) -> list[np.ndarray]:
    """(pairs, benchmarks) per backbone, by a plain product."""
    weights = np.array([contrast.weights[arm] for arm in POINTS.index])
    return list(np.tensordot(weights, y[:-1], axes=1))


def test_a_difference_between_two_backbones_is_welchs_t() -> None:
    y = scores(POINTS, np.random.default_rng(0), luck={"A": 1.0})
    test = heterogeneity(table(POINTS, y), MAINS).of("A")["backbone"]
    deep, wide = (v.mean(axis=1) for v in vectors(y, MAINS[0]))
    expected = scipy.stats.ttest_ind(deep, wide, equal_var=False)
    assert pytest.approx(expected.statistic**2) == test.F
    assert (test.den_df, test.p) == pytest.approx((expected.df, expected.pvalue))
    assert test.effects == pytest.approx({"deep": deep.mean(), "wide": wide.mean()})


def test_welch_and_wilks_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(1)
    groups = [rng.normal(b, 1 + b, 5 + b) for b in range(4)]
    expected = anova_oneway(groups, use_var="unequal", welch_correction=True)
    found = welch(groups)
    assert (found.F, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    for n_groups, q in ((2, 3), (3, 4), (4, 2), (4, 3)):
        values = [rng.normal(0.4 * b, 1, (7, q)) for b in range(n_groups)]
        design_matrix = np.kron(np.eye(n_groups), np.ones((7, 1)))
        steps = np.diff(np.eye(n_groups), axis=0)
        fitted = MANOVA(np.concatenate(values), design_matrix)
        row = fitted.mv_test([("h", steps)]).results["h"]["stat"].loc["Wilks' lambda"]
        test = wilks(values, steps)
        assert float(row["F Value"]) == pytest.approx(test.F)
        assert (test.num_df, test.den_df) == pytest.approx((row["Num DF"], row["Den DF"]))
        assert test.p == pytest.approx(row["Pr > F"])


def test_one_group_of_pairs_is_hotellings_t() -> None:
    values = np.random.default_rng(2).normal(0.3, 1, (9, 4))
    d = np.diff(values, axis=1)
    square = 9 * d.mean(axis=0) @ np.linalg.solve(np.cov(d.T), d.mean(axis=0))
    name, test = vector_test([values], np.ones((1, 1)))
    assert name == "Hotelling"
    assert square * (9 - 3) / (3 * 8) == pytest.approx(test.F)
    # Any order of benchmarks, and a shift that all share, is the same question.
    moved = values[:, [2, 0, 3, 1]] + np.random.default_rng(3).normal(0, 5, (9, 1))
    assert pytest.approx(test.F) == vector_test([moved], np.ones((1, 1)))[1].F


def test_what_differs_is_found_where_it_differs() -> None:
    at = {("A", "deep", ""): 2.0, ("B", "", "recall"): 2.0, ("C", "wide", "code"): 4.0}
    y = scores(POINTS, np.random.default_rng(4), at=at, effects={"D": 3.0})
    found = heterogeneity(table(POINTS, y), MAINS)
    assert len(found.tests) == 18
    places_found = {(t.contrast, t.over) for t in found.found()}
    assert places_found >= {
        ("A", "backbone"),
        ("B", "benchmark"),
        ("C", "backbone × benchmark"),
    }
    assert not {"D", "E", "F"} & {contrast for contrast, _ in places_found}
    effects = found.of("B")["benchmark"].effects
    assert max(effects, key=lambda name: effects[name]) == "recall"


def test_few_pairs_take_single_tests_and_none_are_no_test() -> None:
    benchmarks = ("algebra", "code", "recall", "sort", "spell")
    y = scores(POINTS, np.random.default_rng(5), at={("A", "", "recall"): 3.0}, pairs=3)
    test = heterogeneity(table(POINTS, y), MAINS[:1]).of("A")["benchmark"]
    assert test.statistic == "Bonferroni"
    deviations = [v - v.mean(axis=1, keepdims=True) for v in vectors(y, MAINS[0])]
    shares = np.array([d.var(axis=0, ddof=1) / 3 for d in deviations])
    t = np.mean([d.mean(axis=0) for d in deviations], axis=0) / np.sqrt(shares.sum(axis=0)) * 2
    df = shares.sum(axis=0) ** 2 / (shares**2 / 2).sum(axis=0)
    assert test.p == pytest.approx(5 * (2 * scipy.stats.t.sf(np.abs(t), df)).min())
    alone = heterogeneity(table(POINTS, y[:, :, :1]), MAINS[:1])
    assert {t.p_adjusted for t in alone.tests} == {1.0}
    constant = np.broadcast_to(y[:, :, :1], y.shape).copy()
    assert {t.p_adjusted for t in heterogeneity(table(POINTS, constant), MAINS).tests} == {1.0}
    assert len(benchmarks) == y.shape[3]


def test_two_benchmarks_that_never_differ_leave_a_test() -> None:
    y = scores(POINTS, np.random.default_rng(6), pairs=8)
    y[..., 1] = y[..., 0]
    tests = heterogeneity(table(POINTS, y), MAINS[:1]).of("A")
    assert tests["benchmark"].statistic == "Bonferroni"
    assert 0 < tests["benchmark"].p <= 1


def test_kinds_follow_the_columns_and_one_cell_is_refused() -> None:
    y = scores(POINTS, np.random.default_rng(7), pairs=4)
    data = table(POINTS, y)
    no_groups = PairedTable.from_frame(
        data.frame.assign(seed=data.frame["backbone"] + data.frame["seed"]),
        pair=("seed",),
        cell=("benchmark",),
    )
    assert heterogeneity(no_groups, MAINS).over == ("benchmark",)
    # Draws of hyperparameters: one pair spans the backbones.
    draws = PairedTable.from_frame(data.frame, pair=("seed",), cell=("backbone", "benchmark"))
    assert heterogeneity(draws, MAINS).over == ("backbone", "benchmark")
    one = [cell for cell in data.scores().cells if cell[1] == "code"]
    assert heterogeneity(data, MAINS, average_over=one).over == ("backbone",)
    with pytest.raises(StatsError, match="one cell"):
        heterogeneity(data, MAINS, average_over=one[:1])
    uneven = [cell for cell in data.scores().cells if cell != ("deep", "code")]
    assert heterogeneity(data, MAINS, average_over=uneven).over == ("backbone",)


@pytest.mark.parametrize(("pairs", "backbones", "benchmarks"), [(6, 2, 5), (3, 2, 5), (5, 4, 4)])
def test_rates_under_the_null_are_nominal(pairs: int, backbones: int, benchmarks: int) -> None:
    rates = places(300, pairs=pairs, backbones=backbones, benchmarks=benchmarks)
    # Three binomial standard errors above .05, and some for Welch's approximation.
    for name, rate in rates.items():
        assert rate < 0.095, name


def test_the_record_has_plain_values_and_text() -> None:
    found = heterogeneity(table(POINTS, scores(POINTS, np.random.default_rng(8))), MAINS)
    assert json.loads(json.dumps(found.to_dict()))["alpha"] == 0.05
    assert len(found.table()) == 18
    assert max(map(len, found.summary().splitlines())) <= 100
