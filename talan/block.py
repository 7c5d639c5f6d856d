"""The block: norm, compress, mix, read, project, write at one residual stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import talan.mixers
import talan.writeback  # noqa: F401  (importing the two modules fills the registries)
from talan.config import TalanConfig
from talan.controls import Donors, align, ranks
from talan.errors import TalanError
from talan.memory import (
    PrefixState,
    StaticMemory,
    TokenMemory,
    counts_launches,
    normal,
    pooled_softmax,
    prefix_softmax,
)
from talan.registry import MIXERS, WRITEBACKS, Shape
from talan.state import MemoryState


class ScaleGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a constant."""

    generate_vmap_rule = True

    @staticmethod
    def forward(stream: Tensor, factor: float) -> Tensor:
        """Return `stream` unchanged."""
        return stream.view_as(stream)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        """Keep the factor."""
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the scaled gradient."""
        return gradients[0] * ctx.factor, None


class Reader(nn.Module):
    """Each token attends to the mixed slots with its own query: (B, T, r).

    The softmax over a single slot is 1 whatever the query, so one slot needs no parameters.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.query: nn.Parameter | None = None
        if shape.slots > 1:
            size = (shape.inner, shape.inner)
            self.query = nn.Parameter(normal(size, shape.inner**-0.5, generator))

    def forward(self, tokens: Tensor, slots: Tensor) -> Tensor:
        """Read slots of each token (B, T, M, r), of each row (B, M, r) or of all (M, r)."""
        per_token = slots.ndim == 4
        if self.query is None:
            only = slots[..., 0, :]
            return (only if per_token or only.ndim == 1 else only[:, None]).expand_as(tokens)
        weights = self.weights(tokens, slots)
        if not per_token:
            return weights @ slots
        if few_products(tokens):
            return (weights[..., None, :] @ slots)[..., 0, :]
        return (slots * weights[..., None]).sum(-2)

    def weights(self, tokens: Tensor, slots: Tensor) -> Tensor:
        """The attention of each token to the slots it reads, (B, T, M); see `forward`."""
        if self.query is None:
            return torch.ones_like(tokens[..., :1])
        query = tokens @ self.query.T / math.sqrt(tokens.shape[-1])
        if slots.ndim != 4:
            return (query @ slots.transpose(-1, -2)).softmax(-1)
        if few_products(tokens):
            return (slots @ query[..., None])[..., 0].softmax(-1)
        return (slots * query[..., None, :]).sum(-1).softmax(-1)


def few_products(tokens: Tensor) -> bool:
    """Whether a matrix product of a few slots for each of the tokens (B, T, r) is no waste.

    On a CPU many of them take three times as long as what they do elementwise.
    """
    return tokens.shape[-2] == 1 or counts_launches(tokens)


class Projection(nn.Module):
    """W_out (d, r). Zero and trainable, or for the `random` control frozen at random behind a
    scalar that starts at 0 and trains."""

    def __init__(self, shape: Shape, generator: torch.Generator, random: bool) -> None:
        super().__init__()
        size = (shape.stream, shape.inner)
        self.scale: nn.Parameter | None = None
        if random:
            self.scale = nn.Parameter(torch.zeros((), device=generator.device))
            self.register_buffer("out", normal(size, shape.inner**-0.5, generator))
        else:
            self.out = nn.Parameter(torch.zeros(size, device=generator.device))

    def forward(self, read: Tensor) -> Tensor:
        """delta (B, T, d) of what was read (B, T, r)."""
        delta = read @ self.out.T
        return delta if self.scale is None else self.scale * delta


@dataclass(frozen=True)
class Call:
    """What a block knows of one forward pass over a batch, besides the stream (B, T, d).

    `valid` (B, T) bool marks the tokens that are no padding, None means all. `segments` (B, T)
    number the sequences packed in a row, None means one. `prompt` (B,) counts the valid tokens of
    each prompt; conditioning `prompt` needs it, `causal` ignores it. `past` is the memory of the
    tokens before these. `donors` hold a sequence per row whose memory is used instead of the row's
    own, and `slots` (M, r) are used instead of any memory: the control `shuffled` needs the one,
    the probes substitute both.
    """

    valid: Tensor | None = None
    segments: Tensor | None = None
    prompt: Tensor | None = None
    past: MemoryState | None = None
    donors: Donors | None = None
    slots: Tensor | None = None


@dataclass(frozen=True)
class Written:
    """`change` float32 (B, T, d) is what is added to the stream, 0 where nothing is written.

    `slots` are the unmixed ones that were read: of each token (B, T, M, r), of each row (B, M, r)
    or of all (M, r). `tokens` (B, T, r) are the projected tokens u, `state` the memory after them.
    """

    change: Tensor
    slots: Tensor
    tokens: Tensor
    state: MemoryState


class Block(nn.Module):
    """The mechanism at one site; a pure function of its arguments and parameters.

    All parameters are float32, stay so under `.to(dtype)`, and are drawn from `generator` alone.
    Submodules: `memory` (compress), `mixer`, `reader`, `projection`, `writeback`.
    """

    def __init__(self, config: TalanConfig, stream: int, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        shape = Shape(stream=stream, inner=config.width, slots=config.memory)
        kind = StaticMemory if config.control == "static" else TokenMemory
        self.memory = kind(stream, config.width, config.memory, generator)
        self.mixer = MIXERS[config.mixer](shape, generator)
        self.reader = Reader(shape, generator)
        self.projection = Projection(shape, generator, config.control == "random")
        self.writeback = WRITEBACKS[config.writeback](shape, generator)

    def forward(self, stream: Tensor, call: Call | None = None) -> Tensor:
        """Return the written stream (B, T, d), in the dtype of `stream`."""
        return stream + self.change(stream, call).to(stream.dtype)

    def change(self, stream: Tensor, call: Call | None = None) -> Tensor:
        """Return what `forward` adds: float32 (B, T, d)."""
        return self.write(stream, call or Call()).change

    def write(self, stream: Tensor, call: Call) -> Written:
        """Return what is added to the stream, and what was read and is to be remembered.

        `TalanError` where the conditioning or the control needs what `call` does not give.
        """
        self.check(stream.shape[0], call)
        # Half precision would make the size of a small update depend on the precision of a run.
        with torch.autocast(device_type=stream.device.type, enabled=False):
            return self._write(stream, call)

    def check(self, rows: int, call: Call) -> None:
        """Raise `TalanError` if a batch of `rows` sequences lacks something in `call`."""
        if self.config.conditioning == "prompt" and call.prompt is None:
            raise TalanError(
                "conditioning 'prompt' needs the lengths of the prompts",
                place="Block",
                hint="call the model inside `with handle.prompt(lengths):`",
            )
        lends = call.slots is None and self.config.control == "shuffled"
        if lends and call.donors is None and not self.training:
            raise TalanError(
                "control 'shuffled' needs donors in evaluation",
                place="Block",
                hint="call the model inside `with handle.donor(donors):`",
            )
        if lends and call.donors is None and rows < 2:
            raise TalanError(
                "control 'shuffled' takes the memory of the next row, and this batch has one row",
                place="Block",
                value=rows,
                hint="train with a batch of at least 2",
            )
        if (lends or call.donors is not None) and call.segments is not None:
            raise TalanError(
                "a donor lends its memory to a row, and these rows pack several sequences",
                place="position_ids",
                hint="give one sequence per row, with an attention mask",
            )

    def _write(self, stream: Tensor, call: Call) -> Written:
        if self.config.gradient_scale != 1.0:
            stream = ScaleGradient.apply(stream, self.config.gradient_scale)
        stream = stream.float()
        valid = call.valid
        if valid is not None:
            # A padded row may hold NaN, which no weight of 0 would take out of a sum.
            stream = torch.where(valid[..., None], stream, 0.0)
        tokens = self.project(stream)
        written, visible = self._conditioned(tokens, call)
        slots, prefix = self._slots(tokens, visible, call)
        read = self.reader(tokens, self.mixer(slots))
        if written is not None:
            # A delta of 0 changes nothing under any rule, and there is less to mask here.
            read = torch.where(written[..., None], read, 0.0)
        change = self.writeback(stream, self.projection(read))
        return Written(change, slots, tokens, self._after(tokens, prefix, call))

    def project(self, stream: Tensor) -> Tensor:
        """u (B, T, r) = W_in norm(h) of a float32 stream (B, T, d)."""
        return self.memory.project(F.rms_norm(stream, stream.shape[-1:]))

    def _scores(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """See `TokenMemory.scores`; a static memory is asked for none."""
        assert isinstance(self.memory, TokenMemory)
        return self.memory.scores(tokens, visible)

    def _conditioned(self, tokens: Tensor, call: Call) -> tuple[Tensor | None, Tensor | None]:
        """Which tokens are written and which may be seen, (B, T) each; None means all."""
        if self.config.conditioning == "causal":
            return call.valid, call.valid
        assert call.prompt is not None
        valid = _all_valid(tokens) if call.valid is None else call.valid
        rank = ranks(valid, call.segments)
        if call.past is not None:
            rank = rank + call.past.seen[:, None]
        prompt = call.prompt[:, None]
        if call.segments is not None and call.prompt.ndim == 2:
            prompt = call.prompt.gather(1, call.segments)
        return valid & (rank >= prompt - 1), valid & (rank < prompt)

    def _slots(
        self, tokens: Tensor, visible: Tensor | None, call: Call
    ) -> tuple[Tensor, PrefixState | None]:
        """The slots to read (see `Written`), and the running softmax after the last token."""
        if call.slots is not None:
            return call.slots, None
        if isinstance(self.memory, StaticMemory):
            return self.memory.vectors, None
        if self.config.control == "shuffled" or call.donors is not None:
            return self._lent_slots(tokens, visible, call), None
        scores = self._scores(tokens, visible)
        past = self._past(call)
        if self.config.conditioning == "prompt" and call.segments is None:
            prefix = pooled_softmax(scores, tokens, past)
            return prefix.mean, prefix
        return prefix_softmax(scores, tokens, past, call.segments)

    def _past(self, call: Call) -> PrefixState | None:
        """The running softmax behind the tokens of this call, made anew after a crop."""
        if call.past is None or call.past.prefix is not None or not call.past.pieces:
            return None if call.past is None else call.past.prefix
        tokens, valid = call.past.history()
        if not tokens.shape[1]:
            return None
        before = Call(valid=valid, prompt=call.prompt)
        _, visible = self._conditioned(tokens, before)
        return pooled_softmax(self._scores(tokens, visible), tokens)

    def _after(self, tokens: Tensor, prefix: PrefixState | None, call: Call) -> MemoryState:
        """The memory after this call."""
        if call.valid is not None:
            seen = call.valid.sum(1)
        else:
            rows, length = tokens.shape[:2]
            seen = torch.full((rows,), length, dtype=torch.long, device=tokens.device)
        if call.past is not None:
            seen = seen + call.past.seen
        return MemoryState(prefix, seen, call.prompt)

    def _lent_slots(self, tokens: Tensor, visible: Tensor | None, call: Call) -> Tensor:
        """Slots of another sequence: of each token (B, T, M, r) or of each row (B, M, r)."""
        lent, lent_visible = self._lent(tokens, visible, call.donors)
        scores = self._scores(lent, lent_visible)
        if self.config.conditioning == "prompt":
            return pooled_softmax(scores, lent).mean
        slots, _ = prefix_softmax(scores, lent)
        if lent_visible is None and call.past is None and slots.shape[1] == tokens.shape[1]:
            return slots
        receiver = _all_valid(tokens) if visible is None else visible
        donor = _all_valid(lent) if lent_visible is None else lent_visible
        return align(slots, receiver, donor, None if call.past is None else call.past.seen)

    def _lent(
        self, tokens: Tensor, visible: Tensor | None, donors: Donors | None
    ) -> tuple[Tensor, Tensor | None]:
        """The tokens u, and which of them count, that another sequence lends to each row."""
        if donors is not None:
            stream = torch.where(donors.valid[..., None], donors.stream.float(), 0.0)
            return self.project(stream), donors.valid
        return tokens.roll(-1, 0), None if visible is None else visible.roll(-1, 0)

    def _apply(self, fn: Any, recurse: bool = True) -> Block:
        """Move with the model, but keep float32: half precision would round updates away."""

        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)


def _all_valid(tokens: Tensor) -> Tensor:
    return torch.ones_like(tokens[..., 0], dtype=torch.bool)
