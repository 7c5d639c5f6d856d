"""The block: norm, compress, mix, read, project, write at one residual stream."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import talan.mixers
import talan.writeback  # noqa: F401  (importing the two modules fills the registries)
from talan.config import TalanConfig
from talan.controls import Donors, align, ranks
from talan.errors import TalanError
from talan.memory import StaticMemory, TokenMemory, normal, pooled_softmax, prefix_softmax
from talan.registry import MIXERS, WRITEBACKS, Shape


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
        query = tokens @ self.query.T / math.sqrt(tokens.shape[-1])
        if not per_token:
            return (query @ slots.transpose(-1, -2)).softmax(-1) @ slots
        # Elementwise: B T matrix products of a few slots each take three times as long on a CPU.
        weights = (slots * query[..., None, :]).sum(-1).softmax(-1)
        return (slots * weights[..., None]).sum(-2)


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

    def forward(
        self,
        stream: Tensor,
        valid: Tensor | None = None,
        prompt: Tensor | None = None,
        donors: Donors | None = None,
    ) -> Tensor:
        """Return the written stream (B, T, d), in the dtype of `stream`.

        `valid` (B, T) bool marks the tokens that are no padding, None means all. `prompt` (B,)
        counts the valid tokens of each prompt; conditioning `prompt` needs it, `causal` ignores
        it. `donors` hold one sequence per row for the control `shuffled`.
        """
        return stream + self.change(stream, valid, prompt, donors).to(stream.dtype)

    def change(
        self,
        stream: Tensor,
        valid: Tensor | None = None,
        prompt: Tensor | None = None,
        donors: Donors | None = None,
    ) -> Tensor:
        """Return what `forward` adds: float32 (B, T, d), 0 where nothing is written."""
        # Half precision would make the size of a small update depend on the precision of a run.
        with torch.autocast(device_type=stream.device.type, enabled=False):
            return self._change(stream, valid, prompt, donors)

    def _change(
        self,
        stream: Tensor,
        valid: Tensor | None,
        prompt: Tensor | None,
        donors: Donors | None,
    ) -> Tensor:
        if self.config.gradient_scale != 1.0:
            stream = ScaleGradient.apply(stream, self.config.gradient_scale)
        stream = stream.float()
        if valid is not None:
            # A padded row may hold NaN, which no weight of 0 would take out of a sum.
            stream = torch.where(valid[..., None], stream, 0.0)
        tokens = self.project(stream)
        written = valid
        if self.config.conditioning == "prompt":
            if prompt is None:
                raise TalanError(
                    "conditioning 'prompt' needs the lengths of the prompts",
                    place="Block",
                    hint="call the model inside `with handle.prompt(lengths):`",
                )
            rank = ranks(
                torch.ones_like(tokens[..., 0], dtype=torch.bool) if valid is None else valid
            )
            after = rank >= prompt[:, None] - 1
            written = after if valid is None else valid & after
            inside = rank < prompt[:, None]
            slots = self._row_slots(tokens, inside if valid is None else valid & inside, donors)
        else:
            slots = self._token_slots(tokens, valid, donors)
        delta = self.projection(self.reader(tokens, self.mixer(slots)))
        change = self.writeback(stream, delta)
        return change if written is None else torch.where(written[..., None], change, 0.0)

    def project(self, stream: Tensor) -> Tensor:
        """u (B, T, r) = W_in norm(h) of a float32 stream (B, T, d)."""
        return self.memory.project(F.rms_norm(stream, stream.shape[-1:]))

    def _token_slots(self, tokens: Tensor, valid: Tensor | None, donors: Donors | None) -> Tensor:
        """Slots of each token (B, T, M, r), or (M, r) for the static control."""
        if isinstance(self.memory, StaticMemory):
            return self.memory.vectors
        if self.config.control != "shuffled":
            return prefix_softmax(self.memory.scores(tokens, valid), tokens)[0]
        lent, lent_valid = self._lent(tokens, valid, donors)
        slots, _ = prefix_softmax(self.memory.scores(lent, lent_valid), lent)
        if lent_valid is None:
            return slots
        receiver = torch.ones_like(tokens[..., 0], dtype=torch.bool) if valid is None else valid
        return align(slots, receiver, lent_valid)

    def _row_slots(self, tokens: Tensor, visible: Tensor, donors: Donors | None) -> Tensor:
        """Slots of each row (B, M, r) from its visible tokens, or (M, r) for the static control."""
        if isinstance(self.memory, StaticMemory):
            return self.memory.vectors
        if self.config.control != "shuffled":
            return pooled_softmax(self.memory.scores(tokens, visible), tokens)
        lent, lent_visible = self._lent(tokens, visible, donors)
        return pooled_softmax(self.memory.scores(lent, lent_visible), lent)

    def _lent(
        self, tokens: Tensor, visible: Tensor | None, donors: Donors | None
    ) -> tuple[Tensor, Tensor | None]:
        """The tokens u, and which of them count, that another sequence lends to each row."""
        if donors is not None:
            stream = torch.where(donors.valid[..., None], donors.stream.float(), 0.0)
            return self.project(stream), donors.valid
        if not self.training:
            raise TalanError(
                "control 'shuffled' needs donors in evaluation",
                place="Block",
                hint="call the model inside `with handle.donor(donors):`",
            )
        if tokens.shape[0] < 2:
            raise TalanError(
                "control 'shuffled' takes the memory of the next row, and this batch has one row",
                place="Block",
                value=tokens.shape[0],
                hint="train with a batch of at least 2",
            )
        return tokens.roll(-1, 0), None if visible is None else visible.roll(-1, 0)

    def _apply(self, fn: Any, recurse: bool = True) -> Block:
        """Move with the model, but keep float32: half precision would round updates away."""

        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)
