"""What a decoder is told about its tokens, read from the arguments of its forward pass.

Generation, collators and attention backends say in different ways which tokens are padding and
which sequences share a row; transformers' rules are followed where it has some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from talan.errors import TalanError


@dataclass(frozen=True)
class Reading:
    """The arguments that concern the memory: `mask` 2-D (B, past + T) or, from generation with a
    compilable cache, 4-D (B, 1, T, S); `segments` (B, T); the cache and its length before."""

    mask: Tensor | None
    segments: Tensor | None
    cache: Any
    past: int | Tensor

    def valid(self, length: int) -> Tensor | None:
        """Which of the `length` newest tokens are no padding, (B, T); None means all."""
        if self.mask is None:
            return None
        if self.mask.ndim == 2:
            return self.mask[:, -length:].bool()
        # A token attends to itself unless it is padding.
        rows = torch.arange(length, device=self.mask.device)
        columns = (rows + self.past - self._first_column(length)).view(1, 1, length, 1)
        own = self.mask.gather(3, columns.expand(len(self.mask), 1, -1, 1))[:, 0, :, 0]
        return own if own.dtype == torch.bool else own >= 0

    def _first_column(self, length: int) -> int:
        """The position that the first column of a 4-D mask stands for; above 0 in a window."""
        sliding = self.cache.is_sliding
        layer = sliding.index(False) if False in sliding else 0
        return int(self.cache.get_mask_sizes(length, layer)[1])


def read(given: Mapping[str, Any]) -> Reading:
    """Read the named arguments of a decoder's forward pass.

    `TalanError` for a mask whose padding cannot be told.
    """
    cache, mask = given.get("past_key_values"), given.get("attention_mask")
    if isinstance(mask, Mapping):  # one per type of layer; all hide the same padding
        mask = mask.get("full_attention", next(iter(mask.values()), None))
    past = 0 if cache is None else cache.get_seq_length()
    if isinstance(past, Tensor):
        past = past.clone()  # the cache counts on in place while the layers run
    if mask is not None:
        usable = isinstance(mask, Tensor) and (
            mask.ndim == 2 or (mask.ndim == 4 and cache is not None and cache.is_compileable)
        )
        if not usable:
            raise TalanError(
                "the attention mask must be 2-D, one entry per token",
                place="attention_mask",
                value=getattr(mask, "shape", type(mask).__name__),
                hint="give a mask of shape (batch, tokens), or none",
            )
    segments = _segments(given) if mask is None and cache is None else None
    return Reading(mask, segments, cache, past)


def _segments(given: Mapping[str, Any]) -> Tensor | None:
    """The sequence that each token of a packed row belongs to, (B, T) from 0; None if unpacked.

    Said by `seq_idx`, by positions that do not go on by one (transformers' own sign of packing),
    or by cumulative lengths.
    """
    index = given.get("seq_idx")
    positions, ends = given.get("position_ids"), given.get("cu_seq_lens_q")
    if index is None and positions is None and ends is not None:
        total = torch.arange(int(ends[-1]), device=ends.device)
        return torch.bucketize(total, ends[1:], right=True)[None]
    if index is not None:
        starts = index.diff(dim=-1) != 0
    elif positions is not None:
        starts = positions.diff(dim=-1) != 1
    else:
        return None
    if not torch.compiler.is_compiling() and not bool(starts.any()):
        return None
    return torch.nn.functional.pad(starts.long().cumsum(-1), (1, 0))
