"""Where the decoder layers of a model are, found by structure instead of by class name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from talan.errors import TalanError


@dataclass(frozen=True)
class Decoder:
    """The module that runs the layers in turn, the layers, and the width of their stream."""

    stack: nn.Module
    layers: nn.ModuleList
    hidden_size: int


def find_decoder(model: nn.Module) -> Decoder:
    """Return the decoder of a Hugging Face causal model or of a PEFT model around one.

    The layers are the outermost `ModuleList` with as many members as the configuration has
    hidden layers. `TalanError` if there is none, or several side by side.
    """
    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    n_layers = getattr(text, "num_hidden_layers", None)
    hidden_size = getattr(text, "hidden_size", None)
    if not isinstance(n_layers, int) or not isinstance(hidden_size, int):
        raise TalanError(
            f"{type(model).__name__} has no config with num_hidden_layers and hidden_size",
            place="attach",
            value=type(model).__name__,
            hint="give a Hugging Face decoder, or a PeftModel around one",
        )
    found: list[str] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, nn.ModuleList) and len(module) == n_layers and not inside:
            found.append(name)
    if len(found) != 1:
        raise TalanError(
            f"{len(found)} lists of {n_layers} layers found in {type(model).__name__}"
            + (f" ({', '.join(found)})" if found else ""),
            place="attach",
            value=type(model).__name__,
            hint="give a model with one stack of decoder layers",
        )
    layers = model.get_submodule(found[0])
    assert isinstance(layers, nn.ModuleList)
    stack = model.get_submodule(found[0].rpartition(".")[0])
    return Decoder(stack=stack, layers=layers, hidden_size=hidden_size)
