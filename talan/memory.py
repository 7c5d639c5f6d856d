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

# Tokens handled by one masked softmax and one matrix product. Memory is O(T * CHUNK); 16 was the
# fastest of 8, 16, 32 and 64 on a CPU at 32 and 64 tokens.
CHUNK = 16


@dataclass(frozen=True)
class PrefixState:
    """What a prefix softmax keeps of the tokens behind it: `mass` (B, M), the log of the summed
    weights, and `mean` (B, M, r), the slots after the last token."""

    mass: Tensor
    mean: Tensor


def prefix_softmax(
    scores: Tensor, values: Tensor, state: PrefixState | None = None, chunk: int = CHUNK
) -> tuple[Tensor, PrefixState]:
    """Attend to the tokens s <= t, for every t and slot: slots (B, T, M, r) and the new state.

    `scores` (B, T, M) hold `MASKED` where a token must not be seen, `values` are (B, T, r).
    slots[t, m] = sum_{s <= t} e^(scores[s, m]) values[s] / sum_{s <= t} e^(scores[s, m]).
    Weights are normalised within each softmax, so scores of any size are safe; the tokens
    before a chunk enter its softmax as one more column that carries their mass and mean.
    """
    parts = []
    for start in range(0, scores.shape[1], chunk):
        part, state = _chunk_softmax(
            scores[:, start : start + chunk], values[:, start : start + chunk], state
        )
        parts.append(part)
    if state is None:
        raise ValueError("prefix_softmax needs at least one token")
    return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)), state


def _chunk_softmax(
    scores: Tensor, values: Tensor, state: PrefixState | None
) -> tuple[Tensor, PrefixState]:
    batch, length, slots = scores.shape
    by_slot = scores.transpose(1, 2)
    hidden = torch.full((length, length), MASKED, device=scores.device).triu(1)
    if state is not None:
        by_slot = torch.cat([by_slot, state.mass[..., None]], dim=-1)
        hidden = torch.cat([hidden, hidden.new_zeros(length, 1)], dim=-1)
        values = torch.cat([values, values.new_zeros(batch, 1, values.shape[-1])], dim=1)
    weights = (by_slot[:, None] + hidden[:, None, :]).softmax(-1)
    mean = weights.reshape(batch, length * slots, -1) @ values
    mean = mean.view(batch, length, slots, -1)
    if state is not None:
        mean = mean + weights[..., -1:] * state.mean[:, None]
    return mean, PrefixState(mass=by_slot.logsumexp(-1), mean=mean[:, -1])


def pooled_softmax(scores: Tensor, values: Tensor) -> Tensor:
    """Attend to all tokens not `MASKED`: slots (B, M, r) of scores (B, T, M), values (B, T, r)."""
    return scores.softmax(dim=1).transpose(1, 2) @ values


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
