"""The prompts of a benchmark, and which of their tokens are pooled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from talan.controls import ranks
from talan.errors import TalanError


@dataclass(frozen=True)
class Prompts:
    """Token ids (N, T), their mask (N, T) of 0 and 1, and the prompts' lengths (N,).

    Padding may be on either side. `lengths` count valid tokens; None means that rows hold nothing
    but the prompt. Rows may go on after the prompt, for conditioning `prompt` to write there.
    `TalanError` for shapes that do not fit, empty rows, or lengths beyond a row.
    """

    ids: Tensor
    mask: Tensor
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or self.ids.shape != self.mask.shape or not len(self.ids):
            raise TalanError(
                f"ids of shape {tuple(self.ids.shape)} and a mask of {tuple(self.mask.shape)}",
                place="Prompts",
                value=tuple(self.ids.shape),
                hint="give both as (prompts, tokens), at least one prompt",
            )
        counts = self.valid.sum(1)
        if bool((counts < 1).any()):
            row = int(counts.argmin())
            raise TalanError(
                f"prompt {row} has no token", place="Prompts.mask", value=row, hint="leave it out"
            )
        if self.lengths is None:
            return
        if self.lengths.shape != counts.shape:
            raise TalanError(
                f"{tuple(self.lengths.shape)} lengths for {len(counts)} prompts",
                place="Prompts.lengths",
                value=tuple(self.lengths.shape),
                hint="give one per prompt",
            )
        outside = (self.lengths < 1) | (self.lengths > counts.to(self.lengths.device))
        if bool(outside.any()):
            row = int(outside.long().argmax())
            raise TalanError(
                f"prompt {row} of length {int(self.lengths[row])} in a row of {int(counts[row])} "
                "tokens",
                place="Prompts.lengths",
                value=int(self.lengths[row]),
                hint="a length counts valid tokens, at least 1",
            )

    def __len__(self) -> int:
        """Number of prompts."""
        return len(self.ids)

    @property
    def valid(self) -> Tensor:
        """Which tokens are no padding, (N, T) bool."""
        return self.mask.bool()

    @property
    def counts(self) -> Tensor:
        """Valid tokens of each prompt, (N,)."""
        return self.valid.sum(1) if self.lengths is None else self.lengths

    def select(self, rows: Tensor) -> Prompts:
        """The prompts at `rows` (B,)."""
        lengths = None if self.lengths is None else self.lengths[rows]
        return Prompts(self.ids[rows], self.mask[rows], lengths)

    def to(self, device: torch.device) -> Prompts:
        """The same on `device`."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        return Prompts(self.ids.to(device), self.mask.to(device), lengths)

    def batches(self, rows: int) -> tuple[Tensor, ...]:
        """The indices of the prompts, `rows` at a time."""
        return torch.arange(len(self)).split(rows)

    def pooled(self, conditioning: str) -> Tensor:
        """The tokens that a block of this conditioning may write, (N, T) bool."""
        if conditioning == "causal":
            return self.valid
        return self.valid & (ranks(self.valid) >= self.counts[:, None] - 1)

    def last(self) -> Tensor:
        """The position of the last prompt token of each row, (N,)."""
        wanted = self.valid & (ranks(self.valid) == self.counts[:, None] - 1)
        return wanted.long().argmax(1)
