import dataclasses

import pytest

from ablate.plan import make_plan
from ablate.spec import UNADAPTED, Part, RunSpec
from ablate.streams import numpy_stream, stream_seed


@pytest.fixture(scope="module")
def plan(toys):
    return make_plan(toys.study())


def by_arm(plan, name, seed=0):
    return next(run.spec for run in plan.runs if run.arm.name.startswith(name) and run.seed == seed)


def test_a_spec_survives_json(plan):
    for run in plan.runs:
        again = RunSpec.from_json(run.spec.to_json())
        assert again == run.spec
        assert again.key == run.key


def test_the_key_is_the_content(plan):
    spec = by_arm(plan, "lora+talan")
    assert spec.block is not None
    changes = [
        {"seed": 1},
        {"precision": "bf16"},
        {"device": "cuda"},
        {"adapter": "dora"},
        {"train_recipe": 99},
        {"hp": dataclasses.replace(spec.hp, lr=0.5)},
        {"block": dataclasses.replace(spec.block, memory=7)},
        {"block": dataclasses.replace(spec.block, recipes=(("block", 99),))},
        {"block": None},
        {"mix": (Part("x", "other", "x"),)},
        {"backbone": dataclasses.replace(spec.backbone, digest="other")},
    ]
    keys = {dataclasses.replace(spec, **change).key for change in changes}
    assert len(keys | {spec.key}) == len(changes) + 1


def test_what_does_not_determine_the_result_is_not_in_the_key(plan):
    spec = by_arm(plan, "lora+talan")
    assert dataclasses.replace(spec, benchmarks=()).key == spec.key
    moved = dataclasses.replace(spec.backbone, source="elsewhere", name="renamed")
    assert dataclasses.replace(spec, backbone=moved).key == spec.key


def test_a_baseline_is_shared_by_studies_with_other_block_settings(plan, toys):
    other = make_plan(toys.study(block__width="6", levels__memory="3,4"))
    assert by_arm(plan, "lora").key == by_arm(other, "lora").key
    assert by_arm(plan, "lora+talan").key != by_arm(other, "lora+talan").key


def test_the_unadapted_backbone_is_one_run_whatever_is_trained(plan, toys):
    other = make_plan(toys.study(train__steps="9", seeds="3"))
    assert by_arm(plan, UNADAPTED).key == by_arm(other, UNADAPTED).key


def test_the_arms_of_a_pair_share_their_streams_and_pairs_do_not(plan):
    baseline, block = by_arm(plan, "lora"), by_arm(plan, "lora+talan")
    assert baseline.pair() == block.pair()
    assert stream_seed(baseline.pair(), "data") == stream_seed(block.pair(), "data")
    other = by_arm(plan, "lora", seed=1)
    assert stream_seed(baseline.pair(), "data") != stream_seed(other.pair(), "data")
    assert stream_seed(baseline.pair(), "data") != stream_seed(baseline.pair(), "adapter")


def test_a_stream_is_reproducible():
    a, b = (numpy_stream({"seed": 1}, "data").random(5) for _ in range(2))
    assert (a == b).all()


def test_more_seeds_are_the_same_design(toys):
    assert make_plan(toys.study()).design_digest == make_plan(toys.study(seeds="4")).design_digest
    other = make_plan(toys.study(levels__memory="1,4")).design_digest
    assert other != make_plan(toys.study()).design_digest
