"""Intersection-union: the duality of p and bound, its size by simulation, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.replication.intersection import intersection_union
from stats.sample import Sample
from stats.signflip import sign_flip
from tests.stats.test_rates import band

GAINS = {
    "vs lora": [1.4, 0.9, 1.1, 1.6, 0.7, 1.2],
    "vs static": [0.6, -0.2, 0.9, 0.8, 0.1, 0.7],
    "vs random": [2.4, 1.1, 2.1, 1.7, 2.7, 1.9],
}


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_p_is_the_largest_one_sided_p(alternative: str) -> None:
    sign = 1 if alternative == "greater" else -1
    data = {name: sign * np.array(d) for name, d in GAINS.items()}
    result = intersection_union(data, alternative)
    each = [scipy.stats.ttest_1samp(d, 0, alternative=alternative).pvalue for d in data.values()]
    assert result.p == pytest.approx(max(each), rel=1e-12)
    assert result.p_signflip == max(sign_flip(d, alternative).p for d in data.values())
    assert result.deciding == "vs static"
    assert result.delta == pytest.approx(sign * np.mean(GAINS["vs static"]))
    assert result.shown
    assert intersection_union({"one": GAINS["vs lora"]}).p == pytest.approx(each[0])


def test_the_bound_is_beyond_zero_exactly_where_p_is_below_alpha() -> None:
    rng = np.random.default_rng(0)
    for trial in range(300):
        scale = rng.uniform(0.1, 3, (3, 1))
        d = rng.normal(0.6, 1, (3, 7)) * scale
        sign = -1 if trial % 2 else 1
        result = intersection_union(
            dict(zip("abc", sign * d, strict=True)), "less" if trial % 2 else "greater", alpha=0.1
        )
        assert (sign * result.bound > 0) == (result.p < 0.1) == result.shown


def test_the_weakest_contrast_and_the_lowest_bound_need_not_be_the_same() -> None:
    """A small certain gain has the lowest bound, a large uncertain one the largest p."""
    result = intersection_union(
        {"small": [0.10, 0.11, 0.10, 0.09, 0.10, 0.11], "noisy": [3, 9, 2, 10, 4, 9]}
    )
    assert result.deciding == "noisy"
    small = next(part for part in result.parts if part.contrast == "small")
    assert result.bound == small.bound < 0.11


def test_size_and_the_mutants_that_ask_for_any_baseline_or_for_the_mean() -> None:
    """One baseline is as good as the arm, two are far worse, and all share the arm's runs."""
    repeats, n = 2000, 8
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(repeats, 1, n))
    d = shared + rng.normal(size=(repeats, 3, n)) + np.array([0.0, 5.0, 5.0])[:, None]
    mean = scipy.stats.ttest_1samp(d.mean(axis=1), 0, axis=1, alternative="greater").pvalue
    results = [intersection_union(dict(zip("abc", x, strict=True))) for x in d]
    low, high = band(0.05, repeats)
    assert low <= np.mean([r.shown for r in results]) <= high
    assert np.mean([min(part.p for part in r.parts) <= 0.05 for r in results]) > high
    assert np.mean(mean <= 0.05) > high
    below = np.mean([r.bound > 0.0 for r in results])  # the smallest true difference is 0
    assert low <= below <= high


def test_a_part_without_a_test_leaves_the_claim_without_one() -> None:
    for bad in ([0.5] * 6, [0.3], [0.0] * 6):
        result = intersection_union({"vs lora": GAINS["vs lora"], "vs same": bad})
        assert math.isnan(result.p)
        assert math.isnan(result.bound)
        assert not result.shown
        assert result.deciding == "vs same"
        assert "No test is possible of whether" in result.sentence


def test_averages_over_backbones_are_samples_of_several_groups() -> None:
    rng = np.random.default_rng(3)
    samples = {name: Sample.of(list(rng.normal(1, 1, (2, 6)))) for name in "ab"}
    result = intersection_union(samples, subject="talan")
    assert result.n_pairs == 12
    assert result.parts[0].df < 11


def test_sentences_and_tables() -> None:
    cell = {"backbone": "deep", "benchmark": "recall"}
    good = intersection_union(GAINS, subject="talan", cell=cell, units="points")
    assert good.sentence == (
        "talan is better than all 3 baselines in deep/recall: the weakest is vs static +0.483 "
        "points, p = .021; every difference is at least +0.125 with 95% confidence."
    )
    text = good.summary()
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("deciding") == 1
    table = good.table()
    assert table["backbone"].tolist() == ["deep"] * 3
    assert table.loc[table["deciding"], "contrast"].tolist() == ["vs static"]
    bad = intersection_union(GAINS, "less", subject="talan")
    assert bad.sentence.startswith("It is not shown that talan is worse than all 3 baselines")
    assert good.to_dict()["parts"][1]["contrast"] == "vs static"
    assert good.to_dict()["rng_seed"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({}, "greater"), "contrasts: there is no contrast"),
        ((GAINS, "two-sided"), "alternative: 'two-sided' is not a direction; a claim over several"),
        (({"a": [1.0, math.nan]}, "greater"), "d: difference 2 is nan"),
    ],
)
def test_refusals(arguments: tuple[dict[str, list[float]], str], message: str) -> None:
    with pytest.raises(StatsError) as caught:
        intersection_union(*arguments)
    assert message in str(caught.value)
