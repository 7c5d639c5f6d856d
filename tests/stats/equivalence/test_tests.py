"""TOST, regions, non-inferiority: identities, and error rates with mutants that leave the band."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats

from stats.equivalence.noninferiority import no_degradation, noninferiority
from stats.equivalence.regions import regions
from stats.equivalence.tost import tost
from stats.errors import StatsError
from stats.family import holm
from stats.paired import paired_t
from stats.sample import Sample, estimate

ALPHA = 0.05
D = np.array([0.3, -0.4, 0.8, 0.1, 0.5, -0.2, 0.6])
GROUPS = Sample.of([[0.2, 0.5, -0.1, 0.4], [1.0, -0.6, 0.3]])


def band(rate: float, repeats: int) -> tuple[float, float]:
    low, high = scipy.stats.binom.interval(0.999, repeats, rate)
    return low / repeats, high / repeats


def test_two_one_sided_tests_by_scipy_and_statsmodels() -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    result = tost(D, -0.5, 0.8)
    below = scipy.stats.ttest_1samp(D, -0.5, alternative="greater")
    above = scipy.stats.ttest_1samp(D, 0.8, alternative="less")
    assert (result.t_low, result.p_low) == pytest.approx((below.statistic, below.pvalue))
    assert (result.t_high, result.p_high) == pytest.approx((above.statistic, above.pvalue))
    interval = scipy.stats.ttest_1samp(D, 0).confidence_interval(0.9)
    assert (result.ci_low, result.ci_high) == pytest.approx((interval.low, interval.high))
    assert result.p == pytest.approx(DescrStatsW(D).ttost_mean(-0.5, 0.8)[0])


def test_groups_use_satterthwaites_degrees_of_freedom() -> None:
    result = tost(GROUPS, -1.0, 1.0)
    e = estimate(GROUPS)
    shifted = Sample.of([g + 1.0 for g in GROUPS.values])
    assert result.p_low == pytest.approx(paired_t(shifted, "greater").p)
    assert (result.df, result.se) == (e.df, e.se)
    assert "Satterthwaite" in result.method


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("margin", [(-0.2, 0.7), (-0.5, 0.5), (-1.0, 1.0), (0.1, 0.3), (-5.0, 0.4)])
def test_the_interval_lies_inside_exactly_when_p_is_below_alpha(
    margin: tuple[float, float], alpha: float
) -> None:
    for d in (D, D * 0.3, GROUPS):
        result = tost(d, *margin, alpha=alpha)
        assert result.equivalent == (margin[0] < result.ci_low and result.ci_high < margin[1])
        assert result.equivalent == (result.p <= alpha)


@pytest.mark.parametrize("n", [5, 20])
def test_size_at_the_margin_and_two_mutants(n: int) -> None:
    """At a true difference equal to the margin (the other far off) TOST errs in alpha of studies.

    Mutants: "the test of no difference did not reject", and quantiles of the normal.
    """
    repeats, margin = 2500, 0.5
    draws = np.random.default_rng(n).normal(margin, 1.0, (repeats, n))
    results = [tost(d, -30.0, margin) for d in draws]
    low, high = band(ALPHA, repeats)
    assert low <= np.mean([r.equivalent for r in results]) <= high
    absence = np.mean([r.mean - 2 * r.se < 0 < r.mean + 2 * r.se for r in results])
    assert absence > high + 0.2
    if n == 5:
        z = np.mean([(r.mean - margin) / r.se < -1.645 for r in results])
        assert z > high
    near = np.mean([tost(d, -margin, margin).equivalent for d in draws])
    assert near <= high


def test_size_over_two_groups_of_unequal_spread() -> None:
    repeats = 2500
    rng = np.random.default_rng(3)
    a, b = rng.normal(1.0, 1.0, (repeats, 6)), rng.normal(1.0, 2.0, (repeats, 9))
    shown = np.mean(
        [tost(Sample.of([x, y]), -30.0, 1.0).equivalent for x, y in zip(a, b, strict=True)]
    )
    low, high = band(ALPHA, repeats)
    assert low <= shown <= high


def test_family_wise_size_by_holm_and_without() -> None:
    """Six correlated cells at the margin: any false equivalence."""
    repeats, n = 1500, 8
    rng = np.random.default_rng(4)
    d = 1.0 + 0.7 * (rng.normal(size=(repeats, 1, n)) + rng.normal(size=(repeats, 6, n)))
    p = [[tost(x, -30.0, 1.0).p for x in study] for study in d]
    _, high = band(ALPHA, repeats)
    assert np.mean([holm(study).min() <= ALPHA for study in p]) <= high
    assert np.mean([min(study) <= ALPHA for study in p]) > high


@pytest.mark.parametrize("d", [[0.5] * 6, [0.0] * 6, [0.3]])
def test_without_spread_nothing_is_shown(d: list[float]) -> None:
    result, three, loss = tost(d, -1, 1), regions(d, -1, 1), noninferiority(d, 1.0)
    assert math.isnan(result.p)
    assert not result.equivalent
    assert result.constant == (len(d) > 1)
    assert three.possible == ("below", "within", "above")
    assert (three.answer, math.isnan(three.c_rope)) == ("", True)
    assert math.isnan(loss.p)
    assert not loss.holds
    assert loss.identical == (d[0] == 0.0)
    for text in (result.summary(), three.summary(), loss.summary()):
        assert len(text) < 101
        assert "p =" not in text


def test_the_confidence_distribution_by_quantiles_and_its_tie_to_tost() -> None:
    low, high = -0.1, 0.45
    result, t = regions(D, low, high), tost(D, low, high)
    posterior = scipy.stats.t(D.size - 1, D.mean(), D.std(ddof=1) / math.sqrt(D.size))
    assert result.confidence == pytest.approx(
        (posterior.cdf(low), posterior.cdf(high) - posterior.cdf(low), posterior.sf(high))
    )
    assert sum(result.confidence) == pytest.approx(1.0)
    assert max(result.c_left, result.c_right) == pytest.approx(t.p)


def test_three_answers_and_their_intervals() -> None:
    cases = {
        "within": (-1.0, 1.0),
        "above": (-2.0, -0.9),
        "below": (2.0, 3.0),
        "": (0.0, 0.2),
    }
    for answer, margin in cases.items():
        result = regions(D, *margin)
        assert result.answer == answer
        assert (result.answer == "within") == tost(D, *margin).equivalent
        wide = paired_t(D)
        assert (result.answer == "above") == (wide.ci_low > margin[1])
        assert (result.answer == "below") == (wide.ci_high < margin[0])
    half = regions(D, -0.4, 0.4)
    assert half.possible == ("within", "above")
    assert "leave open whether the difference lies within or above" in half.summary()
    assert half.p_within == 1.0


@pytest.mark.parametrize(
    ("truth", "region", "rate"), [(0.5, "above", 0.05), (0.5, "within", 0.025)]
)
def test_the_true_region_is_rarely_excluded(truth: float, region: str, rate: float) -> None:
    """On the border both neighbours count as true; each is excluded at its own rate."""
    repeats, n = 2500, 8
    draws = np.random.default_rng(1).normal(truth, 0.4, (repeats, n))
    results = [regions(d, -0.5, 0.5) for d in draws]
    low, high = band(rate, repeats)
    assert low <= np.mean([region not in r.possible for r in results]) <= high
    # Taking the region of most confidence for the answer excludes the true one in half of them.
    best = [("below", "within", "above")[int(np.argmax(r.confidence))] for r in results]
    assert np.mean([region != b for b in best]) > high + 0.3


def test_noninferiority_is_the_lower_end_of_the_two_sided_interval() -> None:
    for d in (D, GROUPS):
        t = paired_t(d)
        for margin in (0.1, 0.5, 2.0):
            result = noninferiority(d, margin)
            assert result.low == pytest.approx(t.ci_low)
            assert result.holds == (result.low > -margin)
            assert result.p == pytest.approx(tost(d, -margin, 1e9).p_low)


def test_size_of_no_degradation_and_of_the_test_of_the_average() -> None:
    """One benchmark loses exactly the margin, two gain: the average hides it, the union not."""
    repeats, n = 2500, 8
    rng = np.random.default_rng(2)
    truth = np.array([-1.0, 2.0, 2.0])
    d = truth[:, None] + 0.6 * (rng.normal(size=(repeats, 1, n)) + rng.normal(size=(repeats, 3, n)))
    joint = [no_degradation(dict(zip("abc", x, strict=True)), 1.0) for x in d]
    low, high = band(0.025, repeats)
    assert low <= np.mean([j.holds for j in joint]) <= high
    average = np.mean([noninferiority(x.mean(axis=0), 1.0).holds for x in d[:500]])
    assert average > 0.9


def test_no_degradation_names_the_weakest_and_lets_identical_benchmarks_go() -> None:
    given: dict[str, Any] = {"x": D, "y": D - 0.4, "same": np.zeros(7)}
    result = no_degradation(given, {"x": 1.0, "y": 1.0, "same": 0.5})
    assert (result.weakest, result.identical, result.holds) == ("y", ("same",), True)
    assert result.p == result.tests["y"].p > result.tests["x"].p
    assert list(result.table()["benchmark"]) == ["x", "y", "same"]
    assert "No degradation on any benchmark" in result.summary()
    undefined = no_degradation(given | {"flat": [0.2] * 7}, 1.0)
    assert (undefined.weakest, undefined.holds) == ("flat", False)
    assert math.isnan(undefined.p)
    assert "flat allows no test" in undefined.summary()
    nothing = no_degradation({"same": np.zeros(7)}, 1.0)
    assert nothing.holds
    assert "all scores are identical" in nothing.summary()
    assert not no_degradation(given, 0.2).holds


def test_other_refusals() -> None:
    with pytest.raises(StatsError, match=r"alpha: 0.5 is not between 0 and 0.5"):
        tost(D, -1, 1, alpha=0.5)
    with pytest.raises(StatsError, match="difference 2 is nan"):
        tost([1.0, math.nan], -1, 1)
    with pytest.raises(StatsError, match="margin: 0 is not a positive number"):
        noninferiority(D, 0.0)
    with pytest.raises(StatsError, match=r"confidence_level: 97.5 is not between 0 and 1"):
        noninferiority(D, 1.0, confidence_level=97.5)
    with pytest.raises(StatsError, match="there is no margin for 'y'"):
        no_degradation({"x": D, "y": D}, {"x": 1.0})
    with pytest.raises(StatsError, match="there is no benchmark to test"):
        no_degradation({}, 1.0)
