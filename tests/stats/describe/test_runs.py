"""Interquartile means, profiles and P(improvement): hand values, pairing, coverage, mutants."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from stats.describe.improvement import (
    DECISIONS,
    decide,
    effective_pairs,
    pairs_for_improvement,
    probability_of_improvement,
)
from stats.describe.iqm import interquartile_mean, iqm, linearised
from stats.describe.profiles import performance_profile
from stats.describe.strata import Strata
from stats.errors import StatsError
from stats.items.proportions import proportion_interval
from stats.table import PairedTable
from tests.stats.tables import frame
from tests.stats.test_rates import band

ARMS = {"lora": 0.0, "talan": 1.0}


def paired(**more: object) -> PairedTable:
    return PairedTable.from_frame(frame(ARMS, **more))  # type: ignore[arg-type]


def one_cell(arm: list[float], base: list[float]) -> PairedTable:
    rows = [("talan", s, v) for s, v in enumerate(arm)] + [
        ("lora", s, v) for s, v in enumerate(base)
    ]
    data = pd.DataFrame(rows, columns=["arm", "seed", "score"])
    return PairedTable.from_frame(data, pair=["seed"], cell=[])


# Interquartile mean


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4], 2.5),
        ([4, 1, 100, 3], 3.5),
        ([5, 1, 2, 3, 4], 3.0),  # floor(5 / 4) = 1 is cut from each end
        ([0, 0, 10, 20, 30, 40, 99, 99], 25.0),
        ([7, 9], 8.0),
        ([3], 3.0),
    ],
)
def test_interquartile_mean_by_hand(values: list[float], expected: float) -> None:
    """The values that rliable's aggregate_iqm (a 25 % trimmed mean) gives."""
    assert float(interquartile_mean(np.array(values, dtype=float))) == expected


def test_interquartile_mean_is_scipys_trimmed_mean() -> None:
    for n in range(1, 40):
        x = np.random.default_rng(n).normal(size=(3, n))
        assert interquartile_mean(x) == pytest.approx(scipy.stats.trim_mean(x, 0.25, axis=1))


def test_iqm_of_a_table_pools_runs_and_cells() -> None:
    table = paired(seeds=5)
    made = iqm(table, "talan", "lora", n_resamples=99)
    for arm, value in (("talan", made.iqm_arm), ("lora", made.iqm_baseline)):
        scores = table.frame.loc[table.frame["arm"] == arm, "score"]
        assert value == pytest.approx(scipy.stats.trim_mean(scores, 0.25))
    assert made.delta == pytest.approx(made.iqm_arm - made.iqm_baseline)
    assert (made.n_pairs, made.n_cells, made.n_runs) == (10, 4, 20)
    some = iqm(table, "talan", "lora", cells=[("deep", "recall")], n_resamples=99)
    assert (some.n_pairs, some.n_cells, some.n_runs) == (5, 1, 5)


def test_linearised_error_is_the_jackknifes() -> None:
    table = paired(seeds=40, backbones=["deep"])
    strata = Strata.of(table, "talan", "lora")
    (block,) = strata.blocks
    values = block.reshape(2, -1)
    ours = float(linearised(values[:, None], strata.blocks)[0])
    left = []
    for pair in range(block.shape[1]):
        means = interquartile_mean(np.delete(block, pair, axis=1).reshape(2, -1))
        left.append(means[0] - means[1])
    jackknife = math.sqrt((len(left) - 1) * np.var(left))
    assert ours == pytest.approx(jackknife, rel=0.15)


def study(rng: np.random.Generator, n: int, cells: int) -> np.ndarray:
    """A null block (2, n, cells): a pair's luck in both arms, each training's own, each cell's."""
    luck, own = rng.normal(0, 0.5, (1, n, 1)), rng.normal(0, 1, (2, n, 1))
    return 50 + luck + own + rng.normal(0, 1, (1, 1, cells)) + rng.normal(0, 0.7, (2, n, cells))


def test_iqm_interval_covers_and_the_unpaired_percentile_one_does_not() -> None:
    """The mutant resamples runs of each arm and cell apart, as is done for unpaired arms."""
    repeats, n, cells, draws = 300, 6, 4, 499
    rng = np.random.default_rng(0)
    covered = mutant = 0
    for _ in range(repeats):
        block = study(rng, n, cells)
        rows = [
            (arm, s, c, block[a, s, c])
            for a, arm in enumerate(("talan", "lora"))
            for s in range(n)
            for c in range(cells)
        ]
        data = pd.DataFrame(rows, columns=["arm", "seed", "cell", "score"])
        table = PairedTable(
            data.astype({"seed": str, "cell": str}), "arm", ("seed",), ("cell",), "score"
        )
        made = iqm(table, "talan", "lora", n_resamples=draws, rng=rng)
        covered += made.ci_low <= 0 <= made.ci_high
        apart = [
            interquartile_mean(
                np.take_along_axis(side[None], rng.integers(0, n, (draws, n, cells)), 1).reshape(
                    draws, -1
                )
            )
            for side in block
        ]
        low, high = np.quantile(apart[0] - apart[1], [0.025, 0.975])
        mutant += low <= 0 <= high
    low, high = band(0.95, repeats)
    assert low <= covered / repeats <= high
    assert mutant / repeats < low


def test_constant_differences_have_no_interval() -> None:
    base = list(np.random.default_rng(0).normal(50, 3, 6))
    made = iqm(one_cell([v + 1 for v in base], base), "talan", "lora", n_resamples=99)
    assert made.delta == pytest.approx(1)
    assert math.isnan(made.ci_low)
    assert made.se == 0


# Strata


def test_pairs_are_resampled_whole_and_cells_keep_their_runs() -> None:
    strata = Strata.of(paired(seeds=4, backbones=["a", "b"]), "talan", "lora")
    drawn = next(strata.draws(50, np.random.default_rng(0)))
    values = strata.resampled(drawn)
    assert values.shape == (2, 50, 16)
    known = {tuple(block[:, p].ravel()) for block in strata.blocks for p in range(block.shape[1])}
    for row in range(50):
        for start in range(0, 16, 2):
            assert tuple(values[:, row, start : start + 2].ravel()) in known


def test_a_broken_pair_is_left_out_and_counted() -> None:
    data = frame(ARMS)
    data.loc[0, "score"] = np.nan
    table = PairedTable.from_frame(data, allow_failed=True)
    made = iqm(table, "talan", "lora", n_resamples=99)
    assert (made.n_pairs, made.n_broken, made.n_runs) == (11, 1, 22)


def test_strata_refusals() -> None:
    table = paired()
    with pytest.raises(StatsError, match="there is no arm 'talen'; did you mean 'talan'"):
        iqm(table, "talen", "lora")
    with pytest.raises(StatsError, match="there is no cell"):
        performance_profile(table, "talan", "lora", cells=[("deep", "x")])
    with pytest.raises(
        StatsError, match="1 complete pairs in backbone=deep: at least 2 are needed"
    ):
        iqm(paired(seeds=1), "talan", "lora")
    with pytest.raises(StatsError, match="cannot be compared with itself"):
        iqm(table, "lora", "lora")
    gap = PairedTable.from_frame(
        frame(ARMS)[lambda d: ~((d["seed"] == 2) & (d["benchmark"] == "recall"))]
    )
    with pytest.raises(StatsError, match="has no row in one of the cells"):
        iqm(gap, "talan", "lora")
    with pytest.raises(StatsError, match="50 resamples are too few"):
        iqm(table, "talan", "lora", n_resamples=50)


@pytest.mark.parametrize("call", [iqm, performance_profile, probability_of_improvement])
def test_descriptions_are_seeded_do_not_see_the_order_of_rows_and_fit_the_page(call) -> None:
    data = frame(ARMS)
    one = call(PairedTable.from_frame(data), "talan", "lora", n_resamples=199, rng=5)
    shuffled = data.sample(frac=1, random_state=0)
    two = call(PairedTable.from_frame(shuffled), "talan", "lora", n_resamples=199, rng=5)
    assert one.to_dict() == two.to_dict()
    assert one.rng_seed == 5
    assert one.estimand
    assert one.method
    assert max(map(len, one.summary().splitlines())) <= 100
    assert len(one.table()) >= 1


# Profiles


def test_profile_by_hand() -> None:
    table = one_cell([1, 2, 3, 4], [1, 1, 2, 2])
    made = performance_profile(table, "talan", "lora", thresholds=[0, 1, 2, 3.5], n_resamples=99)
    assert made.arm_share.tolist() == [1.0, 0.75, 0.5, 0.25]
    assert made.baseline_share.tolist() == [1.0, 0.5, 0.0, 0.0]
    assert made.delta.tolist() == [0.0, 0.25, 0.5, 0.25]
    assert (made.arm_low[0], made.arm_high[0]) == (1.0, 1.0)


def test_profile_weighs_cells_not_runs() -> None:
    """A backbone with twice the seeds counts no more: (1 + 0) / 2, not 8 / 12."""
    rows = [
        (arm, b, s, "x", 1.0 if b == "a" else 0.0)
        for arm in ARMS
        for b, n in (("a", 8), ("b", 4))
        for s in range(n)
    ]
    data = pd.DataFrame(rows, columns=["arm", "backbone", "seed", "benchmark", "score"])
    made = performance_profile(
        PairedTable.from_frame(data), "talan", "lora", thresholds=[0.5], n_resamples=99
    )
    assert made.arm_share.tolist() == [0.5]


def test_profile_bands_use_the_pairs() -> None:
    """Arms that move together: the band of the difference is narrower than the arms' apart."""
    g = np.random.default_rng(0)
    base = g.normal(50, 3, 30)
    table = one_cell((base + 0.5).tolist(), base.tolist())
    made = performance_profile(table, "talan", "lora", thresholds=[50.0], n_resamples=2000)
    apart = math.hypot(*(high - low for high, low in (
        (made.arm_high[0], made.arm_low[0]), (made.baseline_high[0], made.baseline_low[0])
    )))  # fmt: skip
    assert made.delta_high[0] - made.delta_low[0] < 0.7 * apart


def test_profile_refuses_thresholds_that_are_no_numbers() -> None:
    with pytest.raises(StatsError, match="thresholds must be a list of finite numbers"):
        performance_profile(paired(), "talan", "lora", thresholds=[1.0, math.nan])


# P(improvement)


def test_improvement_counts_pairs_and_half_the_ties() -> None:
    made = probability_of_improvement(
        one_cell([2, 3, 4, 1, 5, 6], [1, 3, 3, 2, 4, 5]), "talan", "lora", n_resamples=99
    )
    assert (made.wins, made.ties, made.losses) == (4, 1, 1)
    assert made.probability == pytest.approx(4.5 / 6)
    low, high = scipy.stats.beta.ppf([0.025, 0.975], 5.0, 2.0)
    assert (made.ci_low, made.ci_high) == pytest.approx((low, high))
    # All runs of one arm against all of the other would say something else.
    unpaired = np.mean(np.sign(np.subtract.outer([2, 3, 4, 1, 5, 6], [1, 3, 3, 2, 4, 5])) / 2 + 0.5)
    assert made.probability != pytest.approx(float(unpaired), abs=0.02)


def test_differences_that_are_mere_rounding_are_ties() -> None:
    base = [0.1 * 3, 0.7, 50.1, 0.2]
    made = probability_of_improvement(
        one_cell([0.3, 0.7, 50.1, 0.2], base), "talan", "lora", n_resamples=99
    )
    assert (made.ties, made.probability) == (4, 0.5)
    assert math.isnan(made.boot_low)
    assert made.ci_low < 0.5 < made.ci_high


def test_winning_every_time_is_not_certainty() -> None:
    made = probability_of_improvement(
        one_cell([2.0, 3, 4, 5], [1.0, 2, 2, 2]), "talan", "lora", n_resamples=99
    )
    assert (made.probability, made.ci_high) == (1.0, 1.0)
    assert made.ci_low == pytest.approx(scipy.stats.beta.ppf(0.025, 4.5, 0.5))
    assert made.decision == DECISIONS[0]


@pytest.mark.parametrize(
    ("p", "low", "decision"),
    [
        (0.9, 0.6, 0),
        (0.75, 0.6, 1),
        (0.7, 0.55, 1),
        (0.9, 0.5, 2),
        (0.6, 0.4, 2),
        (0.8, math.nan, 2),
    ],
)
def test_decision(p: float, low: float, decision: int) -> None:
    assert decide(p, low) == DECISIONS[decision]


def test_pairs_for_improvement_is_the_published_29() -> None:
    """Bouthillier et al. 2021: 29 pairs for gamma .75 at alpha = beta = .05."""
    assert pairs_for_improvement() == 29
    assert pairs_for_improvement(0.9) < 29 < pairs_for_improvement(0.7)
    with pytest.raises(StatsError, match=r"0\.5 is not between 1/2 and 1"):
        pairs_for_improvement(0.5)


def test_effective_pairs_between_the_pairs_and_the_runs() -> None:
    rng = np.random.default_rng(0)
    same = np.repeat(rng.integers(0, 2, (200, 1)), 4, axis=1).astype(float)
    apart = rng.integers(0, 2, (200, 4)).astype(float)
    assert effective_pairs([same], float(same.mean())) == pytest.approx(200, rel=0.02)
    assert effective_pairs([apart], float(apart.mean())) == pytest.approx(800, rel=0.15)
    assert effective_pairs([np.ones((5, 4))], 1.0) == 5.0
    assert effective_pairs([apart[:, :1]], 0.5) == 200.0


def test_improvement_interval_covers_and_pairs_times_cells_does_not() -> None:
    repeats, n, cells, rho = 1500, 10, 4, 0.5
    rng = np.random.default_rng(3)
    ours = naive = 0
    for _ in range(repeats):
        d = 0.25 + math.sqrt(rho) * rng.normal(size=(n, 1))
        d = d + math.sqrt(1 - rho) * rng.normal(size=(n, cells))
        truth = scipy.stats.norm.cdf(0.25)
        scores = (d > 0).astype(float)
        p = float(scores.mean())
        for size, add in ((effective_pairs([scores], p), 1), (n * cells, 0)):
            low, high = proportion_interval(p * size, size)
            ours += add * (low <= truth <= high)
            naive += (1 - add) * (low <= truth <= high)
    low, _ = band(0.95, repeats)
    assert ours / repeats >= low
    assert naive / repeats < 0.9
