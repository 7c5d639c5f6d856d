"""Clusters in place of items, one pair of checkpoints, and accuracies on few items."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.proportion import proportion_confint

from stats.errors import StatsError
from stats.items.checkpoints import adjusted_wald, mcnemar, paired_items
from stats.items.clusters import by_cluster
from stats.items.components import mean_squares
from stats.items.proportions import accuracies, jeffreys, proportion_interval, wilson
from stats.items.twoway import mean_inference, two_way
from tests.stats.items.outcomes import binary, table
from tests.stats.test_rates import ALPHA, band

UNEQUAL = ["a"] * 2 + ["b"] * 5 + ["c"] * 9 + ["d"] * 4


def test_clusters_of_one_item_change_nothing() -> None:
    values = binary(items=20)
    one = two_way(table(values), "talan", "lora")
    two = two_way(table(values, [str(i) for i in range(20)]), "talan", "lora")
    for a, b in zip(one.inferences, two.inferences, strict=True):
        assert (a.se, a.df, a.p) == pytest.approx((b.se, b.df, b.p), rel=1e-9)


def test_clusters_of_one_size_have_one_estimand() -> None:
    made = table(binary(items=20), ["a", "b", "c", "d"] * 5)
    one = two_way(made, "talan", "lora")
    two = two_way(made, "talan", "lora", mean_over="clusters")
    assert one.delta == pytest.approx(two.delta)
    for a, b in zip(one.inferences, two.inferences, strict=True):
        assert (a.se, a.p) == pytest.approx((b.se, b.p), rel=1e-9)


def test_unequal_clusters_keep_the_mean_that_is_asked_for() -> None:
    values = binary(items=20)
    d = values[1] - values[0]
    made = table(values, UNEQUAL)
    items = two_way(made, "talan", "lora")
    clusters = two_way(made, "talan", "lora", mean_over="clusters")
    by_hand = [d[:, :2].mean(), d[:, 2:7].mean(), d[:, 7:16].mean(), d[:, 16:].mean()]
    assert items.delta == pytest.approx(d.mean(), rel=1e-12)
    assert clusters.delta == pytest.approx(np.mean(by_hand), rel=1e-12)
    assert items.delta != pytest.approx(clusters.delta, rel=1e-3)
    # Over seeds nothing depends on clusters when the mean is over items.
    plain = two_way(table(values), "talan", "lora").seeds_random
    assert items.seeds_random.p == pytest.approx(plain.p, rel=1e-9)
    assert (items.unit, items.n_units) == ("cluster", 4)
    assert "clusters like these, all weighing the same" in clusters.both_random.estimand


def test_linearised_columns_have_the_variance_of_the_ratio() -> None:
    d = by_cluster(table(binary(items=20), UNEQUAL).differences("talan", "lora"))
    raw = table(binary(items=20)).differences("talan", "lora").values
    sizes = np.array([2, 5, 9, 4])
    sums = np.add.reduceat(raw, [0, 2, 7, 16], axis=1).mean(axis=0)
    ratio = sums.sum() / 20
    # Cochran's estimator of the variance of a ratio of cluster totals.
    expected = ((sums - ratio * sizes) ** 2).sum() / 3 / 4 / sizes.mean() ** 2
    squares = mean_squares(d.values)
    assert squares.item / d.values.size == pytest.approx(expected, rel=1e-10)


def test_clustered_items_taken_as_independent_reject_too_often() -> None:
    repeats, n, groups, size = 1000, 5, 12, 8
    rng = np.random.default_rng(0)
    clusters = [str(g) for g in range(groups) for _ in range(size)]
    right = wrong = 0
    for _ in range(repeats):
        shared = np.repeat(rng.normal(0, 0.6, groups), size)
        d = rng.normal(0, 0.2, (n, 1)) + shared + rng.normal(0, 1, (n, groups * size))
        wrong += mean_inference(mean_squares(d), "both", "").p <= ALPHA
        z = by_cluster(_differences(d, clusters))
        right += mean_inference(mean_squares(z.values), "both", "").p <= ALPHA
    low, high = band(ALPHA, repeats)
    assert low <= right / repeats <= high
    assert wrong / repeats > high


def _differences(d: np.ndarray, clusters: list[str]):
    from stats.items.table import Differences

    n, m = d.shape
    return Differences(
        d, np.zeros_like(d), "talan", "lora", ("seed",), tuple((str(s),) for s in range(n)),
        tuple(map(str, range(m))), tuple(clusters), 1.0, "score units", {},
    )  # fmt: skip


def test_cluster_refusals() -> None:
    made = table(binary(items=20), UNEQUAL)
    with pytest.raises(
        StatsError, match="a mean over 'cluster' is not offered; did you mean 'clus"
    ):
        two_way(made, "talan", "lora", mean_over="cluster")
    with pytest.raises(StatsError, match="the items have no clusters; name the column"):
        two_way(table(binary()), "talan", "lora", mean_over="clusters")
    with pytest.raises(StatsError, match="needs at least 2 clusters, not 1"):
        two_way(table(binary(items=20), ["a"] * 20), "talan", "lora")


# One pair of checkpoints


def test_paired_items_without_clusters() -> None:
    values = binary(items=40)
    made = paired_items(table(values, percent=True), "talan", "lora", 2)
    d = values[1, 2] - values[0, 2]
    plus, minus = int((d > 0).sum()), int((d < 0).sum())
    assert (made.only_arm, made.only_baseline) == (plus, minus)
    assert made.delta == pytest.approx(100 * d.mean())
    assert made.se == pytest.approx(100 * scipy.stats.sem(d))
    square = np.array([[0, plus], [minus, 0]])
    assert made.p_mcnemar == pytest.approx(reference_mcnemar(square, exact=True).pvalue)
    assert made.ci_low < made.delta < made.ci_high
    assert "describes the two checkpoints of seed 2, not the mechanism" in made.summary()
    assert max(map(len, made.summary().splitlines())) <= 100


def test_cluster_robust_error_is_that_of_a_regression_on_a_constant() -> None:
    values = binary(items=20)
    made = paired_items(table(values, UNEQUAL), "talan", "lora", ("1",))
    d = values[1, 1] - values[0, 1]
    groups = np.array([ord(c) for c in UNEQUAL])
    fit = OLS(d, np.ones(20)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    # statsmodels multiplies by G / (G - 1) (N - 1) / (N - k), which for k = 1 is ours.
    assert made.se == pytest.approx(float(fit.bse[0]), rel=1e-10)
    assert (made.df, made.n_units, made.unit) == (3.0, 4, "cluster")
    assert math.isnan(made.p_mcnemar)


def test_outcomes_that_are_not_right_or_wrong_have_no_mcnemar() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 15))
    made = paired_items(table(values), "talan", "lora", 0)
    reference = scipy.stats.ttest_rel(values[1, 0], values[0, 0])
    assert made.p == pytest.approx(reference.pvalue)
    assert made.only_arm is None
    assert math.isnan(made.p_mcnemar)


def test_identical_checkpoints_have_no_p() -> None:
    values = binary(items=12)
    values[1] = values[0]
    made = paired_items(table(values), "talan", "lora", 0)
    assert (made.delta, made.only_arm, made.only_baseline) == (0.0, 0, 0)
    assert math.isnan(made.p)
    assert math.isnan(made.p_mcnemar)
    assert made.ci_low < 0 < made.ci_high, "a zero difference on 12 items is not a zero effect"


def test_mcnemar_by_hand() -> None:
    exact, mid = mcnemar(1, 5)
    assert exact == pytest.approx(2 * (1 + 6) / 64)
    assert mid == pytest.approx((2 * 7 - 6) / 64)
    assert mcnemar(3, 3)[0] == 1.0
    assert mcnemar(0, 4) == pytest.approx((2 / 16, 1 / 16))


@pytest.mark.parametrize("n", [15, 30])
def test_adjusted_wald_covers_and_walds_interval_does_not(n: int) -> None:
    repeats = 4000
    p = np.array([0.12, 0.02, 0.86])  # arm only, baseline only, the rest
    counts = np.random.default_rng(n).multinomial(n, p, size=repeats)
    adjusted = plain = 0
    for plus, minus, _ in counts:
        low, high = adjusted_wald(plus, minus, n)
        adjusted += low <= 0.10 <= high
        d = (plus - minus) / n
        half = 1.96 * math.sqrt(max((plus + minus) / n - d**2, 0) / n)
        plain += abs(d - 0.10) <= half
    low, _ = band(0.95, repeats)
    assert adjusted / repeats >= low
    assert plain / repeats < low


def test_unknown_pair_names_the_nearest() -> None:
    with pytest.raises(StatsError, match=r"pair \(seed\): there is no pair 55; did you mean '5'"):
        paired_items(table(binary()), "talan", "lora", 55)


# Accuracies


@pytest.mark.parametrize(("method", "other"), [("wilson", "wilson"), ("jeffreys", "jeffreys")])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_are_those_of_statsmodels(method: str, other: str, level: float) -> None:
    for n in (5, 30, 164):
        k = np.arange(1, n)
        low, high = proportion_interval(k, n, method=method, confidence_level=level)
        expected = proportion_confint(k, n, alpha=1 - level, method=other)
        assert low == pytest.approx(expected[0], rel=1e-9)
        assert high == pytest.approx(expected[1], rel=1e-9)


def test_intervals_at_the_ends_touch_them() -> None:
    """Published: Brown, Cai and DasGupta 2001, table of Jeffreys limits (n = 7: 0 of 7, 1 of 7)."""
    assert jeffreys(0, 7) == pytest.approx((0, 0.292), abs=5e-4)
    assert jeffreys(1, 7) == pytest.approx((0.016, 0.501), abs=5e-4)
    assert jeffreys(7, 7)[1] == 1.0
    assert wilson(0, 10) == pytest.approx((0.0, 3.8415 / 13.8415), abs=1e-4)
    assert wilson(10, 10)[1] == 1.0
    low, high = proportion_interval(0, 10, method="uniform")
    assert (float(low), float(high)) == pytest.approx(
        (1 - 0.975 ** (1 / 11), 1 - 0.025 ** (1 / 11))
    )


@pytest.mark.parametrize("method", ["jeffreys", "wilson", "uniform"])
@pytest.mark.parametrize("n", [10, 30, 100])
def test_exact_mean_coverage_of_intervals_and_of_walds(method: str, n: int) -> None:
    """Coverage summed over the binomial, not simulated; mean over accuracies from .02 to .98."""
    k = np.arange(n + 1)
    rates = np.linspace(0.02, 0.98, 193)
    weight = scipy.stats.binom.pmf(k[:, None], n, rates)
    low, high = proportion_interval(k, n, method=method)
    coverage = (weight * ((low[:, None] <= rates) & (rates <= high[:, None]))).sum(axis=0)
    assert 0.94 < coverage.mean() < 0.965
    p = k / n
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    wald = (weight * (np.abs(rates - p[:, None]) <= half[:, None])).sum(axis=0)
    assert wald.mean() < coverage.mean() - 0.01


def test_accuracies_have_a_row_per_run() -> None:
    values = binary(seeds=3, items=25)
    made = accuracies(table(values, percent=True))
    frame = made.table()
    assert list(frame.columns[:3]) == ["arm", "seed", "correct"]
    assert frame.shape == (6, 7)
    assert frame["correct"].tolist() == values.sum(axis=2).ravel().astype(int).tolist()
    low, high = jeffreys(int(values[1, 2].sum()), 25)
    assert frame.iloc[5][["ci_low", "ci_high"]].tolist() == pytest.approx([100 * low, 100 * high])
    assert max(map(len, made.summary().splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((3, 2, "wilson"), "3 right of 2 items is not a count"),
        ((0, 0, "wilson"), "0 right of 0 items is not a count"),
        ((-1, 5, "jeffreys"), "-1 right of 5 items"),
        ((1, 5, "wilsen"), "'wilsen' is not a method; did you mean 'wilson'?"),
    ],
)
def test_proportion_refusals(arguments: tuple[int, int, str], words: str) -> None:
    with pytest.raises(StatsError) as caught:
        proportion_interval(*arguments[:2], method=arguments[2])
    assert words in str(caught.value)


def test_accuracies_need_right_or_wrong_and_independent_items() -> None:
    with pytest.raises(StatsError, match="is not right or wrong"):
        accuracies(table(np.random.default_rng(0).random((2, 2, 4))))
    with pytest.raises(StatsError, match="the items are clustered"):
        accuracies(table(binary(items=20), UNEQUAL))
