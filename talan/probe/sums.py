"""Sums over pooled tokens, from which the measures per layer are taken.

Kept instead of the streams, so that memory does not grow with prompts, variants or draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from talan.probe.streams import Pass


@dataclass(frozen=True)
class Reference:
    """What variants are compared with on one batch: the pass with the block bypassed, and the one
    with the adapter switched off as well, if there is an adapter."""

    without: Pass
    base: Pass | None
    sizes: list[Tensor] = field(init=False)
    updates: list[Tensor] | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", [_size(each) for each in self.without.streams])
        updates = None
        if self.base is not None:
            pairs = zip(self.without.streams, self.base.streams, strict=True)
            updates = [with_adapter - base for with_adapter, base in pairs]
        object.__setattr__(self, "updates", updates)


# The columns of `Sums.layers`.
CHANGE, STREAM, UPDATE, SHARE, SHARES, COSINE, COSINES = range(7)


class Sums:
    """Sums of one variant on one benchmark, in float64 on the CPU.

    `layers` (L + 1, 7): squared sizes of perturbation, stream and update (NaN without an
    adapter); the sum of |D| / |h_0| and over how many tokens; the sum of cos(U, D) and over how
    many. `changes` and `updates` (L + 1, d) are sums of vectors. `divergence` sums the KL
    divergences of `prompts` prompts, none for a model without a head.
    """

    def __init__(self) -> None:
        self.layers: Tensor | None = None
        self.changes: Tensor | None = None
        self.updates: Tensor | None = None
        self.divergence = torch.zeros((), dtype=torch.float64)
        self.prompts = 0

    def add(self, reference: Reference, varied: Pass) -> None:
        """Add one batch."""
        rows, changes, updates = [], [], []
        for index, stream in enumerate(varied.streams):
            change = stream - reference.without.streams[index]
            update = None if reference.updates is None else reference.updates[index]
            rows.append(_row(change, reference.sizes[index], update))
            changes.append(_total(change))
            updates.append(torch.zeros_like(changes[-1]) if update is None else _total(update))
        self.layers = _plus(self.layers, rows)
        self.changes = _plus(self.changes, changes)
        self.updates = _plus(self.updates, updates)
        if varied.logits is not None and reference.without.logits is not None:
            self.divergence += divergence(varied.logits, reference.without.logits).sum().cpu()
            self.prompts += len(varied.logits)


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(p || q) in nats of each row, p and q given by logits (B, V)."""
    p = F.log_softmax(logits, -1, dtype=torch.float64)
    q = F.log_softmax(reference, -1, dtype=torch.float64)
    return (p.exp() * (p - q)).sum(-1)


def _row(change: Tensor, stream_size: Tensor, update: Tensor | None) -> Tensor:
    size = _size(change)
    share, shares = _mean_parts(size, stream_size)
    values = [size.square().sum(), stream_size.square().sum()]
    if update is None:
        nothing = size.new_zeros(())
        undefined = torch.full_like(nothing, torch.nan)
        return torch.stack([*values, undefined, share, shares, nothing, nothing])
    update_size = _size(update)
    cosine, cosines = _mean_parts((change * update).sum(-1).double(), size * update_size)
    return torch.stack([*values, update_size.square().sum(), share, shares, cosine, cosines])


def _mean_parts(numerator: Tensor, denominator: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and number of the ratios that are defined; a NaN counts as defined, and shows."""
    defined = denominator != 0
    ratio = torch.where(defined, numerator / denominator, 0.0)
    return ratio.sum(), defined.sum().double()


def _size(vectors: Tensor) -> Tensor:
    """Euclidean norms, float64."""
    return torch.linalg.vector_norm(vectors, dim=-1).double()


def _total(vectors: Tensor) -> Tensor:
    return vectors.sum(0, dtype=torch.float64)


def _plus(known: Tensor | None, rows: Sequence[Tensor]) -> Tensor:
    new = torch.stack([row.cpu() for row in rows])
    return new if known is None else known + new
