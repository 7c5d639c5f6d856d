from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.sample import Sample
from stats.sequential.eprocess import EFFECTS, combined, e_process, log_wealth
from tests.stats.sequential.bands import band, t_paths

ALPHA = 0.05
ALTERNATIVES = ("two-sided", "greater", "less")


def _all_signs(n: int) -> np.ndarray:
    return 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)


def _ever(d: np.ndarray, alternative: str = "two-sided") -> float:
    """The share of studies d (repeats, n) whose e-process reaches 1 / alpha at some pair."""
    log_e = combined(*log_wealth(d, EFFECTS), alternative)
    return float((log_e >= -math.log(ALPHA)).any(axis=1).mean())


def test_the_formula_written_out() -> None:
    d = np.random.default_rng(0).normal(0.3, 2, 7)
    wealth = {side: [1.0] * len(EFFECTS) for side in (1, -1)}
    for i in range(1, 8):
        rms = math.sqrt(sum(x * x for x in d[:i]) / i)
        for k, a in enumerate(EFFECTS):
            stake = math.tanh(a * math.sqrt(1 + a * a) * d[i - 1] / rms)
            for side in (1, -1):
                wealth[side][k] *= 1 + side * stake
    up, down = np.mean(wealth[1]), np.mean(wealth[-1])
    assert e_process(d).e[-1] == pytest.approx((up + down) / 2, rel=1e-12)
    assert e_process(d, "greater").e[-1] == pytest.approx(up, rel=1e-12)
    assert e_process(d, "less").e[-1] == pytest.approx(down, rel=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_the_mean_over_all_signs_is_exactly_one(alternative: str) -> None:
    """Given the sizes, at every fixed n and at a stopping time that looks at raw differences."""
    sizes = np.array([0.3, 4.0, 0.0, 1.1, 0.05, 2.2, 7.0, 0.9])
    d = _all_signs(8) * sizes
    e = np.exp(combined(*log_wealth(d, EFFECTS), alternative))
    assert e.mean(axis=0) == pytest.approx(np.ones(8), rel=1e-12)
    wait = (d.cumsum(axis=1) > 1.0) | (np.abs(d) > 3.0)
    stop = np.where(wait.any(axis=1), wait.argmax(axis=1), 7)
    assert e[np.arange(256), stop].mean() == pytest.approx(1.0, rel=1e-12)


def _right_haar(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The right-Haar mixture over d_z ~ N(0, 2^2) after two pairs."""
    square, total = first**2 + second**2, first + second
    return 1 / (1 - 4 / 9 * total**2 / square) / 3


def test_wealth_built_on_t_gains_from_stopping_by_raw_size() -> None:
    """The trap: stop at once, or after two pairs, depending on |d_1|; normal null, sigma 1.

    The right-Haar mixture's mean is 1 at two pairs, but above 1 at that stopping time, so it
    must not be averaged over cells with one common stopping time. Ours stays at 1.
    """
    edges = np.linspace(-8.5, 8.5, 601)
    x = (edges[1:] + edges[:-1]) / 2
    weight = np.diff(scipy.stats.norm.cdf(edges))
    first, second = np.meshgrid(x, x, indexing="ij")
    given_first = _right_haar(first, second) @ weight
    assert weight @ given_first == pytest.approx(1.0, abs=1e-3)
    assert weight @ np.maximum(given_first, 1.0) > 1.05
    ours = np.exp(combined(*log_wealth(np.stack([first, second], axis=-1), EFFECTS), "two-sided"))
    at_one, at_two = ours[:, 0, 0], ours[..., 1] @ weight
    assert weight @ np.maximum(at_one, at_two) == pytest.approx(1.0, abs=1e-9)


Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _changing_scale(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """The spread of a pair is fixed by the signs before it: symmetric given the past."""
    d = rng.standard_t(2, shape)
    grow = 1.0 + 3.0 * (np.cumsum(np.sign(d), axis=1) > 0)
    d[:, 1:] *= grow[:, :-1]
    return d


DRAWS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape),
    "cauchy": lambda rng, shape: rng.standard_cauchy(shape),
    "two points": lambda rng, shape: rng.choice([-1.0, 0.0, 1.0], shape, p=[0.4, 0.2, 0.4]),
    "changing scale": _changing_scale,
}


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
@pytest.mark.parametrize("name", DRAWS)
def test_type_i_error_under_peeking_after_every_pair(name: str, alternative: str) -> None:
    repeats = 4000
    d = DRAWS[name](np.random.default_rng(1), (repeats, 50))
    assert _ever(d, alternative) <= band(ALPHA, repeats)[1]


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_one_sided_null_holds_the_centres_below_zero(shift: float) -> None:
    """Two far points about a centre below zero: not unimodal, the hardest case."""
    repeats = 4000
    d = 2.0 * np.random.default_rng(2).choice([-1.0, 1.0], (repeats, 40)) - shift
    assert _ever(d, "greater") <= band(ALPHA, repeats)[1]


def test_peeking_with_a_fixed_n_test_leaves_the_band() -> None:
    """From 3 to 20 pairs, after every pair: .229 instead of .05."""
    repeats = 4000
    mean, se = t_paths(np.random.default_rng(3).normal(0, 1, (repeats, 20)))
    critical = scipy.stats.t.ppf(0.975, np.arange(2, 20))
    rate = float((np.abs(mean / se)[:, 2:] >= critical).any(axis=1).mean())
    low, high = band(0.229, repeats)
    assert low <= rate <= high
    assert rate > band(ALPHA, repeats)[1]


def test_each_factor_rises_with_the_newest_difference() -> None:
    past = np.random.default_rng(4).normal(0, 1, 5)
    newest = np.linspace(-50, 50, 401)
    d = np.concatenate([np.tile(past, (401, 1)), newest[:, None]], axis=1)
    up, down = log_wealth(d, EFFECTS)
    assert (np.diff(up[:, -1]) >= 0).all()
    assert (np.diff(down[:, -1]) <= 0).all()


def test_units_and_sides() -> None:
    d = np.random.default_rng(5).normal(0.5, 1, 12)
    base = e_process(d)
    for factor in (1e-200, 100.0, 1e200):
        assert e_process(factor * d).e == pytest.approx(base.e, rel=1e-9)
    assert e_process(-d).e == pytest.approx(base.e, rel=1e-12)
    assert e_process(-d, "less").e == pytest.approx(e_process(d, "greater").e, rel=1e-12)
    assert base.side[-1] == 1
    assert e_process(-d).side[-1] == -1


def test_zero_rests_and_no_spread_is_no_evidence() -> None:
    d = np.array([1.0, -0.5, 2.0, 1.5])
    with_zero = e_process(np.append(d, 0.0))
    assert with_zero.e[-1] == pytest.approx(with_zero.e[-2], rel=1e-12)
    assert e_process([0.0, 0.0, 0.0]).e == pytest.approx([1, 1, 1])
    assert e_process([0.7] * 12).e == pytest.approx(np.ones(12))
    assert e_process([-0.7] * 12, "greater").e[-1] < 1e-3
    # Rounding noise is neither a sign nor a spread.
    noise = Sample.of([np.array([3e-17, 3e-17, 2e-17])], magnitude=0.8)
    assert e_process(noise, "greater").e == pytest.approx([1, 1, 1])
    assert e_process(0.1 + 0.2 + 1e-17 * np.arange(9)).e[-1] == pytest.approx(1.0)


def test_p_is_the_record_of_e() -> None:
    process = e_process([1.0, 1.2, 0.9, 1.1, 1.3, 0.8, 1.0, -5.0])
    assert process.p[-1] == process.p[-2] == pytest.approx(1 / process.e.max())
    assert (np.diff(process.p) <= 0).all()
    assert process.p[0] == 1.0
    assert process.n == 8


@pytest.mark.parametrize(("alternative", "n"), [("two-sided", 6), ("greater", 5)])
def test_the_fewest_pairs_that_can_reach_the_threshold(alternative: str, n: int) -> None:
    """As with exact sign flips: 2 / 2^6 and 1 / 2^5 are the first below .05."""
    d = 1.0 + 1e-6 * np.arange(n)
    e = e_process(d, alternative).e
    assert e[-1] >= 20 > e[-2]


def test_power_against_its_rivals() -> None:
    """At d_z = 1 and 20 pairs: well above universal inference and de la Pena's bets, and not
    below the right-Haar mixture, which is not valid in this filtration."""
    repeats, n = 2000, 20
    d = np.random.default_rng(6).normal(1, 1, (repeats, n))
    k = np.arange(1, n + 1)
    total, square = np.cumsum(d, axis=1), np.cumsum(d * d, axis=1)
    shrink = 1 / (1 + k)
    rest = square - shrink * total**2
    haar = -0.5 * np.log(1 + k) - k / 2 * np.log(rest / square)
    # Universal inference: normal-inverse-gamma mixture over the maximum likelihood under mean 0.
    mixture = (
        -k / 2 * np.log(2 * np.pi) - 0.5 * np.log(1 + k) + 0.5 * np.log(0.5)
        - math.lgamma(0.5) + scipy.special.gammaln(0.5 + k / 2)
        - (0.5 + k / 2) * np.log(0.5 + rest / 2)
    )  # fmt: skip
    universal = mixture + k / 2 * (np.log(2 * np.pi * square / k) + 1)
    z = d / np.sqrt(square / k)
    bets = [s * a * math.sqrt(1 + a * a) * z for a in EFFECTS for s in (1, -1)]
    pena = scipy.special.logsumexp([np.cumsum(x - x * x / 2, axis=1) for x in bets], axis=0)
    pena -= math.log(len(bets))
    power = {
        name: float((path >= math.log(20)).any(axis=1).mean())
        for name, path in {"haar": haar, "universal": universal, "pena": pena}.items()
    }
    ours = _ever(d)
    assert ours > 0.82
    assert ours > power["haar"] - 0.03
    assert ours > power["universal"] + 0.1
    assert ours > power["pena"] + 0.2


def test_dominates_de_la_pena_path_by_path() -> None:
    d = np.random.default_rng(7).standard_t(3, (200, 15))
    z = d / np.sqrt(np.cumsum(d * d, axis=1) / np.arange(1, 16))
    up, _ = log_wealth(d, (1.0,))
    x = math.sqrt(2) * z
    assert (up >= np.cumsum(x - x * x / 2, axis=1) - 1e-12).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: e_process([]), "d: there are no pairs; give at least one"),
        (lambda: e_process([1.0, math.nan]), "d: difference 2 is nan"),
        (lambda: e_process([1.0], "more"), "alternative: 'more' is not an alternative"),
        (lambda: e_process([1.0], effects=(0.0, 1)), "effects: [0.0, 1.0] are not effects"),
        (lambda: e_process([1.0], effects=()), "effects: [] are not effects to bet on"),
        (
            lambda: e_process(Sample.of([[1.0, 2], [3.0, 4]])),
            "d: 2 groups of pairs have no common order; take one backbone at a time",
        ),
    ],
)
def test_mistakes_are_told(call: Callable[[], object], message: str) -> None:
    with pytest.raises(StatsError) as error:
        call()
    assert str(error.value).startswith(message)
