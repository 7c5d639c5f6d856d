"""Power of a corrected family by simulated studies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.planning.family_power import FamilyPower, Layout, family_power, pairs_for_family
from stats.planning.power import detectable_effect, power_of_t
from stats.planning.search import fewest_pairs


def test_draws_have_the_correlations_of_the_layout() -> None:
    layout = Layout(2, 2, 2, arm_correlation=0.5, benchmark_correlation=0.3)
    d = layout.draw(40_000, 1, np.random.default_rng(0)).reshape(40_000, -1)
    arms = np.array([[1, 0.5], [0.5, 1]])
    benchmarks = np.array([[1, 0.3], [0.3, 1]])
    truth = np.kron(np.eye(2), np.kron(arms, benchmarks))
    # The standard error of a correlation of 0 from 40,000 draws is .005; 4.5 of them.
    assert np.abs(np.corrcoef(d.T) - truth).max() < 0.0225
    assert np.abs(d.var(axis=0) - 1).max() < 4.5 * math.sqrt(2 / 40_000)


def test_the_first_pairs_are_the_same_whatever_their_number() -> None:
    layout = Layout(2, 3, 1)
    few, many = (layout.draw(n, 7, np.random.default_rng(5)) for n in (4, 9))
    assert (many[:4] == few).all()


def test_six_pairs_reject_when_all_have_one_sign() -> None:
    """Then alone a sign flip of six reaches 2/64; the next p-value, 4/64, is above .05."""
    for effect in (0.5, 1.5):
        result = family_power(effect, 1.0, 6, Layout(), n_studies=1500)
        power = scipy.stats.norm.cdf(effect) ** 6 + scipy.stats.norm.cdf(-effect) ** 6
        low, high = scipy.stats.binom.interval(0.999, 1500, power)
        assert low <= result.average_power * 1500 <= high
        assert not low <= power_of_t(effect, 1.0, 6) * 1500 <= high
        assert result.average_power == result.any_power == result.all_power


@pytest.mark.parametrize(("n", "level", "studies"), [(10, 50 / 1024, 1500), (20, 0.05, 400)])
def test_more_pairs_come_near_the_t_test(n: int, level: float, studies: int) -> None:
    effect = detectable_effect(1.0, n, power=0.6)
    result = family_power(effect, 1.0, n, Layout(), n_studies=studies)
    power = power_of_t(effect, 1.0, n, alpha=level)
    assert result.average_power == pytest.approx(power, abs=0.02 + 3.3 * result.se_average)


def test_power_by_max_t_stands_between_its_bounds() -> None:
    layout = Layout(arms=2, benchmarks=4, arm_correlation=0.5, benchmark_correlation=0.5)
    result = family_power(1.0, 1.0, 12, layout, n_studies=400)
    assert result.bonferroni_average == pytest.approx(power_of_t(1.0, 1.0, 12, tests=8))
    assert result.average_power > result.bonferroni_average  # step-down and correlation both help
    assert result.all_power <= result.average_power <= result.any_power
    assert result.bonferroni_any < result.any_power < result.independent_any
    assert math.isnan(result.false)
    assert result.method == "simulated studies, max-T, normal differences"


def test_correlated_tests_find_less_often_anything_and_more_often_all() -> None:
    effect = detectable_effect(1.0, 10, power=0.5, tests=6)
    loose, tight = (
        family_power(effect, 1.0, 10, Layout(1, 6, 1, benchmark_correlation=r), n_studies=400)
        for r in (0.0, 0.9)
    )
    assert loose.any_power > tight.any_power + 0.1
    assert loose.all_power < tight.all_power - 0.1


def test_false_rejections_stay_at_alpha_and_without_correction_do_not() -> None:
    effects = np.zeros((1, 1, 6))
    effects[0, 0, 0] = 3.0
    repeats = 1000
    result = family_power(effects, 1.0, 8, Layout(1, 6, 1), n_studies=repeats)
    assert (result.n_tests, result.n_true) == (6, 1)
    high = scipy.stats.binom.ppf(0.9995, repeats, 0.05) / repeats
    assert result.false <= high
    alone = family_power(effects, 1.0, 8, Layout(1, 6, 1), n_studies=repeats, alpha=0.3)
    assert alone.false > high


def test_below_six_pairs_holm_serves_and_hopeless_plans_are_warned_of() -> None:
    holm = family_power(2.0, 1.0, 5, Layout(1, 4, 1), n_studies=300)
    assert "Holm" in holm.method
    assert holm.warning == ""
    assert holm.average_power >= holm.bonferroni_average - 3.3 * holm.se_average
    hopeless = family_power(2.0, 1.0, 3, Layout(2, 8, 2), n_studies=50)
    assert "3 pairs cannot settle a family of 32 tests" in hopeless.warning
    assert "Warning: 3 pairs cannot" in hopeless.summary().replace("\n", " ")


def test_fewest_pairs_of_a_family() -> None:
    layout = Layout(1, 4, 1, benchmark_correlation=0.5)
    result = pairs_for_family(1.0, 1.0, layout, n_studies=200)
    assert result.average_power >= 0.8
    fewer = family_power(1.0, 1.0, result.n_pairs - 1, layout, n_studies=200)
    assert fewer.average_power < 0.8
    bonferroni = fewest_pairs(lambda n: power_of_t(1.0, 1.0, n, tests=4) >= 0.8)
    assert 8 < result.n_pairs <= bonferroni
    anything = pairs_for_family(1.0, 1.0, layout, count="any", n_studies=200)
    assert anything.n_pairs < result.n_pairs


def test_results_repeat_with_the_seed() -> None:
    layout = Layout(1, 3, 1)
    one, two, three = (family_power(1.0, 1.0, 7, layout, n_studies=60, rng=s) for s in (1, 1, 2))
    assert one == two
    assert one.rng_seed == 1
    assert one.average_power != three.average_power
    assert isinstance(one, FamilyPower)
    assert max(map(len, one.summary().splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"effects": 0.0}, "effects: there must be a true difference"),
        ({"effects": np.ones((3, 1, 1))}, "do not fit (2, 1, 2); (backbones, arms, benchmarks)"),
        ({"sd": 0.0}, "sd: 0 is not a positive number"),
        ({"n": 1}, "n: 1 pairs show no spread"),
        ({"alpha": 0.0}, "alpha"),
        ({"n_studies": 1}, "n_studies: 1 is less than 2"),
    ],
)
def test_refusals(arguments: dict[str, object], words: str) -> None:
    given: dict[str, object] = {"effects": 1.0, "sd": 1.0, "n": 6, "layout": Layout(1, 2, 2)}
    with pytest.raises(StatsError) as error:
        family_power(**(given | arguments))  # type: ignore[arg-type]
    assert words in str(error.value)


def test_refusals_of_layouts_and_searches() -> None:
    with pytest.raises(StatsError, match="arms: 0 is less than 1"):
        Layout(arms=0)
    with pytest.raises(StatsError, match=r"benchmark_correlation: 1.2 is not between 0 and 1"):
        Layout(benchmark_correlation=1.2)
    with pytest.raises(StatsError, match="'every' is not a power of a family"):
        pairs_for_family(1.0, 1.0, Layout(), count="every")
    with pytest.raises(StatsError, match=r"7 pairs per backbone give a power of 0\.\d\d; look for"):
        pairs_for_family(0.2, 1.0, Layout(), n_studies=50, most=7)
