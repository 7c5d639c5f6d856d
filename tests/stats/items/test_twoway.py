"""Seed x item inference: identities, error rates with mutants, components, degenerate tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.items.components import components, difference_limits, mean_squares
from stats.items.pigeonhole import pigeonhole, pigeonhole_means, pigeonhole_variance
from stats.items.twoway import mean_inference, two_way, variance_of_mean
from stats.paired import paired_t
from tests.stats.items.outcomes import binary, table
from tests.stats.test_rates import ALPHA, band


def test_mean_squares_are_those_of_the_textbook() -> None:
    """3 seeds x 4 items worked by hand: grand mean 5, no interaction."""
    d = np.array([[2.0, 3, 4, 3], [5, 6, 7, 6], [5, 6, 7, 6]])
    squares = mean_squares(d)
    # Rows deviate by -2, 1, 1; columns by -1, 0, 1, 0; all else is 0.
    assert squares.mean == 5.0
    assert (squares.seed, squares.item, squares.residual) == (4 * 6 / 2, 3 * 2 / 3, 0.0)
    assert squares.df == (2, 3, 6)


def test_mean_squares_add_up_and_agree_with_a_regression() -> None:
    d = np.random.default_rng(0).normal(size=(5, 7))
    squares = mean_squares(d)
    parts = np.array([squares.seed, squares.item, squares.residual]) * squares.df
    assert parts.sum() == pytest.approx(((d - d.mean()) ** 2).sum(), rel=1e-12)
    x = np.array([[1.0, *np.eye(5)[s][1:], *np.eye(7)[i][1:]] for s in range(5) for i in range(7)])
    residual = np.linalg.lstsq(x, d.ravel(), rcond=None)[1][0]
    assert squares.residual * 24 == pytest.approx(residual, rel=1e-10)


def test_one_way_inferences_are_the_paired_t_over_seeds_and_over_items() -> None:
    values = binary(seeds=5, items=40)
    outcome = two_way(table(values), "talan", "lora")
    d = values[1] - values[0]
    for inference, t in (
        (outcome.seeds_random, paired_t(d.mean(axis=1))),
        (outcome.items_random, paired_t(d.mean(axis=0))),
    ):
        assert inference.p == pytest.approx(t.p, rel=1e-10)
        assert (inference.ci_low, inference.ci_high) == pytest.approx((t.ci_low, t.ci_high))
        assert inference.df == t.df
    assert outcome.delta == pytest.approx(outcome.mean_arm - outcome.mean_baseline, rel=1e-12)


def test_both_random_is_never_surer_than_either() -> None:
    rng = np.random.default_rng(0)
    floors = 0
    for _ in range(300):
        scale = rng.uniform(0, 1, 2)
        d = rng.normal(0, scale[0], (4, 1)) + rng.normal(0, scale[1], 9) + rng.normal(0, 1, (4, 9))
        squares = mean_squares(d)
        widths = {}
        for random in ("seeds", "items", "both"):
            inference = mean_inference(squares, random, "")
            widths[random] = inference.ci_high - inference.ci_low
        assert widths["both"] >= max(widths["seeds"], widths["items"]) * (1 - 1e-12)
        variance, _ = variance_of_mean(squares)
        assert variance >= max(squares.seed, squares.item) / 36 * (1 - 1e-12)
        floors += squares.residual > min(squares.seed, squares.item)
    assert 30 < floors < 300, "both branches were visited"


def test_satterthwaite_degrees_of_freedom_by_hand() -> None:
    squares = mean_squares(np.random.default_rng(3).normal(0, 3, (4, 1)) + np.arange(6.0) ** 2)
    variance, df = variance_of_mean(squares)
    s, i = squares.seed, squares.item  # the residual is 0
    assert variance == pytest.approx((s + i) / 24)
    assert df == pytest.approx((s + i) ** 2 / (s**2 / 3 + i**2 / 5))


def _p(rng: np.random.Generator, n: int, m: int, sd: tuple[float, float, float]) -> list[float]:
    d = rng.normal(0, sd[0], (n, 1)) + rng.normal(0, sd[1], m) + rng.normal(0, sd[2], (n, m))
    squares = mean_squares(d)
    return [mean_inference(squares, random, "").p for random in ("seeds", "items", "both")]


@pytest.mark.parametrize(
    ("n", "m", "sd", "mutants"),
    [
        (5, 50, (1.0, 1.0, 1.0), ["items"]),
        (5, 20, (0.5, 0.5, 1.0), ["items"]),
        (10, 20, (0.3, 0.6, 0.6), ["seeds", "items"]),
    ],
)
def test_type_i_error_with_both_random_and_its_two_mutants(
    n: int, m: int, sd: tuple[float, float, float], mutants: list[str]
) -> None:
    """Seeds alone or items alone as the unit reject a null of the population of both too often."""
    repeats = 1500
    rng = np.random.default_rng(n * m)
    rates = (np.array([_p(rng, n, m, sd) for _ in range(repeats)]) <= ALPHA).mean(axis=0)
    low, high = band(ALPHA, repeats)
    assert low <= rates[2] <= high
    for mutant in mutants:
        assert rates[["seeds", "items"].index(mutant)] > high


@pytest.mark.parametrize("m", [50, 200])
def test_seed_only_inference_rejects_a_tenth_of_nulls_about_this_kind_of_data(m: int) -> None:
    """20 seeds, right or wrong, item effects of SD .10: about 10 %, for any number of items."""
    repeats, n = 1200, 20
    rng = np.random.default_rng(m)
    hits = np.zeros(3)
    for _ in range(repeats):
        arm = 0.65 + rng.normal(0, 0.1, m)
        d = (rng.random((n, m)) < arm).astype(float) - (rng.random((n, m)) < 0.65)
        squares = mean_squares(d, 1.0)
        ps = [mean_inference(squares, random, "").p for random in ("seeds", "items", "both")]
        hits += np.array(ps) <= ALPHA
    seeds, _, both = hits / repeats
    _, high = band(ALPHA, repeats)
    assert seeds > high
    assert band(0.10, repeats)[0] <= seeds <= band(0.10, repeats)[1]
    # With no seed variance the floors make it shy, never bold.
    assert 0.015 < both <= high


def test_component_estimates_are_unbiased_and_their_intervals_cover() -> None:
    repeats, n, m = 1200, 6, 25
    truth = np.array([0.3**2, 0.5**2, 1.0])
    rng = np.random.default_rng(1)
    raw, covered, wald = [], np.zeros(3), 0
    for _ in range(repeats):
        d = rng.normal(0, 0.3, (n, 1)) + rng.normal(0, 0.5, m) + rng.normal(0, 1, (n, m))
        squares = mean_squares(d)
        parts = components(squares)
        raw.append([part.raw for part in parts])
        covered += [part.low <= v <= part.high for part, v in zip(parts, truth, strict=True)]
        error = math.sqrt(2 * (squares.seed**2 / 5 + squares.residual**2 / 120)) / m
        wald += abs(parts[0].raw - truth[0]) <= 1.96 * error
    mean, error = np.mean(raw, axis=0), np.std(raw, axis=0) / math.sqrt(repeats)
    assert (np.abs(mean - truth) < 3.3 * error).all()
    low, high = band(0.95, repeats)
    assert (low <= covered / repeats).all()
    assert (covered / repeats <= high).all()
    assert wald / repeats < low, "the Wald interval of a variance does not cover"


def test_component_limits_meet_the_f_test_and_the_chi_squared_interval() -> None:
    f = scipy.stats.f.isf(0.025, 5, 40)
    assert difference_limits(3 * f, 5, 3.0, 40, 0.025)[0] == pytest.approx(0, abs=1e-9)
    assert difference_limits(3 * f * 1.01, 5, 3.0, 40, 0.025)[0] > 0
    low, high = difference_limits(2.0, 5, 0.0, 40, 0.025)
    assert low == pytest.approx(2 * 5 / scipy.stats.chi2.isf(0.025, 5), rel=1e-10)
    assert high == pytest.approx(2 * 5 / scipy.stats.chi2.ppf(0.025, 5), rel=1e-10)


def test_a_negative_component_is_shown_raw_and_truncated() -> None:
    d = np.array([[1.0, -1, 1, -1], [-1, 1, -1, 1.5]])
    seed, *_ = components(mean_squares(d))
    assert seed.raw < 0
    assert (seed.variance, seed.sd, seed.low) == (0.0, 0.0, 0.0)


def test_order_of_seeds_and_items_does_not_matter() -> None:
    values = binary(seeds=5, items=20)
    one = two_way(table(values), "talan", "lora")
    two = two_way(
        table(values[:, ::-1][:, :, np.random.default_rng(0).permutation(20)]), "talan", "lora"
    )
    for a, b in zip(one.inferences, two.inferences, strict=True):
        assert (a.se, a.p) == pytest.approx((b.se, b.p), rel=1e-10)


def test_swapping_the_arms_mirrors_everything() -> None:
    values = binary(seeds=5, items=20)
    one = two_way(table(values), "talan", "lora").both_random
    two = two_way(table(values), "lora", "talan").both_random
    assert (one.t, one.p, one.ci_low) == pytest.approx((-two.t, two.p, -two.ci_high), rel=1e-12)


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_constant_differences_are_undefined(gain: float) -> None:
    base = np.random.default_rng(0).random((4, 6))
    outcome = two_way(table(np.stack([base, base + gain])), "talan", "lora")
    for inference in outcome.inferences:
        assert math.isnan(inference.p)
        assert math.isnan(inference.ci_low)
        assert inference.se == 0
    for part in outcome.components:
        assert (part.raw, part.variance) == (0.0, 0.0)
        assert math.isnan(part.low)
    hole = pigeonhole(table(np.stack([base, base + gain])), "talan", "lora", n_resamples=99)
    assert math.isnan(hole.ci_low)
    assert "-" in outcome.summary()


def test_seeds_that_all_agree_leave_the_items_to_vary() -> None:
    """Deterministic training: each item has one difference; no test over seeds, one over items."""
    base = np.zeros((4, 9))
    arm = np.tile(np.arange(9.0) % 3, (4, 1))
    outcome = two_way(table(np.stack([base, arm])), "talan", "lora")
    assert math.isnan(outcome.seeds_random.p)
    assert outcome.both_random.p == pytest.approx(scipy.stats.ttest_1samp(arm[0], 0).pvalue)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (
            (1, 9),
            "needs at least 2 pairs, not 1; train more seeds; for one pair of checkpoints use",
        ),
        ((4, 1), "needs at least 2 items, not 1; score more items"),
    ],
)
def test_one_seed_or_one_item_is_refused(shape: tuple[int, int], words: str) -> None:
    made = table(np.random.default_rng(0).random((2, *shape)))
    for call in (two_way, pigeonhole):
        with pytest.raises(StatsError) as caught:
            call(made, "talan", "lora")
        assert words in str(caught.value)


def test_the_record_says_what_it_estimates() -> None:
    outcome = two_way(table(binary(), percent=True), "talan", "lora")
    text = outcome.summary()
    assert "not the mechanism" in " ".join(text.split())
    assert "this kind of data" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100
    assert list(outcome.table()["random"]) == ["seeds", "items", "both"]
    assert outcome.component_table().shape == (3, 6)
    assert outcome.to_dict()["inferences"][2]["random"] == "both"
    assert outcome.units == "points"


# The pigeonhole bootstrap


def test_pigeonhole_variance_is_that_of_its_means_and_of_enumeration() -> None:
    d = np.random.default_rng(0).normal(size=(2, 3)) + np.array([[1.0], [0.0]])
    means = [d[np.ix_(s, i)].mean() for s in np.ndindex(2, 2) for i in np.ndindex(3, 3, 3)]
    assert pigeonhole_variance(mean_squares(d)) == pytest.approx(np.var(means), rel=1e-10)
    drawn = pigeonhole_means(d, 40_000, np.random.default_rng(1))
    assert drawn.var() == pytest.approx(np.var(means), rel=0.05)
    assert drawn.mean() == pytest.approx(d.mean(), abs=4 * math.sqrt(np.var(means) / 40_000))


def test_pigeonhole_meets_the_two_way_where_main_effects_rule_and_exceeds_it_elsewhere() -> None:
    rng = np.random.default_rng(2)
    effects = rng.normal(0, 1, (2, 40, 1)) + rng.normal(0, 1, (2, 1, 60))
    ruled = effects + rng.normal(0, 0.1, (2, 40, 60))
    noise = rng.normal(0, 1, (2, 40, 60))
    near = pigeonhole(table(ruled), "talan", "lora")
    assert near.se == pytest.approx(near.se_two_way, rel=0.02)
    both = two_way(table(ruled), "talan", "lora").both_random
    width = (near.ci_high - near.ci_low) / (both.ci_high - both.ci_low)
    assert 0.9 < width < 1.05
    far = pigeonhole(table(noise), "talan", "lora")
    # (MS_S + MS_I + MS_SI) against max(MS_S, MS_I), all of them near one value: root 3.
    assert 1.4 < far.se / far.se_two_way < 1.8


def test_pigeonhole_is_seeded() -> None:
    made = table(binary())
    assert pigeonhole(made, "talan", "lora", rng=3) == pigeonhole(made, "talan", "lora", rng=3)
    other = pigeonhole(made, "talan", "lora", rng=4)
    assert other.ci_high != pigeonhole(made, "talan", "lora", rng=3).ci_high
    assert pigeonhole(made, "talan", "lora", rng=np.random.default_rng(3)).rng_seed is None
    with pytest.raises(StatsError, match="9 resamples are too few"):
        pigeonhole(made, "talan", "lora", n_resamples=9)
