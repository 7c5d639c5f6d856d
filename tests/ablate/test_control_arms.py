"""The control arms: what they share with the mechanism or the baseline, and what they do not."""

import itertools
import re

import pytest
import torch

from ablate import backbones
from ablate.benchmarks import load_items
from ablate.control_arms import CONTROLS
from ablate.errors import AblateError
from ablate.evaluate import Bank, Encoded, encode, make_bank, score_items
from ablate.matching import raised_ranks
from ablate.plan import make_plan
from ablate.spec import RunSpec
from ablate.train import adapt, batches, like_lengths
from ablate.worker import execute_one

ADAPTERS = ("lora", "dora", "rslora")


@pytest.fixture(scope="module")
def plan(toys):
    return make_plan(toys.study(adapters=",".join(ADAPTERS), controls="yes", train__steps="3"))


def spec_of(plan, adapter, control=""):
    return next(
        run.spec
        for run in plan.runs
        if run.arm.adapter == adapter
        and run.arm.control == control
        and (control or run.arm.is_baseline)
    )


def adapted(spec):
    model, _ = backbones.load(spec.backbone)
    return adapt(spec, model, backbones.adapter_targets(spec.backbone))


def layers(made):
    from peft.tuners.lora import LoraLayer

    return {n: m for n, m in made.model.named_modules() if isinstance(m, LoraLayer)}


def test_every_control_is_an_arm_of_every_adapter(plan):
    found = {(arm.adapter, arm.control) for arm in plan.design.arms if arm.control}
    one_for_all = set(itertools.product(ADAPTERS[1:], ["side"]))
    assert found == set(itertools.product(ADAPTERS, CONTROLS)) - one_for_all
    keys = [run.key for run in plan.runs]
    assert len(set(keys)) == len(keys)
    for arm in plan.design.arms:
        if arm.control:
            assert not arm.is_baseline
            assert not arm.is_design_point
            assert (arm.point is not None) == CONTROLS[arm.control].has_block
    compared = {name for contrast in plan.design.secondary for name in contrast.weights}
    assert not compared & {arm.name for arm in plan.design.arms if arm.control}
    tested = {name for contrast in plan.design.controls for name in contrast.weights}
    checks = {arm.name for arm in plan.design.arms if arm.control in ("side", "same")}
    assert len(checks) == 4
    assert not tested & checks
    for contrast in plan.design.controls:
        assert sorted(contrast.weights.values()) == [-1, 1]
        against = min(contrast.weights, key=lambda name: contrast.weights[name])
        assert next(a for a in plan.design.arms if a.name == against).control
        assert set(contrast.weights) - {against} == {f"{against.split('+')[0].split('/')[0]}+talan"
                                                     "/memory=1"}  # fmt: skip


def test_controls_leave_other_runs_their_identity(toys, plan):
    plain = make_plan(toys.study(adapters=",".join(ADAPTERS), train__steps="3"))
    assert {run.key for run in plain.runs} < {run.key for run in plan.runs}
    for run in plan.runs:
        assert RunSpec.from_json(run.spec.to_json()) == run.spec


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_matched_adapter_has_at_least_the_parameters_and_the_baselines_rows(plan, adapter):
    baseline, matched = adapted(spec_of(plan, adapter)), adapted(spec_of(plan, adapter, "matched"))
    block = adapted(next(r.spec for r in plan.runs if r.spec.block and r.spec.adapter == adapter))

    def count(parameters):
        return sum(each.numel() for each in parameters)

    wanted = count(block.adapter) + count(block.block)
    assert matched.handle is None
    assert not matched.block
    cheapest = min(m.in_features + m.out_features for m in layers(baseline).values())
    assert wanted <= count(matched.adapter) < wanted + cheapest
    own, other = layers(baseline), layers(matched)
    raised = 0
    for name, layer in own.items():
        rank = layer.r["default"]
        a, more = (each[name].lora_A["default"].weight for each in (own, other))
        assert torch.equal(more[:rank], a)
        assert layer.scaling["default"] == pytest.approx(other[name].scaling["default"], rel=1e-12)
        assert (other[name].lora_B["default"].weight == 0).all()
        raised += len(more) > rank
    assert raised > 0


def test_a_reseeded_baseline_differs_in_its_adapter_alone(plan, toys):
    plain, other = spec_of(plan, "lora"), spec_of(plan, "lora", "reseed")
    assert plain.pair() == other.pair()
    one, two = (layers(adapted(spec)) for spec in (plain, other))
    for name in one:
        a, b = (each[name].lora_A["default"].weight for each in (one, two))
        assert a.shape == b.shape
        assert not torch.equal(a, b)
    _, tokenizer = backbones.load(plain.backbone)
    rows = encode(tokenizer, load_items(str(toys.benchmark), "train"))
    for first, second in zip(batches(plain, [rows], 0), batches(other, [rows], 0), strict=True):
        assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, second, strict=True))


def test_the_cheapest_ranks_that_suffice_are_found():
    costs = {"a": 30, "b": 30, "c": 50}
    for missing in range(1, 400):
        ranks = raised_ranks(costs, 4, missing)
        total = sum(costs[name] * (rank - 4) for name, rank in ranks.items())
        possible = [30 * i + 50 * j for i in range(16) for j in range(10)]
        assert total == min(each for each in possible if each >= missing)
        assert all(rank > 4 for rank in ranks.values())
    evenly = raised_ranks(dict.fromkeys("abcd", 10), 4, 61)
    assert evenly == {"a": 6, "b": 6, "c": 6, "d": 5}
    assert raised_ranks(costs, 4, 0) == {}


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_trains_and_is_scored(plan, control):
    result = execute_one(spec_of(plan, "lora", control))
    assert result.outcome == "done", result.reason
    assert result.scores[0].n_items == 30
    trains = CONTROLS[control].has_block and control != "same"
    assert (result.cost.block_parameters > 0) == trains
    assert (result.cost.adapter_parameters > 0) == (control != "side")


def test_prompt_conditioning_trains_and_is_scored(toys):
    study = toys.study(block__conditioning="prompt", controls="shuffled", train__steps="2")
    for run in make_plan(study).runs:
        if run.spec.block is not None and run.seed == 0:
            assert execute_one(run.spec).outcome == "done"


@pytest.fixture(scope="module")
def shuffled(plan, toys):
    """A model whose shuffled block has an effect, its items and its bank."""
    spec = spec_of(plan, "lora", "shuffled")
    made = adapted(spec)
    with torch.no_grad():
        made.handle.block.projection.out.normal_(generator=torch.Generator().manual_seed(1))
    _, tokenizer = backbones.load(spec.backbone)
    train, test = (encode(tokenizer, load_items(str(toys.benchmark), s)) for s in ("train", "test"))
    return made, test, make_bank(made.handle, [train], 0, torch.device("cpu"))


def test_a_shuffled_score_depends_on_the_item_alone(shuffled):
    made, rows, bank = shuffled
    cpu = torch.device("cpu")
    together = score_items(made.model, rows, 0, cpu, 64, made.handle, bank)[1]
    apart = score_items(made.model, rows[5:9], 0, cpu, 1, made.handle, bank)[1]
    assert torch.allclose(torch.tensor(together[5:9]), torch.tensor(apart), atol=1e-5)
    other = Bank(bank.donors.select(torch.arange(len(bank.donors)).roll(1)))
    moved = score_items(made.model, rows, 0, cpu, 64, made.handle, other)[1]
    assert abs(moved - together).max() > 1e-3


def test_a_bank_holds_prompts_without_answers(shuffled):
    _, rows, bank = shuffled
    assert len(bank.donors) == 40  # all training items of the toy benchmark
    assert len({bank.donor_of(row) for row in rows}) > 10
    longest = max(row.n_prompt for row in rows)
    assert bank.donors.valid.sum(1).max() <= longest
    answer = Encoded((*rows[0].ids[:-1], 5), rows[0].n_prompt)
    assert bank.donor_of(answer) == bank.donor_of(rows[0])


def test_no_row_is_alone_where_rows_lend():
    rows = [Encoded((1,) * n, 1) for n in (2, 9, 9, 30, 100)]
    assert [len(group) for group in like_lengths(rows)] == [1, 2, 1, 1]
    groups = like_lengths(rows, 2)
    assert [len(group) for group in groups] == [3, 2]
    assert list(itertools.chain(*groups)) == rows
    assert [len(group) for group in like_lengths(rows[:4], 2)] == [4]


def test_mistakes_are_one_sentence(toys):
    with pytest.raises(AblateError, match=r"statik.*did you mean 'static'"):
        toys.study(controls="statik")
    with pytest.raises(AblateError, match=re.escape("memory of another row of the batch")):
        toys.study(controls="shuffled", train__batch="1")
    assert toys.study(controls="reseed,static").controls == ("static", "reseed")
    assert toys.study(controls="no").controls == ()
