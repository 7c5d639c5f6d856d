import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.failed import failure_rates


def runs(failed, pairs=12, backbones=("a", "b")):
    """A frame of runs; ``failed`` maps an arm to the (backbone, seed) that failed."""
    return pd.DataFrame(
        [
            {"arm": arm, "backbone": b, "seed": s, "failed": (b, s) in lost}
            for arm, lost in failed.items()
            for b, s in itertools.product(backbones, range(pairs))
        ]
    )


def test_the_test_is_mcnemars_on_discordant_pairs():
    frame = runs({"base": {("a", 0), ("a", 1)}, "arm": {("a", 1)} | {("b", s) for s in range(7)}})
    (base, arm) = failure_rates(frame, {"arm": "base"}).arms
    assert (arm.more, arm.fewer) == (7, 1)
    assert arm.p == pytest.approx(scipy.stats.binomtest(7, 8).pvalue)
    assert (arm.failed, arm.n_runs, arm.failed_units, arm.rate) == (8, 24, 8, 8 / 24)
    assert base.baseline == ""
    assert np.isnan(base.p)


def test_holm_over_arms_and_the_sentence_names_who_fails():
    frame = runs(
        {"base": set(), "bad": {("a", s) for s in range(10)}, "good": {("b", 3)}, "none": set()}
    )
    rates = failure_rates(frame, {"bad": "base", "good": "base", "none": "base"})
    bad = rates.arms[1]
    assert bad.p == pytest.approx(2 / 2**10)
    assert bad.p_adjusted == pytest.approx(3 * bad.p)
    assert [arm.arm for arm in rates.differing] == ["bad"]
    assert "11 of 96 runs failed. Bad fails more often" in rates.sentence
    assert "B fails more often than base (more failures in 10 pairs" in rates.describe({"bad": "B"})
    # an arm that never differs from its baseline stays in the family
    assert rates.arms[3].p == 1.0


def test_pairs_without_the_other_run_are_left_out():
    frame = runs({"base": set(), "arm": {("a", s) for s in range(6)}})
    frame = frame[~((frame["arm"] == "base") & (frame["seed"] < 3))]
    (_, arm) = failure_rates(frame, {"arm": "base"}).arms
    assert (arm.more, arm.fewer) == (3, 0)
    assert arm.failed == 6


def test_draws_are_the_unit_where_seeds_fail_together():
    frame = runs({"base": set(), "arm": {(b, s) for b in "ab" for s in range(3)}}, pairs=10)
    frame = frame.rename(columns={"seed": "hp"}).assign(seed=0)
    pair = ("backbone", "hp", "seed")
    by_pair = failure_rates(frame, {"arm": "base"}, pair=pair)
    by_draw = failure_rates(frame, {"arm": "base"}, pair=pair, unit=("hp",))
    assert (by_pair.arms[1].more, by_draw.arms[1].more) == (6, 3)
    assert by_draw.arms[1].p == pytest.approx(0.25)
    assert (by_draw.arms[1].failed_units, by_draw.arms[1].n_units, by_draw.unit) == (3, 10, "draw")


def test_equal_rates_are_rejected_at_most_at_alpha():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        lost = {arm: set() for arm in ("base", "x", "y")}
        for arm, b, s in itertools.product(lost, "ab", range(12)):
            if rng.random() < 0.3:
                lost[arm].add((b, s))
        hits += bool(failure_rates(runs(lost), {"x": "base", "y": "base"}).differing)
    assert hits <= scipy.stats.binom.ppf(0.999, 200, 0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"against": {"other": "base"}}, "other"),
        ({"unit": ("hp",)}, "does not identify a pair"),
        ({"failed": "lost"}, "no column 'lost'"),
        ({"alpha": 2.0}, "alpha"),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    with pytest.raises(StatsError, match=message):
        failure_rates(runs({"base": set(), "arm": set()}), **{"against": {"arm": "base"}} | change)


def test_a_run_listed_twice_is_refused():
    frame = runs({"base": set(), "arm": set()})
    with pytest.raises(StatsError, match="one row per run"):
        failure_rates(pd.concat([frame, frame.tail(1)]), {"arm": "base"})
