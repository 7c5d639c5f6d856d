"""Hooks, scopes, gradient scale, and life beside PEFT and transformers."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from torch.func import functional_call, stack_module_state
from transformers import T5Config, T5ForConditionalGeneration

import talan
from talan.block import Block, Call
from talan.errors import TalanError
from talan.scope import beside, trainable_parameters
from tests.talan.cases import (
    CASES,
    LAYERS,
    WIDTH,
    adapted,
    attached,
    awaken,
    backbone,
    bits,
    generator,
    tokens,
)

KINDS = ("lora", "dora", "rslora")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["adapter", "block"])
def test_the_adapters_own_state_stays_as_it_is(kind, first):
    plain = get_peft_model_state_dict(adapted(kind=kind))
    if first == "adapter":
        model = adapted(kind=kind)
        handle = talan.attach(model, talan.TalanConfig(), generator=generator())
    else:
        inner = backbone()
        handle = talan.attach(inner, talan.TalanConfig(), generator=generator())
        model = adapted(kind=kind, model=inner)
    beside = get_peft_model_state_dict(model)
    assert list(beside) == list(plain)
    assert all(torch.equal(beside[key], plain[key]) for key in plain)
    handle.apply_scope()
    ids = tokens(2, 9)
    model(ids, labels=ids).loss.backward()
    assert handle.block.projection.out.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_block_and_adapter_train_together(kind):
    model = adapted(kind=kind)
    handle = talan.attach(model, talan.TalanConfig(), generator=generator())
    groups = trainable_parameters(handle)
    everything = groups["adapter"] + groups["block"]
    assert len(set(everything)) == len(everything)
    before = [each.detach().clone() for each in everything]
    optimizer = torch.optim.AdamW(everything, lr=1e-2)
    ids = tokens(4, 9)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model(ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.2
    assert all(not torch.equal(b, each) for b, each in zip(before, everything, strict=True))
    assert {id(each) for each in model.parameters() if each.requires_grad} == set(
        map(id, everything)
    )


def test_lora_on_all_linear_layers_never_enters_the_block():
    model = backbone()
    handle = talan.attach(model, talan.TalanConfig(mixer="attention"), generator=generator())
    names = list(dict(handle.named_parameters()))
    adapter = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"))
    assert list(dict(handle.named_parameters())) == names
    assert not any("talan" in key for key in get_peft_model_state_dict(adapter))


@pytest.mark.parametrize(
    ("scope", "frozen_block", "frozen_adapter"),
    [
        ("joint", set(), False),
        ("readout", {"memory", "mixer"}, False),
        ("side", set(), True),
        ("adapter", {"memory", "mixer", "reader", "projection", "writeback"}, False),
    ],
)
def test_scopes_set_what_trains(scope, frozen_block, frozen_adapter):
    model = adapted(kind="dora")
    handle = talan.attach(model, talan.TalanConfig(scope=scope), generator=generator())
    for _ in range(2):
        handle.apply_scope()
        for name, parameter in handle.named_parameters():
            assert parameter.requires_grad == (name.partition(".")[0] not in frozen_block)
        adapter = [p for n, p in model.named_parameters() if "lora_" in n]
        if not frozen_adapter:
            assert {id(p) for p in adapter} == {id(p) for p in beside(model, handle.block)}
        assert all(each.requires_grad != frozen_adapter for each in adapter)
        with model.disable_adapter():  # PEFT unfreezes the adapter when this ends
            pass
    groups = trainable_parameters(handle)
    assert bool(groups["adapter"]) != frozen_adapter
    assert bool(groups["block"]) == (scope != "adapter")
    rest = [p for n, p in model.named_parameters() if "lora_" not in n and "talan" not in n]
    assert not any(each.requires_grad for each in rest)


def test_the_random_control_never_trains_its_way_out():
    model = adapted()
    handle = talan.attach(model, talan.TalanConfig(control="random"), generator=generator())
    names = dict(handle.named_parameters())
    assert "projection.scale" in names
    assert "projection.out" not in names
    assert "projection.out" in handle.state_dict()


@pytest.mark.parametrize("writeback", talan.AXES["writeback"].levels)
@pytest.mark.parametrize("control", [None, "static", "shuffled"])
def test_gradient_scale_multiplies_exactly_what_leaves_the_block(writeback, control):
    def gradients(scale):
        config = talan.TalanConfig(gradient_scale=scale, writeback=writeback, control=control)
        block = Block(config, WIDTH, generator())
        with torch.no_grad():
            block.projection.out.normal_(generator=generator(5))
        stream = torch.randn(2, 9, WIDTH, generator=generator(1)).requires_grad_()
        weight = torch.randn(2, 9, WIDTH, generator=generator(2))
        (block.change(stream) * weight).sum().backward()
        return stream.grad, {name: each.grad for name, each in block.named_parameters()}

    leaving, weights = gradients(1)
    assert leaving.abs().sum() > 0
    for scale in (0, 0.1, 10):
        scaled, same = gradients(scale)
        assert torch.equal(scaled, leaving * scale)
        assert all(torch.equal(same[name], weights[name]) for name in weights)


def test_gradient_scale_acts_below_the_site_and_only_there():
    def gradients(scale):
        model = adapted()
        handle = talan.attach(
            model, talan.TalanConfig(insertion=2, gradient_scale=scale), generator=generator()
        )
        awaken(handle)
        with torch.no_grad():  # B starts at 0: without this A would get no gradient
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.1, generator=generator(8))
        ids = tokens(2, 13)
        model(ids, labels=ids).loss.backward()
        return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}

    one, ten = gradients(1), gradients(10)
    for name in one:
        below = any(f"layers.{k}." in name for k in (0, 1))
        assert torch.equal(one[name], ten[name]) != below


def test_disabled_bypasses_nests_and_leaves_training_flags_alone():
    model = adapted(train=False)
    ids = tokens(2, 9)
    plain = model(ids).logits
    handle = talan.attach(model, talan.TalanConfig(scope="readout"), generator=generator())
    awaken(handle)
    handle.apply_scope()
    flags = [each.requires_grad for each in model.parameters()]
    awake = model(ids).logits
    with handle.disabled():
        with handle.disabled():
            pass
        assert torch.equal(bits(model(ids).logits), bits(plain))
    assert torch.equal(model(ids).logits, awake)
    assert [each.requires_grad for each in model.parameters()] == flags


@pytest.mark.parametrize("insertion", range(LAYERS))
def test_hidden_states_show_the_write_at_its_site_and_not_before(qwen3, insertion):
    ids = tokens(2, 9)
    with torch.no_grad(), attached(qwen3, talan.TalanConfig(insertion=insertion)) as handle:
        with handle.disabled():
            plain = qwen3(ids, output_hidden_states=True).hidden_states
        written = qwen3(ids, output_hidden_states=True).hidden_states
    changed = [not torch.equal(one, other) for one, other in zip(plain, written, strict=True)]
    assert changed == [k >= insertion for k in range(LAYERS + 1)]


def test_the_block_stays_float32():
    model = backbone()
    handle = talan.attach(model, talan.TalanConfig(control="random"), generator=generator())
    before = {name: each.clone() for name, each in handle.state_dict().items()}
    model.to(torch.bfloat16)
    assert next(model.model.layers.parameters()).dtype == torch.bfloat16
    after = handle.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(each.dtype == torch.float32 for each in after.values())
    assert model(tokens(2, 9)).logits.dtype == torch.bfloat16


@pytest.mark.parametrize("name", CASES)
def test_blocks_batch_over_a_run_axis(name):
    config = CASES[name]
    blocks = [Block(config, WIDTH, generator(seed)) for seed in range(3)]
    for block in blocks:
        with torch.no_grad():
            block.projection.out.normal_(generator=generator(5))
    parameters, buffers = stack_module_state(blocks)
    stream = torch.randn(3, 4, 21, WIDTH, generator=generator(1)).requires_grad_()
    valid = torch.ones(3, 4, 21, dtype=torch.bool)
    valid[:, 1, :3] = False
    prompt = torch.full((3, 4), 6)

    def one(parameters, buffers, stream, valid, prompt):
        return functional_call(
            blocks[0], (parameters, buffers), (stream, Call(valid=valid, prompt=prompt))
        )

    together = torch.vmap(one)(parameters, buffers, stream, valid, prompt)
    apart = torch.stack(
        [b(stream[i], Call(valid=valid[i], prompt=prompt[i])) for i, b in enumerate(blocks)]
    )
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-5)
    found, wanted = (
        torch.autograd.grad(out.square().sum(), stream)[0] for out in (together, apart)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_states_round_trip_and_strictness_names_the_keys(qwen3):
    with attached(qwen3, talan.TalanConfig(), seed=1) as handle:
        saved = copy.deepcopy(handle.state_dict())
    with attached(qwen3, talan.TalanConfig(), seed=2) as handle:
        handle.load_state_dict(saved)
        assert all(torch.equal(each, saved[name]) for name, each in handle.state_dict().items())
    with attached(qwen3, talan.TalanConfig(mixer="none")) as handle:
        with pytest.raises(TalanError, match=r"unexpected keys \['mixer.inlet', "):
            handle.load_state_dict(saved)
        handle.load_state_dict(saved, strict=False)
        with pytest.raises(TalanError, match=r"missing keys \['memory.inlet'\]"):
            handle.load_state_dict(
                {k: v for k, v in handle.state_dict().items() if k != "memory.inlet"}
            )


def test_an_encoder_decoder_is_refused():
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    model = T5ForConditionalGeneration(T5Config(vocab_size=40, **sizes))
    with pytest.raises(TalanError, match="is an encoder-decoder; give a decoder-only"):
        talan.attach(model, talan.TalanConfig())
    assert not any("talan" in name for name, _ in model.named_modules())


def test_unknown_structures_are_told_their_layers():
    model = backbone()
    model.model.more = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(LAYERS))
    with pytest.raises(TalanError, match=r"2 lists of 4 layers .*layers=model.model.layers"):
        talan.attach(model, talan.TalanConfig())
    with pytest.raises(TalanError, match="the given layers are no part of Qwen3ForCausalLM"):
        talan.attach(model, talan.TalanConfig(), layers=torch.nn.ModuleList())
    handle = talan.attach(model, talan.TalanConfig(), layers=model.model.layers)
    awaken(handle)
    with torch.no_grad():
        assert not torch.equal(model(tokens(2, 5)).logits, backbone()(tokens(2, 5)).logits)
    assert talan.handles(model)["default"] is handle


def test_mistakes_are_one_sentence():
    model = backbone()
    with pytest.raises(TalanError, match=r"insertion: layer 9 does not exist .*; choose 0 to 3"):
        talan.attach(model, talan.TalanConfig(insertion=9), generator=generator())
    handle = talan.attach(model, talan.TalanConfig(), generator=generator())
    with pytest.raises(TalanError, match=r"attached to this model already; call handle.detach\(\)"):
        talan.attach(model, talan.TalanConfig(), generator=generator())
    with pytest.raises(TalanError, match="attached to this model already"):
        talan.attach(adapted(model=model), talan.TalanConfig(), generator=generator())
    handle.detach()
    with pytest.raises(TalanError, match="Linear has no config with num_hidden_layers"):
        talan.attach(torch.nn.Linear(2, 2), talan.TalanConfig(), generator=generator())
    model.model.layers = torch.nn.ModuleList(model.model.layers[:2])
    with pytest.raises(TalanError, match="0 lists of 4 layers found in Qwen3ForCausalLM"):
        talan.attach(model, talan.TalanConfig(), generator=generator())


def test_a_block_follows_the_model_that_peft_gives_back():
    model = adapted(train=False)
    ids = tokens(2, 9)
    handle = talan.attach(model, talan.TalanConfig(), generator=generator())
    awaken(handle)
    awake = model(ids).logits
    merged = model.merge_and_unload()
    assert not any("talan" in name for name, _ in merged.named_parameters())
    handle.hang_on(merged)
    assert handle.model is merged
    assert merged.talan.default is handle.block
    assert "talan" not in dict(model.named_children())
    torch.testing.assert_close(merged(ids).logits, awake, rtol=0, atol=1e-5)
    with pytest.raises(TalanError, match="Qwen3ForCausalLM holds another decoder"):
        handle.hang_on(backbone())
    handle.detach()
    assert not any("talan" in name for name, _ in merged.named_modules())
