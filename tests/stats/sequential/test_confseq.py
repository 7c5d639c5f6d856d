from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.sequential.confseq import confidence_sequence
from stats.sequential.eprocess import EFFECTS, combined, e_process, log_wealth
from tests.stats.sequential.bands import band, t_paths


def _misses(d: np.ndarray, centre: float, alternative: str = "two-sided") -> float:
    """The share of studies whose confidence sequence leaves out the centre at some pair.

    The sequence holds the hull of the centres that are not rejected, so that this is an upper
    bound, and it is what coverage rests on; twelve studies are inverted in full below.
    """
    log_e = combined(*log_wealth(d - centre, EFFECTS), alternative)
    return float((log_e >= math.log(20)).any(axis=1).mean())


@pytest.mark.parametrize("draw", ["normal", "laplace", "uniform"])
def test_coverage_at_all_pairs_together(draw: str) -> None:
    rng = np.random.default_rng(0)
    d = 3.0 + getattr(rng, draw)(size=(4000, 40))
    centre = 3.5 if draw == "uniform" else 3.0
    assert _misses(d, centre) <= band(0.05, 4000)[1]
    out = 0
    for path in d[:12]:
        sequence = confidence_sequence(path)
        out += bool((sequence.low > centre).any() or (sequence.high < centre).any())
    assert out / 12 <= band(0.05, 12)[1]


def test_t_intervals_after_every_pair_leave_the_band() -> None:
    repeats = 4000
    d = np.random.default_rng(1).normal(3, 1, (repeats, 20))
    mean, se = t_paths(d)
    half = scipy.stats.t.ppf(0.975, np.arange(2, 20)) * se[:, 2:]
    missed = float((np.abs(mean[:, 2:] - 3) > half).any(axis=1).mean())
    assert missed > 3 * band(0.05, repeats)[1]


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_ends_are_where_the_e_process_crosses(alternative: str) -> None:
    """A fine grid of centres, each tested in full, gives the same interval."""
    d = np.random.default_rng(2).normal(1, 1, 25)
    sequence = confidence_sequence(d, alternative, 0.9, running=False)
    grid = np.linspace(-40, 42, 40_001)
    inside = combined(*log_wealth(d - grid[:, None], EFFECTS), alternative) < math.log(10)
    step = grid[1] - grid[0]
    for n in (12, 18, 25):
        kept = grid[inside[:, n - 1]]
        if alternative != "less":
            assert sequence.low[n - 1] == pytest.approx(kept[0], abs=step)
        if alternative != "greater":
            assert sequence.high[n - 1] == pytest.approx(kept[-1], abs=step)
    if alternative == "greater":
        assert np.isposinf(sequence.high).all()
    if alternative == "less":
        assert np.isneginf(sequence.low).all()


def test_at_its_end_the_e_value_is_the_threshold() -> None:
    d = np.random.default_rng(3).laplace(0.5, 1, 30)
    sequence = confidence_sequence(d, running=False)
    for end in (sequence.low[-1], sequence.high[-1]):
        assert e_process(d - end).e[-1] == pytest.approx(20, rel=1e-6)


def test_moves_and_stretches_with_the_data() -> None:
    d = np.random.default_rng(4).normal(0, 1, 20)
    base = confidence_sequence(d)
    moved = confidence_sequence(100 * d + 7)
    turned = confidence_sequence(-d)
    finite = np.isfinite(base.low)
    assert moved.low[finite] == pytest.approx(100 * base.low[finite] + 7, rel=1e-6)
    assert turned.low[finite] == pytest.approx(-base.high[finite], rel=1e-6)


def test_bounds_begin_with_six_pairs_and_only_tighten() -> None:
    d = np.random.default_rng(5).normal(1, 1, 20)
    sequence = confidence_sequence(d)
    assert np.isinf(sequence.low[:5]).all()
    assert np.isfinite(sequence.low[6:]).all()
    assert (np.diff(sequence.low[6:]) >= 0).all()
    assert (np.diff(sequence.high[6:]) <= 0).all()
    free = confidence_sequence(d, running=False)
    assert (free.low <= sequence.low).all()
    assert (free.high >= sequence.high).all()
    assert sequence.n == 20


def test_no_spread_gives_no_bounds() -> None:
    sequence = confidence_sequence([0.5] * 12)
    assert np.isinf(sequence.low).all()
    assert np.isinf(sequence.high).all()


def test_an_empty_intersection_is_undefined() -> None:
    """Two regimes: no single centre fits, and it is said so."""
    rng = np.random.default_rng(6)
    d = np.concatenate([rng.normal(0, 0.01, 20), rng.normal(50, 0.01, 200)])
    sequence = confidence_sequence(d)
    assert math.isnan(sequence.low[-1])
    assert math.isnan(sequence.high[-1])
    assert confidence_sequence(d[:20]).high[-1] < 0.1


def test_width_against_the_t_interval() -> None:
    """The price of looking after every pair, at 20 pairs: half again to twice as wide."""
    rng = np.random.default_rng(7)
    ratio = []
    for _ in range(20):
        d = rng.normal(0, 1, 20)
        sequence = confidence_sequence(d, running=False)
        t = 2 * scipy.stats.t.ppf(0.975, 19) * d.std(ddof=1) / math.sqrt(20)
        ratio.append((sequence.high[-1] - sequence.low[-1]) / t)
    assert 1.3 < np.median(ratio) < 2.0


def test_mistakes_are_told() -> None:
    with pytest.raises(StatsError, match="confidence_level: 95 is not between 0 and 1"):
        confidence_sequence([1.0, 2.0], confidence_level=95)
    with pytest.raises(StatsError, match="alternative: 'up' is not an alternative"):
        confidence_sequence([1.0, 2.0], "up")
