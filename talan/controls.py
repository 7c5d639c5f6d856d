"""The `shuffled` control: a row is given the memory of another sequence.

A receiver's n-th valid token gets the donor's slots as they stood after its n-th valid token,
or after its last one if the donor is shorter; so the control stays causal, and padding on
either side changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Donors:
    """Sequences that lend their memory: `stream` (N, T, d) at the site, `valid` (N, T) bool."""

    stream: Tensor
    valid: Tensor

    def select(self, rows: Tensor) -> Donors:
        """Return the donors at `rows` (B,), one for each row of a batch."""
        return Donors(self.stream[rows], self.valid[rows])

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.valid)


def ranks(valid: Tensor, segments: Tensor | None = None) -> Tensor:
    """Return for each position of `valid` (B, T) the number of valid tokens up to it, less one.

    With `segments` (B, T), which number the sequences of packed rows in order, only tokens of the
    position's own sequence are counted.
    """
    count = valid.long().cumsum(1)
    if segments is None:
        return count - 1
    before = torch.zeros_like(count).scatter_reduce(
        1, segments, count - valid.long(), "amin", include_self=False
    )
    return count - 1 - before.gather(1, segments)


def donor_times(receiver: Tensor, donor: Tensor, seen: Tensor | None = None) -> Tensor:
    """Return positions (B, T) in the donor for each receiver position; masks (B, T), (B, S).

    `seen` (B,) counts the receiver's valid tokens before these, where there are any.
    """
    wanted = ranks(receiver)
    if seen is not None:
        wanted = wanted + seen[:, None]
    wanted = wanted.clamp(min=0)
    last = donor.sum(1, keepdim=True) - 1
    # A stable sort of "is padding" lists the positions of the valid tokens in order.
    positions = torch.argsort((~donor).long(), dim=1, stable=True)
    return positions.gather(1, torch.minimum(wanted, last.clamp(min=0)))


def align(slots: Tensor, receiver: Tensor, donor: Tensor, seen: Tensor | None = None) -> Tensor:
    """Return donor slots (B, S, M, r) at the times of the receiver: (B, T, M, r)."""
    times = donor_times(receiver, donor, seen)[..., None, None]
    return slots.gather(1, times.expand(-1, -1, *slots.shape[2:]))
