from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.factorial.effect_sizes import effect_sizes
from stats.factorial.noncentral_f import ncf_cdf, ncf_noncentrality
from stats.noncentral import nct_cdf, nct_noncentrality


def test_published_interval() -> None:
    """Bargmann's example in Venables 1975 (Journal of the Royal Statistical Society B 37, 406-412):
    F(4, 50) = 11.221, n = 55; at 90 %, noncentrality / n from .3523 to 1.301."""
    found = effect_sizes(11.221, 4, 50, 55, 0.90)
    assert (found.nc_low, found.nc_high) == pytest.approx((19.380, 71.549), abs=5e-4)
    assert found.nc_low / 55 == pytest.approx(0.3523, abs=1e-4)
    assert found.nc_high / 55 == pytest.approx(1.301, abs=2e-4)
    assert found.eta2_low == pytest.approx(19.380 / (19.380 + 55), abs=1e-5)
    assert found.eta2_high == pytest.approx(71.549 / (71.549 + 55), abs=1e-5)
    assert (found.omega2_low, found.omega2_high) == (found.eta2_low, found.eta2_high)


def test_by_hand() -> None:
    """Sums of squares of three groups: 2, 4, 6 / 4, 6, 8 / 9, 11, 13."""
    groups = np.array([[2.0, 4, 6], [4, 6, 8], [9, 11, 13]])
    between = 3 * ((groups.mean(axis=1) - groups.mean()) ** 2).sum()
    within = ((groups - groups.mean(axis=1, keepdims=True)) ** 2).sum()
    found = effect_sizes(between / 2 / (within / 6), 2, 6, 9)
    assert found.eta2 == pytest.approx(between / (between + within))
    error = within / 6
    # With a single factor, partial omega squared is the classical (Hays 1963).
    assert found.omega2 == pytest.approx((between - 2 * error) / (between + within + error))


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(
    ("f", "num_df", "den_df"), [(4.0, 2, 30), (1.2, 5, 80), (60.0, 1, 7.4), (2500.0, 3, 12)]
)
def test_ends_are_not_quite_rejected(f: float, num_df: int, den_df: float, level: float) -> None:
    found = effect_sizes(f, num_df, den_df, 40, level)
    tail = (1 - level) / 2
    assert ncf_cdf(f, num_df, den_df, found.nc_high) == pytest.approx(tail, abs=1e-8)
    if found.nc_low > 0:
        assert ncf_cdf(f, num_df, den_df, found.nc_low) == pytest.approx(1 - tail, abs=1e-8)
    else:
        assert ncf_cdf(f, num_df, den_df, 0) <= 1 - tail


def test_excludes_zero_when_the_test_rejects() -> None:
    critical = scipy.stats.f.isf(0.05, 3, 20)
    assert effect_sizes(critical * 1.001, 3, 20, 24, 0.90).eta2_low > 0
    assert effect_sizes(critical * 0.999, 3, 20, 24, 0.90).eta2_low == 0
    small = effect_sizes(0.001, 3, 20, 24, 0.90)
    assert (small.eta2_low, small.eta2_high, small.omega2) == (0, 0, 0)


def test_coverage() -> None:
    """Of the population's share, in 24 observations of a blocked design: 6 df are left for error.

    The mutant takes the error's degrees of freedom for the number of observations.
    """
    rng = np.random.default_rng(0)
    repeats, share = 700, 0.4
    nc = share / (1 - share) * 24
    f = scipy.stats.ncf.rvs(2, 6, nc, size=repeats, random_state=rng)
    inside = mutant = 0
    for value in f:
        found = effect_sizes(value, 2, 6, 24)
        inside += found.eta2_low <= share <= found.eta2_high
        wrong = [nc / (nc + 6) for nc in (found.nc_low, found.nc_high)]
        mutant += wrong[0] <= share <= wrong[1]
    low, high = scipy.stats.binom.interval(0.999, repeats, 0.95)
    assert low <= inside <= high
    assert mutant < low


def test_distribution_agrees_with_scipy_and_with_the_noncentral_t() -> None:
    for num_df, den_df, nc in [(1, 5, 0.0), (3, 12.5, 4.0), (7, 200, 900.0), (2, 30, 1e5)]:
        for factor in (0.3, 1.0, 2.0):
            f = (num_df + nc) / num_df * factor
            theirs = scipy.stats.ncf.cdf(f, num_df, den_df, nc)
            assert ncf_cdf(f, num_df, den_df, nc) == pytest.approx(theirs, abs=1e-9)
    for nc in (3.0, 30.0, 300.0):
        t = nc + 1
        squared = nct_cdf(t, 12, nc) - nct_cdf(-t, 12, nc)
        assert ncf_cdf(t * t, 1, 12, nc * nc) == pytest.approx(squared, abs=1e-9)


def test_where_scipy_has_no_value() -> None:
    """Infinite denominator degrees of freedom: noncentral chi-squared."""
    exact = scipy.stats.ncx2.cdf(6.0, 3, 4.0)
    assert ncf_cdf(2.0, 3, math.inf, 4.0) == pytest.approx(exact, abs=1e-10)
    assert ncf_cdf(0.2 * 2000 / 60, 60, 1e5, 2000.0) < 1e-100


def test_large_effects_stay_defined() -> None:
    found = effect_sizes(1e6, 1, 10, 11)
    root = nct_noncentrality(1e3, 10, 0.975), nct_noncentrality(1e3, 10, 0.025)
    assert found.nc_low == pytest.approx(root[0] ** 2, rel=1e-6)
    assert found.nc_high == pytest.approx(root[1] ** 2, rel=1e-6)
    assert 0.999 < found.eta2_low < found.eta2_high < 1
    assert ncf_noncentrality(0.5, 2, 20, 0.99) == 0


def test_undefined_and_mistakes() -> None:
    assert math.isnan(effect_sizes(math.nan, 1, 10, 12).eta2)
    assert math.isnan(effect_sizes(math.inf, 1, 10, 12).omega2_high)
    for arguments, message in (
        ((-1.0, 1, 10, 12), "F: -1.0 is negative"),
        ((1.0, 0, 10, 12), "num_df: 0 is not positive"),
        ((1.0, 1, math.nan, 12), "den_df: nan is not positive"),
        ((1.0, 1, 10, 0), "n: 0 is not positive"),
        ((1.0, 1, 10, 12, 95), "confidence_level: 95 is not between 0 and 1"),
    ):
        with pytest.raises(StatsError) as error:
            effect_sizes(*arguments)
        assert str(error.value).startswith(message)
