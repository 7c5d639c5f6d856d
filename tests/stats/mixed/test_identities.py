"""What a mixed model must agree with where another analysis is exact."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from stats.mixed.contest import joint
from stats.mixed.fit import lmm
from stats.paired import paired_t
from tests.stats.mixed.cases import data, fitted, lmm_of

DDF = ("auto", "kenward-roger", "satterthwaite")


def paired(n: int, rho: float, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Two arms on n seeds, and their differences."""
    rng = np.random.default_rng(seed)
    luck = rng.normal(size=n)
    y = np.sqrt(abs(rho)) * np.array([luck, luck * np.sign(rho)])
    y = y + math.sqrt(1 - abs(rho)) * rng.normal(size=(2, n)) + np.array([[0.0], [0.7]])
    frame = pd.DataFrame(
        {
            "y": y.ravel(), "arm": np.repeat(["a", "b"], n), "seed": [f"s{i}" for i in range(n)] * 2
        }
    )  # fmt: skip
    return frame, y[1] - y[0]


@pytest.mark.parametrize("ddf", [*DDF, "containment"])
@pytest.mark.parametrize("n", [3, 8, 20])
def test_two_arms_are_a_paired_t_test(n: int, ddf: str):
    frame, d = paired(n, 0.9)
    fit = lmm("y ~ arm + (1 | seed)", frame)
    assert not fit.boundary
    test, expected = fit.fixed(ddf).tests[1], paired_t(d)
    assert (test.estimate, test.se, test.df) == pytest.approx(
        (expected.mean, expected.se, expected.df), rel=1e-6
    )
    assert (test.statistic, test.p) == pytest.approx((expected.t, expected.p), rel=1e-6)
    assert (test.ci_low, test.ci_high) == pytest.approx(
        (expected.ci_low, expected.ci_high), rel=1e-6
    )


def test_on_the_boundary_the_headline_has_the_df_of_the_paired_test_and_others_forget_pairs():
    frame, d = paired(10, -0.9)
    fit = lmm("y ~ arm + (1 | seed)", frame)
    assert fit.boundary
    assert fit.triangles[0].tolist() == [[0.0]]
    assert fit.fixed().tests[1].df == pytest.approx(9)
    assert fit.fixed("satterthwaite").tests[1].df == pytest.approx(18)
    pooled = stats.ttest_ind(frame["y"][10:], frame["y"][:10])
    assert fit.fixed("satterthwaite").tests[1].p == pytest.approx(pooled.pvalue, rel=1e-8)
    # Zero is the best variance, not negative: the SE is not that of the differences.
    assert fit.fixed().tests[1].se < paired_t(d).se


@pytest.mark.parametrize("arms", [3, 5])
def test_a_balanced_one_way_layout_is_the_analysis_of_variance(arms: int):
    """theta^2 = (F - 1) / m, sigma^2 the mean square within, SE by the mean square between."""
    rng = np.random.default_rng(arms)
    y = rng.normal(0, 2, (8, 1)) + rng.normal(size=(8, arms))
    frame = pd.DataFrame({"y": y.ravel(), "g": np.repeat(range(8), arms)})
    fit = lmm("y ~ 1 + (1 | g)", frame)
    within = float(y.var(axis=1, ddof=1).mean())
    between = float(arms * y.mean(axis=1).var(ddof=1))
    f = between / within
    assert fit.triangles[0][0, 0] ** 2 == pytest.approx((f - 1) / arms, rel=1e-6)
    assert fit.sigma**2 == pytest.approx(within, rel=1e-6)
    test = fit.fixed().tests[0]
    assert test.se == pytest.approx(math.sqrt(between / y.size), rel=1e-6)
    assert test.df == pytest.approx(7, rel=1e-6)


@pytest.mark.parametrize("ddf", DDF)
def test_a_randomised_block_design_is_the_two_way_analysis_of_variance(ddf: str):
    rng = np.random.default_rng(4)
    y = rng.normal(0, 2, (7, 1)) + rng.normal(size=(7, 4)) + np.arange(4)
    frame = pd.DataFrame({"y": y.ravel(), "block": np.repeat(range(7), 4), "arm": list("abcd") * 7})
    expected = anova_lm(ols("y ~ C(block) + arm", frame).fit()).loc["arm"]
    (test,) = lmm("y ~ arm + (1 | block)", frame).anova(3, ddf).tests
    assert (test.F, test.den_df) == pytest.approx((expected["F"], 18), rel=1e-6)
    assert test.p == pytest.approx(expected["PR(>F)"], rel=1e-5)


def test_kenward_roger_over_slopes_is_hotelling():
    """Machines with slopes: F 32.803 on (2, 4), T^2 82.0075 (statistics of the differences)."""
    scores = data("machines").pivot_table(index="Worker", columns="Machine", values="score")
    d = np.column_stack([scores["B"] - scores["A"], scores["C"] - scores["A"]])
    n, q = d.shape
    t2 = n * d.mean(axis=0) @ np.linalg.solve(np.cov(d.T), d.mean(axis=0))
    expected = (n - q) / (q * (n - 1)) * t2
    assert t2 == pytest.approx(82.0075, abs=1e-3)
    (test,) = fitted("machines_slopes").anova(3, "kenward-roger").tests
    assert pytest.approx(expected, rel=1e-5) == test.F
    assert pytest.approx(32.803015, abs=1e-5) == test.F
    assert test.den_df == pytest.approx(n - q, rel=1e-6)


def test_kenward_roger_of_three_contrasts_is_hotelling():
    rng = np.random.default_rng(8)
    n, k = 9, 4
    effects = rng.multivariate_normal(np.zeros(k), np.diag([4, 3, 2, 1]) + 1.0, n)
    y = effects[:, :, None] + rng.normal(0, 0.3, (n, k, 3)) + np.arange(k)[:, None]
    frame = pd.DataFrame(
        {
            "y": y.ravel(), "g": np.repeat(range(n), 3 * k),
            "arm": np.tile(np.repeat(list("abcd"), 3), n),
        }
    )  # fmt: skip
    means = y.mean(axis=2)
    d = means[:, 1:] - means[:, :1]
    t2 = n * d.mean(axis=0) @ np.linalg.solve(np.cov(d.T), d.mean(axis=0))
    (test,) = lmm("y ~ arm + (arm | g)", frame).anova().tests
    assert pytest.approx((n - 3) / (3 * (n - 1)) * t2, rel=1e-5) == test.F
    assert (test.num_df, test.den_df) == (3, pytest.approx(n - 3, rel=1e-5))


def test_welch_by_group_variances():
    """A random effect of one group only: 1-df Satterthwaite is Welch's t for equal-sized groups.

    Both arms have their own seeds; arm b adds a variance of its own.
    """
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 12), rng.normal(1, 3, 12)
    frame = pd.DataFrame(
        {
            "y": np.concatenate([np.repeat(a, 2), np.repeat(b, 2)]),
            "arm": np.repeat(["a", "b"], 24), "unit": np.repeat(range(24), 2),
        }
    )  # fmt: skip
    frame["y"] += rng.normal(0, 0.1, 48)
    means = frame.groupby(["arm", "unit"])["y"].mean()
    welch = stats.ttest_ind(means["b"], means["a"], equal_var=False)
    # (0 + arm | unit) has a correlation that no unit informs: written out as two variances.
    frame["is_a"], frame["is_b"] = (frame["arm"] == "a") * 1.0, (frame["arm"] == "b") * 1.0
    fit = lmm("y ~ arm + (0 + is_a | unit) + (0 + is_b | unit)", frame)
    test = fit.fixed("satterthwaite").tests[1]
    assert test.statistic == pytest.approx(welch.statistic, rel=1e-5)
    assert test.df == pytest.approx(welch.df, rel=1e-4)


# Without random terms: ordinary least squares --------------------------------------------------


def unbalanced_factors() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 90
    frame = pd.DataFrame(
        {
            "a": rng.choice(list("pqr"), n, p=[0.6, 0.25, 0.15]),
            "b": rng.choice(list("uv"), n, p=[0.7, 0.3]), "c": rng.choice(list("st"), n),
            "x": rng.normal(size=n), "z": rng.normal(size=n),
        }
    )  # fmt: skip
    frame["y"] = rng.normal(size=n) + frame["x"] * (frame["a"] == "q") + (frame["b"] == "v")
    return frame


@pytest.mark.parametrize("contrasts", ["treatment", "sum"])
@pytest.mark.parametrize("type", [2, 3])
@pytest.mark.parametrize(
    "terms",
    ["a * b", "a * b * c", "a * x", "a * b + x", "x * z", "a * x * z", "a + b + c", "a / x"],
)
def test_f_tests_of_ordinary_least_squares(terms: str, type: int, contrasts: str):
    frame = unbalanced_factors()
    ours = lmm(f"y ~ {terms}", frame, contrasts=contrasts).anova(type).table()
    theirs_text = terms
    for name in "abc":
        theirs_text = theirs_text.replace(name, f"C({name}, Sum)")
    theirs = anova_lm(ols(f"y ~ {theirs_text}", frame).fit(), typ=type)
    theirs.index = [name.replace(", Sum)", "").replace("C(", "") for name in theirs.index]
    assert set(ours["term"]) == set(theirs.index) - {"Intercept", "Residual"}
    for row in ours.itertuples():
        expected = theirs.loc[row.term]
        assert row.num_df == expected["df"]
        assert pytest.approx(expected["F"], rel=1e-8) == row.F
        assert row.p == pytest.approx(expected["PR(>F)"], rel=1e-7)


def test_type_3_is_not_that_of_treatment_coding():
    """The mutant: under treatment coding 'type III main effects' are simple effects."""
    frame = unbalanced_factors()
    fit = lmm("y ~ a * b", frame)
    ours = fit.anova(3).tests[1]
    simple = joint(fit, np.eye(len(fit.beta))[[3]], "b")
    assert abs(ours.F - simple.F) > 0.1 * ours.F


@pytest.mark.parametrize("coding", ["C(k) * b", "C(a, contr.treatment('q')) * b"])
def test_type_3_does_not_hang_on_a_factors_own_coding(coding: str):
    frame = unbalanced_factors()
    frame["k"] = frame["a"].map({"p": 0, "q": 1, "r": 2})
    frame["y"] += np.random.default_rng(1).normal(size=8)[frame["x"].rank().astype(int) % 8]
    frame["g"] = frame["x"].rank().astype(int) % 8
    expected = lmm("y ~ a * b + (1 | g)", frame, contrasts="sum").anova(3).tests
    for contrasts in ("treatment", "sum"):
        found = lmm(f"y ~ {coding} + (1 | g)", frame, contrasts=contrasts).anova(3).tests
        assert [t.F for t in found] == pytest.approx([t.F for t in expected], rel=1e-6)
        assert [t.den_df for t in found] == pytest.approx([t.den_df for t in expected], rel=1e-6)


def test_coefficients_of_ordinary_least_squares():
    frame = unbalanced_factors()
    fit = lmm("y ~ a * x + z", frame)
    theirs = ols("y ~ a * x + z", frame).fit()
    ours = fit.fixed().table().set_index("term")
    for name in ours.index:
        other = name.replace("(Intercept)", "Intercept").replace("a[", "a[T.")
        assert ours.loc[name, "estimate"] == pytest.approx(theirs.params[other])
        assert ours.loc[name, "se"] == pytest.approx(theirs.bse[other])
        assert ours.loc[name, "p"] == pytest.approx(theirs.pvalues[other], rel=1e-6)
        low, high = theirs.conf_int().loc[other]
        assert (ours.loc[name, "ci_low"], ours.loc[name, "ci_high"]) == pytest.approx((low, high))
    assert fit.sigma**2 == pytest.approx(theirs.mse_resid)
    ml = lmm("y ~ a * x + z", frame, reml=False)
    assert ml.criterion_value == pytest.approx(-2 * theirs.llf)


def test_unbalanced_mixed_type_2_and_3_are_wald_tests_of_the_same_fit():
    """On a balanced design both types are one; leave rows out and they part."""
    fit = lmm_of("yield ~ Variety * nitro + (1 | Block) + (1 | bv)", "oats")
    second, third = fit.anova(2).table(), fit.anova(3).table()
    assert np.allclose(second["F"], third["F"], rtol=1e-7)
    fewer = data("oats").drop([0, 5, 17, 18, 40, 41])
    fit = lmm(
        "yield ~ Variety * nitro + (1 | Block) + (1 | bv)", fewer,
        factors=("Block", "Variety", "nitro", "bv"),
    )  # fmt: skip
    second, third = fit.anova(2).table(), fit.anova(3).table()
    assert abs(second["F"][0] - third["F"][0]) > 1e-3
    assert second["F"][2] == pytest.approx(third["F"][2], rel=1e-9), "nothing contains the last"
