"""Trainability: which parameters of block and adapter train under each level of `scope`."""

from __future__ import annotations

from collections.abc import Iterator

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from talan.attachment import Handle

# What `readout` freezes at its random start.
COMPRESS_AND_MIX = ("memory.", "mixer.")


def adapter_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of the active PEFT adapters in `model` (none for a bare backbone).

    Each appears once, although PEFT names the magnitude vector of DoRA twice.
    """
    return list(dict.fromkeys(_parts(model)))


def _parts(model: nn.Module) -> Iterator[nn.Parameter]:
    for module in model.modules():
        if not isinstance(module, BaseTunerLayer):
            continue
        for kind in module.adapter_layer_names:
            parts = getattr(module, kind)
            for name in module.active_adapters:
                if name not in parts:
                    continue
                part = parts[name]
                yield from [part] if isinstance(part, nn.Parameter) else part.parameters()


def apply_scope(model: nn.Module, handle: Handle) -> None:
    """Set `requires_grad` of block and active adapters to what the scope of the block says.

    `joint`: both train. `readout`: compress and mixer are frozen, the rest trains. `side`: the
    adapter is frozen. `adapter`: the block is frozen. All other parameters are left alone.
    Idempotent; call it again after anything that changes an adapter's state (PEFT unfreezes
    every adapter parameter when its `disable_adapter` context ends).
    """
    scope = handle.config.scope
    for name, parameter in handle.named_parameters():
        frozen = scope == "adapter" or (scope == "readout" and name.startswith(COMPRESS_AND_MIX))
        parameter.requires_grad_(not frozen)
    for parameter in adapter_parameters(model):
        parameter.requires_grad_(scope != "side")


def trainable_parameters(model: nn.Module, handle: Handle) -> dict[str, list[nn.Parameter]]:
    """Return what trains, as two groups (`adapter`, `block`), which are clipped separately."""
    return {
        "adapter": [each for each in adapter_parameters(model) if each.requires_grad],
        "block": [each for each in handle.parameters() if each.requires_grad],
    }
