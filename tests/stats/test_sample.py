"""Averages over groups of pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.bootstrap import bootstrap_t
from stats.effect import effect_size
from stats.errors import StatsError
from stats.paired import paired_t
from stats.sample import Sample, estimate

A = np.array([1.0, 2.0, 4.0, 5.0])
B = np.array([-1.0, 0.0, 7.0])


def test_satterthwaite_by_hand() -> None:
    e = estimate(Sample.of([A, B]))
    # Means 3 and 2; variances 10/3 and 19; shares 10/12 and 19/3.
    assert e.mean == pytest.approx(2.5)
    assert e.se**2 == pytest.approx((10 / 12 + 19 / 3) / 4)
    assert e.df == pytest.approx((10 / 12 + 19 / 3) ** 2 / ((10 / 12) ** 2 / 3 + (19 / 3) ** 2 / 2))
    assert e.sd**2 == pytest.approx((10 / 3 + 19) / 2)
    assert (e.n, e.groups) == (7, 2)


def test_two_groups_are_welchs_test_of_one_against_the_other_negated() -> None:
    ours = paired_t(Sample.of([A, B]))
    theirs = scipy.stats.ttest_ind(A, -B, equal_var=False)
    assert (ours.t, ours.p, ours.df) == pytest.approx(
        (theirs.statistic, theirs.pvalue, theirs.df), rel=1e-10
    )
    interval = theirs.confidence_interval(0.95)
    assert (ours.ci_low, ours.ci_high) == pytest.approx((interval.low / 2, interval.high / 2))


def test_groups_weigh_the_same_whatever_their_size() -> None:
    assert estimate(Sample.of([[1.0, 1.2], [3.0, 3.1, 2.9, 3.0]])).mean == pytest.approx(2.05)


@pytest.mark.parametrize("groups", [[[0.4] * 5], [[0.4] * 5, [0.1] * 3]])
def test_without_spread_nothing_is_tested(groups: list[list[float]]) -> None:
    result = paired_t(Sample.of(groups))
    assert result.constant
    assert result.sd == 0.0
    assert all(math.isnan(v) for v in (result.t, result.p, result.ci_low, result.ci_high))
    assert math.isnan(effect_size(Sample.of(groups)).dz)
    assert math.isnan(bootstrap_t(Sample.of(groups)).low)


def test_rounding_is_not_spread() -> None:
    """0.3 - 0.1 and 0.5 - 0.3 differ in the last bit; their spread is none."""
    d = np.array([0.3, 0.5, 0.9]) - np.array([0.1, 0.3, 0.7])
    assert np.ptp(d) > 0
    assert estimate(Sample.of([d], magnitude=0.9)).constant


def test_one_group_without_spread_leaves_the_others() -> None:
    e = estimate(Sample.of([[0.4] * 5, A]))
    assert e.se == pytest.approx(math.sqrt(10 / 12) / 2)
    assert e.df == pytest.approx(3)


@pytest.mark.parametrize("groups", [[[0.4]], [[], [1.0, 2.0]], [[1.0, 2.0], [3.0]]])
def test_too_few_pairs(groups: list[list[float]]) -> None:
    assert math.isnan(paired_t(Sample.of(groups)).p)


def test_bootstrap_t_is_reproducible_and_brackets_the_mean() -> None:
    d = np.random.default_rng(0).exponential(1, 12)
    one, two = bootstrap_t(d, rng=1), bootstrap_t(d, rng=1)
    assert one == two
    assert one.low < d.mean() < one.high
    assert one.high - d.mean() > d.mean() - one.low  # a long right tail, seen by the interval


def test_bootstrap_t_is_infinite_rather_than_wrong_at_three_pairs() -> None:
    result = bootstrap_t([1.0, 2.0, 3.5], n_resamples=4000)
    assert result.n_degenerate == pytest.approx(4000 * 3 / 27, rel=0.25)
    assert math.isinf(result.low)


def test_bootstrap_t_does_not_touch_global_random_state() -> None:
    np.random.seed(7)
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    bootstrap_t([1.0, 2.0, 4.0], rng=3)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]


def test_arguments_are_checked() -> None:
    with pytest.raises(StatsError, match="between 0 and 1"):
        paired_t([1.0, 2.0], confidence_level=95)
    with pytest.raises(StatsError, match="too few"):
        bootstrap_t([1.0, 2.0], n_resamples=10)
