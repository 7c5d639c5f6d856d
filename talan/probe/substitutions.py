"""What takes the place of the block's change when the same checkpoint is evaluated again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from talan.controls import Donors, ranks
from talan.handle import Handle
from talan.probe.prompts import Prompts

Substituting = Callable[[Tensor], AbstractContextManager[None]]
"""(rows (B,) of the benchmark's prompts) -> the context in which the model runs on them."""


def rotations(count: int, width: int, generator: torch.Generator) -> list[Tensor]:
    """Random orthogonal matrices (d, d), uniform over the orthogonal group.

    The Q of a Gaussian matrix with signs after Mezzadri 2007, "How to generate random matrices
    from the classical compact groups", section 5. float32, from `generator` alone.
    """
    turns = []
    for _ in range(count):
        size = (width, width)
        gaussian = torch.randn(size, generator=generator, device=generator.device)
        q, r = torch.linalg.qr(gaussian)
        turns.append(q * r.diagonal().sign())
    return turns


def lend(
    name: str, prompts: Mapping[str, Prompts], memories: Mapping[str, Donors], bank: Donors | None
) -> Donors | None:
    """The sequences whose memory the prompts of benchmark `name` are given, one each.

    The rule is that of `VARIANTS["shuffled"]`; None if there is no other sequence.
    """
    names, count = list(prompts), len(prompts[name])
    rows = torch.arange(count)
    if bank is not None:
        return bank.select(rows % len(bank))
    if len(names) > 1:
        other = memories[names[(names.index(name) + 1) % len(names)]]
        return other.select(rows % len(other))
    return memories[name].select((rows + 1) % count) if count > 1 else None


def memory_of(handle: Handle, prompts: Prompts, streams: Donors) -> Donors:
    """What of the stream makes the memory: under conditioning `prompt`, the prompt alone."""
    if handle.config.conditioning == "causal":
        return streams
    virtual = streams.valid.shape[1] - prompts.ids.shape[1]
    counts = prompts.counts.to(streams.valid.device) + virtual
    within = ranks(streams.valid) < counts[:, None]
    return Donors(streams.stream, streams.valid & within)


def substitutions(
    handle: Handle, lent: Donors | None, slots: Tensor, turns: list[Tensor]
) -> Iterator[tuple[str, int, Substituting]]:
    """The variants of one benchmark: name, draw, and the context for a batch of its prompts.

    `lent` are the donors of its prompts, `slots` (M, r) the mean ones, `turns` the random
    orthogonal matrices. Variants that do not exist for this block are left out.
    """
    control = handle.config.control

    def itself(rows: Tensor) -> AbstractContextManager[None]:
        if control != "shuffled" or lent is None:
            return nullcontext()
        return handle.donor(lent.select(rows))

    def turned(turn: Tensor) -> Substituting:
        @contextmanager
        def context(rows: Tensor) -> Iterator[None]:
            with itself(rows), handle.substituted(lambda stream, change: change @ turn.T):
                yield

        return context

    yield "block", 0, itself
    yield "static", 0, lambda rows: handle.constant_slots(slots)
    if control in (None, "random") and lent is not None:
        yield "shuffled", 0, lambda rows: handle.donor(lent.select(rows))
    for draw, turn in enumerate(turns):
        yield "random", draw, turned(turn)


def absent(handle: Handle, lent: Donors | None) -> dict[str, str]:
    """Why `substitutions` leaves a variant out, by its name."""
    control = handle.config.control
    if control == "static":
        return {"shuffled": "a static memory holds nothing of a sequence that could be exchanged"}
    if control == "shuffled":
        return {"shuffled": "the block of this control reads another memory already: see `block`"}
    if lent is None:
        return {"shuffled": "there is one prompt only, and no donors are given"}
    return {}
