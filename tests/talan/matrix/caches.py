"""Caches that the caller keeps: passed back in, copied, cropped, stored; the memory follows."""

from __future__ import annotations

import copy
import pickle
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, StaticCache
from transformers.cache_utils import Cache, QuantizedLayer

from talan.block import Call
from talan.errors import TalanError
from talan.state import states_of
from tests.talan.matrix.decoding import agrees, forced, generated
from tests.talan.matrix.registry import behaviour
from tests.talan.matrix.subjects import (
    LENGTHS,
    NEW,
    Spec,
    close,
    longer,
    padded,
    positions,
    shared,
)


@behaviour
def continued_chat(spec: Spec) -> None:
    """A cache that is passed back in, with the tokens of two more turns."""
    subject = shared(spec)
    ids, mask = padded()
    given: dict[str, Any] = {}
    for turn in range(3):
        with subject.context():
            out = generated(subject, ids, mask, **given)
            agrees(subject, out, mask)
        more, _ = padded(lengths=(4, 4, 4), seed=60 + turn)
        ids = torch.cat([out.sequences, more], dim=1)
        mask = longer(mask, NEW + 4)
        given = {"past_key_values": out.past_key_values}


@behaviour
def copied_prefix_cache(spec: Spec) -> None:
    """A cache filled once serves several continuations, each from a deep copy."""
    subject = shared(spec)
    ids, mask = padded()
    model = subject.model
    with subject.context(), torch.no_grad():
        cache = DynamicCache(config=model.config)
        model(
            input_ids=ids[:, :9], attention_mask=mask[:, :9], past_key_values=cache,
            position_ids=positions(mask)[:, :9],
        )  # fmt: skip
        before = copy.deepcopy(states_of(cache))
        for last in (ids[:, 9:], ids[:, 9:].flip(1)):
            whole = torch.cat([ids[:, :9], last], dim=1)
            out = generated(subject, whole, mask, past_key_values=copy.deepcopy(cache))
            agrees(subject, out, mask)
    assert cache.get_seq_length() == 9, "the cache was not filled"
    for name, state in states_of(cache).items():
        assert torch.equal(state.seen, before[name].seen)
        assert torch.equal(state.history()[0], before[name].history()[0])


@behaviour
def one_static_cache(spec: Spec) -> None:
    """A static cache that the caller owns: three turns of a chat, then a reset and another chat."""
    subject = shared(spec)
    cache = StaticCache(config=subject.model.config, max_cache_len=48)
    for turns in (2, 1):
        ids, mask = padded()
        for turn in range(turns):
            with subject.context():
                out = generated(subject, ids, mask, past_key_values=cache)
                agrees(subject, out, mask)
            more, _ = padded(lengths=(4, 4, 4), seed=60 + turn)
            ids, mask = torch.cat([out.sequences, more], dim=1), longer(mask, NEW + 4)
        cache.reset()


@behaviour
def cache_operations(spec: Spec) -> None:
    """Crop, select rows, repeat rows, crop all: the memory follows its cache."""
    subject = shared(spec)
    ids, mask = padded()
    with torch.no_grad(), subject.context():
        wanted = subject.logits(ids, mask)
    cache = DynamicCache(config=subject.model.config)
    rows: tuple[int, ...] = (0, 1, 2)

    def step(start: int, end: int) -> None:
        """Feed tokens `start` to `end` of the chosen rows."""
        kept = list(rows)
        with torch.no_grad(), subject.context(rows=rows):
            logits = subject.model(
                input_ids=ids[kept, start:end],
                attention_mask=mask[kept, :end],
                position_ids=positions(mask)[kept, start:end],
                past_key_values=cache,
            ).logits
        valid = mask[kept, start:end].bool()
        assert cache.get_seq_length() == end, "the cache was not filled"
        close(logits[valid], wanted[kept, start:end][valid])

    cache.activate_past_recording()  # or layers of a sliding window forget what a crop needs
    step(0, 12)
    cache.crop(-5)
    step(7, 9)
    cache.crop(-3)
    rows = (2, 0)
    cache.batch_select_indices(torch.tensor(rows))
    step(6, 12)
    rows = (2, 2, 0, 0)
    cache.batch_repeat_interleave(2)
    cache.crop(-12)
    step(0, 12)


@behaviour
def a_pickled_cache(spec: Spec) -> None:
    """A cache and its memory can be stored and sent to another process."""
    subject = shared(spec)
    ids, mask = padded()
    with subject.context():
        out = generated(subject, ids, mask)
        more, _ = padded(lengths=(4, 4, 4), seed=60)
        cache = pickle.loads(pickle.dumps(out.past_key_values))
        mask = longer(mask, NEW + 4)
        out = generated(
            subject, torch.cat([out.sequences, more], dim=1), mask, past_key_values=cache
        )
        agrees(subject, out, mask)


@behaviour
def a_gap_in_the_memory(spec: Spec) -> None:
    """Tokens that went into the cache past a disabled block are noticed, whatever the cache."""
    subject = shared(spec)
    for kind in (DynamicCache, StaticCache):
        sizes = {"max_cache_len": 48} if kind is StaticCache else {}
        cache = kind(config=subject.model.config, **sizes)
        ids, mask = padded()
        for disabled in (False, True):
            with ExitStack() as stack:
                stack.enter_context(subject.context())
                if disabled and spec.block:
                    stack.enter_context(subject.handle.disabled())
                out = generated(subject, ids, mask, past_key_values=cache)
            more, _ = padded(lengths=(4, 4, 4), seed=60)
            ids, mask = torch.cat([out.sequences, more], dim=1), longer(mask, NEW + 4)
        noticed = ""
        try:
            with subject.context():
                generated(subject, ids, mask, past_key_values=cache)
        except TalanError as error:
            noticed = str(error)
        assert "with the block in the same state" in noticed, "no gap was noticed"


class Rounded(QuantizedLayer):
    """A lossy cache layer without a backend: what leaves the residual buffer is rounded."""

    def __init__(self) -> None:
        super().__init__(nbits=4, axis_key=0, axis_value=0, q_group_size=16, residual_length=4)

    def _quantize(self, tensor: Tensor, axis: int) -> Tensor:
        return (tensor * 20).round().to(torch.int8)

    def _dequantize(self, q_tensor: Tensor) -> Tensor:
        return q_tensor.float() / 20


@behaviour
def quantised_cache(spec: Spec) -> None:
    """Keys and values are lossy; the memory is the one that the same stream gives at once."""
    subject = shared(spec)
    ids, mask = padded()
    cache = Cache(layers=[Rounded() for _ in range(spec.layers)])
    if not spec.block:
        generated(subject, ids, mask, past_key_values=cache)
        return
    handle = subject.handle
    stream: list[Tensor] = []

    def capture(given: Tensor, change: Tensor) -> Tensor:
        stream.append(given.clone())
        return change

    with subject.context(), handle.substituted(capture):
        out = generated(subject, ids, mask, past_key_values=cache)
    with subject.context():
        exact = forced(subject, out.sequences, mask)
    assert len(stream) > 1
    assert (torch.stack(out.logits, 1) - exact).abs().max() > 1e-4  # it is lossy
    found = states_of(cache)["default"]
    virtual = stream[0].shape[1] - ids.shape[1]
    valid = torch.nn.functional.pad(longer(mask, NEW - 1), (virtual, 0), value=1).bool()
    lengths = torch.tensor(LENGTHS) + virtual
    prompt = lengths if handle.config.conditioning == "prompt" else None
    call = Call(valid=valid, prompt=prompt, donors=subject.donors())
    with torch.no_grad():
        wanted = handle.block.write(torch.cat(stream, dim=1), call).state
    assert torch.equal(found.seen, wanted.seen)
    if wanted.prefix is None:  # the control has no memory of the sequence
        assert found.prefix is None
        return
    assert found.prefix is not None
    close(found.prefix.mass, wanted.prefix.mass)
    close(found.prefix.mean, wanted.prefix.mean)
