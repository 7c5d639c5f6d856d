"""Max-T against loops written by hand, Holm beside it, and what each family leaves in or out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from stats.family import HOLM, MAX_T, Correction, correct, holm, max_t
from stats.paired import paired_t, t_quantile
from stats.sample import Sample, estimate
from stats.signflip import sign_flip


def family(
    sizes: tuple[int, ...], tests: int, *, rng: int = 0, effect: float = 0.8
) -> list[Sample]:
    """``tests`` samples in each of several blocks of pairs of their own (backbones)."""
    g = np.random.default_rng(rng)
    out, start = [], 0
    for n in sizes:
        shared = g.normal(0, 0.5, n)
        for k in range(tests):
            d = shared + g.normal(0, 1, n) + effect * (k == 0)
            out.append(Sample.of([d], [np.arange(start, start + n)]))
        start += n
    return out


def averages(size: int, tests: int, rng: int = 0) -> list[Sample]:
    g = np.random.default_rng(rng)
    where = [np.arange(size), np.arange(size, 2 * size)]
    return [Sample.of(list(g.normal(0.5 * k, 1, (2, size))), where) for k in range(tests)]


def by_hand(samples: list[Sample]) -> np.ndarray:
    """Step-down max-T by looping over all joint flips, as the definition reads."""

    def absolute_t(sample: Sample, signs: dict[int, int]) -> float:
        groups = [
            np.array([signs[int(p)] * v for p, v in zip(where, values, strict=True)])
            for where, values in zip(sample.pairs, sample.values, strict=True)
        ]
        mean = sum(float(g.mean()) for g in groups)
        return abs(mean) / math.sqrt(sum(float(g.var(ddof=1)) / g.size for g in groups))

    universe = sorted({int(p) for s in samples for p in s.all_pairs})
    observed = [absolute_t(s, dict.fromkeys(universe, 1)) for s in samples]
    order = sorted(range(len(samples)), key=lambda i: -observed[i])
    count = [0] * len(samples)
    for flip in itertools.product((1, -1), repeat=len(universe)):
        t = [absolute_t(s, dict(zip(universe, flip, strict=True))) for s in samples]
        for step, i in enumerate(order):
            count[i] += max(t[j] for j in order[step:]) >= observed[i] * (1 - 1e-9)
    p, running = np.empty(len(samples)), 0.0
    for i in order:
        running = max(running, count[i] / 2 ** len(universe))
        p[i] = running
    return p


@pytest.mark.parametrize(
    "samples",
    [
        family((6,), 4),
        family((4, 5), 3, rng=1),
        family((3, 3, 4), 2, rng=2, effect=2.0),
        averages(4, 3),
        [*family((4, 4), 2, rng=3), *averages(4, 2, rng=4)],
        [*family((5,), 2, rng=5), Sample.of([[0.3, -0.2, 0.4]], [np.array([3, 4, 9])])],
    ],
    ids=["one-block", "two-blocks", "three-blocks", "averages", "mixed", "overlap"],
)
def test_max_t_by_hand(samples: list[Sample]) -> None:
    result = max_t(samples)
    assert result.exact
    assert result.p_adjusted == pytest.approx(by_hand(samples), abs=1e-12)


def test_a_family_of_one_is_the_sign_flip_test() -> None:
    for samples in (family((8,), 1), averages(5, 1)):
        assert max_t(samples).p_adjusted[0] == pytest.approx(sign_flip(samples[0]).p, abs=1e-12)


def test_copies_of_a_test_cost_nothing() -> None:
    """What Holm cannot know: tests that move together."""
    one = family((9,), 1, effect=2.0)
    assert max_t(one * 20).p_adjusted[0] == max_t(one).p_adjusted[0]
    assert holm([sign_flip(one[0]).p] * 20)[0] > 5 * sign_flip(one[0]).p


def test_p_values_do_not_depend_on_the_order_of_tests_or_pairs() -> None:
    samples = family((6, 5), 4, rng=8)
    turned = [
        Sample.of([s.values[0][::-1]], [s.pairs[0][::-1]], s.magnitude) for s in samples[::-1]
    ]
    assert max_t(turned).p_adjusted[::-1] == pytest.approx(max_t(samples).p_adjusted, abs=1e-12)


def test_adjusted_is_never_below_unadjusted() -> None:
    for rng in range(20):
        samples = family((6, 7), 5, rng=rng)
        raw = [sign_flip(s).p for s in samples]
        assert (max_t(samples).p_adjusted >= np.array(raw) - 1e-12).all()


def test_monte_carlo_max_t_agrees_with_enumeration() -> None:
    samples = family((9, 8), 5, rng=11)
    exact = max_t(samples)
    # Two tests on five more pairs of their own push the joint family over the limit.
    g = np.random.default_rng(0)
    more = Sample.of([g.normal(0, 1, 21)], [np.arange(100, 121)])
    drawn = max_t([*samples, more], n_resamples=20_000, rng=1)
    assert exact.exact
    assert not drawn.exact
    alone = sign_flip(more, n_resamples=20_000).p
    together = 1 - (1 - exact.p_adjusted) * (1 - _tail(more, drawn.t[:-1]))
    checked = exact.t > drawn.t[-1]  # steps in which the added test still takes part
    assert checked.any()
    assert drawn.p_adjusted[:-1][checked] == pytest.approx(
        np.maximum.accumulate(together[np.argsort(-exact.t)])[np.argsort(np.argsort(-exact.t))][
            checked
        ],
        abs=0.015,
    )
    assert drawn.p_adjusted[-1] >= alone - 0.015
    assert drawn.n_flips == 20_001


def _tail(sample: Sample, t: np.ndarray) -> np.ndarray:
    """P(|T*| >= t) of one test's flips, by plain simulation."""
    d = sample.values[0]
    flips = np.random.default_rng(9).choice([-1.0, 1.0], size=(20_000, d.size)) * d
    drawn = np.abs(flips.mean(axis=1) / (flips.std(axis=1, ddof=1) / math.sqrt(d.size)))
    return (drawn[:, None] >= t).mean(axis=0)


def test_monte_carlo_p_is_never_zero() -> None:
    strong = [Sample.of([np.arange(1.0, 31.0)])]
    assert max_t(strong, n_resamples=999).p_adjusted[0] == pytest.approx(0.001)


def _correct(samples: list[Sample], alpha: float = 0.05) -> Correction:
    ts = [paired_t(s) for s in samples]
    return correct(samples, [t.p for t in ts], [t.df for t in ts], alpha=alpha)


def test_six_pairs_use_max_t_and_five_use_holm() -> None:
    assert set(_correct(family((6,), 3)).method) == {MAX_T}
    five = family((5,), 3)
    result = _correct(five)
    assert set(result.method) == {HOLM}
    assert result.p_adjusted == pytest.approx(holm([paired_t(s).p for s in five]))
    assert result.critical == pytest.approx([t_quantile(1 - 0.05 / 6, 4)] * 3)


def test_two_methods_share_alpha_by_their_number_of_tests() -> None:
    samples = [*family((8,), 3), *family((5,), 1, rng=4)]
    result = _correct(samples)
    assert result.method == (MAX_T, MAX_T, MAX_T, HOLM)
    assert result.p_adjusted[:3] == pytest.approx(
        np.minimum(1, max_t(samples[:3]).p_adjusted * 4 / 3)
    )
    assert result.p_adjusted[3] == pytest.approx(min(1, 4 * paired_t(samples[3]).p))


def test_max_t_gives_way_where_its_share_of_alpha_is_out_of_reach() -> None:
    """2/64 is below .05 but not below .05 / 2, which is left beside an equal number of Holm's."""
    samples = [*family((6,), 1), *family((5,), 1, rng=4)]
    assert set(_correct(samples).method) == {HOLM}


def test_a_test_without_spread_has_p_one_and_bars_no_other() -> None:
    good = family((6, 6), 2, rng=3, effect=9.0)
    stuck = [Sample.of([[0.2] * 6], [np.arange(6) + start]) for start in (0, 6)]
    result = _correct([*good, *stuck])
    assert result.p_adjusted[-2:].tolist() == [1.0, 1.0]
    assert set(result.method) == {MAX_T}
    real = [0, 2]  # the tests with an effect; the others may well meet the stuck one's flips
    assert result.p_adjusted[real] == pytest.approx(max_t(good).p_adjusted[real])
    assert (result.p_adjusted[real] <= 0.05).all()


def test_a_test_without_pairs_stays_in_holms_count() -> None:
    samples = [*family((5,), 2), Sample.of([[]], [np.array([], dtype=int)])]
    result = _correct(samples)
    assert result.p_adjusted[2] == 1.0
    assert min(result.p_adjusted) == pytest.approx(3 * min(paired_t(s).p for s in samples[:2]))


def test_an_empty_family() -> None:
    result = _correct([])
    assert result.p_adjusted.size == 0
    assert result.method == ()


def test_the_critical_value_is_the_quantile_of_centred_flips() -> None:
    samples = family((6,), 3, rng=2, effect=4.0)
    maxima = []
    for flip in itertools.product((1, -1), repeat=6):
        t = []
        for s in samples:
            e = estimate(Sample.of([(s.values[0] - s.values[0].mean()) * np.array(flip)]))
            t.append(abs(e.mean / e.se))
        maxima.append(max(t))
    maxima.sort(reverse=True)
    assert max_t(samples).critical == pytest.approx(maxima[int(0.05 * 64)], rel=1e-9)
