"""The decomposition recovers what was planted, says what it fitted, and refuses confusion."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from stats.decompose.analysis import Decomposition, decompose
from stats.decompose.finite import centring, spread, spread_of
from stats.decompose.items import binomial_variance, item_components, three_way
from stats.decompose.model import choose
from stats.decompose.roles import Results
from stats.errors import StatsError
from stats.mixed.fit import lmm
from stats.paired import paired_t
from tests.stats.decompose.studies import study


def by_name(d: Decomposition) -> dict[str, float]:
    return {c.name: c.variance for c in d.components}


def test_default_model_follows_the_number_of_levels() -> None:
    small = choose(Results.from_frame(study()))
    assert small.formula == (
        "score ~ arm + backbone + backbone:arm + benchmark + benchmark:arm"
        " + (1 | backbone:benchmark) + (1 | backbone:benchmark:arm)"
        " + (1 | backbone:seed) + (1 | backbone:seed:arm)"
    )
    many = choose(Results.from_frame(study(backbones=5, benchmarks=6)))
    assert "(1 | backbone)" in many.formula
    assert "(1 | benchmark:arm)" in many.formula
    few = choose(Results.from_frame(study(backbones=2, benchmarks=2)))
    assert "backbone:benchmark:arm" in few.formula.split("(1 |")[0]


def test_shares_of_variance_within_cells_sum_to_one() -> None:
    d = decompose(study(sd={"seed": 1, "run": 0.5}), baseline="lora")
    shares = [c.share for c in d.components if not math.isnan(c.share)]
    assert math.fsum(shares) == pytest.approx(1)
    assert {c.name for c in d.components if math.isnan(c.share)} == {
        "backbone", "benchmark", "cell",
    }  # fmt: skip


@pytest.mark.parametrize("planted", [{"hp": 2.0, "hp_arm": 1.0, "seed": 0.7, "run": 0.5}])
def test_components_are_recovered_without_bias(planted: dict[str, float]) -> None:
    """Means over 30 studies lie within four of their own standard errors of the truth."""
    found = []
    for i in range(30):
        table = study(draws=10, seeds=2, benchmarks=3, sd=planted, rng=i)
        fit = lmm(
            choose(Results.from_frame(table, hp="draw")).formula, table, contrasts="sum",
            factors=["seed"],
        )  # fmt: skip
        row = {c.group: float(c.covariance[0, 0]) for c in fit.components}
        row["mechanism"] = spread_of(fit, ["arm"], 0.95).variance
        row["interplay"] = spread_of(fit, ["backbone", "arm"], 0.95).variance
        found.append(row)
    frame = pd.DataFrame(found)
    # Two arms that differ by 1 have the variance 1/2; the draws' own interplay adds to it.
    truth = {
        "draw": 4.0, "draw:arm": 1.0, "backbone:draw:seed": 0.49, "backbone:draw:seed:arm": 0.25,
        "interplay": 0.0,
    }  # fmt: skip
    for name, value in truth.items():
        error = frame[name].std(ddof=1) / math.sqrt(len(frame))
        assert abs(frame[name].mean() - value) <= 4 * error + 0.03, name


def test_finite_population_variance_is_unbiased_where_the_plain_one_is_not() -> None:
    """The mutant leaves the estimation error in."""
    corrected, plain = [], []
    for i in range(120):
        table = study(effects=(0.0, 0.3), seeds=4, rng=i)
        fit = lmm("score ~ arm + benchmark + (1 | backbone:seed)", table, factors=["seed"])
        means = fit.emm("arm")
        s = spread(fit, means.rows, centring([2]), 0.95)
        v = centring([2]) @ means.rows @ fit.beta
        corrected.append(s.variance)
        plain.append(float(v @ v))
    error = float(np.std(corrected, ddof=1)) / math.sqrt(len(corrected))
    assert abs(np.mean(corrected) - 0.045) < 4 * error
    assert np.mean(plain) - 0.045 > 4 * error


def test_interval_of_a_spread_covers() -> None:
    truth, inside, repeats = 0.5, 0, 150
    for i in range(repeats):
        fit = lmm("score ~ arm", study(seeds=3, backbones=1, benchmarks=1, rng=i))
        s = spread_of(fit, ["arm"], 0.9)
        inside += s.low <= truth <= s.high
    assert 0.8 <= inside / repeats <= 0.97


def test_one_hp_draw_with_one_seed_is_refused() -> None:
    with pytest.raises(StatsError, match="confounded with seed noise"):
        decompose(study(draws=6, seeds=1), baseline="lora", hp="draw")


def test_effects_say_for_which_cells_they_speak() -> None:
    table = study(sd={"cell_arm": 1.0, "seed": 1.0, "run": 0.5}, rng=3)
    d = decompose(table, baseline="lora")
    effect = d.effects[0]
    assert effect.scope == "for cells like these"
    wide = table.pivot_table(index=["backbone", "seed"], columns="arm", values="score")
    groups = [(g["talan"] - g["lora"]).to_numpy() for _, g in wide.groupby("backbone")]
    assert effect.pairs is not None
    assert effect.pairs.mean == pytest.approx(float(np.mean([g.mean() for g in groups])))
    assert effect.estimate == pytest.approx(effect.pairs.mean)
    assert effect.high - effect.low > effect.pairs.ci_high - effect.pairs.ci_low


def test_on_the_boundary_the_paired_test_is_the_headline() -> None:
    table = study(backbones=1, benchmarks=1, seeds=8, rng=1)
    d = decompose(table, baseline="lora")
    assert d.boundary
    assert d.effects[0].headline == "pairs"
    wide = table.pivot(index="seed", columns="arm", values="score")
    expected = paired_t((wide["talan"] - wide["lora"]).to_numpy())
    assert d.effects[0].pairs is not None
    assert d.effects[0].pairs.p == pytest.approx(expected.p)
    assert "the effect to quote is that of the paired test" in " ".join(d.summary().split())


def test_axes_split_the_mechanism() -> None:
    arms = ("lora", "early-1", "early-16", "late-1", "late-16")
    table = study(arms=arms, effects=(0.0, 1.0, 1.0, 5.0, 5.0), seeds=5, sd={"residual": 0.5})
    levels = {"lora": ("", "")} | {a: tuple(a.split("-")) for a in arms[1:]}
    table["insertion"] = [levels[a][0] for a in table["arm"]]
    table["memory"] = [levels[a][1] for a in table["arm"]]
    found = by_name(decompose(table, baseline="lora", axes=["insertion", "memory"]))
    assert found["mechanism"] == pytest.approx(3.0**2 / 2, rel=0.1)
    assert found["axis insertion"] == pytest.approx(4.0**2 / 2, rel=0.1)
    assert abs(found["axis memory"]) < 0.1
    assert abs(found["axes together"]) < 0.1


def test_an_arm_without_a_level_is_named() -> None:
    table = study(arms=("lora", "a", "b"), effects=(0, 1, 2))
    table["insertion"] = ["early" if a == "a" else "" for a in table["arm"]]
    with pytest.raises(StatsError, match="arm 'b' has no level on one of the axes insertion"):
        decompose(table, baseline="lora", axes=["insertion"])


def test_three_way_components_by_expected_mean_squares() -> None:
    g = np.random.default_rng(0)
    sd = {"i": 1.0, "ai": 0.6, "si": 0.8, "asi": 1.2}
    found = []
    for _ in range(300):
        y = g.normal(0, sd["i"], (1, 1, 30)) + g.normal(0, sd["ai"], (2, 1, 30))
        y = y + g.normal(0, sd["si"], (1, 5, 30)) + g.normal(0, sd["asi"], (2, 5, 30))
        found.append([value for value, _ in three_way(y).values()])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(len(found))
    assert (np.abs(mean - np.array(list(sd.values())) ** 2) < 4 * error).all()


def test_items_are_averaged_over_cells_and_scaled_to_scores() -> None:
    g = np.random.default_rng(1)
    rows = [
        (arm, bench, seed, f"i{i}", float(g.random() < 0.5))
        for arm in ("lora", "talan")
        for bench in ("x", "y")
        for seed in range(4)
        for i in range(50)
    ]
    table = pd.DataFrame(rows, columns=["arm", "benchmark", "seed", "item", "correct"])
    out = item_components(table, arm="arm", pair=["seed"], cell=["benchmark"])
    names = [c.name for c in out]
    assert names == ["item", "mechanism x item", "seed x item", "mechanism x seed x item"]
    assert out[3].sd == pytest.approx(0.5, abs=0.03)
    assert out[3].on_score == pytest.approx(out[3].sd / math.sqrt(50), rel=1e-6)
    assert binomial_variance(0.5, 50) == pytest.approx(0.25 / 50)


def test_a_formula_of_ones_own() -> None:
    table = study(sd={"seed": 1.0})
    d = decompose(table, baseline="lora", formula="score ~ arm + backbone + (1 | backbone:seed)")
    assert [c.name for c in d.components] == ["mechanism", "backbone", "seed", "residual"]
    with pytest.raises(StatsError, match="several covariates"):
        decompose(table, formula="score ~ arm + (1 + arm | backbone:seed)")


def test_records_are_plain_and_text_is_narrow() -> None:
    table = study(sd={"seed": 1.0}, rng=5)
    table.loc[3, "score"] = np.nan
    d = decompose(
        table.assign(score=table["score"] / 100), baseline="lora", percent=True, allow_failed=True,
        items_redrawn=200,
    )  # fmt: skip
    out = json.loads(json.dumps(d.to_dict(), allow_nan=False))
    assert out["units"] == "points"
    assert out["lost"] == 1
    text = d.summary()
    assert max(map(len, text.splitlines())) <= 100
    assert "is binomial: every run was scored on 200 fresh items" in " ".join(text.split())
    assert "score ~ arm + backbone" in text
    assert set(d.table().columns) >= {"component", "sd", "low", "high", "share"}


def test_unknown_columns_and_baselines_are_named() -> None:
    with pytest.raises(StatsError, match="did you mean 'talan'"):
        decompose(study(), baseline="talann")
    with pytest.raises(StatsError, match="if there is one only"):
        decompose(study().drop(columns="benchmark"))
    with pytest.raises(StatsError, match="no column 'drow'"):
        decompose(study(), hp="drow")
    with pytest.raises(StatsError, match="appears more than once"):
        decompose(pd.concat([study(), study()]))
