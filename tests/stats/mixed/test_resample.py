"""Responses drawn from a fit, refits of them, and likelihood ratios."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stats.errors import StatsError
from stats.mixed.fit import fit_moments, lmm
from stats.mixed.nested import likelihood_ratio
from stats.mixed.resample import parametric_bootstrap, share_at_least, simulate
from tests.stats.mixed.cases import fitted, lmm_of
from tests.stats.mixed.dense import Dense
from tests.stats.mixed.designs import unbalanced


def test_draws_have_the_mean_and_covariance_of_the_model():
    fit = lmm("y ~ x + (1 + x | a) + (1 | c)", unbalanced())
    draws = simulate(fit, 20_000, rng=1)
    assert draws.shape == (20_000, fit.n)
    v = fit.sigma**2 * Dense.of(fit.design).v(fit.triangles)
    sd = np.sqrt(np.diag(v))
    z = (draws.mean(axis=0) - fit.design.x @ fit.beta) / sd * math.sqrt(len(draws))
    assert np.abs(z).max() < 5
    # 200 random linear combinations: each variance within 5 standard errors of its own.
    weights = np.random.default_rng(2).normal(size=(200, fit.n))
    ratio = (draws @ weights.T).var(axis=0, ddof=1) / np.einsum("ij,jk,ik->i", weights, v, weights)
    assert np.abs(ratio - 1).max() < 5 * math.sqrt(2 / len(draws))


def test_draws_are_those_of_the_seed():
    fit = fitted("dyestuff")
    assert np.array_equal(simulate(fit, 3, rng=5), simulate(fit, 3, rng=5))
    assert not np.array_equal(simulate(fit, 3, rng=5), simulate(fit, 3, rng=6))
    state = np.random.get_state()[1].copy()
    simulate(fit, 3)
    assert np.array_equal(state, np.random.get_state()[1]), "no global random numbers"


def test_the_bootstrap_finds_the_fit_again():
    fit = fitted("penicillin")
    found = parametric_bootstrap(fit, 150, rng=3)
    assert found.names == ("(Intercept)",)
    assert found.components == ("plate", "sample")
    assert found.beta.shape == (150, 1)
    assert found.sd.shape == (150, 2)
    assert (found.failed, found.boundary_share, found.rng_seed) == (0, 0.0, 3)
    table = found.intervals()
    assert list(table["parameter"]) == ["(Intercept)", "sd plate", "sd sample", "sd Residual"]
    truth = [fit.beta[0], *(c.sd[0] for c in fit.components), fit.sigma]
    error = (table["mean"] - truth) / (table["sd"] / math.sqrt(150))
    assert np.abs(error[[0, 1, 3]]).max() < 4
    # REML variances are unbiased here, SDs of six samples a little low.
    assert table["mean"][2] == pytest.approx(truth[2], rel=0.12)
    assert table["sd"][0] == pytest.approx(fit.fixed().tests[0].se, rel=0.2)
    inside = (table["low"] < truth) & (truth < table["high"])
    assert inside.all()
    assert found.table().equals(table)


def test_the_bootstrap_is_that_of_its_seed_and_says_so():
    fit = fitted("dyestuff2")
    one, same, other = (parametric_bootstrap(fit, 60, rng=rng) for rng in (0, 0, 1))
    assert np.array_equal(one.sd, same.sd)
    assert not np.array_equal(one.sd, other.sd)
    # No batch effect: the variance is zero in P(F < 1) of draws, F on 5 and 24 df.
    low, high = stats.binom.interval(0.9999, 60, stats.f.cdf(1, 5, 24))
    assert low / 60 <= one.boundary_share <= high / 60
    assert parametric_bootstrap(fit, 20, rng=np.random.default_rng(0)).rng_seed is None
    assert one.to_dict()["rng_seed"] == 0
    with pytest.raises(StatsError, match="19 resamples are too few"):
        parametric_bootstrap(fit, 19)


def test_a_refit_of_another_response_is_that_of_another_table():
    frame = unbalanced()
    fit = lmm("y ~ arm + (1 + x | a) + (1 | c)", frame)
    y = simulate(fit, 1, rng=4)[0]
    again = fit_moments(fit.criterion.moments.with_response(y), reml=True)
    anew = lmm("y ~ arm + (1 + x | a) + (1 | c)", frame.assign(y=y))
    assert again.criterion_value == pytest.approx(anew.criterion_value, abs=1e-7)
    assert np.allclose(again.beta, anew.beta, atol=1e-6)
    assert [t.df for t in again.fixed().tests] == pytest.approx(
        [t.df for t in anew.fixed().tests], rel=1e-4
    )


# Likelihood ratios ------------------------------------------------------------------------------


def test_a_fixed_effect_is_compared_by_maximum_likelihood():
    full = lmm_of("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    reduced = lmm_of("Reaction ~ 1 + (Days | Subject)", "sleepstudy")
    found = likelihood_ratio(full, reduced)
    draws = [likelihood_ratio(full, reduced, n_resamples=5, rng=0) for _ in range(2)]
    assert draws[0] == draws[1]
    # lme4: anova(fm1, update(fm1, . ~ . - Days)), Chisq 23.537 on 1, p 1.226e-06
    assert found.statistic == pytest.approx(23.537, abs=2e-3)
    assert (found.df, found.reference, found.method) == (1, "chi-squared", "ML")
    assert found.p == pytest.approx(1.226e-06, rel=1e-3)


def test_a_single_variance_has_half_the_p_value():
    full = lmm_of("Reaction ~ Days + (1 + Days || Subject)", "sleepstudy")
    reduced = lmm_of("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    found = likelihood_ratio(full, reduced)
    assert found.method == "REML"
    assert found.statistic == pytest.approx(reduced.criterion_value - full.criterion_value)
    assert found.p == pytest.approx(stats.chi2.sf(found.statistic, 1) / 2)
    assert found.reference == "even mixture of 0 and chi-squared(1)"
    nothing = likelihood_ratio(fitted("dyestuff2"), lmm_of("Yield ~ 1", "dyestuff2"))
    assert (nothing.statistic, nothing.p) == (0.0, 1.0)


def test_a_covariance_is_not_at_a_boundary():
    """(x | g) against (x || g): lme4's chi-squared(1), .0639 on 1 df by ML, p .8004."""
    full = lmm_of("Reaction ~ Days + (Days | Subject)", "sleepstudy", reml=False)
    reduced = lmm_of("Reaction ~ Days + (Days || Subject)", "sleepstudy", reml=False)
    found = likelihood_ratio(full, reduced)
    assert found.statistic == pytest.approx(0.0639, abs=1e-4)
    assert found.p == pytest.approx(0.8004, abs=1e-4)
    assert (found.df, found.reference) == (1, "chi-squared")


def test_a_variance_with_its_covariance():
    """(x | g) against (1 | g): the even mixture of one and two degrees of freedom."""
    full = lmm_of("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    reduced = lmm_of("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    found = likelihood_ratio(full, reduced)
    expected = (stats.chi2.sf(found.statistic, 1) + stats.chi2.sf(found.statistic, 2)) / 2
    assert found.p == pytest.approx(expected)
    assert found.reference == "even mixture of chi-squared(1) and chi-squared(2)"
    two = likelihood_ratio(fitted("penicillin"), lmm_of("diameter ~ 1", "penicillin"))
    assert two.df == 2
    assert two.reference.startswith("chi-squared (conservative")


def test_the_parametric_bootstrap_of_the_ratio():
    """Few groups: chi-squared is far too small, Kenward-Roger and the bootstrap agree."""
    rng = np.random.default_rng(11)
    group = np.repeat(range(6), 8)
    arm = np.where(group < 3, "a", "b")
    y = rng.normal(0, 1, 6)[group] + rng.normal(0, 0.5, 48) + 2.5 * (arm == "b")
    frame = pd.DataFrame({"y": y, "arm": arm, "g": group})
    full, reduced = lmm("y ~ arm + (1 | g)", frame), lmm("y ~ 1 + (1 | g)", frame)
    plain = likelihood_ratio(full, reduced)
    simulated = likelihood_ratio(full, reduced, n_resamples=200, rng=0)
    assert (simulated.rng_seed, simulated.n_resamples) == (0, 200)
    assert simulated.reference == "parametric bootstrap"
    exact = full.fixed().tests[1].p
    se = math.sqrt(exact * (1 - exact) / 200)
    assert abs(simulated.p - exact) < 4 * se
    assert plain.p < exact / 1.5


def test_shares_count_ties_and_never_vanish():
    draws = np.array([0.0, 1.0, 2.0, 3.0])
    assert share_at_least(draws, 2.0) == 3 / 5
    assert share_at_least(draws, 9.0) == 1 / 5
    assert share_at_least(draws, 0.0) == 1.0


def test_refusals():
    frame = unbalanced()
    full = lmm("y ~ arm + x + (1 | a)", frame)
    for other, message in (
        (lmm("y ~ arm + x + (1 | a)", frame.iloc[:90]), "different rows"),
        (lmm("y ~ arm + x + (1 | a)", frame, contrasts="sum"), "coded differently"),
        (lmm("y ~ arm + w + (1 | a)", frame), "is not nested in"),
        (lmm("y ~ arm + x + (1 | c)", frame), "is not nested in"),
        (full, "the same parameters"),
    ):
        with pytest.raises(StatsError, match=message):
            likelihood_ratio(full, other)
    with pytest.raises(StatsError, match="give the larger model first"):
        likelihood_ratio(lmm("y ~ arm + (1 | a)", frame), full)
    # By maximum likelihood other codings of the same space do compare.
    a = lmm("y ~ arm + x + (1 | a) + (1 | c)", frame, reml=False)
    b = lmm("y ~ arm + x + (1 | a)", frame, reml=False, contrasts="sum")
    c = lmm("y ~ arm + x + (1 | a)", frame, reml=False)
    assert likelihood_ratio(a, b).statistic == pytest.approx(likelihood_ratio(a, c).statistic)


def test_nested_and_reordered_groups_are_the_same():
    frame = unbalanced()
    full = lmm("y ~ x + (1 | a) + (1 | a:b)", frame)
    reduced = lmm("y ~ x + (1 | b:a)", frame)
    assert likelihood_ratio(full, reduced).df == 1
