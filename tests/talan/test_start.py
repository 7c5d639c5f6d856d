"""At its start the block is an exact no-op, and it can leave that start."""

from __future__ import annotations

import copy

import pytest
import torch

import talan
from talan.scope import trainable_parameters
from tests.talan.cases import (
    CASES,
    adapted,
    attached,
    awaken,
    backbone,
    bits,
    generator,
    prompt_of,
    tokens,
)


def masked(batch: int, length: int) -> torch.Tensor:
    mask = torch.ones(batch, length, dtype=torch.long)
    mask[0, :4] = 0
    mask[-1, -3:] = 0
    return mask


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def model(request):
    return backbone(dtype=request.param)


@pytest.mark.parametrize("name", CASES)
def test_logits_are_bit_identical_at_the_start(model, name):
    ids, mask = tokens(4, 19), masked(4, 19)
    with torch.no_grad():
        plain = model(ids, attention_mask=mask).logits
        with attached(model, CASES[name], awake=False) as handle, prompt_of(handle, 4, 9):
            written = model(ids, attention_mask=mask).logits
            awaken(handle)
            awake = model(ids, attention_mask=mask).logits
    assert torch.equal(bits(written), bits(plain))
    # The same comparison sees an effect as soon as there is one.
    assert not torch.equal(bits(awake), bits(plain))


@pytest.mark.parametrize("writeback", talan.AXES["writeback"].levels)
def test_bit_identical_under_bf16_autocast_too(qwen3, writeback):
    ids = tokens(2, 11)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = qwen3(ids).logits
        with attached(qwen3, talan.TalanConfig(writeback=writeback), awake=False) as handle:
            assert torch.equal(bits(qwen3(ids).logits), bits(plain))
            assert handle.block.change(torch.randn(2, 5, 32)).dtype == torch.float32


# Scope `adapter` freezes the block, so it is no candidate.
@pytest.mark.parametrize("name", [each for each in CASES if CASES[each].scope != "adapter"])
def test_gradient_reaches_the_way_out_at_step_zero(name):
    config = CASES[name]
    model = adapted()
    with attached(model, config, awake=False) as handle, prompt_of(handle, 2, 5):
        handle.apply_scope()
        model(tokens(2, 17), labels=tokens(2, 17)).loss.backward()
        projection = handle.block.projection
        moving = projection.out if projection.scale is None else projection.scale
        assert moving.grad.abs().sum() > 0


@pytest.mark.parametrize("name", CASES)
def test_everything_that_trains_gets_a_gradient_once_awake(name):
    config = CASES[name]
    model = adapted()
    with attached(model, config) as handle, prompt_of(handle, 2, 5):
        handle.apply_scope()
        model(tokens(2, 17), labels=tokens(2, 17)).loss.backward()
        groups = trainable_parameters(handle)
        for parameter in groups["block"]:
            assert parameter.grad is not None
            assert parameter.grad.abs().sum() > 0
        frozen = [each for each in model.parameters() if not each.requires_grad]
        assert all(each.grad is None for each in frozen)


@pytest.mark.parametrize("name", ["default", "writeback=bounded", "writeback=orthogonal"])
def test_the_adapter_starts_on_its_own_gradient(name):
    ids = tokens(2, 17)
    alone, beside = adapted(), adapted()
    alone(ids, labels=ids).loss.backward()
    talan.attach(beside, CASES[name], generator=generator())
    beside(ids, labels=ids).loss.backward()
    wanted = {n: p.grad for n, p in alone.named_parameters() if p.grad is not None}
    found = dict(beside.named_parameters())
    assert wanted
    for key, gradient in wanted.items():
        assert torch.equal(found[key].grad, gradient)


def trained(config: talan.TalanConfig | None, steps: int = 3) -> dict[str, torch.Tensor]:
    """The adapter after a few steps of AdamW with dropout, from fixed streams."""
    model = adapted(dropout=0.1)
    parameters = [each for each in model.parameters() if each.requires_grad]
    if config is not None:
        handle = talan.attach(model, config, generator=generator())
        handle.apply_scope()
        groups = trainable_parameters(handle)
        parameters = groups["adapter"] + groups["block"]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for step in range(steps):
            ids = tokens(3, 13, seed=step)
            optimizer.zero_grad()
            model(ids, labels=ids, attention_mask=masked(3, 13)).loss.backward()
            optimizer.step()
    return {n: p.detach() for n, p in model.named_parameters() if "lora_" in n}


@pytest.mark.parametrize(
    "fields",
    [{}, {"insertion": "embedding"}, {"writeback": "bounded"}, {"writeback": "orthogonal"},
     {"mixer": "attention"}, {"control": "random"}, {"control": "static"}],
    ids=str,
)  # fmt: skip
def test_scope_adapter_trains_the_baseline_bit_for_bit(fields):
    baseline = trained(None)
    checked = trained(talan.TalanConfig(scope="adapter", **fields))
    assert all(torch.equal(bits(checked[key]), bits(baseline[key])) for key in baseline)


def test_scope_joint_trains_something_else():
    baseline, joint = trained(None), trained(talan.TalanConfig())
    assert any(not torch.equal(joint[key], baseline[key]) for key in baseline)


def test_attaching_leaves_the_global_random_state_alone(qwen3):
    for config in CASES.values():
        before = torch.random.get_rng_state()
        with attached(qwen3, config, awake=False) as handle, prompt_of(handle, 2, 3):
            qwen3(tokens(2, 7))
        assert torch.equal(torch.random.get_rng_state(), before)


def test_the_generator_decides_the_block(qwen3):
    states = []
    for seed in (1, 1, 2):
        handle = talan.attach(qwen3, talan.TalanConfig(), generator=generator(seed))
        states.append(copy.deepcopy(handle.state_dict()))
        handle.detach()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["memory.inlet"], states[2]["memory.inlet"])


def test_controls_share_the_random_start_of_the_mechanism(qwen3):
    states = {}
    for control in (None, "static", "shuffled", "random"):
        config = talan.TalanConfig(control=control)
        handle = talan.attach(qwen3, config, generator=generator())
        states[control] = copy.deepcopy(handle.state_dict())
        handle.detach()
    for control in ("static", "shuffled", "random"):
        shared = set(states[None]) & set(states[control]) - {"projection.out"}
        assert {"memory.inlet", "mixer.inlet", "reader.query"} <= shared
        assert all(torch.equal(states[None][key], states[control][key]) for key in shared)
    assert states["random"]["projection.out"].abs().min() > 0
    assert states["random"]["projection.scale"] == 0
