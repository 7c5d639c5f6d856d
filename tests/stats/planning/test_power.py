"""Power of the paired t: published tables, other implementations, simulation, inverses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.paired import paired_t
from stats.planning.power import detectable_effect, pairs_for_t, power_of_t
from stats.planning.spread import upper_sd

MDE = {
    5: 1.68,
    8: 1.16,
    10: 0.996,
    15: 0.778,
    20: 0.660,
    25: 0.584,
    30: 0.529,
    40: 0.454,
    60: 0.368,
}


@pytest.mark.parametrize("n", MDE)
def test_table_of_detectable_effects(n: int) -> None:
    """Two-sided .05, 80 % power, to the digits of the table."""
    assert detectable_effect(1.0, n) == pytest.approx(MDE[n], abs=0.5 * 10 ** -(2 if n < 10 else 3))


@pytest.mark.parametrize(
    ("tests", "n", "effect"), [(16, 20, 0.961), (32, 20, 1.032), (32, 40, 0.677)]
)
def test_detectable_effects_in_a_family(tests: int, n: int, effect: float) -> None:
    assert detectable_effect(1.0, n, tests=tests) == pytest.approx(effect, abs=5e-4)


@pytest.mark.parametrize(
    ("dz", "tests", "for_80", "for_90"),
    [(0.5, 1, 34, 44), (0.8, 1, 15, 19), (1.0, 1, 10, 13), (0.5, 32, 70, 85), (0.8, 32, 31, 36),
     (1.0, 32, 21, 25)],
)  # fmt: skip
def test_table_of_pairs(dz: float, tests: int, for_80: int, for_90: int) -> None:
    assert pairs_for_t(dz, 1.0, tests=tests) == for_80
    assert pairs_for_t(dz, 1.0, tests=tests, power=0.9) == for_90


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize(("dz", "n"), [(0.3, 5), (0.8, 12), (-0.5, 40), (2.0, 3)])
def test_statsmodels_agrees(dz: float, n: int, alternative: str) -> None:
    from statsmodels.stats.power import TTestPower

    name = {"two-sided": "two-sided", "greater": "larger", "less": "smaller"}[alternative]
    theirs = TTestPower().power(dz, n, 0.05, df=n - 1, alternative=name)
    ours = power_of_t(1.7 * dz, 1.7, n, alternative=alternative)
    assert ours == pytest.approx(theirs, abs=1e-7)


@pytest.mark.parametrize(("n", "groups", "alternative"), [(6, 1, "two-sided"), (12, 2, "greater")])
def test_power_is_the_share_of_simulated_studies_that_find_it(
    n: int, groups: int, alternative: str
) -> None:
    repeats, sd = 6000, 1.5
    effect = detectable_effect(sd, n, groups=groups, alternative=alternative)
    d = np.random.default_rng(n).normal(effect, sd, (repeats, groups, n // groups))
    se = np.sqrt(d.var(axis=2, ddof=1).mean(axis=1) / n)
    t = d.mean(axis=(1, 2)) / se
    tail = 0.025 if alternative == "two-sided" else 0.05
    found = (t if alternative == "greater" else np.abs(t)) > scipy.stats.t.isf(tail, n - groups)
    low, high = scipy.stats.binom.interval(0.999, repeats, 0.8)
    assert low <= found.sum() <= high
    # The normal's quantile in place of t's promises another power: it must leave the band.
    z = scipy.stats.norm.sf(scipy.stats.norm.isf(tail) - effect * math.sqrt(n) / sd)
    assert not low <= z * repeats <= high


def test_the_test_planned_for_is_the_test_that_runs() -> None:
    """At 2000 studies of the planned number of pairs, ``paired_t`` itself finds the effect."""
    n = pairs_for_t(1.0, 1.2, tests=4)
    d = np.random.default_rng(0).normal(1.0, 1.2, (2000, n))
    found = sum(paired_t(x).p <= 0.05 / 4 for x in d)
    power = power_of_t(1.0, 1.2, n, tests=4)
    low, high = scipy.stats.binom.interval(0.999, 2000, power)
    assert low <= found <= high
    assert power >= 0.8 > power_of_t(1.0, 1.2, n - 1, tests=4)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("power", [0.3, 0.8, 0.99])
@pytest.mark.parametrize(("n", "tests"), [(2, 1), (6, 12), (50, 3)])
def test_power_at_the_detectable_effect_is_the_one_asked_for(
    alternative: str, power: float, n: int, tests: int
) -> None:
    size = detectable_effect(2.5, n, power=power, tests=tests, alternative=alternative)
    effect = -size if alternative == "less" else size
    got = power_of_t(effect, 2.5, n, tests=tests, alternative=alternative)
    assert got == pytest.approx(power, abs=1e-9)


def test_monotony() -> None:
    """Power rises with the effect, the pairs and alpha; it falls with spread and tests."""
    grid = np.linspace(0, 3, 13)
    for n in (3, 8, 30):
        powers = [power_of_t(e, 1.0, n) for e in grid]
        assert (np.diff(powers) > 0).all() or powers[-1] == 1.0
        assert powers[0] == pytest.approx(0.05, abs=1e-9)
    for low, high in (
        (power_of_t(1, 1, 6), power_of_t(1, 1, 7)),
        (power_of_t(1, 1.1, 6), power_of_t(1, 1, 6)),
        (power_of_t(1, 1, 6, tests=2), power_of_t(1, 1, 6)),
        (power_of_t(1, 1, 6, alpha=0.01), power_of_t(1, 1, 6)),
        (power_of_t(1, 1, 6), power_of_t(1, 1, 6, alternative="greater")),
    ):
        assert low < high
    effects = [detectable_effect(1.0, n) for n in range(2, 40)]
    assert (np.diff(effects) < 0).all()


def test_scale_does_not_matter() -> None:
    assert power_of_t(100, 120, 9) == pytest.approx(power_of_t(1, 1.2, 9), rel=1e-12)
    assert detectable_effect(120, 9) == pytest.approx(100 * detectable_effect(1.2, 9), rel=1e-9)


def test_pairs_are_spread_evenly_over_groups() -> None:
    for groups in (1, 2, 5):
        n = pairs_for_t(0.8, 1.0, groups=groups)
        assert n % groups == 0
        assert power_of_t(0.8, 1.0, n, groups=groups) >= 0.8
        if n > 2 * groups:
            assert power_of_t(0.8, 1.0, n - groups, groups=groups) < 0.8


@pytest.mark.parametrize("df", [3, 5, 30])
def test_the_upper_limit_of_a_spread_covers_in_four_studies_of_five(df: int) -> None:
    repeats = 8000
    sd = np.random.default_rng(df).normal(0, 2.0, (repeats, df + 1)).std(axis=1, ddof=1)
    covered = sum(upper_sd(float(s), df) >= 2.0 for s in sd)
    low, high = scipy.stats.binom.interval(0.999, repeats, 0.8)
    assert low <= covered <= high
    assert not low <= (sd >= 2.0).sum() <= high  # the sd itself covers in less than half


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sd": 0.0}, "sd: 0 is not a positive number"),
        ({"sd": math.nan}, "sd: nan is not a positive number"),
        ({"n": 1}, "n: 1 pairs show no spread; 2 is the smallest"),
        ({"n": 3, "groups": 2}, "n: 3 pairs show no spread in each of 2 groups; 4 is the smallest"),
        ({"n": 7, "groups": 2}, "cannot be spread evenly over 2 groups; take 6 or 8"),
        ({"groups": 0}, "groups: 0 is less than 1"),
        ({"alpha": 0.0}, "alpha: 0 is not between 0 and 0.5"),
        ({"alpha": 5}, "alpha: 5 is not between 0 and 0.5"),
        ({"tests": 0}, "tests: 0 is less than 1"),
        ({"power": 0.05}, "power: 0.05 is not between alpha = 0.05 and 1"),
        ({"power": 1.0}, "power: 1 is not between"),
        ({"alternative": "large"}, "'large' is not an alternative"),
    ],
)
def test_refusals(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(StatsError) as error:
        detectable_effect(**({"sd": 1.0, "n": 10} | arguments))  # type: ignore[arg-type]
    assert words in str(error.value)


def test_refusals_of_the_number_of_pairs_and_of_the_upper_limit() -> None:
    with pytest.raises(StatsError, match="effect: 0 is not a positive number"):
        pairs_for_t(0.0, 1.0)
    with pytest.raises(StatsError, match="pairs are too few; look for a larger effect"):
        pairs_for_t(1e-9, 1.0)
    for bad, words in (((-1.0, 5), "sd"), ((1.0, 0), "df"), ((1.0, 5, 1.0), "confidence_level")):
        with pytest.raises(StatsError, match=words):
            upper_sd(*bad)
