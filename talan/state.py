"""What a block must remember of the tokens behind it, and where: on the key-value cache.

The memory of a sequence belongs to its cache, because the cache is what generation reorders for
beams, crops after a rejected guess, copies and passes back in for the next turn of a chat. A cache
that carries a memory becomes an instance of a subclass of its own class that lets the memory
follow each of these operations; a cache's class, length and tensors stay what they are.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from talan.memory import MASKED, PrefixState


class MemoryState:
    """The memory of the sequences of one batch, as it stands after the tokens in the cache.

    `prefix` is the running softmax, `seen` (B,) counts valid tokens, `prompt` (B,) is the length
    of each prompt or None. `length` counts positions, padding included, from `start` on (tokens
    that were in the cache before, such as PEFT's prefix). The history of projected tokens
    (B, T, r) and of which are valid is kept where the cache can be cropped: after a crop, `prefix`
    is None until the block computes it anew from `history`. There `length` counts positions too,
    padding included, from `start` on (tokens in the cache before, such as PEFT's prefix). Elsewhere
    `missed` says that the cache went on while the block was bypassed.
    """

    def __init__(self, prefix: PrefixState | None, seen: Tensor, prompt: Tensor | None) -> None:
        self.prefix = prefix
        self.seen = seen
        self.prompt = prompt
        self.length = 0
        self.start = 0
        self.given: Tensor | None = None
        self.missed = False
        self.pieces: list[tuple[Tensor, Tensor | None]] = []

    def history(self) -> tuple[Tensor, Tensor]:
        """Projected tokens (B, T, r) and whether each is valid (B, T)."""
        tokens = [piece for piece, _ in self.pieces]
        valid = [
            piece.new_ones(piece.shape[:2], dtype=torch.bool) if flags is None else flags
            for piece, flags in self.pieces
        ]
        whole = torch.cat(tokens, dim=1), torch.cat(valid, dim=1)
        self.pieces = [whole]
        return whole

    def select(self, rows: Tensor) -> None:
        """Keep `rows` (N,), in that order."""
        rows = rows.to(self.seen.device)
        self.seen = self.seen[rows]
        if self.prefix is not None:
            self.prefix = PrefixState(self.prefix.mass[rows], self.prefix.mean[rows])
        if self.prompt is not None:
            self.prompt = self.prompt[rows]
        if self.pieces:
            tokens, valid = self.history()
            self.pieces = [(tokens[rows], valid[rows])]

    def crop(self, count: int) -> None:
        """Forget the last `count` tokens."""
        tokens, valid = self.history()
        keep = tokens.shape[1] - count
        self.pieces = [(tokens[:, :keep], valid[:, :keep])]
        self.seen = valid[:, :keep].sum(1)
        self.length -= count
        self.prefix = None

    def reset(self) -> None:
        """Forget every token, in place: a compiled graph keeps the addresses of the tensors."""
        self.seen.zero_()
        if self.prefix is not None:
            self.prefix.mass.fill_(MASKED)
            self.prefix.mean.zero_()
        self.prompt = self.given = None
        self.missed = False
        self.pieces = []

    def assign(self, other: MemoryState) -> None:
        """Take over what `other` remembers, in place (see `reset`)."""
        self.given = other.given
        self.seen.copy_(other.seen)
        if self.prefix is not None and other.prefix is not None:
            self.prefix.mass.copy_(other.prefix.mass)
            self.prefix.mean.copy_(other.prefix.mean)
        if self.prompt is None or other.prompt is None:
            self.prompt = other.prompt
        elif self.prompt is not other.prompt:
            self.prompt.copy_(other.prompt)


class Remembering:
    """What a cache gains when a memory is put on it: the memory follows the cache."""

    talan_states: dict[str, MemoryState]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as the cache's own class, which can be imported, and its attributes."""
        return _rebuilt, (type(self).__mro__[2],), self.__dict__

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Reorder keys, values and memories for beam search."""
        super().reorder_cache(beam_idx)  # type: ignore[misc]
        for state in self.talan_states.values():
            state.select(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows of the batch."""
        super().batch_select_indices(indices)  # type: ignore[misc]
        for state in self.talan_states.values():
            state.select(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row of the batch."""
        super().batch_repeat_interleave(repeats)  # type: ignore[misc]
        for state in self.talan_states.values():
            rows = torch.arange(len(state.seen), device=state.seen.device)
            state.select(rows.repeat_interleave(repeats))

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last tokens; how `tokens_to_remove` counts is the cache's own affair."""
        before = self.get_seq_length()  # type: ignore[attr-defined]
        super().crop(tokens_to_remove)  # type: ignore[misc]
        removed = int(before - self.get_seq_length())  # type: ignore[attr-defined]
        if removed:
            for state in self.talan_states.values():
                state.crop(removed)

    def reset(self) -> None:
        """Empty the cache and the memories."""
        super().reset()  # type: ignore[misc]
        if self.is_compileable:  # type: ignore[attr-defined]
            for state in self.talan_states.values():
                state.reset()
        else:
            self.talan_states = {}


_REMEMBERING: dict[type, type] = {}


def _remembering(kind: type) -> type:
    if kind not in _REMEMBERING:
        body = {"__module__": kind.__module__}
        _REMEMBERING[kind] = type(kind.__name__, (Remembering, kind), body)
    return _REMEMBERING[kind]


def _rebuilt(kind: type) -> Any:
    return object.__new__(_remembering(kind))


def states_of(kv_cache: Any) -> dict[str, MemoryState]:
    """The memories on a cache, by the name of the side path; none for a cache without."""
    return getattr(kv_cache, "talan_states", {})


def carries(kv_cache: Any) -> bool:
    """Whether a cache can carry memories already."""
    return isinstance(kv_cache, Remembering)


def make_remembering(kv_cache: Any) -> None:
    """Let a cache carry memories from now on; its keys and values are left alone."""
    if not carries(kv_cache):
        kv_cache.__class__ = _remembering(type(kv_cache))
        kv_cache.talan_states = {}


def remember(
    kv_cache: Any, name: str, state: MemoryState, tokens: Tensor, valid: Tensor | None
) -> None:
    """Put `state` on the cache, with the newest tokens u (B, T, r) and which are valid (B, T)."""
    make_remembering(kv_cache)
    known = kv_cache.talan_states.get(name)
    if kv_cache.is_compileable:
        # Such a cache cannot be cropped, so no history is kept, and its tensors stay in place.
        if known is None:
            kv_cache.talan_states[name] = _settled(state)
        else:
            known.assign(state)
        return
    state.length = tokens.shape[1]
    if known is not None:
        state.start, state.length = known.start, known.length + state.length
        state.pieces = known.pieces
    state.pieces.append((tokens, valid))
    if torch.compiler.is_compiling():
        state.history()  # one piece, or the graph would depend on how many there are
    kv_cache.talan_states[name] = state


def _settled(state: MemoryState) -> MemoryState:
    """A copy whose tensors have addresses of their own, known to compiled graphs."""
    state = copy.copy(state)
    state.seen = state.seen.clone()
    if state.prefix is not None:
        state.prefix = PrefixState(state.prefix.mass.clone(), state.prefix.mean.clone())
    if state.prompt is not None:
        state.prompt = state.prompt.clone()
    if not torch.compiler.is_compiling():
        for tensor in (state.seen, state.prompt):
            if tensor is not None:
                torch._dynamo.mark_static_address(tensor)
        if state.prefix is not None:
            torch._dynamo.mark_static_address(state.prefix.mass)
            torch._dynamo.mark_static_address(state.prefix.mean)
    return state
