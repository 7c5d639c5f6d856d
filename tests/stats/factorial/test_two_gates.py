"""Main effects and interactions: the tests are the paired ones, and they keep their rates."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from stats.compare import compare
from stats.errors import StatsError
from stats.factorial.gates import two_gates
from stats.family import holm
from stats.verdict import Verdict
from tests.stats.factorial.designs import AXES, PAIRS, contrasts, design, scores, table
from tests.stats.factorial.rates import gates, p_values, power, weights

POINTS = design()
MAINS, INTERACTIONS = contrasts(POINTS)


def test_effects_are_found_where_they_are_and_nowhere_else() -> None:
    effects = {"A": 2.0, "C": -2.0, "B:F": 1.5}
    y = scores(POINTS, np.random.default_rng(0), effects=effects)
    found = two_gates(table(POINTS, y), MAINS, INTERACTIONS, sesoi=0.5, n_resamples=2000)
    by_name = {term.effect.name: term.effect for term in found.terms}
    for name, size in effects.items():
        assert by_name[name].delta == pytest.approx(size, abs=0.35)
        assert by_name[name].simultaneous_low < size < by_name[name].simultaneous_high
    assert {t.effect.name for t in found.settled("mains")} == {"A", "C"}
    assert {t.effect.name for t in found.settled("interactions")} == {"B:F"}
    assert by_name["A"].verdict == Verdict.SUPERIOR_AND_MEANINGFUL
    assert by_name["C"].verdict == Verdict.INFERIOR_AND_MEANINGFUL


def test_each_test_is_that_of_the_contrast_within_the_pair() -> None:
    y = scores(POINTS, np.random.default_rng(1), effects={"A": 0.5}, luck={"B": 1.0})
    data = table(POINTS, y)
    found = two_gates(data, MAINS, INTERACTIONS, n_resamples=2000)
    same = compare(data, cells=(), primary=MAINS, n_resamples=2000).primary
    for ours, theirs in zip(found.mains, same, strict=True):
        for name in ("delta", "t", "df", "p", "ci_low", "ci_high", "n_pairs"):
            assert getattr(ours.effect, name) == getattr(theirs, name)
    # By plain matrix products, without the package.
    for terms, rows, alpha in (
        (found.mains, weights()[0], 0.04),
        (found.interactions, weights()[1], 0.01),
    ):
        p = p_values(y[:-1, :, None], rows)[0]
        assert [t.effect.p for t in terms] == pytest.approx(p)
        assert [t.effect.p_adjusted for t in terms] == pytest.approx(holm(p))
        for term in terms:
            e = term.effect
            critical = scipy.stats.t.ppf(1 - alpha / 2 / len(terms), e.df)
            assert e.simultaneous_high - e.delta == pytest.approx(critical * e.delta / e.t)
            assert e.p_adjusted_method == "Holm"


def test_shares_of_variance_are_those_of_the_analysis_of_variance() -> None:
    y = scores(POINTS, np.random.default_rng(2), effects={"A": 0.6, "A:B": 0.4})
    found = two_gates(table(POINTS, y), MAINS, INTERACTIONS, n_resamples=2000)
    means = y[:-1].mean(axis=3)
    arms, backbones, pairs = means.shape
    at = np.indices(means.shape)
    frame = POINTS.add_prefix("x").iloc[at[0].ravel()].reset_index(drop=True)
    frame = frame.assign(y=means.ravel(), block=at[1].ravel() * pairs + at[2].ravel())
    frame = frame.assign(arm=at[0].ravel(), backbone=at[1].ravel())
    fits = [smf.ols("y ~ C(block) + C(arm)", part).fit() for _, part in frame.groupby("backbone")]
    df = sum(fit.df_resid for fit in fits)
    error = sum(fit.ssr for fit in fits) / df
    assert found.pooled.df == df == backbones * (pairs - 1) * (arms - 1)
    assert found.pooled.sd**2 == pytest.approx(error)
    terms = [*(f"x{axis}" for axis in AXES), *(f"x{a}:x{b}" for a, b in PAIRS)]
    squares = anova_lm(smf.ols(f"y ~ C(block) + {' + '.join(terms)}", frame).fit())["sum_sq"]
    for term in found.terms:
        f = squares[":".join(f"x{axis}" for axis in term.effect.name.split(":"))] / error
        assert pytest.approx(f) == term.shares.F
        assert term.shares.eta2 == pytest.approx(f / (f + df))
        assert term.shares.omega2_low <= term.shares.omega2 <= term.shares.omega2_high


def test_luck_that_a_level_shares_shows_in_the_ratio_of_the_errors() -> None:
    y = scores(POINTS, np.random.default_rng(3), luck={"A": 2.0}, pairs=10)
    found = two_gates(table(POINTS, y), MAINS, n_resamples=2000)
    ratios = {term.effect.name: term.error_ratio for term in found.mains}
    assert ratios["A"] > 3
    assert max(ratios[axis] for axis in AXES[1:]) < 1.6


def test_family_wise_errors_stay_below_their_alphas_where_benchmarks_move_together() -> None:
    rates = gates(800, correlation=0.9)
    mains, interactions = rates["own error"]
    # Three binomial standard errors above .04 and .01.
    assert mains < 0.061
    assert interactions < 0.021
    # The mutant that counts benchmarks of a run as independent finds effects of nothing.
    assert min(rates["runs x benchmarks"]) > 0.5


def test_only_the_own_error_survives_luck_that_a_level_shares() -> None:
    rates = gates(400, luck={"A": 1.0})
    assert rates["own error"][0] < 0.07
    assert rates["pooled error"][0] > 0.25


def test_power_is_what_the_noise_allows() -> None:
    # SE = sqrt((.7 + .3 / 5) x 4 / 32 / 12) = .089 SDs of a run; .04 / 6 at 10 df: t = 3.4
    assert power(200, 0.5) > 0.9
    assert power(200, 0.1) < 0.2


def test_a_failed_run_costs_its_pair_in_every_contrast_and_is_counted() -> None:
    y = scores(POINTS, np.random.default_rng(4))
    y[3, 0, 2] = np.nan
    found = two_gates(table(POINTS, y, allow_failed=True), MAINS, INTERACTIONS, n_resamples=2000)
    assert {term.effect.n_pairs for term in found.terms} == {11}
    assert {term.effect.n_broken for term in found.terms} == {1}
    assert {(b.arm, b.reason) for b in found.broken} == {("p03", "failed")}
    y[5, 1, :5] = np.nan
    with pytest.raises(StatsError, match="two pairs with all its arms"):
        two_gates(table(POINTS, y, allow_failed=True), MAINS, n_resamples=2000)


def test_what_cannot_be_tested_is_refused() -> None:
    data = table(POINTS, scores(POINTS, np.random.default_rng(5), pairs=3))
    with pytest.raises(StatsError, match="no main effect"):
        two_gates(data, [])
    with pytest.raises(StatsError, match="two contrasts are called 'A'"):
        two_gates(data, MAINS, [MAINS[0]])
    with pytest.raises(StatsError, match="positive"):
        two_gates(data, MAINS, sesoi=-1)
    with pytest.raises(StatsError, match="between 0 and 1"):
        two_gates(data, MAINS, alpha_mains=0)


def test_identical_arms_and_constant_differences_are_no_findings() -> None:
    y = scores(POINTS, np.random.default_rng(6), pairs=4)
    y[:-1] = y[:1]
    found = two_gates(table(POINTS, y), MAINS, INTERACTIONS, n_resamples=2000)
    assert {term.effect.verdict for term in found.terms} == {Verdict.IDENTICAL}
    y[:-1] += 0.5 * POINTS["A"].to_numpy()[:, None, None, None]
    found = two_gates(table(POINTS, y), MAINS, INTERACTIONS, n_resamples=2000)
    assert found.mains[0].effect.verdict == Verdict.UNDEFINED
    assert found.mains[0].effect.p_adjusted == 1
    assert not found.settled("mains")


def test_the_record_has_plain_values_and_text() -> None:
    y = scores(POINTS, np.random.default_rng(7), effects={"A": 2.0}, pairs=3)
    found = two_gates(table(POINTS, y), MAINS, INTERACTIONS, sesoi=1.0, n_resamples=2000)
    assert json.loads(json.dumps(found.to_dict()))["mains"][0]["effect"]["name"] == "A"
    assert len(found.table()) == 21
    text = found.summary()
    assert "Holm at 0.04" in text
    assert max(map(len, text.splitlines())) <= 100
