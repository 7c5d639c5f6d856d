"""Captured streams: which states they are, and that nothing stays behind."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

import talan
from talan.decoder import Decoder, find_decoder
from talan.errors import TalanError
from talan.probe import Prompts, capture
from talan.probe.streams import evaluating, forward
from tests.talan.cases import BACKBONES, LAYERS, VOCABULARY, backbone, tokens
from tests.talan.probe.inputs import benchmarks, padded, ragged, side_path, trained


@pytest.mark.parametrize("architecture", BACKBONES)
def test_states_are_those_of_transformers_but_the_last_is_before_the_norm(architecture):
    model, ids = backbone(architecture), tokens(2, 7)
    with torch.no_grad(), capture(find_decoder(model)) as states:
        recorded = model(ids, output_hidden_states=True).hidden_states
    assert sorted(states) == list(range(LAYERS + 1))
    for layer in range(LAYERS):
        torch.testing.assert_close(states[layer], recorded[layer])
    stack = find_decoder(model).stack
    norms = ("norm", "final_layer_norm", "final_layernorm", "ln_f")
    norm = next(getattr(stack, name) for name in norms if hasattr(stack, name))
    torch.testing.assert_close(norm(states[LAYERS]), recorded[LAYERS])
    assert not torch.allclose(states[LAYERS], recorded[LAYERS])


def test_half_precision_is_captured_as_float32_without_its_graph():
    model = backbone(dtype=torch.bfloat16).requires_grad_(True)
    with capture(find_decoder(model)) as states:
        model(tokens(2, 7))
    assert all(state.dtype == torch.float32 for state in states.values())
    assert not any(state.requires_grad for state in states.values())


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_no_state(reentrant):
    model, ids = trained().train(), tokens(2, 7)
    with capture(find_decoder(model)) as plain:
        model(ids)
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    with capture(find_decoder(model)) as states:
        model(ids, labels=ids, use_cache=False).loss.backward()
    for layer, state in plain.items():
        torch.testing.assert_close(states[layer], state)


class TupleLayer(nn.Module):
    def forward(self, hidden_states):
        return hidden_states + 1, "something else"


def test_layers_may_return_tuples_and_take_their_stream_by_name():
    layers = nn.ModuleList([TupleLayer(), TupleLayer()])
    stream = torch.zeros(1, 2, 3)
    pooled = torch.tensor([[False, True]])
    with capture(Decoder(layers, layers, 3), pooled) as states:
        middle, _ = layers[0](stream)
        layers[1](hidden_states=middle)
    assert [states[layer].tolist() for layer in range(3)] == [[[float(n)] * 3] for n in range(3)]


def test_the_head_sees_the_last_prompt_token_only():
    for prompts, last in (
        (padded(ragged(1)), (4, 8, 6)),
        (padded(ragged(1), side="left"), (8, 8, 8)),
        (padded(ragged(1), lengths=(2, 9, 3)), (1, 8, 2)),
        (padded(ragged(1), side="left", lengths=(2, 9, 3)), (5, 8, 4)),
    ):
        assert prompts.last().tolist() == list(last)
        with side_path() as handle, torch.no_grad():
            passed = forward(handle, prompts, prompts.valid)
            whole = handle.model.eval()(prompts.ids, attention_mask=prompts.mask).logits
            # The hook on the head is gone: all logits are there again.
            assert whole.shape == (*prompts.ids.shape, VOCABULARY)
            torch.testing.assert_close(passed.logits, whole[torch.arange(3), list(last)])


def test_a_model_without_a_head_has_no_logits():
    inner = backbone().model
    with side_path(model=inner) as handle, torch.no_grad():
        prompts = padded(ragged(1))
        assert forward(handle, prompts, prompts.valid).logits is None


def test_a_layer_that_does_not_run_is_named():
    with side_path(talan.TalanConfig(insertion=0)) as handle:
        stack = handle.decoder.stack
        kept, stack.layers = stack.layers, stack.layers[:3]
        prompts = padded(ragged(1))
        with pytest.raises(TalanError, match="decoder layer 3 did not run"):
            forward(handle, prompts, prompts.valid)
        stack.layers = kept


def hooks_of(model):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


def test_hooks_go_when_the_pass_fails():
    model = backbone()
    before = hooks_of(model)
    with contextlib.suppress(KeyError), capture(find_decoder(model)):
        assert hooks_of(model) == before + LAYERS + 1
        raise KeyError
    assert hooks_of(model) == before


def test_evaluating_gives_each_module_its_own_mode_back():
    model = backbone().train()
    model.model.layers[1].eval()
    modes = {module: module.training for module in model.modules()}
    with contextlib.suppress(KeyError), evaluating(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
        raise KeyError
    assert {module: module.training for module in model.modules()} == modes
    assert torch.is_grad_enabled()


def test_pooled_tokens_are_those_that_may_be_written():
    prompts = benchmarks(side="left")["sums"]
    assert torch.equal(prompts.pooled("causal"), prompts.valid)
    assert prompts.pooled("prompt").sum(1).tolist() == [1, 1, 1]
    longer = padded(ragged(1), lengths=(2, 9, 3))
    assert longer.pooled("prompt").sum(1).tolist() == [4, 1, 5]
    assert not bool((longer.pooled("prompt") & ~longer.valid).any())


ONES = torch.ones(2, 4, dtype=torch.long)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ONES[0], ONES[0]), "ids of shape"),
        ((ONES, ONES[:, :3]), "ids of shape"),
        ((ONES[:0], ONES[:0]), "at least one prompt"),
        ((ONES, torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]])), "prompt 1 has no token"),
        ((ONES, ONES, torch.tensor([1, 2, 3])), "lengths for 2 prompts"),
        ((ONES, ONES, torch.tensor([4, 5])), "prompt 1 of length 5 in a row of 4"),
        ((ONES, ONES, torch.tensor([0, 4])), "prompt 0 of length 0"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(TalanError, match=message):
        Prompts(*arguments)
