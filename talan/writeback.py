"""Writeback rules: how the perturbation delta enters the stream h.

The contract: `forward(stream, delta)` takes float32 h and delta (B, T, d) and returns the
change (B, T, d) that is added to h. delta = 0 gives a change of exactly 0; the derivative of the
change with respect to delta is not 0 there, or the block could never leave its start.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from talan.registry import Shape, writeback

# Largest size of a bounded change, in units of |h| (chosen).
BOUND = 0.1
# Keeps the rules defined at h = 0, far below the squares of any stream in use (chosen).
EPSILON = 1e-12


@writeback("add")
class Add(nn.Module):
    """h + delta."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()

    def forward(self, stream: Tensor, delta: Tensor) -> Tensor:
        """Return delta."""
        return delta


@writeback("gate")
class Gate(nn.Module):
    """h + tanh(g) delta with a learned scalar g, tanh(g) = 1/2 at the start.

    The gate is that of Flamingo (Alayrac et al. 2022, section 2.2), which starts at 0; the
    start is moved because W_out is already 0, and two zeros would stop every gradient.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.tensor(math.atanh(0.5), device=generator.device))

    def forward(self, stream: Tensor, delta: Tensor) -> Tensor:
        """Return tanh(g) delta."""
        return torch.tanh(self.gate) * delta


@writeback("bounded")
class Bounded(nn.Module):
    """h + delta / sqrt(1 + |delta|^2 / (c^2 |h|^2 + eps)), so that |change| < c |h| (chosen)."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()

    def forward(self, stream: Tensor, delta: Tensor) -> Tensor:
        """Return delta shrunk to less than c |h|."""
        room = BOUND**2 * stream.square().sum(-1, keepdim=True) + EPSILON
        return delta * torch.rsqrt(1 + delta.square().sum(-1, keepdim=True) / room)


@writeback("orthogonal")
class Orthogonal(nn.Module):
    """h + delta - h (h . delta) / (h . h + eps): the part of delta across h (chosen)."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()

    def forward(self, stream: Tensor, delta: Tensor) -> Tensor:
        """Return delta without its component along h."""
        along = (stream * delta).sum(-1, keepdim=True)
        return delta - stream * (along / (stream.square().sum(-1, keepdim=True) + EPSILON))
