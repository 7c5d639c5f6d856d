"""The adapter of a checkpoint: checked against a weightless copy of the model before it is loaded.

PEFT says nothing about unexpected keys and only warns about missing ones, so both are looked for
here.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from talan.checkpoint.manifest import ADAPTER_TENSORS
from talan.errors import TalanError

Shapes = dict[str, tuple[int, ...]]


def adapter_folders(model: PeftModel) -> dict[str, str]:
    """Where PEFT saves each adapter of `model`, relative to the folder of the checkpoint."""
    return {name: "." if name == "default" else name for name in model.peft_config}


def weightless(model: nn.Module) -> nn.Module:
    """A copy of `model` whose parameters and buffers have shapes but no values."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        shape = nn.Parameter(parameter.data.to("meta"), requires_grad=parameter.requires_grad)
        memo[id(parameter)] = shape
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(model, memo)


def with_adapters(
    model: nn.Module, folder: Path, adapters: Mapping[str, str], active: str, trainable: bool
) -> PeftModel:
    """Put the adapters of a folder on `model`, each under its name, and make one active."""
    made: Any = model
    for name, where in adapters.items():
        if isinstance(made, PeftModel):
            made.load_adapter(folder / where, name, is_trainable=trainable)
        else:
            made = PeftModel.from_pretrained(
                made, folder / where, adapter_name=name, is_trainable=trainable
            )
    made.set_adapter(active, inference_mode=not trainable)
    assert isinstance(made, PeftModel)
    return made


def check_adapters(
    copied: nn.Module, folder: Path, adapters: Mapping[str, str], trainable: bool
) -> PeftModel:
    """Put adapters like those of a folder on a weightless copy, and compare names and shapes.

    Returns the copy with its adapters. `TalanError` if an adapter does not fit the model, or its
    file has a missing or unexpected key or another shape.
    """
    made: Any = copied
    for name, where in adapters.items():
        config = PeftConfig.from_pretrained(str(folder / where))
        if config.is_prompt_learning and trainable:
            raise TalanError(
                "PEFT cannot go on training a loaded prompt",
                place="trainable",
                value=trainable,
                hint="load it with trainable=False, or resume with TalanTrainerMixin",
            )
        config.inference_mode = not trainable
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if isinstance(made, PeftModel):
                    made.add_adapter(name, config, low_cpu_mem_usage=True)
                else:
                    made = get_peft_model(made, config, name, low_cpu_mem_usage=True)
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise TalanError(
                f"the adapter does not fit this model ({' '.join(str(error).split())[:200]})",
                place=str(folder / where),
                value=name,
                hint="give the base model that it was trained on",
            ) from error
        compare(made, name, folder / where)
    assert isinstance(made, PeftModel)
    return made


def compare(model: PeftModel, name: str, folder: Path) -> None:
    """Compare the adapter called `name` with the file in a folder, by keys and shapes.

    `TalanError` naming what is missing, unexpected or of another shape.
    """
    saved = shapes_of(folder / ADAPTER_TENSORS)
    own = _shapes(model, name, embeddings=False)
    # Only a resized vocabulary is saved; PEFT would ask the hub whether this one was.
    allowed = {**_shapes(model, name, embeddings=True), **own}
    missing = sorted(set(own) - set(saved))
    unexpected = sorted(set(saved) - set(allowed))
    if missing or unexpected:
        raise TalanError(
            f"the adapter has {mismatch(missing, unexpected)}",
            place=str(folder / ADAPTER_TENSORS),
            hint="adapter_config.json and the weights must be of one adapter",
        )
    for key in sorted(saved):
        if saved[key] != allowed[key]:
            raise TalanError(
                f"{key} has shape {saved[key]}, and this model takes {allowed[key]}",
                place=str(folder / ADAPTER_TENSORS),
                value=saved[key],
                hint="adapter_config.json and the weights must be of one adapter",
            )


def same_adapters(model: PeftModel, folder: Path, adapters: Mapping[str, str], active: str) -> bool:
    """Whether `model` carries exactly the adapters of a folder, bit for bit."""
    if set(model.peft_config) != set(adapters) or model.active_adapter != active:
        return False
    for name, where in adapters.items():
        compare(model, name, folder / where)
        saved = load_file(folder / where / ADAPTER_TENSORS)
        own = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
        if any(not torch.equal(own[key].cpu(), saved[key]) for key in own):
            return False
    return True


def refuse_encoders(model: PeftModel) -> None:
    """`TalanError` for a prompt that is computed: PEFT saves its values, not what computes them."""
    for name, config in model.peft_config.items():
        if not config.is_prompt_learning or config.inference_mode:
            continue
        encoder = model.prompt_encoder[name]
        if any(not key.startswith("embedding.") for key, _ in encoder.named_parameters()):
            raise TalanError(
                f"PEFT saves the prompt of {type(encoder).__name__}, not the network behind it, so "
                "its training cannot be resumed",
                place="restore",
                value=name,
                hint="train it in one go, or choose prompt or prefix tuning without a projection",
            )


def restore_adapters(model: PeftModel, folder: Path, adapters: Mapping[str, str]) -> None:
    """Load the weights of a folder into the adapters that `model` has; what trains stays so."""
    for name, where in adapters.items():
        set_peft_model_state_dict(
            model, load_file(folder / where / ADAPTER_TENSORS), adapter_name=name
        )


def shapes_of(path: Path) -> Shapes:
    """The shapes in a safetensors file, by key; its values are not read."""
    with safe_open(path, framework="pt") as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def mismatch(missing: list[str], unexpected: list[str]) -> str:
    """Say which keys are missing and which are unexpected, the first few of each by name."""
    parts = []
    for words, keys in (("missing", missing), ("unexpected", unexpected)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            parts.append(f"{len(keys)} {words} keys ({', '.join(keys[:3])}{more})")
    return ", ".join(parts)


def refuse_bare_layers(model: nn.Module) -> None:
    """`TalanError` for adapter layers in a model that is no `PeftModel`: no one saves those."""
    if any(isinstance(module, BaseTunerLayer) for module in model.modules()):
        raise TalanError(
            f"adapter layers were put into this {type(model).__name__} without a PeftModel",
            place="model",
            value=type(model).__name__,
            hint="make it with peft.get_peft_model, which can save its adapter",
        )


def refuse_merged(model: nn.Module) -> None:
    """`TalanError` while an adapter is merged: the weights of the base model are not its own."""
    for module in model.modules():
        if isinstance(module, BaseTunerLayer) and module.merged:
            raise TalanError(
                "the adapter is merged into the base model",
                place="model",
                value=type(model).__name__,
                hint="call model.unmerge_adapter() first",
            )


def _shapes(model: PeftModel, name: str, *, embeddings: bool) -> Shapes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = get_peft_model_state_dict(
            model, adapter_name=name, save_embedding_layers=embeddings
        )
    return {key: tuple(value.shape) for key, value in state.items()}
