"""What makes a world a world: its model, its randomness, its truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ablate.benchmarks import load_items
from ablate.errors import AblateError
from ablate.parse import read_overrides
from ablate.plan import Plan, make_plan
from ablate.spec import RunSpec
from ablate.study import load_study
from ablate.worlds import (
    WORLDS,
    Planted,
    World,
    banner,
    contrast_truth,
    execute,
    find_world,
    flip_share,
    population_truth,
    truths,
    world,
    world_key,
)
from ablate.worlds.draw import outcome

SMALL = ("backbones=qwen3-tiny,llama-tiny", "benchmarks=arithmetic,retention", "axes=none")


def plan_in(name: str, *settings: str) -> Plan:
    return make_plan(load_study(read_overrides([*SMALL, *settings, f"world={name}"])))


def specs(plan: Plan, arm: str, backbone: str = "qwen3-tiny") -> list[RunSpec]:
    return [r.spec for r in plan.runs if (r.arm.name, r.backbone) == (arm, backbone)]


def mechanism_arm(plan: Plan) -> str:
    return next(arm.name for arm in plan.design.arms if arm.is_design_point)


def test_a_run_is_a_pure_function_of_its_spec_and_crosses_the_pipe():
    plan = plan_in("mechanism:3", "seeds=2")
    spec = specs(plan, "lora")[0]
    first, again = execute([spec]), execute([RunSpec.from_json(spec.to_json())])
    assert first[0].to_json() == again[0].to_json()
    assert [len(s.correct) for s in first[0].scores] == [
        len(load_items(part.source, "test")) for part in spec.benchmarks
    ]


def test_what_is_scored_beside_it_does_not_change_a_score():
    spec = specs(plan_in("null:1", "seeds=2"), "lora")[0]
    alone = dataclasses.replace(spec, benchmarks=spec.benchmarks[:1])
    (both,), (one,) = execute([spec]), execute([alone])
    assert np.array_equal(both.scores[0].correct, one.scores[0].correct)


def test_the_world_enters_the_identity_of_runs():
    keys = {specs(plan_in(name, "seeds=2"), "lora")[0].key for name in ("null", "null:1", "axes")}
    real = make_plan(load_study(read_overrides([*SMALL, "seeds=2"])))
    assert len(keys | {specs(real, "lora")[0].key}) == 4


def scores(world_: World, wanted: list[RunSpec], part: int = 0) -> np.ndarray:
    return np.array([100 * outcome(world_, spec).scores[part].score for spec in wanted])


def test_scores_have_the_planted_mean_and_pairs_share_their_noise():
    plan = plan_in("mechanism:2", "seeds=200")
    here, arm = find_world("mechanism:2"), mechanism_arm(plan)
    base, with_block = (scores(here, specs(plan, name)) for name in ("lora", arm))
    d = with_block - base
    standard_error = d.std(ddof=1) / np.sqrt(d.size)
    assert abs(d.mean() - 2.0) < 3.3 * standard_error
    assert d.std() < 0.8 * base.std()
    accuracy = here.accuracy(specs(plan, "lora")[0], plan.benchmarks[0])
    assert abs(base.mean() - 100 * accuracy) < 3.3 * base.std() / np.sqrt(base.size)


def test_items_have_difficulties_of_their_own():
    plan = plan_in("null:4", "seeds=40")
    solved = np.mean([execute([spec])[0].scores[0].correct for spec in specs(plan, "lora")], axis=0)
    # with no difficulty of their own, items would be solved in 16 to 24 of 40 runs
    assert (solved > 0.8).mean() > 0.3
    assert (solved < 0.2).mean() > 0.3


def test_arms_of_the_null_world_differ_in_noise_alone():
    plan = plan_in("null:5", "seeds=2", "controls=yes", "adapters=lora,dora")
    for truth in truths(find_world("null:5"), plan):
        assert truth.points == pytest.approx(0, abs=1e-9), truth


def test_a_block_that_never_acts_is_its_baseline_bit_for_bit():
    plan = plan_in("perturbation:5", "seeds=2", "controls=same")
    (same,) = [arm.name for arm in plan.design.arms if arm.control == "same"]
    base, arm = execute(specs(plan, "lora")), execute(specs(plan, same))
    for a, b in zip(base, arm, strict=True):
        assert np.array_equal(a.scores[0].correct, b.scores[0].correct)
        assert np.array_equal(a.scores[0].loglik, b.scores[0].loglik)


@pytest.mark.parametrize(
    ("name", "who_gains"),
    [
        ("mechanism", {"mechanism"}),
        ("parameters", {"mechanism", "static", "shuffled", "random", "matched"}),
        ("perturbation", {"mechanism", "static", "shuffled", "random"}),
        ("tuning", {"mechanism"}),
        ("null", set()),
    ],
)
def test_who_gains(name, who_gains):
    plan = plan_in(name, "seeds=2", "controls=static,shuffled,random,matched,reseed")
    here, part = find_world(name), plan.benchmarks[0]
    base = here.accuracy(specs(plan, "lora")[0], part)
    gains = {
        arm.control or "mechanism": here.accuracy(specs(plan, arm.name)[0], part) - base
        for arm in plan.design.arms
        if not arm.is_baseline
    }
    assert {control for control, gain in gains.items() if gain > 1e-9} == who_gains
    assert min(gains.values()) == pytest.approx(0, abs=1e-9) or len(who_gains) == 5


def test_tuned_arms_of_the_tuning_world_are_equally_good():
    plan = plan_in("tuning", "seeds=2")
    here, part = find_world("tuning"), plan.benchmarks[0]

    def best(arm: str) -> float:
        spec = specs(plan, arm)[0]
        return max(
            here.accuracy(
                dataclasses.replace(spec, hp=dataclasses.replace(spec.hp, lr=10**x)), part
            )
            for x in np.linspace(-4, -1, 3001)
        )

    assert best(mechanism_arm(plan)) == pytest.approx(best("lora"), abs=1e-6)


def test_the_sign_flips_where_the_interplay_world_says():
    plan = plan_in("interplay", "seeds=2")
    here, part = find_world("interplay"), plan.benchmarks[0]

    def at(arm: str, lr: float) -> RunSpec:
        spec = specs(plan, arm)[0]
        return dataclasses.replace(spec, hp=dataclasses.replace(spec.hp, lr=lr))

    both = [(at(mechanism_arm(plan), lr), at("lora", lr)) for lr in (1e-3, 2.4e-3, 2.6e-3, 5e-3)]
    assert flip_share(here, both, part) == 0.5


def test_gains_over_backbones_have_mean_zero():
    plan = plan_in("backbones", "seeds=2")
    gains = []
    for number in range(300):
        here = find_world(f"backbones:{number}")
        contrast = plan.design.primary[0]
        assert population_truth(here, plan, contrast) == pytest.approx(0, abs=1e-9)
        gains.append(contrast_truth(here, plan, contrast, backbones=["llama-tiny"]))
    assert abs(np.mean(gains)) < 3.3 * 2 / np.sqrt(300)
    assert np.std(gains) == pytest.approx(2.0, rel=0.2)


def test_unlucky_runs_of_the_failing_world_diverge_and_only_the_mechanisms():
    plan = plan_in("failing", "seeds=200")
    here, part = find_world("failing"), plan.benchmarks[0]
    runs = specs(plan, mechanism_arm(plan))
    lost = np.array([here.diverges(spec, here.streams(spec)) for spec in runs])
    luck = np.array([here.luck(here.streams(spec), part.benchmark) for spec in runs])
    assert 0.4 < lost.mean() < 0.6
    assert luck[lost].mean() < luck[~lost].mean() - 2
    assert not any(here.diverges(s, here.streams(s)) for s in specs(plan, "lora"))
    result = outcome(here, runs[int(lost.argmax())])
    assert (result.outcome, result.scores) == ("diverged", ())


def test_retention_is_moved_by_nothing_but_what_is_planted_there():
    plan = plan_in("mechanism", "seeds=2")
    part = plan.benchmarks[1]
    for planted, points in ((Planted(mechanism=5.0), 0.0), (Planted(retention=-3.0), -3.0)):
        here = World("null:0/1", planted)
        a, b = (here.accuracy(specs(plan, x)[0], part) for x in (mechanism_arm(plan), "lora"))
        assert 100 * (a - b) == pytest.approx(points)


def test_the_unadapted_backbone_is_worse_and_never_diverges():
    plan = plan_in("failing", "seeds=2")
    here, part = find_world("failing"), plan.benchmarks[0]
    spec = next(run.spec for run in plan.runs if run.arm.name == "unadapted")
    assert here.accuracy(spec, part) < here.accuracy(specs(plan, "lora")[0], part) - 0.15
    assert not here.diverges(spec, here.streams(spec))


@pytest.mark.parametrize(
    ("text", "key"), [("null", "null:0/1"), ("null:7", "null:7/1"), ("null:7/1", "null:7/1")]
)
def test_names_of_worlds(text, key):
    assert world_key(text) == key
    assert find_world(text) == find_world(key)
    assert "no model was trained" in banner(key)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nul", "did you mean 'null'"),
        ("null:x", "write null, or null:7"),
        ("null:7/9", "recipe 1 now"),
        ("null:-1", "names no world"),
    ],
)
def test_wrong_names_are_one_sentence(text, message):
    with pytest.raises(AblateError, match=message) as caught:
        world_key(text, "command line: world")
    assert caught.value.place == "command line: world"


def test_a_plugin_adds_a_world_once(monkeypatch):
    monkeypatch.setattr("ablate.worlds.registry.WORLDS", dict(WORLDS))
    world("mine", "a world of mine")(lambda rng: Planted(mechanism=1.0))
    assert find_world("mine:2").planted.mechanism == 1.0
    with pytest.raises(AblateError, match="registered twice"):
        world("mine", "again")(lambda rng: Planted())
