"""Power of the two one-sided tests: published values, direct integration, simulation, inverses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from scipy import integrate

from stats.equivalence.tost import tost
from stats.errors import StatsError
from stats.planning.power import power_of_t
from stats.planning.spread import upper_sd
from stats.planning.tost_power import (
    equivalence_margin,
    pairs_for_tost,
    pairs_needed_for_equivalence,
    power_of_tost,
)


@pytest.mark.parametrize(("n", "margin"), [(10, 1.0), (20, 0.68), (30, 0.55), (40, 0.47)])
def test_table_of_margins(n: int, margin: float) -> None:
    assert equivalence_margin(1.0, n) == pytest.approx(margin, abs=0.005)


def test_table_of_pairs() -> None:
    assert pairs_for_tost(-0.5, 0.5, 1.0) == 36


def by_quadrature(low: float, high: float, n: int, alpha: float) -> float:
    """Directly from the joint density of the mean and of s^2 ~ chi2 / df, sigma 1."""
    df = n - 1
    t = scipy.stats.t.isf(alpha, df)
    most = (high - low) * math.sqrt(n) / (2 * t)

    def at(w: float) -> float:
        half = t * w / math.sqrt(n)
        root = math.sqrt(n)
        inside = scipy.stats.norm.cdf((high - half) * root) - scipy.stats.norm.cdf(
            (low + half) * root
        )
        return inside * 2 * w * df * scipy.stats.chi2.pdf(w * w * df, df)

    return float(integrate.quad(at, 0, most, epsabs=1e-12, limit=400)[0])


@pytest.mark.parametrize("n", [2, 3, 6, 20, 100])
@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (-1.0, 0.2), (-3.0, 3.0), (0.1, 2.0)])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_direct_integration(n: int, low: float, high: float, alpha: float) -> None:
    got = power_of_tost(low, high, 1.0, n, alpha=alpha)
    assert got == pytest.approx(by_quadrature(low, high, n, alpha), abs=1e-7)


@pytest.mark.parametrize(
    ("n", "difference", "low", "high"),
    [(8, 0.0, -1.2, 1.2), (20, 0.3, -1.0, 0.9), (5, 0.0, -1.6, 1.6)],
)
def test_power_is_the_share_of_simulated_studies_that_show_it(
    n: int, difference: float, low: float, high: float
) -> None:
    repeats = 3000
    power = power_of_tost(low, high, 1.0, n, difference=difference)
    d = np.random.default_rng(n).normal(difference, 1.0, (repeats, n))
    shown = sum(tost(x, low, high).equivalent for x in d)
    band = scipy.stats.binom.interval(0.999, repeats, power)
    assert band[0] <= shown <= band[1]
    # "The t test did not reject" as equivalence is another thing altogether.
    mutant = 1 - power_of_t(difference, 1.0, n)
    assert not band[0] <= mutant * repeats <= band[1]


def test_power_at_the_margin_is_at_most_alpha() -> None:
    """The size: alpha at a bound when the other one is far, less when it is near."""
    for n in (3, 10, 40):
        assert power_of_tost(-50, 1, 1.0, n, difference=1.0) == pytest.approx(0.05, abs=1e-9)
        assert 0 < power_of_tost(-0.3, 0.3, 1.0, n, difference=0.3) < 0.05
        assert power_of_tost(-1, 1, 1.0, n, difference=1.5) < 0.05


@pytest.mark.parametrize("power", [0.3, 0.8, 0.95])
@pytest.mark.parametrize(("n", "tests", "difference"), [(2, 1, 0.0), (6, 12, 0.5), (40, 3, -1.0)])
def test_power_at_the_margin_found_is_the_one_asked_for(
    power: float, n: int, tests: int, difference: float
) -> None:
    margin = equivalence_margin(2.0, n, power=power, tests=tests, difference=difference)
    got = power_of_tost(-margin, margin, 2.0, n, tests=tests, difference=difference)
    assert got == pytest.approx(power, abs=1e-8)


def test_monotony() -> None:
    """Power rises with the margin, and with the pairs once it exceeds alpha.

    The search for pairs relies on the latter. At very few pairs power may fall: two pairs show a
    tiny spread by chance more often than three.
    """
    for margin in (0.3, 0.4, 0.7, 2.0, 10.0):
        powers = np.array([power_of_tost(-margin, margin, 1.0, n) for n in range(2, 120)])
        falling = np.diff(powers) < -1e-12
        assert powers[:-1][falling].max(initial=0.0) < 0.05
        for power in (0.06, 0.5, 0.8):
            if (powers >= power).any():
                first = 2 + int(np.argmax(powers >= power))
                assert pairs_for_tost(-margin, margin, 1.0, power=power) == first
    margins = [power_of_tost(-m, m, 1.0, 8) for m in np.linspace(0.05, 4, 30)]
    assert (np.diff(margins) >= 0).all()
    assert power_of_tost(-1, 1, 1.0, 10, difference=0.5) < power_of_tost(-1, 1, 1.0, 10)
    assert power_of_tost(-1, 1, 1.0, 10, tests=4) < power_of_tost(-1, 1, 1.0, 10)


def test_groups_cost_degrees_of_freedom() -> None:
    for groups in (2, 4):
        n = pairs_for_tost(-0.8, 0.8, 1.0, groups=groups)
        assert n % groups == 0
        assert n >= pairs_for_tost(-0.8, 0.8, 1.0)
        assert power_of_tost(-0.8, 0.8, 1.0, n, groups=groups) >= 0.8


def test_pairs_needed_count_on_the_upper_limit() -> None:
    needed = pairs_needed_for_equivalence(1.3, 5, -1.0, 1.0, 0.01)
    assert needed == pairs_for_tost(-1.0, 1.0, upper_sd(1.3, 5), alpha=0.01)
    assert needed > pairs_for_tost(-1.0, 1.0, 1.3, alpha=0.01)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"low": 1.0, "high": -1.0}, "the lower bound 1 is not below the upper bound -1"),
        ({"low": 1.0, "high": 1.0}, "the lower bound 1 is not below"),
        ({"high": math.inf}, "not a bounded range; for one bound only, test non-inferiority"),
        ({"sd": -1.0}, "sd: -1 is not a positive number"),
        ({"difference": 1.0}, "difference: a true difference of 1 is not within -1 to 1"),
        ({"alpha": 0.6}, "alpha: 0.6 is not between 0 and 0.5"),
        ({"power": 0.01}, "power: 0.01"),
    ],
)
def test_refusals(arguments: dict[str, float], words: str) -> None:
    with pytest.raises(StatsError) as error:
        pairs_for_tost(**({"low": -1.0, "high": 1.0, "sd": 1.0} | arguments))  # type: ignore[arg-type]
    assert words in str(error.value)
    with pytest.raises(StatsError, match="1 pairs show no spread"):
        power_of_tost(-1, 1, 1.0, 1)
