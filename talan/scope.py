"""Trainability: which parameters of block and adapter train under each level of `scope`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from talan.block import Block

if TYPE_CHECKING:
    from talan.handle import Handle

# What `readout` freezes at its random start.
COMPRESS_AND_MIX = ("memory.", "mixer.")


class Trainability:
    """Applies the scope of a block to it and to what trains beside it, and can undo that.

    Beside the block train whatever parameters of the model require a gradient: PEFT's adapter or,
    in full fine-tuning, the model itself. Only `side` freezes them; no scope unfreezes them, so an
    adapter that is loaded for inference stays as it is. `trainable` False freezes the whole block.
    """

    def __init__(self, model: nn.Module, block: Block) -> None:
        self.trainable = True
        self.model = model
        self._block = block
        self._frozen: list[nn.Parameter] = []

    def apply(self) -> None:
        """Set `requires_grad`; idempotent."""
        scope = self._block.config.scope
        for name, parameter in self._block.named_parameters():
            frozen = (
                not self.trainable
                or scope == "adapter"
                or (scope == "readout" and name.startswith(COMPRESS_AND_MIX))
            )
            if parameter.requires_grad == frozen:
                parameter.requires_grad_(not frozen)
        if scope == "side":
            for parameter in beside(self.model, self._block):
                self._frozen.append(parameter)
                parameter.requires_grad_(False)

    def undo(self) -> None:
        """Let those parameters train again that the scope has frozen outside the block."""
        for parameter in self._frozen:
            parameter.requires_grad_(True)
        self._frozen = []


def beside(model: nn.Module, block: Block) -> list[nn.Parameter]:
    """The parameters of `model` outside `block` that require a gradient.

    Each appears once, although PEFT names the magnitude vector of DoRA twice.
    """
    own = set(block.parameters())
    return [each for each in model.parameters() if each.requires_grad and each not in own]


def trainable_parameters(handle: Handle) -> dict[str, list[nn.Parameter]]:
    """Return what trains, as two groups (`adapter`, `block`), which are clipped separately.

    `adapter` is all that trains outside the block: PEFT's adapter or, in full fine-tuning, the
    model. The scope is applied first.
    """
    handle.apply_scope()
    return {
        "adapter": beside(handle.model, handle.block),
        "block": [each for each in handle.parameters() if each.requires_grad],
    }
