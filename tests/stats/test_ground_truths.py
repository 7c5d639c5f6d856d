"""Published data sets, and independent implementations of the same quantity."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from stats.effect import effect_size
from stats.family import holm
from stats.noncentral import nct_cdf, nct_noncentrality, t_power
from stats.paired import paired_t
from stats.signflip import sign_flip

# Student 1908: extra hours of sleep, drug 1 minus drug 2.
SLEEP = [-1.2, -2.4, -1.3, -1.3, 0.0, -1.0, -1.8, -0.8, -4.6, -1.4]
# Darwin 1876: heights of crossed minus self-fertilised maize, in eighths of an inch.
DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]) / 8
# Box, Hunter and Hunter 1978: wear of two sole materials, material B minus A, ten boys.
SHOES = np.array([14.0, 8.8, 11.2, 14.2, 11.8, 6.4, 9.8, 11.3, 9.3, 13.6]) - np.array(
    [13.2, 8.2, 10.9, 14.3, 10.7, 6.6, 9.5, 10.8, 8.8, 13.3]
)
# Benjamini and Hochberg 1995, section 3.2.
BENJAMINI_HOCHBERG = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
    0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_sleep() -> None:
    result = paired_t(SLEEP)
    assert result.mean == pytest.approx(-1.58)
    assert result.t == pytest.approx(-4.0621277, abs=1e-7)
    assert result.p == pytest.approx(0.0028328902, abs=1e-10)
    assert (result.ci_low, result.ci_high) == pytest.approx((-2.459886, -0.700114), abs=1e-6)
    flips = sign_flip(SLEEP)
    assert (flips.count, flips.n_flips, flips.exact) == (4, 1024, True)


def test_darwin() -> None:
    result = paired_t(DARWIN)
    assert result.t == pytest.approx(2.1479875, abs=1e-7)
    assert result.p == pytest.approx(0.0497029, abs=1e-7)
    assert sign_flip(DARWIN, "greater").count == 863
    assert sign_flip(DARWIN, "greater").n_flips == 32768
    assert sign_flip(DARWIN).p == pytest.approx(0.0526733, abs=1e-7)


def test_shoes() -> None:
    flips = sign_flip(SHOES)
    assert (flips.count, flips.n_flips) == (14, 1024)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("data", [SLEEP, DARWIN, SHOES], ids=["sleep", "darwin", "shoes"])
def test_t_agrees_with_scipy(data: list[float], alternative: str) -> None:
    theirs = scipy.stats.ttest_1samp(data, 0, alternative=alternative)
    ours = paired_t(data, alternative, 0.9)
    interval = theirs.confidence_interval(0.9)
    assert (ours.t, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-10)
    assert ours.ci_low == pytest.approx(interval.low, rel=1e-10)
    assert ours.ci_high == pytest.approx(interval.high, rel=1e-10)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_sign_flip_agrees_with_scipy(alternative: str) -> None:
    data = np.random.default_rng(3).normal(0.4, 1, 9)
    theirs = scipy.stats.permutation_test(
        (data,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=np.inf
    )
    assert sign_flip(data, alternative).p == pytest.approx(theirs.pvalue, rel=1e-12)


def test_holm_rejects_three_of_the_published_list() -> None:
    assert (holm(BENJAMINI_HOCHBERG) <= 0.05).sum() == 3


def test_holm_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 40):
        p = rng.uniform(size=size) ** 3
        p[rng.integers(size)] = p[0]  # a tie
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)


def test_holm_is_monotone_in_the_order_given() -> None:
    """Un-sorting by the wrong permutation once gave [.04, .03, .03] here."""
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


@pytest.mark.parametrize("df", [1, 2, 5, 9.4, 60])
@pytest.mark.parametrize("nc", [-2.5, 0.0, 0.7, 4.0, 12.0])
def test_noncentral_t_agrees_with_scipy(df: float, nc: float) -> None:
    for t in (nc - 3, nc - 0.5, nc, nc + 1, nc + 8):
        assert nct_cdf(t, df, nc) == pytest.approx(scipy.stats.nct.cdf(t, df, nc), abs=1e-9)


@pytest.mark.parametrize("nc", [40.0, 300.0, 5000.0])
def test_noncentral_t_where_scipy_may_fail(nc: float) -> None:
    """Against a plain Riemann sum over the chi distribution; df = 2 is the known bad case."""
    df = 2
    w = np.linspace(1e-6, 8, 400_001)
    density = 2 * w * np.exp(-(w**2))  # of sqrt(V / 2), V chi-squared with 2 df
    for t in (0.5 * nc, nc, 3 * nc):
        brute = float((density * scipy.stats.norm.cdf(t * w - nc)).sum() * (w[1] - w[0]))
        assert nct_cdf(t, df, nc) == pytest.approx(brute, abs=1e-5)


def test_noncentrality_inverts_the_distribution() -> None:
    for t, df, p in ((-4.06, 9, 0.025), (-4.06, 9, 0.975), (0.1, 5, 0.3), (2300.0, 3, 0.975)):
        assert nct_cdf(t, df, nct_noncentrality(t, df, p)) == pytest.approx(p, abs=1e-9)


def test_dz_interval_of_the_sleep_data() -> None:
    """The ends are the noncentralities that scipy's nct puts at .975 and .025, over sqrt(10)."""
    result = effect_size(SLEEP)
    t = -4.062127683382037
    assert result.dz == pytest.approx(t / np.sqrt(10))
    assert scipy.stats.nct.cdf(t, 9, result.low * np.sqrt(10)) == pytest.approx(0.975, abs=1e-8)
    assert scipy.stats.nct.cdf(t, 9, result.high * np.sqrt(10)) == pytest.approx(0.025, abs=1e-8)


def test_dz_interval_is_defined_for_huge_effects() -> None:
    result = effect_size([1.0, 1.001, 1.0005, 1.0002])
    assert 0 < result.low < result.dz < result.high < np.inf


@pytest.mark.parametrize(("n", "dz"), [(5, 1.68), (8, 1.16), (10, 0.996), (20, 0.660)])
def test_power_table(n: int, dz: float) -> None:
    """Minimum detectable d_z at 80 % power, two-sided .05."""
    assert t_power(dz * np.sqrt(n), n - 1, 0.05) == pytest.approx(0.8, abs=0.004)
