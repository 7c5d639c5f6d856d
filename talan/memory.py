"""Compress: M learned queries attend over the tokens that may be seen and give M slots.

Scores are s[t, m] = u[t] . query[m] / sqrt(r) and the values are u itself: a key or value
projection would be absorbed by the queries and by what follows. All of it is a function of
tensors alone, so a cached decoder can carry a `PrefixState` and get the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Finite, so that a row without a visible token gives bounded numbers, not NaN; such rows are
# never written. Twice this value still fits float32.
MASKED = -1e30

# Tokens handled by one masked softmax and one matrix product: memory is O(T * CHUNK).
CHUNK = 16

# The same for inference on a GPU, where a launch costs more than what it computes.
WIDE_CHUNK = 256

# Chunks handled by one masked softmax when their sums are carried on.
SPAN = 32

# Up to so many chunks are done one after another: two thirds of the blocked scan's time on a CPU,
# and few enough launches on other devices.
IN_TURN = 4


@dataclass(frozen=True)
class PrefixState:
    """What a prefix softmax keeps of the tokens behind it: `mass` (B, M), the log of the summed
    weights, and `mean` (B, M, r), the slots after the last token; tensors of its own."""

    mass: Tensor
    mean: Tensor


def prefix_softmax(
    scores: Tensor,
    values: Tensor,
    state: PrefixState | None = None,
    segments: Tensor | None = None,
    chunk: int | None = None,
) -> tuple[Tensor, PrefixState]:
    """Attend to the tokens s <= t, for every t and slot: slots (B, T, M, r) and the new state.

    `scores` (B, T, M) hold `MASKED` where a token must not be seen, `values` are (B, T, r).
    slots[t, m] = sum_{s <= t} e^(scores[s, m]) values[s] / sum_{s <= t} e^(scores[s, m]).
    `segments` (B, T) number the sequences of a packed row: only tokens of t's own segment count.

    A blocked scan: a masked softmax within each chunk, a scan over the chunks' sums, and one
    weighted mean of the two, so memory is O(T). Weights are normalised within each softmax, so
    scores of any size are safe.
    """
    batch, length, slots = scores.shape
    if length == 0:
        raise ValueError("prefix_softmax needs at least one token")
    if length == 1 and state is not None:
        state = _step(scores[:, 0], values[:, 0], state)
        return state.mean[:, None], state
    if chunk is None:
        chunk = WIDE_CHUNK if counts_launches(scores) else CHUNK
    n_chunks = -(-length // chunk)
    if n_chunks <= IN_TURN and segments is None:
        return _in_turn(scores, values, state, chunk)
    chunk = min(chunk, length)
    missing = n_chunks * chunk - length
    if missing:
        scores = torch.cat([scores, scores.new_full((batch, missing, slots), MASKED)], dim=1)
        values = torch.cat([values, values.new_zeros(batch, missing, values.shape[-1])], dim=1)
        if segments is not None:
            segments = torch.cat([segments, segments[:, -1:].expand(-1, missing)], dim=1)
    by_slot = scores.view(batch, n_chunks, chunk, slots).transpose(2, 3)
    values = values.reshape(batch, n_chunks, chunk, -1)
    apart = None if segments is None else segments.reshape(batch, n_chunks, chunk)
    logits = by_slot[:, :, None] + _hidden(chunk, apart, scores)[..., None, :]
    sums = _sums(by_slot, values, apart)
    before, visible = _before(sums, state, apart)
    # The tokens before a chunk are one more column, which carries their mass and mean.
    column = before.mass[:, :, None].expand(-1, -1, chunk, -1)
    if visible is not None:
        column = torch.where(visible[..., None], column, 2 * MASKED)
    weights = torch.cat([logits, column[..., None]], dim=-1).softmax(-1)
    padded = torch.nn.functional.pad(values, (0, 0, 0, 1))
    mean = torch.addcmul(_weighted(weights, padded), weights[..., -1:], before.mean[:, :, None])
    mean = mean.view(batch, n_chunks * chunk, slots, -1)[:, :length]
    # A missing token adds nothing, so the sums after the last chunk are those after the last token.
    mass = torch.logaddexp(before.mass[:, -1], sums.mass[:, -1])
    if visible is not None:
        mass = torch.where(visible[:, -1, -1:], mass, sums.mass[:, -1])
    return mean, PrefixState(mass=mass, mean=mean[:, -1].clone())


def _in_turn(
    scores: Tensor, values: Tensor, state: PrefixState | None, chunk: int
) -> tuple[Tensor, PrefixState]:
    """Chunk by chunk, each with the sums of those before as one more column."""
    parts = []
    for start in range(0, scores.shape[1], chunk):
        by_slot = scores[:, start : start + chunk].transpose(1, 2)
        seen = values[:, start : start + chunk]
        batch, slots, length = by_slot.shape
        hidden = _hidden(length, None, scores)
        if state is not None:
            by_slot = torch.cat([by_slot, state.mass[..., None]], dim=-1)
            hidden = torch.cat([hidden, hidden.new_zeros(length, 1)], dim=-1)
            seen = torch.cat([seen, seen.new_zeros(batch, 1, seen.shape[-1])], dim=1)
        weights = (by_slot[:, None] + hidden[:, None, :]).softmax(-1)
        mean = (weights.reshape(batch, length * slots, -1) @ seen).view(batch, length, slots, -1)
        if state is not None:
            mean = mean + weights[..., -1:] * state.mean[:, None]
        parts.append(mean)
        state = PrefixState(mass=_mass(by_slot), mean=mean[:, -1])
    assert state is not None
    # Apart from the slots of all tokens, which would otherwise live as long as the state.
    state = PrefixState(state.mass, state.mean.clone())
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1), state


def _weighted(weights: Tensor, values: Tensor) -> Tensor:
    """Means (B, N, C, M, r) of `values` (B, N, S, r) by `weights` (B, N, C, M, S)."""
    batch, n_chunks, chunk, slots, seen = weights.shape
    flat = weights.reshape(batch, n_chunks, chunk * slots, seen) @ values
    return flat.view(batch, n_chunks, chunk, slots, -1)


def _sums(by_slot: Tensor, values: Tensor, segments: Tensor | None) -> PrefixState:
    """Mass (B, N, M) and mean (B, N, M, r) of each chunk, of the segment of its last token."""
    if segments is not None:
        other = segments != segments[..., -1:]
        by_slot = torch.where(other[:, :, None], MASKED, by_slot)
    return PrefixState(_mass(by_slot), by_slot.softmax(-1) @ values)


def counts_launches(like: Tensor) -> bool:
    """Whether the number of kernels decides about the time: inference on a GPU."""
    return like.is_cuda and not torch.is_grad_enabled()


def _mass(scores: Tensor) -> Tensor:
    """The log of the summed weights along the last dimension."""
    if counts_launches(scores):
        # One kernel where `logsumexp` has half a dozen; its derivative would be slow.
        return scores.logcumsumexp(-1)[..., -1]
    return scores.logsumexp(-1)


def _before(
    sums: PrefixState, state: PrefixState | None, segments: Tensor | None
) -> tuple[PrefixState, Tensor | None]:
    """What lies before each chunk, and which of its tokens (B, N, C) may see that (None: all).

    It belongs to the segment of the last token before the chunk.
    """
    batch, _, slots = sums.mass.shape
    if state is None:
        empty = sums.mass.new_full((batch, slots), MASKED)
        state = PrefixState(empty, sums.mean.new_zeros(batch, slots, sums.mean.shape[-1]))
    mass = torch.cat([state.mass[:, None], sums.mass[:, :-1]], dim=1)
    mean = torch.cat([state.mean[:, None], sums.mean[:, :-1]], dim=1)
    if segments is None:
        return PrefixState(*_scan(mass, mean, None)), None
    last = torch.cat([segments[:, :1, 0], segments[:, :-1, -1]], dim=1)
    return PrefixState(*_scan(mass, mean, last)), segments == last[:, :, None]


def pooled_softmax(scores: Tensor, values: Tensor, state: PrefixState | None = None) -> PrefixState:
    """Attend to all tokens not `MASKED`, and to those behind `state`: its `mean` are the slots.

    `scores` (B, T, M) and `values` (B, T, r) give slots (B, M, r).
    """
    mass = _mass(scores.transpose(1, 2))
    mean = scores.softmax(dim=1).transpose(1, 2) @ values
    if state is None:
        return PrefixState(mass, mean)
    share = torch.sigmoid(state.mass - mass)[..., None]
    return PrefixState(torch.logaddexp(mass, state.mass), torch.lerp(mean, state.mean, share))


def _step(score: Tensor, value: Tensor, state: PrefixState) -> PrefixState:
    """One more token: `score` (B, M), `value` (B, r)."""
    mass = torch.logaddexp(state.mass, score)
    share = torch.exp(score - mass)[..., None]
    return PrefixState(mass, torch.lerp(state.mean, value[:, None].expand_as(state.mean), share))


def _hidden(length: int, segments: Tensor | None, like: Tensor) -> Tensor:
    """`MASKED` where token t (dimension -2) must not see s (-1), for a run of `length` tokens."""
    hidden = torch.full((length, length), MASKED, device=like.device, dtype=like.dtype).triu(1)
    if segments is None:
        return hidden
    apart = segments[..., :, None] != segments[..., None, :]
    return torch.where(apart, MASKED, hidden)


def _carry(mass: Tensor, mean: Tensor, segments: Tensor | None) -> tuple[Tensor, Tensor]:
    """Let each run see the runs before it.

    `mass` (B, N, C, M) and `mean` (B, N, C, M, r) are prefixes within each of N runs, `segments`
    is (B, N, C).
    """
    before, visible = _before(PrefixState(mass[:, :, -1], mean[:, :, -1]), None, segments)
    share = torch.sigmoid(before.mass[:, :, None] - mass)
    total = torch.logaddexp(before.mass[:, :, None], mass)
    if visible is not None:
        share = torch.where(visible[..., None], share, 0.0)
        total = torch.where(visible[..., None], total, mass)
    return total, torch.lerp(mean, before.mean[:, :, None].expand_as(mean), share[..., None])


def _scan(mass: Tensor, mean: Tensor, segments: Tensor | None) -> tuple[Tensor, Tensor]:
    """Inclusive prefix sums of `mass` (B, N, M) and `mean` (B, N, M, r), in runs of `SPAN`."""
    batch, length, slots = mass.shape
    if length == 1:
        return mass, mean
    span = min(SPAN, length)
    n_runs = -(-length // span)
    missing = n_runs * span - length
    if missing:
        mass = torch.cat([mass, mass.new_full((batch, missing, slots), MASKED)], dim=1)
        mean = torch.cat([mean, mean.new_zeros(batch, missing, slots, mean.shape[-1])], dim=1)
        if segments is not None:
            segments = torch.cat([segments, segments[:, -1:].expand(-1, missing)], dim=1)
    apart = None if segments is None else segments.reshape(batch, n_runs, span)
    by_slot = mass.view(batch, n_runs, span, slots).transpose(2, 3)
    hidden = _hidden(span, apart, mass)
    logits = by_slot[..., None, :] + (hidden if apart is None else hidden[:, :, None])
    values = mean.view(batch, n_runs, span, slots, -1).transpose(2, 3)
    total = logits.logsumexp(-1).transpose(2, 3)
    within = (logits.softmax(-1) @ values).transpose(2, 3)
    if n_runs > 1:
        total, within = _carry(total, within, apart)
    total = total.reshape(batch, n_runs * span, slots)[:, :length]
    return total, within.reshape(batch, n_runs * span, slots, -1)[:, :length]


def normal(shape: tuple[int, ...], std: float, generator: torch.Generator) -> Tensor:
    """Draw float32 N(0, std^2) from `generator` alone, on its device."""
    draw = torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float32)
    return draw * std


class TokenMemory(nn.Module):
    """Slots made of the sequence: `inlet` (r, d) projects tokens, `queries` (M, r) select them."""

    def __init__(self, stream: int, inner: int, slots: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inlet = nn.Parameter(normal((inner, stream), stream**-0.5, generator))
        self.queries = nn.Parameter(normal((slots, inner), 1.0, generator))

    def project(self, stream: Tensor) -> Tensor:
        """u (..., r) of a normalised stream (..., d)."""
        return stream @ self.inlet.T

    def scores(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """Scores (B, T, M) of tokens u (B, T, r), `MASKED` where `visible` (B, T) is False."""
        scores = tokens @ self.queries.T / math.sqrt(tokens.shape[-1])
        return scores if visible is None else torch.where(visible[..., None], scores, MASKED)


class StaticMemory(nn.Module):
    """The `static` control: M learned vectors (M, r) in place of what the sequence gives."""

    def __init__(self, stream: int, inner: int, slots: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inlet = nn.Parameter(normal((inner, stream), stream**-0.5, generator))
        self.vectors = nn.Parameter(normal((slots, inner), 1.0, generator))

    def project(self, stream: Tensor) -> Tensor:
        """u (..., r) of a normalised stream (..., d): the readers' view of their token."""
        return stream @ self.inlet.T
