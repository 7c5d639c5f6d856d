"""Decoding: whatever the cache and the strategy, the logits are those of one uncached pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.talan.cases import backbone
from tests.talan.matrix.registry import behaviour
from tests.talan.matrix.subjects import (
    LENGTHS,
    NEW,
    Spec,
    Subject,
    close,
    longer,
    never_ends,
    padded,
    rows,
    shared,
)


def generated(subject: Subject, ids: Tensor, mask: Tensor, new: int = NEW, **given: Any) -> Any:
    """What `generate` returns; greedy unless `given` says otherwise."""
    wanted: dict[str, Any] = {
        "do_sample": False, "max_new_tokens": new, "output_logits": True,
        "return_dict_in_generate": True, **given,
    }  # fmt: skip
    with torch.no_grad():
        out = subject.model.generate(input_ids=ids, attention_mask=mask, **wanted)
    assert out.sequences.shape[1] == ids.shape[1] + new
    return out


def forced(subject: Subject, sequences: Tensor, mask: Tensor, new: int = NEW) -> Tensor:
    """Logits (B, new, V) that one uncached pass gives for the newest tokens of `sequences`."""
    with torch.no_grad():
        logits = subject.logits(sequences, longer(mask, sequences.shape[1] - mask.shape[1]))
    return logits[:, -new - 1 : -1]


def agrees(subject: Subject, out: Any, mask: Tensor, new: int = NEW, greedy: bool = True) -> None:
    """Assert that what was generated is what an uncached pass says."""
    wanted = forced(subject, out.sequences, mask, new)
    close(torch.stack(out.logits, 1), wanted)
    if greedy:
        assert torch.equal(out.sequences[:, -new:], wanted.argmax(-1))


def greedy(spec: Spec, **given: Any) -> None:
    subject = shared(spec)
    ids, mask = padded()
    with subject.context():
        agrees(subject, generated(subject, ids, mask, **given), mask)


@behaviour
def greedy_decoding(spec: Spec) -> None:
    greedy(spec)


@behaviour
def static_cache(spec: Spec) -> None:
    greedy(spec, cache_implementation="static")


@behaviour
def no_cache(spec: Spec) -> None:
    greedy(spec, use_cache=False)


@behaviour
def chunked_prefill(spec: Spec) -> None:
    greedy(spec, prefill_chunk_size=5)


@behaviour
def sampling(spec: Spec) -> None:
    """Equal draws with and without a cache, two per row, from one seed of torch's generator."""
    subject = shared(spec)
    ids, mask = padded()
    twice = mask.repeat_interleave(2, 0)
    outs = []
    for cached in (True, False):
        with subject.context(), torch.random.fork_rng():
            torch.manual_seed(4)
            outs.append(
                generated(
                    subject, ids, mask, do_sample=True, temperature=2.0, top_k=0,
                    num_return_sequences=2, use_cache=cached,
                )
            )  # fmt: skip
        with subject.context(rows=(0, 0, 1, 1, 2, 2)):
            agrees(subject, outs[-1], twice, greedy=False)
    assert torch.equal(outs[0].sequences, outs[1].sequences)
    assert not torch.equal(outs[0].sequences[::2], outs[0].sequences[1::2])


@behaviour
def beam_search(spec: Spec) -> None:
    """Equal beams and scores with and without a cache, and the scores of an uncached pass."""
    subject = shared(spec)
    ids, mask = padded()
    outs = []
    for cached in (True, False):
        with subject.context():
            outs.append(
                generated(
                    subject, ids, mask, num_beams=3, use_cache=cached, output_scores=True,
                    num_return_sequences=2, length_penalty=0.0,
                )
            )  # fmt: skip
    cached, uncached = outs
    assert torch.equal(cached.sequences, uncached.sequences)
    close(cached.sequences_scores, uncached.sequences_scores)
    with subject.context(rows=(0, 0, 1, 1, 2, 2)):
        logits = forced(subject, cached.sequences, mask.repeat_interleave(2, 0))
    chosen = logits.log_softmax(-1).gather(2, cached.sequences[:, -NEW:, None])[..., 0]
    close(chosen.sum(1), cached.sequences_scores, 1e-4)


@behaviour
def prompt_lookup(spec: Spec) -> None:
    """Guesses are checked several at a time, and rejected ones are cropped from the cache."""
    subject = shared(spec)
    piece = rows((5,))[0]
    ids = torch.cat([piece, piece, piece[:2]])[None]
    mask = torch.ones_like(ids)
    with subject.context(rows=(0,)):
        out = generated(subject, ids, mask, 10, prompt_lookup_num_tokens=3)
        agrees(subject, out, mask, 10)
        plain = generated(subject, ids, mask, 10)
    assert torch.equal(out.sequences, plain.sequences)


@behaviour
def assisted_decoding(spec: Spec) -> None:
    """A small model, without a block, guesses."""
    subject = shared(spec)
    assistant = backbone("llama", layers=2, seed=3)
    never_ends(assistant)
    ids, mask = padded(lengths=LENGTHS[:1])
    with subject.context(rows=(0,)):
        out = generated(subject, ids, mask, 10, assistant_model=assistant)
        agrees(subject, out, mask, 10)


@behaviour
def positional_ids(spec: Spec) -> None:
    """`generate(ids)` and a mask with a hole, which generation passes on."""
    subject = shared(spec)
    ids, mask = padded(lengths=(12, 12, 12))
    with torch.no_grad(), subject.context():
        bare = subject.model.generate(ids, do_sample=False, max_new_tokens=3)
        named = subject.model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=3
        )
    assert torch.equal(bare, named)


@behaviour
def holes_in_the_mask(spec: Spec) -> None:
    """A mask such as [1, 0, 1]: what it hides is as if it were not there, and decoding agrees."""
    subject = shared(spec)
    ids, mask = padded(lengths=(12, 12, 12))
    mask[:, 3], mask[1, 6:8] = 0, 0
    other = torch.where(mask.bool(), ids, (ids + 5) % 30 + 1)
    with subject.context():
        with torch.no_grad():
            same, hidden = subject.logits(ids, mask), subject.logits(other, mask)
        close(hidden[mask.bool()], same[mask.bool()])
        agrees(subject, generated(subject, ids, mask), mask)
