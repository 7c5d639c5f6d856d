"""Mixers: how slots exchange information.

The contract: `forward(slots)` maps (..., M, r) to the same shape, treats every leading index
alone (no statistics over batch or time: they would leak), draws nothing, and is differentiable.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talan.memory import normal
from talan.registry import Shape, mixer

# Hidden width of the token-mixing MLP, the same for every number of slots (chosen).
HIDDEN = 16


@mixer("none")
class NoMixer(nn.Module):
    """The identity."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()

    def forward(self, slots: Tensor) -> Tensor:
        """Return `slots` (..., M, r) as they are."""
        return slots


@mixer("mlp")
class TokenMixingMLP(nn.Module):
    """slots + W2 gelu(W1 slots + b), W1 and W2 acting over the slot index.

    Token mixing after Tolstikhin et al. 2021 (MLP-Mixer), section 2. No norm goes before it,
    unlike there: slots are weighted means of projections of a normalised stream, so their size
    is bounded already. That, the hidden width and the initialisation are chosen.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.inlet = nn.Parameter(normal((HIDDEN, shape.slots), shape.slots**-0.5, generator))
        self.inlet_bias = nn.Parameter(torch.zeros(HIDDEN, device=generator.device))
        self.outlet = nn.Parameter(normal((shape.slots, HIDDEN), HIDDEN**-0.5, generator))

    def forward(self, slots: Tensor) -> Tensor:
        """Mix `slots` (..., M, r) over M."""
        hidden = F.gelu(F.linear(slots.transpose(-1, -2), self.inlet, self.inlet_bias))
        return slots + F.linear(hidden, self.outlet).transpose(-1, -2)


@mixer("attention")
class SlotAttention(nn.Module):
    """slots + V softmax(Q K^T / sqrt(r)) over the slot index: one head, one layer.

    Scaled dot-product attention of Vaswani et al. 2017, section 3.2.1, without a norm for the
    reason given at `TokenMixingMLP`; an output projection would be absorbed by V. One head is
    chosen.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        inner = shape.inner
        self.query_key_value = nn.Parameter(normal((3 * inner, inner), inner**-0.5, generator))

    def forward(self, slots: Tensor) -> Tensor:
        """Mix `slots` (..., M, r) over M."""
        query, key, value = F.linear(slots, self.query_key_value).chunk(3, dim=-1)
        # Spelled out, because torch's fused kernel has no batching rule for vmap on a CPU.
        scores = query @ key.transpose(-1, -2) / math.sqrt(slots.shape[-1])
        return slots + scores.softmax(-1) @ value
