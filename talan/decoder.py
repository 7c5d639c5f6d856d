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


def find_decoder(model: nn.Module, layers: nn.ModuleList | None = None) -> Decoder:
    """Return the decoder of a Hugging Face causal model or of a PEFT model around one.

    The layers are the outermost `ModuleList` with as many members as the configuration has
    hidden layers, or `layers` if given. `TalanError` if there is none, if there are several side
    by side, or if the model is an encoder-decoder.
    """
    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    if getattr(config, "is_encoder_decoder", False):
        raise TalanError(
            f"{type(model).__name__} is an encoder-decoder",
            place="attach",
            value=type(model).__name__,
            hint="give a decoder-only language model",
        )
    n_layers = getattr(text, "num_hidden_layers", None)
    hidden_size = getattr(text, "hidden_size", None)
    if not isinstance(hidden_size, int) or not (layers or isinstance(n_layers, int)):
        raise TalanError(
            f"{type(model).__name__} has no config with num_hidden_layers and hidden_size",
            place="attach",
            value=type(model).__name__,
            hint="give a Hugging Face decoder, or a PeftModel around one",
        )
    found: list[str] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        wanted = module is layers if layers is not None else _fits(module, n_layers)
        if wanted and not inside:
            found.append(name)
    if layers is not None and not found:
        raise TalanError(
            f"the given layers are no part of {type(model).__name__}",
            place="layers",
            value=type(layers).__name__,
            hint="give the list of decoder layers itself, such as layers=model.model.layers",
        )
    if len(found) != 1:
        raise TalanError(
            f"{len(found)} lists of {n_layers} layers found in {type(model).__name__}"
            + (f" ({', '.join(found)})" if found else ""),
            place="attach",
            value=type(model).__name__,
            hint="name the list of decoder layers, such as layers=model.model.layers",
        )
    stack = model.get_submodule(found[0].rpartition(".")[0])
    chosen = model.get_submodule(found[0])
    assert isinstance(chosen, nn.ModuleList)
    return Decoder(stack=stack, layers=chosen, hidden_size=hidden_size)


def _fits(module: nn.Module, n_layers: int | None) -> bool:
    return isinstance(module, nn.ModuleList) and len(module) == n_layers
