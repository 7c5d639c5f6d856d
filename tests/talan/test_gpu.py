"""What only a GPU can show; skipped, saying so, where torch sees none (`pytest -rs`)."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import DynamicCache

import talan
from talan.block import Block
from talan.memory import prefix_softmax
from tests.talan.cases import CASES, adapted, backbone, bits, generator, tokens
from tests.talan.test_memory import drawn, summed

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU: torch sees no CUDA device"
)

LONG = 8192
# One configuration per mixer, rule, and number of slots; the others differ outside the block.
BLOCKS = {
    name: config
    for name, config in CASES.items()
    if config.conditioning == "causal" and config.control != "shuffled"
}


@pytest.fixture(autouse=True)
def _full_float32():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def awake(architecture="qwen3", dtype=torch.float32, config=None, device="cuda"):
    """An adapted backbone with a block that has a visible effect."""
    model = adapted(architecture, train=False, model=backbone(architecture, dtype))
    handle = talan.attach(model.to(device), config or talan.TalanConfig(), generator=generator())
    handle.block.projection.out.data.copy_(torch.randn(32, 16, generator=generator(5)))
    return model, handle


def distance(found, wanted):
    """|found - wanted| / |wanted|, in float64."""
    found, wanted = found.double().cpu(), wanted.double().cpu()
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_on_half_precision_gives_what_it_gives_on_a_cpu(name):
    block = Block(BLOCKS[name], 64, generator())
    with torch.no_grad():
        block.projection.out.normal_(generator=generator(5))
        if block.projection.scale is not None:
            block.projection.scale.fill_(0.7)
    stream = torch.randn(2, 300, 64, generator=generator(6)).bfloat16()
    valid = torch.ones(2, 300, dtype=torch.bool)
    valid[1, :37] = False
    there = copy.deepcopy(block).to("cuda", torch.bfloat16)
    assert {each.dtype for each in there.parameters()} == {torch.float32}
    with torch.no_grad():
        wanted = block.change(stream, talan.Call(valid=valid))
        call = talan.Call(valid=valid.cuda())
        found = there.change(stream.cuda(), call)
        with torch.autocast("cuda", torch.bfloat16):
            autocast = there.change(stream.cuda(), call)
    assert wanted.norm() > 1
    assert found.dtype == torch.float32
    assert distance(found, wanted) < 1e-5
    assert torch.equal(bits(autocast), bits(found))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_start_is_a_no_op_bit_for_bit(dtype):
    model = adapted(train=False, model=backbone("qwen3", dtype)).cuda()
    ids = tokens(3, 41).cuda()
    with torch.no_grad():
        before = model(ids).logits
        talan.attach(model, talan.TalanConfig(), generator=generator())
        after = model(ids).logits
    assert torch.equal(bits(before), bits(after))


def test_attaching_puts_the_block_beside_its_layer():
    model, handle = awake()
    assert {each.device.type for each in handle.parameters()} == {"cuda"}
    on_cpu, _ = awake(device="cpu")
    with torch.no_grad():
        found, wanted = model(tokens(2, 50).cuda()).logits, on_cpu(tokens(2, 50)).logits
    assert distance(found, wanted) < 1e-4


@pytest.mark.parametrize("conditioning", ["causal", "prompt"])
def test_cached_decoding_is_uncached_decoding(conditioning):
    model, handle = awake(config=talan.TalanConfig(conditioning=conditioning))
    ids = tokens(3, 40).cuda()
    mask = torch.ones_like(ids)
    mask[1, :5] = 0
    cache = DynamicCache(config=model.config)
    prompt = [25, 20, 25] if conditioning == "prompt" else [1, 1, 1]
    with torch.no_grad(), handle.prompt(prompt):
        whole = model(ids, attention_mask=mask).logits
        pieces = [
            model(ids[:, first:last], attention_mask=mask[:, :last], past_key_values=cache).logits
            for first, last in [(0, 25), (25, 33), *((t, t + 1) for t in range(33, 40))]
        ]
    found = torch.cat(pieces, dim=1)
    valid = mask.bool()
    torch.testing.assert_close(found[valid], whole[valid], rtol=1e-4, atol=1e-4)


def test_the_scan_over_8k_tokens_keeps_the_accuracy_of_float32():
    scores, values = (each.cuda() for each in drawn(LONG, 4, spread=50.0))
    scores[:, 0], scores[:, 1:2000], scores[:, 4001, 1] = 50.0, -50.0, 50.0
    found, _ = prefix_softmax(scores, values)
    torch.testing.assert_close(found.double(), summed(scores, values), rtol=2e-5, atol=2e-5)


def test_gradients_of_the_scan_over_8k_tokens_match_float64():
    scores, values = (each.cuda().requires_grad_() for each in drawn(LONG, 4, 20.0, batch=1))
    weight = torch.randn(1, LONG, 4, 5, generator=generator(2)).cuda()
    found = torch.autograd.grad(
        (prefix_softmax(scores, values)[0] * weight).sum(), [scores, values]
    )
    wanted = torch.autograd.grad((summed(scores, values) * weight).sum(), [scores, values])
    assert max(map(distance, found, wanted)) < 1e-4


def test_memory_grows_with_the_length_and_not_with_its_square():
    block = Block(talan.TalanConfig(), 64, generator()).cuda()

    def peak(length):
        stream = torch.randn(1, length, 64, device="cuda", requires_grad=True)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        block(stream).sum().backward()
        return torch.cuda.max_memory_allocated() - before

    peak(64)  # what libraries allocate once
    assert peak(LONG) < 4.5 * peak(LONG // 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_steps_are_finite_and_learn(dtype):
    model, handle = awake(dtype=dtype)
    model.train()
    groups = talan.trainable_parameters(handle)
    optimiser = torch.optim.AdamW([{"params": each} for each in groups.values()], lr=1e-2)
    ids = tokens(4, 64).cuda()
    before = [each.clone() for each in groups["block"]]
    losses = []
    for _ in range(8):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        every = [each for group in groups.values() for each in group]
        assert all(each.grad is not None and each.grad.isfinite().all() for each in every)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05
    assert all(not torch.equal(a, b) for a, b in zip(before, groups["block"], strict=True))


def test_gradients_are_those_of_a_cpu():
    gradients = []
    for device in ("cpu", "cuda"):
        model, handle = awake(device=device)
        ids = tokens(2, 64).to(device)
        model.train()
        model(input_ids=ids, labels=ids).loss.backward()
        gradients.append({name: each.grad for name, each in handle.named_parameters()})
    assert all(each.norm() > 0 for each in gradients[0].values())
    for name, wanted in gradients[0].items():
        assert distance(gradients[1][name], wanted) < 1e-3, name


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_generating_with_a_static_cache_gives_the_same_tokens(padded, compiled):
    model, _ = awake()
    ids = tokens(2, 20).cuda()
    mask = torch.ones_like(ids)
    mask[1, :6] = 0 if padded else 1
    given = {
        "input_ids": ids, "attention_mask": mask, "do_sample": False, "max_new_tokens": 12,
        "min_new_tokens": 12, "pad_token_id": 0, "return_dict_in_generate": True,
        "output_logits": True,
    }  # fmt: skip
    wanted = model.generate(**given)
    found = model.generate(**given, cache_implementation="static", disable_compile=not compiled)
    torch.testing.assert_close(
        torch.stack(found.logits), torch.stack(wanted.logits), rtol=1e-4, atol=1e-4
    )
    assert torch.equal(found.sequences, wanted.sequences)
