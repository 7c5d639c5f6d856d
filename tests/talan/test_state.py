"""The memory on the cache: it follows what is done to the cache, and nothing else."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from transformers import DynamicCache, StaticCache

import talan
from talan.errors import TalanError
from talan.state import states_of
from tests.talan.cases import attached, backbone, prompt_of, tokens

CONDITIONINGS = ("causal", "prompt")


def filled(model, ids, **given):
    cache = DynamicCache(config=model.config)
    model(ids, past_key_values=cache, **given)
    return cache


def same(one, other) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.fixture(params=CONDITIONINGS)
def handle(request, qwen3):
    config = talan.TalanConfig(conditioning=request.param)
    with torch.no_grad(), attached(qwen3, config) as handle:
        yield handle


def test_a_cache_stays_what_it_is(qwen3, handle):
    with prompt_of(handle, 2, 5):
        cache = filled(qwen3, tokens(2, 9))
    assert type(cache).__name__ == "DynamicCache"
    assert isinstance(cache, DynamicCache)
    assert len(cache) == len(qwen3.model.layers)
    assert cache.get_seq_length() == 9
    assert list(states_of(cache)) == ["default"]
    assert states_of(DynamicCache()) == {}


def test_a_cache_that_the_model_makes_itself_carries_the_memory(qwen3, handle):
    ids = tokens(2, 12)
    with prompt_of(handle, 2, 5):
        wanted = qwen3(ids).logits
        first = qwen3(ids[:, :9], use_cache=True)
        same(qwen3(ids[:, 9:], past_key_values=first.past_key_values).logits, wanted[:, 9:])
        first = qwen3(ids[:, :9], use_cache=True, return_dict=False)
        same(qwen3(ids[:, 9:], past_key_values=first[1]).logits, wanted[:, 9:])


def test_rows_are_reordered_selected_and_repeated_with_the_cache(qwen3, handle):
    ids = tokens(3, 12)
    rows = torch.tensor([2, 0, 0])
    with prompt_of(handle, 3, 5):
        wanted = qwen3(ids).logits[:, 9:]
        cache = filled(qwen3, ids[:, :9])
        cache.reorder_cache(rows)
        same(qwen3(ids[rows, 9:], past_key_values=cache).logits, wanted[rows])
        cache = filled(qwen3, ids[:, :9])
        cache.batch_select_indices(rows[:2])
    with prompt_of(handle, 2, 5):
        same(qwen3(ids[rows[:2], 9:], past_key_values=cache).logits, wanted[rows[:2]])
    with prompt_of(handle, 3, 5):
        cache = filled(qwen3, ids[:, :9])
        cache.batch_repeat_interleave(2)
    twice = torch.tensor([0, 0, 1, 1, 2, 2])
    with prompt_of(handle, 6, 5):
        same(qwen3(ids[twice, 9:], past_key_values=cache).logits, wanted[twice])


@pytest.mark.parametrize("kept", [9, 4, 1])
def test_cropped_tokens_are_forgotten(qwen3, handle, kept):
    ids, other = tokens(2, 12), tokens(2, 12, seed=12)
    other[:, :kept] = ids[:, :kept]
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, 0] = int(kept == 1)
    with prompt_of(handle, 2, 6):
        wanted = qwen3(other, attention_mask=mask).logits[:, kept:]
        cache = filled(qwen3, ids[:, :7], attention_mask=mask[:, :7])
        qwen3(ids[:, 7:], past_key_values=cache, attention_mask=mask)
        cache.crop(0)
        cache.crop(kept - 12)
        assert cache.get_seq_length() == kept
        found = qwen3(other[:, kept:], past_key_values=cache, attention_mask=mask).logits
        same(found, wanted)
        assert states_of(cache)["default"].seen.tolist() == mask.sum(1).tolist()


def test_a_copy_of_a_cache_has_a_memory_of_its_own(qwen3, handle):
    ids = tokens(2, 12)
    with prompt_of(handle, 2, 5):
        wanted = qwen3(ids).logits[:, 9:]
        cache = filled(qwen3, ids[:, :9])
        twin = copy.deepcopy(cache)
        qwen3(tokens(2, 4, seed=8), past_key_values=cache)
        same(qwen3(ids[:, 9:], past_key_values=twin).logits, wanted)


@pytest.mark.parametrize("static", [False, True])
def test_a_reset_cache_starts_anew(qwen3, handle, static):
    ids = tokens(2, 9)
    kind = StaticCache(qwen3.config, max_cache_len=9) if static else DynamicCache()
    with prompt_of(handle, 2, 5):
        wanted = qwen3(ids).logits
        qwen3(tokens(2, 6, seed=8), past_key_values=kind)
        kind.reset()
        same(qwen3(ids[:, :7], past_key_values=kind).logits, wanted[:, :7])
        same(qwen3(ids[:, 7:], past_key_values=kind).logits, wanted[:, 7:])


def test_a_static_cache_keeps_its_tensors_in_place(qwen3, handle):
    cache = StaticCache(qwen3.config, max_cache_len=9)
    with prompt_of(handle, 2, 5):
        qwen3(tokens(2, 6), past_key_values=cache)
        state = states_of(cache)["default"]
        places = [state.seen.data_ptr(), state.prefix.mass.data_ptr(), state.prefix.mean.data_ptr()]
        before = state.prefix.mean.clone()
        qwen3(tokens(2, 1), past_key_values=cache)
    state = states_of(cache)["default"]
    assert places == [
        state.seen.data_ptr(), state.prefix.mass.data_ptr(), state.prefix.mean.data_ptr()
    ]  # fmt: skip
    assert state.seen.tolist() == [7, 7]
    assert not state.pieces
    assert torch.equal(before, state.prefix.mean) == (handle.config.conditioning == "prompt")


def test_later_turns_keep_the_prompt_of_the_first(qwen3):
    ids = tokens(1, 14)
    config = talan.TalanConfig(conditioning="prompt")
    with torch.no_grad(), attached(qwen3, config) as handle:
        with handle.prompt([5]):
            wanted = qwen3(ids).logits
            cache = filled(qwen3, ids[:, :8])
        same(qwen3(ids[:, 8:11], past_key_values=cache).logits, wanted[:, 8:11])
        wanted_error = r"prompt of a cached sequence cannot change; .*prompts of \[5\] tokens"
        with handle.prompt([9]), pytest.raises(TalanError, match=wanted_error):
            qwen3(ids[:, 11:], past_key_values=cache)
        with handle.prompt([5]):
            same(qwen3(ids[:, 11:], past_key_values=cache).logits, wanted[:, 11:])


def test_a_cache_of_another_state_is_refused(qwen3):
    ids = tokens(2, 9)
    with torch.no_grad(), attached(qwen3, talan.TalanConfig()) as handle:
        with handle.disabled():
            cache = filled(qwen3, ids)
        with pytest.raises(
            TalanError, match=r"cache holds 9 tokens, of which the block has seen 0"
        ):
            qwen3(ids[:, :1], past_key_values=cache)
        cache = filled(qwen3, ids)
        with handle.disabled():
            qwen3(ids[:, :1], past_key_values=cache)
        with pytest.raises(TalanError, match=r"holds 10 tokens, of which the block has seen 9"):
            qwen3(ids[:, :1], past_key_values=cache)


def test_a_static_cache_of_another_state_is_refused_and_can_be_reset(qwen3, handle):
    ids = tokens(2, 6)
    cache = StaticCache(qwen3.config, max_cache_len=9)
    with prompt_of(handle, 2, 5):
        wanted = qwen3(ids).logits
        qwen3(ids, past_key_values=cache)
        with handle.disabled():
            qwen3(ids[:, :1], past_key_values=cache)
        with pytest.raises(TalanError, match="went on while the block was bypassed"):
            qwen3(ids[:, :1], past_key_values=cache)
        cache.reset()
        same(qwen3(ids, past_key_values=cache).logits, wanted)


def test_a_cache_with_a_memory_can_be_stored(qwen3, handle):
    ids = tokens(2, 12)
    with prompt_of(handle, 2, 5):
        wanted = qwen3(ids).logits[:, 9:]
        cache = pickle.loads(pickle.dumps(filled(qwen3, ids[:, :9])))
        assert states_of(cache)
        same(qwen3(ids[:, 9:], past_key_values=cache).logits, wanted)


def test_a_failed_call_leaves_no_trace(qwen3):
    ids = tokens(2, 9)
    with torch.no_grad(), attached(qwen3, talan.TalanConfig()):
        cache = filled(qwen3, ids[:, :5])
        stop = qwen3.model.layers[2].register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            qwen3(ids, use_cache=True)
        stop.remove()
        wanted = qwen3(ids).logits[:, 5:]
        same(qwen3(ids[:, 5:], past_key_values=cache).logits, wanted)


def test_two_generations_at_once_do_not_meet(qwen3):
    one, other = tokens(2, 12), tokens(2, 12, seed=12)
    with torch.no_grad(), attached(qwen3, talan.TalanConfig()):
        wanted = [qwen3(ids).logits[:, 8:] for ids in (one, other)]
        caches = [filled(qwen3, ids[:, :8]) for ids in (one, other)]
        for t in range(8, 12):
            for ids, cache, logits in zip((one, other), caches, wanted, strict=True):
                found = qwen3(ids[:, t : t + 1], past_key_values=cache).logits
                same(found, logits[:, t - 8 : t - 7])


def test_gradients_flow_through_a_cache():
    model = backbone()
    ids = tokens(2, 12)
    with attached(model, talan.TalanConfig()) as handle:
        model(ids).logits[:, 8:].square().sum().backward()
        wanted = handle.block.memory.queries.grad.clone()
        handle.block.zero_grad()
        cache = filled(model, ids[:, :8])
        model(ids[:, 8:], past_key_values=cache).logits.square().sum().backward()
        torch.testing.assert_close(handle.block.memory.queries.grad, wanted, rtol=1e-3, atol=1e-5)


def test_a_compiled_block_computes_the_same(handle):
    model, ids = handle.model, tokens(2, 12)
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    with prompt_of(handle, 2, 5):
        wanted = model(ids).logits
        handle.compile(backend=count, fullgraph=True)
        same(model(ids).logits, wanted)
        assert len(graphs) == 1
        cache = filled(model, ids[:, :8])
        for t in range(8, 12):
            same(model(ids[:, t : t + 1], past_key_values=cache).logits, wanted[:, t : t + 1])
        assert len(graphs) <= 4
        twin = copy.deepcopy(model)
        assert talan.handles(twin)["default"].block is twin.talan.default
