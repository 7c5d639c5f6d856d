"""Spaces of hyperparameters: parsing, and draws that do not depend on how many are made."""

import numpy as np
import pytest

from ablate.errors import AblateError
from ablate.options import read_arguments
from ablate.phases import PHASES, phase_of
from ablate.plan import make_plan
from ablate.space import Between, OneOf, apply, make_space, parse_dimension


def space_of(**texts):
    return make_space({n: parse_dimension(n, t, n) for n, t in texts.items()})


def test_ranges_and_choices_are_read_by_the_hyperparameters_type():
    assert parse_dimension("lr", "1e-3..1e-2", "") == Between(1e-3, 1e-2, log=True)
    assert parse_dimension("rank", "4,8,16", "") == OneOf((4, 8, 16))
    assert parse_dimension("steps", "20..60", "") == Between(20, 60, whole=True)
    assert parse_dimension("dropout", "0.1", "") == OneOf((0.1,))
    for name, text in {"lr": "0.001..0.01", "rank": "4,8,16", "dropout": "0..0.1"}.items():
        assert parse_dimension(name, text, "").text() == text


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("lr", "1e-2..1e-3", "reversed; write low..high, such as 0.001..0.02"),
        ("lr", "1e-2..1e-2", "the range 1e-2..1e-2 is empty"),
        ("lr", "", "the range is empty"),
        ("lr", "0..1", "drawn uniformly in the logarithm|must be above 0"),
        ("lr", "fast..slow", "'fast' is not a number"),
        ("rank", "4,4", "4 is listed twice"),
        ("rank", "2.5", "not a whole number"),
        ("rank", "0..4", "no value of rank"),
        ("dropout", "0.5..1.5", "not below 1"),
        ("weight_decay", "-1..0", "no value of weight_decay"),
    ],
)
def test_a_wrong_range_is_one_sentence(name, text, says):
    with pytest.raises(AblateError, match=says):
        parse_dimension(name, text, f"command line: hp.{name}")


@pytest.mark.parametrize("sampler", ["iid", "sobol"])
def test_a_draw_is_a_function_of_its_index(sampler):
    space = space_of(lr="1e-3..1e-2", rank="4,8,16", dropout="0..0.1")
    forward = [space.draw(i, sampler) for i in range(20)]
    backward = [space.draw(i, sampler) for i in reversed(range(20))]
    assert forward == backward[::-1]
    assert len({draw["lr"] for draw in forward}) == 20


def test_another_range_leaves_the_other_values_as_they_are():
    one = space_of(lr="1e-3..1e-2", rank="4,8,16", width="8,16")
    other = space_of(lr="5e-3", rank="4,8,16", dropout="0..0.1", width="8,16")
    for i in range(10):
        a, b = one.draw(i), other.draw(i)
        assert (a["rank"], a["width"]) == (b["rank"], b["width"])
        assert b["lr"] == 5e-3


def test_draws_are_uniform_on_their_scale():
    space = space_of(lr="1e-3..1e-2", rank="4,8,16", steps="1..4", dropout="0..0.1")
    draws = [space.draw(i) for i in range(4000)]
    log = np.log([draw["lr"] / 1e-3 for draw in draws]) / np.log(10)
    assert abs(log.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 4000)
    assert abs(log.var() - 1 / 12) < 0.01
    for name, size in (("rank", 3), ("steps", 4)):
        counts = np.unique([draw[name] for draw in draws], return_counts=True)[1]
        assert len(counts) == size
        assert abs(counts / 4000 - 1 / size).max() < 4 * np.sqrt(1 / size / 4000)
    pairs = np.corrcoef(log, [draw["dropout"] for draw in draws])[0, 1]
    assert abs(pairs) < 4 / np.sqrt(4000)


def test_sobol_points_fill_the_space_more_evenly():
    space = space_of(lr="1e-3..1e-2")
    shares = [np.log(space.draw(i, "sobol")["lr"] / 1e-3) / np.log(10) for i in range(16)]
    assert sorted(int(16 * share) for share in shares) == list(range(16))


def test_a_study_shares_its_draws_over_arms_and_keeps_the_blocks_own_out_of_the_baseline():
    study, _ = read_arguments(["axes=none", "hp.draws=3", "backbones=qwen3-tiny"])
    plan = make_plan(study)
    assert {run.hp for run in plan.runs} == {0, 1, 2}
    assert study.seeds == (0, 1)
    by_draw = {}
    for run in plan.runs:
        if run.spec.adapter == "lora":
            by_draw.setdefault((run.hp, run.seed), set()).add(run.spec.hp)
            assert (run.spec.block is None) or run.spec.block.width == plan.draws[
                run.hp
            ].block.width
    assert all(len(found) == 1 for found in by_draw.values())
    other, _ = read_arguments(["axes=none", "hp.draws=3", "backbones=qwen3-tiny", "hp.width=4"])
    baselines, others = (
        {run.key for run in make_plan(s).runs if run.arm.is_baseline} for s in (study, other)
    )
    assert baselines == others
    more, _ = read_arguments(["axes=none", "hp.draws=5", "backbones=qwen3-tiny"])
    assert set(plan.specs) < set(make_plan(more).specs)
    assert make_plan(more).design_digest == plan.design_digest


def test_draws_that_agree_in_all_a_baseline_has_are_other_runs():
    settings = ["axes=none", "hp.draws=4", "backbones=qwen3-tiny", "hp.lr_multiplier=0.5..2"]
    fixed = {"rank": "8", "alpha": "16", "steps": "4", "batch": "4", "width": "4"}
    names = ("lr", "rank", "alpha", "dropout", "steps", "weight_decay", "batch", "width")
    study, _ = read_arguments([*settings, *(f"hp.{n}={fixed.get(n, '0.1')}" for n in names)])
    runs = [
        run for run in make_plan(study).runs if run.arm.is_baseline and run.spec.adapter == "lora"
    ]
    assert len({run.spec.hp for run in runs}) == 1
    assert len({run.key for run in runs}) == len(runs) == 8
    assert all(phase_of(run.seed) == "explore" for run in runs)


def test_values_of_a_draw_replace_the_fixed_ones():
    study, _ = read_arguments(["axes=none"])
    hp, block = apply({"lr": 0.5, "width": 4}, study.hp, study.block)
    assert (hp.lr, hp.rank, block.width) == (0.5, study.hp.rank, 4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["hp.draws=20", "hp.seeds=1"], "confounded with seed noise; give hp.seeds=2"),
        (["hp.draws=1"], "one draw tells nothing"),
        (["hp.draws=201"], "201 are more than 200"),
        (["hp.draws=20", "hp.seeds=6"], "6 are more than 5"),
        (["hp.lrr=1..2"], "did you mean 'hp.lr'"),
        (["hp.lr=1e-2..1e-3"], "command line: hp.lr: the range 1e-2..1e-3 is reversed"),
    ],
)
def test_draws_that_cannot_tell_are_refused(settings, says):
    with pytest.raises(AblateError, match=says):
        read_arguments(["axes=none", *settings])


def test_a_space_in_which_nothing_varies_is_refused():
    from ablate.space import NAMES

    fixed = {"rank": "8", "alpha": "16", "steps": "4", "batch": "4", "width": "4"}
    points = [f"hp.{name}={fixed.get(name, '0.1')}" for name in NAMES]
    with pytest.raises(AblateError, match="no hyperparameter varies"):
        read_arguments(["axes=none", "hp.draws=5", *points])


def test_no_seed_belongs_to_two_phases():
    assert [phase_of(seed) for seed in (0, 999, 1000, 1999, 10_000)] == [
        "explore", "explore", "search", "search", "confirm",
    ]  # fmt: skip
    seeds = [seed for owned in PHASES.values() for seed in owned]
    assert len(seeds) == len(set(seeds))
    with pytest.raises(ValueError, match="belongs to no phase"):
        phase_of(5000)
