"""One-sided step-down max-T: against loops by hand, and its error rate with a shared baseline."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.family import HOLM, MAX_T, Correction, correct, holm, max_t
from stats.family_tests import family_tests
from stats.paired import paired_t, t_quantile
from stats.sample import Sample, estimate
from stats.signflip import sign_flip
from tests.stats.test_rates import band


def family(sizes: tuple[int, ...], tests: int, rng: int = 0, effect: float = 0.8) -> list[Sample]:
    """``tests`` samples in each of several blocks of pairs of their own."""
    g = np.random.default_rng(rng)
    out, start = [], 0
    for n in sizes:
        shared = g.normal(0, 0.5, n)
        for k in range(tests):
            d = shared + g.normal(0, 1, n) + effect * (k == 0) - effect * (k == 1)
            out.append(Sample.of([d], [np.arange(start, start + n)]))
        start += n
    return out


def averages(size: int, tests: int) -> list[Sample]:
    g = np.random.default_rng(5)
    where = [np.arange(size), np.arange(size, 2 * size)]
    return [Sample.of(list(g.normal(0.5 * k - 0.5, 1, (2, size))), where) for k in range(tests)]


def by_hand(samples: list[Sample], sign: int) -> np.ndarray:
    """Step-down over all joint flips of sign * t, as the definition reads."""

    def t(sample: Sample, signs: dict[int, int]) -> float:
        groups = [
            np.array([signs[int(p)] * v for p, v in zip(where, values, strict=True)])
            for where, values in zip(sample.pairs, sample.values, strict=True)
        ]
        mean = sum(float(g.mean()) for g in groups)
        return sign * mean / math.sqrt(sum(float(g.var(ddof=1)) / g.size for g in groups))

    universe = sorted({int(p) for s in samples for p in s.all_pairs})
    observed = [t(s, dict.fromkeys(universe, 1)) for s in samples]
    order = sorted(range(len(samples)), key=lambda i: -observed[i])
    count = [0] * len(samples)
    for flip in itertools.product((1, -1), repeat=len(universe)):
        flipped = [t(s, dict(zip(universe, flip, strict=True))) for s in samples]
        for step, i in enumerate(order):
            count[i] += max(flipped[j] for j in order[step:]) >= observed[i] - 1e-9
    p, running = np.empty(len(samples)), 0.0
    for i in order:
        running = max(running, count[i] / 2 ** len(universe))
        p[i] = running
    return p


@pytest.mark.parametrize(("alternative", "sign"), [("greater", 1), ("less", -1)])
@pytest.mark.parametrize(
    "samples",
    [family((6,), 4), family((4, 5), 3, rng=1), family((3, 3, 4), 2, rng=2), averages(4, 3)],
    ids=["one-block", "two-blocks", "three-blocks", "averages"],
)
def test_max_t_by_hand(samples: list[Sample], alternative: str, sign: int) -> None:
    result = max_t(samples, alternative)
    assert result.exact
    assert result.p_adjusted == pytest.approx(by_hand(samples, sign), abs=1e-12)


def test_less_is_greater_of_the_negated() -> None:
    samples = family((6, 7), 3, rng=4)
    turned = [Sample.of([-s.values[0]], s.pairs) for s in samples]
    one, other = max_t(samples, "less"), max_t(turned, "greater")
    assert one.p_adjusted == pytest.approx(other.p_adjusted, abs=1e-12)
    assert one.critical == pytest.approx(other.critical)


def test_a_family_of_one_is_the_one_sided_sign_flip_test() -> None:
    for alternative in ("greater", "less"):
        sample = family((8,), 1)[0]
        p = max_t([sample], alternative).p_adjusted[0]
        assert p == pytest.approx(sign_flip(sample, alternative).p, abs=1e-12)


def test_random_flips_agree_with_all_of_them() -> None:
    samples = family((9, 8), 4, rng=3)
    drawn = max_t(samples, "greater", n_resamples=20_000, max_enumerated=5)
    exact = max_t(samples, "greater")
    assert exact.exact
    assert not drawn.exact
    assert drawn.p_adjusted == pytest.approx(exact.p_adjusted, abs=0.015)
    assert drawn.critical == pytest.approx(exact.critical, rel=0.05)


def test_the_critical_value_is_the_one_sided_quantile_of_centred_flips() -> None:
    samples = family((6,), 3, rng=2, effect=3.0)
    maxima = []
    for flip in itertools.product((1, -1), repeat=6):
        t = []
        for s in samples:
            e = estimate(Sample.of([(s.values[0] - s.values[0].mean()) * np.array(flip)]))
            t.append(e.mean / e.se)
        maxima.append(max(t))
    maxima.sort(reverse=True)
    assert max_t(samples, "greater").critical == pytest.approx(maxima[int(0.05 * 64)], rel=1e-9)


def _correct(samples: list[Sample], alternative: str) -> Correction:
    ts = [paired_t(s, alternative) for s in samples]
    return correct(samples, [t.p for t in ts], [t.df for t in ts], alternative)


def test_five_pairs_reach_five_per_cent_one_sided_and_four_do_not() -> None:
    """The smallest one-sided p is 1 / 2^n."""
    assert set(_correct(family((5,), 3), "greater").method) == {MAX_T}
    four = family((4,), 3)
    by_holm = _correct(four, "greater")
    assert set(by_holm.method) == {HOLM}
    ts = [paired_t(s, "greater") for s in four]
    assert by_holm.p_adjusted == pytest.approx(holm([t.p for t in ts]))
    assert by_holm.critical == pytest.approx([t_quantile(1 - 0.05 / 3, 3)] * 3)
    assert set(_correct(family((5,), 3), "two-sided").method) == {HOLM}


def test_a_test_without_spread_bars_no_other() -> None:
    good = family((7,), 2, rng=3, effect=9.0)
    stuck = Sample.of([[0.2] * 7])
    result = _correct([*good, stuck], "greater")
    assert result.p_adjusted[2] == 1.0
    assert result.p_adjusted[0] <= 0.05


def test_family_tests_keep_identical_arms_outside() -> None:
    samples = [*family((7,), 2, effect=5.0), Sample.of([[0.0] * 7]), Sample.of([[0.1] * 7])]
    result = family_tests(samples, "greater")
    assert result.n_tests == 3
    assert math.isnan(result.p_adjusted[2])
    assert result.method[2] == ""
    assert result.p_adjusted[3] == 1.0
    assert math.isnan(result.critical[3])
    assert (result.p_adjusted[:2] >= result.p_signflip[:2]).all()
    assert result.p_signflip[0] == sign_flip(samples[0], "greater").p


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_family_wise_error_with_a_shared_baseline(alternative: str) -> None:
    """Four null arms in two benchmarks, all against one baseline's runs (correlation .5).

    A fifth arm is far better: step-down must not spend on it what it owes the others. Uncorrected
    tests are the mutant.
    """
    n, arms, benchmarks = 6, 5, 2
    repeats = 2000 if alternative == "greater" else 400
    rng = np.random.default_rng(6)
    runs = rng.normal(size=(repeats, arms + 1, 1, n)) + rng.normal(
        size=(repeats, arms + 1, benchmarks, n)
    )
    runs[:, 1] += 6
    d = (runs[:, 1:] - runs[:, :1]).reshape(repeats, arms * benchmarks, n)
    hits = 0
    for x in d:
        p = max_t([Sample.of([one]) for one in x], alternative).p_adjusted
        hits += p[benchmarks:].min() <= 0.05
    raw = scipy.stats.ttest_1samp(d[:, benchmarks:], 0, axis=2, alternative=alternative).pvalue
    _, high = band(0.05, repeats)
    assert hits / repeats <= high
    assert (raw.min(axis=1) <= 0.05).mean() > high


def test_one_sided_bounds_hold_together() -> None:
    repeats, n = 700, 7
    rng = np.random.default_rng(8)
    truth = np.array([0.0, 1.0, 4.0, 4.0])
    together = single = 0
    for _ in range(repeats):
        d = rng.normal(size=(1, n)) + rng.normal(size=(4, n)) + truth[:, None]
        critical = max_t([Sample.of([x]) for x in d], "greater").critical
        off = (d.mean(axis=1) - truth) / d.std(axis=1, ddof=1) * math.sqrt(n)
        together += bool((off <= critical).all())
        single += bool((off <= t_quantile(0.95, n - 1)).all())
    low, high = band(0.95, repeats)
    assert low <= together / repeats <= high
    assert single / repeats < low


def test_a_wrong_alternative_is_refused() -> None:
    for call in (lambda: max_t(family((6,), 2), "bigger"), lambda: _correct([], "smaller")):
        with pytest.raises(StatsError, match=r"alternative: '(bigger|smaller)' is not"):
            call()
