"""The analysis of a table, end to end."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stats.compare import compare
from stats.contrast import Contrast, mean_versus, versus
from stats.errors import StatsError
from stats.paired import paired_t
from stats.result import Comparison, Effect
from stats.table import PairedTable
from stats.verdict import Verdict, pairs_needed
from tests.stats.tables import frame

ARMS = {"lora": 0.0, "talan": 3.0, "static": 0.2}


def run(data: pd.DataFrame, *, allow_failed: bool = False, **options: Any) -> Comparison:
    table = PairedTable.from_frame(data, allow_failed=allow_failed)
    contrasts = [versus(arm, "lora") for arm in table.arms if arm != "lora"]
    return compare(
        table, **({"cells": contrasts, "primary": contrasts, "n_resamples": 400} | options)
    )


def pick(effects: tuple[Effect, ...], name: str, *cell: str) -> Effect:
    return next(e for e in effects if e.name == name and (*(e.cell or {}).values(),) == cell)


def differences(data: pd.DataFrame, arm: str, backbone: str, benchmark: str) -> np.ndarray:
    """By a plain pivot, independent of the package."""
    there = data[(data["backbone"] == backbone) & (data["benchmark"] == benchmark)]
    wide = there.pivot(index="seed", columns="arm", values="score").sort_index()
    return (wide[arm] - wide["lora"]).to_numpy()


def test_a_cell_is_the_paired_t_of_its_differences() -> None:
    data = frame(ARMS)
    outcome = run(data)
    assert len(outcome.cells) == 2 * 4
    effect = pick(outcome.cells, "talan", "wide", "recall")
    d = differences(data, "talan", "wide", "recall")
    t = paired_t(d)
    assert (effect.delta, effect.t, effect.p) == pytest.approx((d.mean(), t.t, t.p))
    assert (effect.ci_low, effect.ci_high) == pytest.approx((t.ci_low, t.ci_high))
    assert effect.mean_arm - effect.mean_baseline == pytest.approx(effect.delta)
    assert effect.dz == pytest.approx(d.mean() / d.std(ddof=1))
    assert effect.p_adjusted >= effect.p_signflip


def test_an_average_goes_within_the_pair_first_and_then_over_backbones() -> None:
    data = frame(ARMS)
    effect = pick(run(data).primary, "talan")
    means, shares = [], []
    for backbone in ("deep", "wide"):
        d = np.mean(
            [differences(data, "talan", backbone, k) for k in ("algebra", "recall")], axis=0
        )
        means.append(d.mean())
        shares.append(d.var(ddof=1) / 6)
    se = math.sqrt(sum(shares)) / 2
    assert effect.delta == pytest.approx(np.mean(means))
    assert effect.t == pytest.approx(np.mean(means) / se)
    assert effect.df == pytest.approx(sum(shares) ** 2 / sum(s**2 / 5 for s in shares))
    assert (effect.n_pairs, effect.cell) == (12, None)


def test_backbones_weigh_the_same_with_unequal_numbers_of_seeds() -> None:
    data = frame({"lora": 0.0, "talan": 1.0}, noise=0.0)
    data.loc[(data["backbone"] == "deep") & (data["arm"] == "talan"), "score"] += 2.0
    data = data[(data["backbone"] == "deep") | (data["seed"] < 3)]
    noisy = data["score"] + np.random.default_rng(0).normal(0, 1e-6, len(data))
    assert pick(run(data.assign(score=noisy)).primary, "talan").delta == pytest.approx(2, abs=1e-4)


def test_averages_keep_to_the_cells_they_are_told() -> None:
    data = frame(ARMS)
    only = run(data, average_over=[("deep", "recall")])
    d = differences(data, "talan", "deep", "recall")
    assert pick(only.primary, "talan").delta == pytest.approx(d.mean())
    assert pick(only.primary, "talan").n_pairs == 6
    assert len(only.cells) == 8


def test_pairs_without_the_backbone_are_one_pair_across_backbones() -> None:
    data = frame(ARMS, seeds=8)
    table = PairedTable.from_frame(data, pair=["seed"])
    outcome = compare(table, cells=[], primary=[versus("talan", "lora")], n_resamples=400)
    assert outcome.primary[0].n_pairs == 8
    assert outcome.primary[0].df == 7
    assert outcome.families["primary"].n_flips == 2**8


def test_level_contrast_weighs_arms_equally() -> None:
    data = frame({"lora": 0.0, "m1": 1.0, "m4": 2.0, "m16": 4.0})
    contrast = mean_versus("mechanism present", ["m1", "m4", "m16"], ["lora"], group="mechanism")
    outcome = compare(
        PairedTable.from_frame(data),
        cells=[],
        primary=[contrast, mean_versus("4 vs 1", ["m4"], ["m1"], group="memory")],
        n_resamples=400,
    )
    present, level = outcome.primary
    means = data.groupby("arm")["score"].mean()
    assert present.delta == pytest.approx(means[["m1", "m4", "m16"]].mean() - means["lora"])
    assert level.delta == pytest.approx(means["m4"] - means["m1"])
    assert (level.arm, level.baseline, level.group) == ("m4", "m1", "memory")


def test_units_scale_everything_that_has_a_unit() -> None:
    data = frame(ARMS)
    options: dict[str, Any] = {
        "cells": [versus("talan", "lora")],
        "primary": [],
        "n_resamples": 400,
    }
    plain = compare(PairedTable.from_frame(data), sesoi=1.0, **options).cells[0]
    shrunk = PairedTable.from_frame(data.assign(score=data["score"] / 100), percent=True)
    points = compare(shrunk, sesoi=1.0, **options)
    assert points.units == "points"
    for name in ("delta", "ci_low", "simultaneous_high", "boot_low", "mean_arm", "p", "dz", "sd"):
        assert getattr(points.cells[0], name) == pytest.approx(getattr(plain, name), rel=1e-9)
    assert points.cells[0].verdict == plain.verdict


def test_swapping_arm_and_baseline_mirrors_the_result() -> None:
    table = PairedTable.from_frame(frame(ARMS))
    one = compare(table, cells=[versus("talan", "lora")], primary=[], n_resamples=400, sesoi=1.0)
    two = compare(table, cells=[versus("lora", "talan")], primary=[], n_resamples=400, sesoi=1.0)
    for a, b in zip(one.cells, two.cells, strict=True):
        assert (a.delta, a.p_adjusted) == pytest.approx((-b.delta, b.p_adjusted))
        assert str(a.verdict).replace("superior", "inferior") == str(b.verdict)


def test_results_do_not_depend_on_row_order_and_repeat_with_the_seed() -> None:
    data = frame(ARMS)
    first = run(data, rng=3).to_dict()
    lora_first = pd.concat([data[data["arm"] == a][::-1] for a in ARMS])
    assert run(lora_first, rng=3).to_dict() == first
    assert first["rng_seed"] == 3
    other = run(data, rng=4)
    assert other.to_dict()["cells"][0]["boot_low"] != first["cells"][0]["boot_low"]
    assert run(data, rng=np.random.default_rng(3)).rng_seed is None


def test_identical_arms_leave_the_family() -> None:
    data = frame(ARMS)
    copy = data[data["arm"] == "lora"].assign(arm="adapter")
    with_copy, without = run(pd.concat([data, copy])), run(data)
    twin = pick(with_copy.primary, "adapter")
    assert twin.verdict is Verdict.IDENTICAL
    assert twin.delta == 0.0
    assert math.isnan(twin.p_adjusted)
    assert with_copy.families["primary"].n_tests == without.families["primary"].n_tests
    for a in without.primary:
        assert pick(with_copy.primary, a.name).p_adjusted == a.p_adjusted


def test_a_constant_difference_is_undefined_and_stays_in_the_family() -> None:
    data = frame(ARMS)
    shifted = data[data["arm"] == "lora"].assign(arm="shift")
    shifted["score"] += 0.1  # inexact in binary: the differences vary in their last bits
    outcome = run(pd.concat([data, shifted]))
    effect = pick(outcome.primary, "shift")
    assert effect.verdict is Verdict.UNDEFINED
    assert effect.p_adjusted == 1.0
    assert math.isnan(effect.p)
    assert math.isnan(effect.simultaneous_low)
    assert outcome.families["primary"].n_tests == 3
    assert pick(outcome.primary, "talan").p_adjusted <= 0.05


def test_a_failed_run_breaks_its_pair_only_for_contrasts_that_use_it() -> None:
    data = frame(ARMS, seeds=8)
    failed = (data["arm"] == "talan") & (data["seed"] == 2) & (data["backbone"] == "deep")
    data.loc[failed & (data["benchmark"] == "recall"), "score"] = np.nan
    outcome = run(data, allow_failed=True)
    hit = pick(outcome.cells, "talan", "deep", "recall")
    assert (hit.n_pairs, hit.n_broken) == (7, 1)
    d = differences(data, "talan", "deep", "recall")
    assert hit.delta == pytest.approx(np.nanmean(d))
    assert pick(outcome.cells, "talan", "deep", "algebra").n_broken == 0
    assert pick(outcome.cells, "static", "deep", "recall").n_broken == 0
    mean = pick(outcome.primary, "talan")
    assert (mean.n_pairs, mean.n_broken) == (15, 1)
    (broken,) = outcome.broken
    assert (broken.arm, broken.reason, broken.pair["seed"]) == ("talan", "failed", "2")
    assert "Scores lacking: 1" in outcome.summary()


def test_a_missing_baseline_row_breaks_the_pair_for_every_arm() -> None:
    data = frame(ARMS, seeds=8)
    gone = (data["arm"] == "lora") & (data["seed"] == 2) & (data["backbone"] == "deep")
    outcome = run(data[~(gone & (data["benchmark"] == "recall"))], allow_failed=True)
    for arm in ("talan", "static"):
        assert pick(outcome.cells, arm, "deep", "recall").n_broken == 1
    assert outcome.broken[0].reason == "missing"


def test_a_cell_in_which_an_arm_was_not_run_is_skipped() -> None:
    data = frame(ARMS)
    data = data[(data["arm"] != "static") | (data["backbone"] == "deep")]
    outcome = run(data, allow_failed=True, primary=[])
    assert {e.name for e in outcome.cells if e.cell and e.cell["backbone"] == "wide"} == {"talan"}
    assert outcome.broken == ()


def test_an_average_refuses_pairs_that_lack_a_cell() -> None:
    data = frame(ARMS)
    data = data[(data["seed"] != 3) | (data["benchmark"] != "recall")]
    with pytest.raises(StatsError, match="backbone=deep, seed=3 has no row in cell"):
        run(data)
    broken = run(data, allow_failed=True)
    assert pick(broken.primary, "talan").n_pairs == 10


def test_no_room_near_chance_and_maximum() -> None:
    data = frame({"lora": 0.0, "talan": 0.0}, noise=0.05)
    base = data[data["arm"] == "lora"].groupby(["backbone", "benchmark"])["score"].mean()
    limits = {
        ("deep", "algebra"): (base["deep", "algebra"] - 3.5, 100.0),
        ("deep", "recall"): (base["deep", "recall"] - 2.5, 100.0),
        ("wide", "algebra"): (0.0, base["wide", "algebra"] + 2.5),
    }
    outcome = run(data, sesoi=1.5, limits=limits)
    room = {(*(e.cell or {}).values(),): e.no_room for e in outcome.cells}
    assert room == {
        ("deep", "algebra"): False,
        ("deep", "recall"): True,
        ("wide", "algebra"): True,
        ("wide", "recall"): False,
    }
    assert outcome.primary[0].no_room
    assert pick(outcome.cells, "talan", "deep", "algebra").verdict is Verdict.EQUIVALENT
    assert pick(outcome.cells, "talan", "deep", "recall").verdict is not Verdict.EQUIVALENT


def test_pairs_needed_uses_the_familys_share_of_alpha() -> None:
    outcome = run(frame(ARMS), sesoi=0.5)
    cell, mean = pick(outcome.cells, "static", "deep", "recall"), pick(outcome.primary, "static")
    assert cell.pairs_needed == pairs_needed(cell.sd, 6, 0.5, 0.05 / 8)
    assert mean.pairs_needed == pairs_needed(mean.sd, 12, 0.5, 0.05 / 2, df=mean.df, groups=2)
    assert run(frame(ARMS)).cells[0].pairs_needed is None


def test_adjusted_is_not_below_unadjusted_where_differences_have_one_size() -> None:
    """Two of the flips leave no spread; the single test counts them, max-T does not."""
    data = frame({"lora": 0.0, "talan": 0.0}, backbones=["deep"], benchmarks=["x"], seeds=8)
    score = data.groupby("seed")["score"].transform("first").round(2)
    step = np.where(data["seed"] == 3, -0.25, 0.25) * (data["arm"] == "talan")
    effect = run(data.assign(score=score + step)).cells[0]
    assert effect.p_signflip == pytest.approx(18 / 256)
    assert effect.p_adjusted == effect.p_signflip


def test_json_has_no_nan_and_a_sentence_for_every_effect() -> None:
    data = frame(ARMS)
    copy = data[data["arm"] == "lora"].assign(arm="adapter")
    out = run(pd.concat([data, copy]), sesoi=1.0).to_dict()
    text = json.dumps(out, allow_nan=False)
    assert json.loads(text)["cells"][0]["cell"] == {"backbone": "deep", "benchmark": "algebra"}
    assert all(e["sentence"] for e in out["cells"] + out["primary"])


def test_table_spreads_the_cell_and_rounds_nothing() -> None:
    outcome = run(frame(ARMS))
    table = outcome.table("cells")
    assert list(table.columns[:3]) == ["backbone", "benchmark", "name"]
    assert table["delta"].tolist() == [e.delta for e in outcome.cells]
    assert "cell" not in outcome.table("primary")
    with pytest.raises(StatsError, match="did you mean 'primary'"):
        outcome.table("primry")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_summary_fits_a_terminal_and_agrees_with_the_verdicts(scale: float) -> None:
    data = frame(ARMS | {"an arm with a very long name": -2.0})
    outcome = run(data.assign(score=data["score"] * scale), sesoi=scale)
    lines = outcome.summary().splitlines()
    assert max(map(len, lines)) <= 100
    joined = " ".join(" ".join(lines).split())
    for effect in outcome.primary:
        assert outcome.sentence(effect) in joined


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sesoi": 0.0}, "sesoi: 0.0 is not a positive number"),
        ({"sesoi": math.nan}, "sesoi: nan"),
        ({"alpha": 1.0}, "alpha: 1.0 is not between"),
        ({"n_resamples": 50}, "too coarse for alpha = 0.05; take 400 or more"),
        ({"cells": [versus("talna", "lora")]}, "no arm 'talna'; did you mean 'talan'?"),
        ({"cells": [versus("talan", "lora")] * 2}, "two contrasts are called 'talan'"),
        ({"average_over": []}, "the list of cells is empty"),
        ({"average_over": [("deep", "recal")]}, "did you mean 'deep/recall'?"),
        ({"limits": {("deep", "recall"): (50.0, 50.0)}}, "chance 50.0 is not below"),
    ],
)
def test_refusals(options: dict[str, Any], words: str) -> None:
    with pytest.raises(StatsError) as caught:
        run(frame(ARMS), **options)
    assert words in str(caught.value)


def test_limits_as_fractions_of_a_table_in_points_are_refused() -> None:
    table = PairedTable.from_frame(frame(ARMS), percent=True)
    with pytest.raises(StatsError, match="looks like a fraction"):
        compare(table, cells=[versus("talan", "lora")], primary=[], limits={("a", "b"): (0.0, 1.0)})


def test_one_seed_allows_no_inference() -> None:
    with pytest.raises(StatsError, match="no inference is possible"):
        run(frame(ARMS, seeds=1))


@pytest.mark.parametrize(
    "weights", [{"a": 1.0}, {"a": 1.0, "b": -0.5}, {}, {"a": math.nan, "b": -1.0}]
)
def test_contrasts_sum_to_zero(weights: dict[str, float]) -> None:
    with pytest.raises(StatsError):
        Contrast("x", weights)


def test_contrast_sides() -> None:
    for arms, baselines in (([], ["b"]), (["a", "a"], ["b"]), (["a", "b"], ["b"])):
        with pytest.raises(StatsError):
            mean_versus("x", arms, baselines)
    with pytest.raises(StatsError, match="itself"):
        versus("a", "a")
