"""A checkpoint as it was read from its folder, and whether it belongs to a given model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from talan.attachment import SidePaths
from talan.checkpoint.adapter_files import mismatch, refuse_bare_layers
from talan.checkpoint.fingerprint import identify, origin
from talan.checkpoint.manifest import (
    CONFIG,
    MANIFEST,
    TENSORS,
    Kind,
    Manifest,
    read_json,
    read_manifest,
)
from talan.config import TalanConfig, recipes
from talan.errors import TalanError, nearest
from talan.handle import Handle


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds of the side paths, read and checked without any model.

    `configs` and `tensors` are by the name of the side path, `active` names the one that acts.
    """

    folder: Path
    manifest: Manifest
    active: str
    configs: dict[str, TalanConfig]
    tensors: dict[str, dict[str, Tensor]]


def read(folder: Path) -> Checkpoint:
    """Read the side paths of a folder and check every file of the checkpoint against its hash.

    `TalanError` for whatever `load` refuses without needing a model.
    """
    manifest = read_manifest(folder)
    content = read_json(folder / CONFIG)
    try:
        active, given = content["active"], dict(content["side_paths"])
        configs = {name: TalanConfig.from_dict(values) for name, values in given.items()}
    except TalanError as error:
        raise TalanError(
            error.message,
            place=f"{folder / CONFIG}: {error.place}",
            value=error.value,
            hint=error.hint,
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TalanError(
            "this is no configuration of side paths", place=str(folder / CONFIG)
        ) from error
    tensors: dict[str, dict[str, Tensor]] = {name: {} for name in configs}
    unexpected = []
    for key, tensor in load_file(folder / TENSORS).items():
        name, _, inner = key.partition(".")
        if name in tensors:
            tensors[name][inner] = tensor
        else:
            unexpected.append(key)
    if unexpected or active not in configs:
        raise TalanError(
            f"the weights have {mismatch([], unexpected)}" if unexpected else f"no {active!r}",
            place=str(folder / TENSORS),
            value=active,
            hint=nearest(active, configs),
        )
    for name, config in configs.items():
        _warn_of_recipes(folder, name, config, manifest.recipes.get(name, {}))
    return Checkpoint(folder, manifest, active, configs, tensors)


def check_base(model: nn.Module, saved: Checkpoint) -> None:
    """`TalanError` if `model` is not the base model that the checkpoint was saved from."""
    wanted, given = saved.manifest.base, identify(model)
    if saved.manifest.kind == "full":
        given = replace(given, embedding=None, norms=None, matrices=None)
    difference = wanted.difference(given)
    if difference is not None:
        origin = f" (it was loaded from {wanted.path})" if wanted.path else ""
        raise TalanError(
            f"the checkpoint belongs to another base model: {difference}",
            place=str(saved.folder),
            value=given.path or given.name,
            hint=f"give the base model that it was saved from{origin}",
        )


def check_block(handle: Handle, saved: Checkpoint, name: str) -> None:
    """`TalanError` unless the tensors of side path `name` are those of the block, by shape."""
    own, given = handle.state_dict(), saved.tensors[name]
    missing, unexpected = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    wrong = [key for key in own if key in given and own[key].shape != given[key].shape]
    if missing or unexpected or wrong:
        raise TalanError(
            f"the block {name!r} has "
            + (
                mismatch(missing, unexpected)
                or f"shape {tuple(given[wrong[0]].shape)} for {wrong[0]}, and its configuration "
                f"asks for {tuple(own[wrong[0]].shape)}"
            ),
            place=str(saved.folder / TENSORS),
            hint=f"{CONFIG} and {TENSORS} must be of one save",
        )


def kind_of(model: nn.Module) -> Kind:
    """What is saved beside the blocks of `model`; `TalanError` for what nothing can save."""
    if isinstance(model, PeftModel):
        return "adapter"
    refuse_bare_layers(model)
    blocks = {
        each
        for path in model.modules()
        if isinstance(path, SidePaths)
        for each in path.parameters()
    }
    trains = any(each.requires_grad for each in model.parameters() if each not in blocks)
    if not trains and not _loaded_from_full(model):
        return "block"
    if not isinstance(model, PreTrainedModel):
        raise TalanError(
            f"a {type(model).__name__} cannot save its own parameters, and they train",
            place="save",
            value=type(model).__name__,
            hint="give a transformers model, or freeze the backbone with requires_grad_(False)",
        )
    return "full"


def without_blocks(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of `model` without its side paths."""
    prefixes = tuple(
        f"{name}." for name, module in model.named_modules() if isinstance(module, SidePaths)
    )
    return {key: value for key, value in model.state_dict().items() if not key.startswith(prefixes)}


def read_model(saved: Checkpoint, kind: Any) -> nn.Module:
    """The whole model that a folder of full fine-tuning holds."""
    model, report = kind.from_pretrained(
        saved.folder, use_safetensors=True, local_files_only=True, output_loading_info=True
    )
    missing, unexpected = sorted(report["missing_keys"]), sorted(report["unexpected_keys"])
    if missing or unexpected or report["mismatched_keys"]:
        raise TalanError(
            f"the model has {mismatch(missing, unexpected) or 'weights of another shape'}",
            place=str(saved.folder),
            hint="config.json and the weights must be of one save",
        )
    assert isinstance(model, nn.Module)
    return model


def load_whole_model(model: nn.Module, saved: Checkpoint) -> None:
    """Load the weights of a folder of full fine-tuning into a model of the same class.

    `TalanError`, with the model as it was, if the folder has not all of its weights, or they have
    other shapes.
    """
    given, own = without_blocks(read_model(saved, type(model))), without_blocks(model)
    missing, unexpected = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    wrong = [key for key in own if key in given and own[key].shape != given[key].shape]
    if missing or unexpected or wrong:
        raise TalanError(
            "the whole model in this folder has "
            + (mismatch(missing, unexpected) or f"shape {tuple(given[wrong[0]].shape)} for ")
            + ("" if missing or unexpected else f"{wrong[0]}, not {tuple(own[wrong[0]].shape)}"),
            place=str(saved.folder),
            value=type(model).__name__,
            hint="give the folder itself in place of the model",
        )
    model.load_state_dict(given, strict=False)
    config: Any = model.config
    config._name_or_path = str(saved.folder)


def _warn_of_recipes(folder: Path, name: str, config: TalanConfig, saved: dict[str, int]) -> None:
    now = recipes(config)
    changed = [part for part in now if saved.get(part) != now[part]]
    if changed:
        warnings.warn(
            f"{folder}: the definition of {', '.join(changed)} of side path {name!r} has changed "
            "since it was saved, so it may compute or train to another result",
            stacklevel=4,
        )


def _loaded_from_full(model: nn.Module) -> bool:
    """Whether the model comes from a folder of full fine-tuning: it is saved whole again."""
    path = Path(origin(model)) / MANIFEST
    return bool(origin(model)) and path.is_file() and read_json(path).get("kind") == "full"
