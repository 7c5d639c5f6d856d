"""Which base model a block belongs to: its class, its sizes, and a fingerprint of its weights.

The fingerprint samples the weights as they were before any adapter came, rounded to bfloat16: it is
the same for a load in fp32 or bf16, with adapters injected or not, and reads a few thousand values
per layer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import Tensor, nn

from talan.decoder import find_decoder

ROWS = 64
"""How many rows of the input embedding are sampled."""

VALUES = 64
"""How many values of each matrix of a decoder layer are sampled."""

# Initialisations of LoRA that take their part out of the frozen weight; the others leave it alone.
_KEEPS_THE_BASE = ("gaussian", "eva", "orthogonal")


@dataclass(frozen=True)
class BaseModel:
    """What a checkpoint says about the model it belongs to.

    `name` is the class of the model without its adapter, `path` where it was loaded from (empty for
    one made in memory). The three hashes are SHA-256 over the first rows of the input embedding,
    the scales of all norms in the decoder layers, and the first values of each matrix there; None
    where the values cannot be sampled (quantised or offloaded weights, an initialisation of the
    adapter that changed them).
    """

    name: str
    model_type: str
    path: str
    n_layers: int
    hidden_size: int
    embedding: str | None
    norms: str | None
    matrices: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values."""
        return asdict(self)

    def difference(self, other: BaseModel) -> str | None:
        """Say in which respect `other` is another model, or None if in none.

        `path` is not compared: models move. A hash that one of the two lacks is not compared.
        """
        for field, words in (
            ("name", "class {}"),
            ("model_type", "model type {}"),
            ("n_layers", "{} decoder layers"),
            ("hidden_size", "hidden size {}"),
        ):
            own, given = getattr(self, field), getattr(other, field)
            if own != given:
                return f"{words.format(own)}, and this model has {words.format(given)}"
        for field in ("embedding", "norms", "matrices"):
            own, given = getattr(self, field), getattr(other, field)
            if own is not None and given is not None and own != given:
                return f"the same shape but other weights ({field})"
        return None


def base_model(model: nn.Module) -> nn.Module:
    """The model without PEFT's wrapper; its adapter layers may still be in it."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def origin(model: nn.Module) -> str:
    """Where the base model was loaded from: a folder, a hub id, or nothing."""
    return str(getattr(getattr(base_model(model), "config", None), "_name_or_path", "") or "")


def identify(model: nn.Module) -> BaseModel:
    """Describe the base model of `model`; `TalanError` if it is no decoder."""
    base: Any = base_model(model)
    decoder = find_decoder(model)
    embedding = base.get_input_embeddings() if hasattr(base, "get_input_embeddings") else None
    norms, matrices = [], []
    for index, layer in enumerate(decoder.layers):
        for name, module in original_modules(layer, str(index)):
            for key, parameter in module.named_parameters(recurse=False):
                where = f"{name}.{key}"
                if parameter.ndim == 1 and key == "weight":
                    norms.append((where, parameter.data))
                elif parameter.ndim > 1:
                    matrices.append((where, parameter.data.flatten()[:VALUES]))
    rows = [] if embedding is None else [("embedding", _unwrapped(embedding).weight.data[:ROWS])]
    return BaseModel(
        name=type(base).__name__,
        model_type=str(getattr(base.config, "model_type", "")),
        path=origin(model),
        n_layers=len(decoder.layers),
        hidden_size=decoder.hidden_size,
        embedding=_digest(rows),
        norms=_digest(norms),
        matrices=None if _changed_by_adapter(model) else _digest(matrices),
    )


def _unwrapped(module: nn.Module) -> Any:
    """The module that an adapter has replaced, or the module itself."""
    while True:
        if isinstance(module, BaseTunerLayer):
            module = module.get_base_layer()
        elif isinstance(module, AuxiliaryTrainingWrapper):
            module = module.original_module
        else:
            return module


def original_modules(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """All modules as they were named before an adapter came, without what the adapter added."""
    module = _unwrapped(module)
    yield name, module
    for child, inner in module.named_children():
        yield from original_modules(inner, f"{name}.{child}")


def _changed_by_adapter(model: nn.Module) -> bool:
    known: Any = getattr(model, "peft_config", None)
    kinds = [getattr(each, "init_lora_weights", True) for each in dict(known or {}).values()]
    return any(isinstance(kind, str) and kind not in _KEEPS_THE_BASE for kind in kinds)


def _digest(samples: list[tuple[str, Tensor]]) -> str | None:
    """SHA-256 over names and values; None without samples or where a value cannot be read."""
    # One byte per value is a quantised weight, also where its type counts as floating point.
    if not samples or any(each.is_meta or each.element_size() < 2 for _, each in samples):
        return None
    # PEFT takes parameters of fused experts out and puts them back at another place.
    samples = sorted(samples, key=lambda sample: sample[0])
    state = hashlib.sha256()
    values = [each.to(torch.bfloat16).flatten() for _, each in samples]
    for (name, _), value in zip(samples, values, strict=True):
        state.update(f"{name} {value.numel()} ".encode())
        state.update(value.view(torch.int16).cpu().numpy().tobytes())
    return state.hexdigest()
