"""Estimated marginal means against sums by hand, and what cannot be estimated."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stats.errors import StatsError
from stats.mixed.fit import LmmFit, lmm
from tests.stats.mixed.cases import fitted


def two_way() -> pd.DataFrame:
    """Unbalanced: 2 to 7 rows per cell of arm (3) x size (2)."""
    rng = np.random.default_rng(5)
    counts = {
        ("a", "s"): 7,
        ("a", "l"): 3,
        ("b", "s"): 2,
        ("b", "l"): 6,
        ("c", "s"): 4,
        ("c", "l"): 5,
    }
    rows = [
        {
            "arm": arm,
            "size": size,
            "y": 3 * i + rng.normal(),
            "x": rng.normal(i, 1),
            "g": rng.integers(0, 6),
        }
        for i, ((arm, size), n) in enumerate(counts.items())
        for _ in range(n)
    ]
    return pd.DataFrame(rows)


def test_means_of_a_saturated_two_way_layout_are_means_of_cell_means():
    frame = two_way()
    fit = lmm("y ~ arm * size", frame)
    cells = frame.groupby(["arm", "size"])["y"].agg(["mean", "count"])
    means = fit.emm("arm")
    assert means.names == ("a", "b", "c")
    for arm, test in zip(means.names, means.tests.tests, strict=True):
        own = cells.loc[arm]
        assert test.estimate == pytest.approx(own["mean"].mean())
        se = fit.sigma * math.sqrt(float((1 / own["count"]).sum())) / 2
        assert test.se == pytest.approx(se)
        assert test.df == pytest.approx(len(frame) - 6)
        half = stats.t.ppf(0.975, len(frame) - 6) * se
        assert (test.ci_low, test.ci_high) == pytest.approx(
            (test.estimate - half, test.estimate + half)
        )
    # Not the mean of the rows, which weighs sizes by how often they occur.
    assert abs(means.tests.tests[0].estimate - frame[frame["arm"] == "a"]["y"].mean()) > 0.1
    both = fit.emm(["size", "arm"])
    assert both.names == ("l:a", "l:b", "l:c", "s:a", "s:b", "s:c")
    assert both.tests.tests[3].estimate == pytest.approx(cells.loc[("a", "s"), "mean"])
    assert list(both.table().columns) == ["size", "arm", "mean", "se", "df", "ci_low", "ci_high"]


def test_covariates_are_at_their_mean_or_where_asked():
    frame = two_way()
    fit = lmm("y ~ arm * x", frame)
    beta = dict(zip(fit.names, fit.beta, strict=True))
    for at, x in ((None, frame["x"].mean()), ({"x": 2.0}, 2.0)):
        found = fit.emm("arm", at=at).tests.tests
        assert found[0].estimate == pytest.approx(beta["(Intercept)"] + beta["x"] * x)
        expected = beta["(Intercept)"] + beta["arm[b]"] + (beta["x"] + beta["arm[b]:x"]) * x
        assert found[1].estimate == pytest.approx(expected)


def test_another_factor_held_at_a_level():
    fit = lmm("y ~ arm * size", two_way())
    held, cells = fit.emm("arm", at={"size": "l"}), fit.emm(["arm", "size"])
    assert [t.estimate for t in held.tests.tests] == pytest.approx(
        [
            t.estimate
            for name, t in zip(cells.names, cells.tests.tests, strict=True)
            if name[-1] == "l"
        ]
    )
    assert "averaged" not in held.tests.estimand
    assert "averaged equally over size" in fit.emm("arm").tests.estimand


def test_functions_of_covariates_go_through_the_formula():
    frame = two_way()
    frame["p"] = np.exp(frame["x"])
    fit = lmm("y ~ arm + log(p) + poly(x, 2)", frame, aliased="drop")
    grid = frame.assign(arm="b", p=2.0, x=0.3).iloc[:1]
    expected = float(fit.design.rows(grid)[0][fit.design.independent] @ fit.beta)
    found = fit.emm("arm", at={"p": 2.0, "x": 0.3}).tests.tests[1]
    assert math.isnan(found.estimate) == (not found.estimable)
    if found.estimable:
        assert found.estimate == pytest.approx(expected)


def test_pairs_and_contrasts():
    fit = lmm("y ~ arm * size", two_way())
    means = fit.emm("arm")
    values = {name: t.estimate for name, t in zip(means.names, means.tests.tests, strict=True)}
    pairs = means.pairwise()
    assert [t.term for t in pairs.tests] == ["b - a", "c - a", "c - b"]
    for test in pairs.tests:
        high, low = test.term.split(" - ")
        assert test.estimate == pytest.approx(values[high] - values[low])
    assert [t.term for t in means.versus().tests] == ["b - a", "c - a"]
    assert [t.term for t in means.versus("c").tests] == ["a - c", "b - c"]
    curve = means.contrast({"a": 1, "b": -2, "c": 1}, "curvature").tests[0]
    assert curve.estimate == pytest.approx(values["a"] - 2 * values["b"] + values["c"])
    rows = means.rows
    spread = fit.sigma**2 * rows @ np.linalg.inv(fit.design.x.T @ fit.design.x) @ rows.T
    weights = np.array([1, -2, 1])
    assert curve.se == pytest.approx(math.sqrt(weights @ spread @ weights))
    assert np.allclose(pairs.covariance[0, 0], spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])


def test_a_mixed_models_means_have_the_df_of_the_blocks():
    """Oats: nitro means carry blocks and whole plots, their differences do not."""
    means = fitted("oats").emm("nitro")
    assert all(t.df < 10 for t in means.tests.tests)
    assert [t.df for t in means.pairwise().tests] == pytest.approx([45] * 6)
    assert [t.df for t in means.versus("0").tests] == pytest.approx([45] * 3)
    first = means.versus("0").tests[0]
    assert first.estimate == pytest.approx(19.5)  # nlme, Pinheiro and Bates 2000, page 48


def test_dunnett_of_a_balanced_layout_is_the_published_one():
    """scipy's Dunnett (multivariate t by simulation) on the same one-way layout."""
    rng = np.random.default_rng(0)
    groups = {
        name: rng.normal(shift, 1, 8)
        for name, shift in zip("abcd", (0, 0.5, 1.2, 0.9), strict=True)
    }
    frame = pd.DataFrame([{"arm": k, "y": v} for k, values in groups.items() for v in values])
    table = lmm("y ~ arm", frame).emm("arm").dunnett()
    theirs = stats.dunnett(*(groups[k] for k in "bcd"), control=groups["a"], rng=1)
    assert np.allclose(table["p_adjusted"], theirs.pvalue, atol=2e-3)
    interval = theirs.confidence_interval(0.95)
    assert np.allclose(table["simultaneous_low"], interval.low, atol=5e-3)
    assert np.allclose(table["simultaneous_high"], interval.high, atol=5e-3)
    assert (table["p_adjusted"] >= table["p"]).all()


# What the data cannot tell ----------------------------------------------------------------------


def with_an_empty_cell() -> LmmFit:
    frame = two_way()
    frame = frame[~((frame["arm"] == "c") & (frame["size"] == "s"))]
    return lmm("y ~ arm * size + x + (1 | g)", frame, aliased="drop", factors=("g",))


def test_an_empty_cell_is_not_estimable():
    fit = with_an_empty_cell()
    assert fit.design.aliased == ("arm[c]:size[s]",)
    cells = fit.emm(["arm", "size"])
    fine = {name: t.estimable for name, t in zip(cells.names, cells.tests.tests, strict=True)}
    assert [name for name, known in fine.items() if not known] == ["c:s"]
    assert cells.table()["mean"].isna().sum() == 1
    assert [t.estimable for t in fit.emm("arm").tests.tests] == [True, True, False]
    assert [t.estimable for t in fit.emm("size").tests.tests] == [True, False]
    pairs = {t.term: t.estimable for t in fit.emm("arm").pairwise().tests}
    assert pairs == {"b - a": True, "c - a": False, "c - b": False}
    # An interaction contrast over the four cells that are there can be told.
    weights = {"a:l": 1, "a:s": -1, "b:l": -1, "b:s": 1}
    assert math.isfinite(cells.contrast(weights).tests[0].p)


def test_f_tests_with_an_empty_cell():
    """Type III is ambiguous; type II is the difference of two least squares fits."""
    frame = two_way()
    frame = frame[~((frame["arm"] == "c") & (frame["size"] == "s"))]
    fit = lmm("y ~ arm * size", frame, aliased="drop")
    with pytest.raises(StatsError, match="type III is ambiguous; take type 2"):
        fit.anova(3)
    table = fit.anova(2).table().set_index("term")

    def rss(formula: str) -> tuple[float, int]:
        other = lmm(formula, frame, aliased="drop")
        return other.sigma**2 * (other.n - len(other.beta)), len(other.beta)

    full = rss("y ~ arm * size")
    for term, bigger, smaller in (
        ("arm", "y ~ arm + size", "y ~ size"),
        ("size", "y ~ arm + size", "y ~ arm"),
        ("arm:size", "y ~ arm * size", "y ~ arm + size"),
    ):
        (high, p), (low, q) = rss(bigger), rss(smaller)
        assert table.loc[term, "num_df"] == p - q
        expected = (low - high) / (p - q) / fit.sigma**2
        assert table.loc[term, "F"] == pytest.approx(expected)
    assert full[1] == len(fit.beta) == 5
    assert fit.to_dict()["type"] == 2
    assert "Terms (type II)" in fit.summary()


def test_a_term_that_others_determine_has_no_test():
    frame = two_way()
    frame["twice"] = 2 * frame["x"]
    fit = lmm("y ~ x + twice + arm", frame, aliased="drop")
    table = fit.anova(2).table().set_index("term")
    assert table.loc["twice", "num_df"] == 0
    assert math.isnan(table.loc["twice", "F"])
    assert math.isnan(table.loc["twice", "p"])


def test_mistakes():
    fit = lmm("y ~ arm * size + x", two_way())
    for call, message in (
        (
            lambda: fit.emm("armm"),
            "'armm' is not a factor of the fixed effects; did you mean 'arm'",
        ),
        (lambda: fit.emm("x"), "'x' is not a factor of the fixed effects"),
        (lambda: fit.emm("g"), "'g' is not a factor"),
        (lambda: fit.emm("arm", at={"siz": "l"}), "'siz' is not in the fixed effects"),
        (lambda: fit.emm("arm", at={"size": "m"}), "'m' is not a level of 'size'"),
        (lambda: fit.emm("arm").versus("d"), "there is no mean 'd'"),
        (lambda: fit.emm("arm").contrast({"a": 0.0}), "weights must be finite and not all zero"),
        (lambda: fit.emm("arm", confidence_level=1.2), "confidence_level"),
        (lambda: fit.contrast({"arm[d]": 1}), r"there is no fixed effect 'arm\[d\]'"),
        (lambda: fit.contrast({"x": 0.0}), "not all zero"),
        (lambda: fit.contrast([1.0, math.nan, 0, 0, 0, 0, 0]), "must be finite"),
        (lambda: fit.contrast([1.0, 2.0]), "2 weights for 7 fixed effects"),
        (lambda: fit.anova(1), "1 is not a type; take 2 or 3"),
    ):
        with pytest.raises(StatsError, match=message):
            call()
