"""Save a model with its side paths in a folder, and load it again: all of it or nothing.

PEFT's files stay exactly what PEFT writes, so an adapter can still be used without the block.
Beside them lie `talan_config.json`, `talan.safetensors` and `talan_manifest.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from talan.attachment import active_handle, attach, handles
from talan.checkpoint.adapter_files import (
    adapter_folders,
    check_adapters,
    refuse_bare_layers,
    refuse_merged,
    same_adapters,
    weightless,
    with_adapters,
)
from talan.checkpoint.fingerprint import identify
from talan.checkpoint.manifest import (
    ADAPTER_CONFIG,
    CONFIG,
    MODEL_CARD,
    TENSORS,
    Kind,
    Manifest,
    hashes,
    publish,
    versions,
)
from talan.checkpoint.saved import (
    Checkpoint,
    check_base,
    check_block,
    kind_of,
    load_whole_model,
    read,
    read_model,
    without_blocks,
)
from talan.config import recipes
from talan.errors import TalanError, nearest
from talan.handle import Handle

_STAGING = ".talan-saving-"


def save(model: nn.Module, folder: str | os.PathLike[str], name: str | None = None) -> Path:
    """Save `model` with all its side paths, or with the one called `name`, and return the folder.

    What is saved beside the blocks: of a `PeftModel` what its `save_pretrained` writes, byte for
    byte; of a transformers model whose own parameters train (full fine-tuning) what its
    `save_pretrained` writes, without the blocks; of a frozen backbone nothing. Frozen parts of a
    block are saved too.

    Files are made in a staging folder and moved into place, the manifest last: an interrupted save
    leaves the former checkpoint or a folder that `load` refuses, never a mixture that loads.
    Other files in the folder are left alone.

    `TalanError`, with nothing written: no side path, none of that name or none active, an adapter
    that is merged or was injected without a `PeftModel`, or a path that is a file.
    """
    folder = Path(folder)
    paths = _chosen_paths(model, name)
    active = active_handle(model, name).name
    kind = kind_of(model)
    refuse_merged(model)
    if folder.exists() and not folder.is_dir():
        raise TalanError("this is a file", place="save", value=str(folder), hint="give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_STAGING) as made:
        staging = Path(made)
        if isinstance(model, PeftModel):
            if (folder / MODEL_CARD).exists():  # PEFT adds to a model card that is there
                shutil.copy(folder / MODEL_CARD, staging)
            model.save_pretrained(str(staging))
        elif isinstance(model, PreTrainedModel) and kind == "full":
            model.save_pretrained(staging, state_dict=without_blocks(model))
        _write_side_paths(staging, paths, active)
        publish(staging, folder, _describe(model, kind, paths, hashes(staging)))
    return folder


def load(
    model_or_id: nn.Module | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    name: str | None = None,
    trainable: bool = False,
) -> Handle:
    """Put the side paths and the adapter of a folder on a model; return the active side path.

    `handle.model` is the model, wrapped by PEFT where the folder holds an adapter. `model_or_id` is
    the base model, or a local folder or hub id it is loaded from (safetensors only). It may be a
    `PeftModel` that carries this very adapter, to which the side paths are then added. A folder of
    full fine-tuning holds the whole model: an id is then not needed to find the weights (give the
    folder itself), and a model of the same class gets the weights of the folder.

    `name` picks one of several side paths; if the folder holds a single one, it is the name under
    which that is attached.

    As in PEFT, `trainable=False` freezes all parameters and puts the model into evaluation mode;
    with `trainable=True` adapter and block train as the scope says, the mode stays as it is, and a
    backbone that was frozen when it was saved is frozen again.

    `TalanError`, with the model as it was, for: a folder without a checkpoint, or one whose files
    are missing, truncated or changed; a newer format; an unknown field of the configuration; a
    missing or unexpected key of block or adapter; another base model (class, size, number of
    layers or weights); a name that is taken.
    """
    saved = read(Path(folder))
    names = _chosen_names(saved, name)
    model = _model(model_or_id, saved)
    _check_fits(model, saved, names, trainable)
    manifest = saved.manifest
    if manifest.kind == "full" and model is model_or_id:
        load_whole_model(model, saved)
    elif manifest.kind == "adapter" and not isinstance(model, PeftModel):
        active = str(manifest.active_adapter)
        model = with_adapters(model, saved.folder, manifest.adapters, active, trainable)
    if manifest.kind == "block" or not trainable:
        model.requires_grad_(False)
    attached = _attach_all(model, saved, names)
    for given, kept in names.items():
        attached[given].load_state_dict(saved.tensors[kept])
        if not trainable:
            attached[given].freeze()
    if not trainable:
        model.eval()
    return next(handle for handle in attached.values() if handle.active)


def _check_fits(
    model: nn.Module, saved: Checkpoint, names: dict[str, str], trainable: bool
) -> None:
    """All that can go wrong with this model, tried on a copy of it without weights."""
    manifest = saved.manifest
    check_base(model, saved)
    taken = sorted(set(names) & set(handles(model)))
    if taken:
        raise TalanError(
            f"a block named {taken[0]!r} is attached to this model already",
            place="load",
            value=taken[0],
            hint="call handle.detach() first, or give name= another name",
        )
    if isinstance(model, PeftModel):
        same = manifest.kind == "adapter" and same_adapters(
            model, saved.folder, manifest.adapters, str(manifest.active_adapter)
        )
        if not same:
            raise TalanError(
                "the model carries an adapter that is not the one of this checkpoint",
                place="load",
                value=type(model).__name__,
                hint="give the base model, such as model.unload()",
            )
    else:
        refuse_bare_layers(model)
    with torch.random.fork_rng(devices=[]):
        copied = weightless(model)
        if manifest.kind == "adapter" and not isinstance(model, PeftModel):
            copied = check_adapters(copied, saved.folder, manifest.adapters, trainable)
        for given, handle in _attach_all(copied, saved, names).items():
            check_block(handle, saved, names[given])


def _attach_all(model: nn.Module, saved: Checkpoint, names: dict[str, str]) -> dict[str, Handle]:
    """Attach blocks as they are configured; the one that was active when saved comes last."""
    order = sorted(names, key=lambda given: names[given] == saved.active)
    # Their parameters are loaded: what they are drawn from must not move the global state.
    return {
        given: attach(
            model,
            saved.configs[names[given]],
            name=given,
            generator=torch.Generator().manual_seed(0),
        )
        for given in order
    }


def _chosen_paths(model: nn.Module, name: str | None) -> dict[str, Handle]:
    """The side paths to save, the active one (or the one called `name`) among them."""
    known = dict(handles(model))
    if not known:
        raise TalanError(
            "no block is attached to this model",
            place="save",
            value=type(model).__name__,
            hint="call talan.attach(model, config) first",
        )
    return known if name is None else {name: active_handle(model, name)}


def _chosen_names(saved: Checkpoint, name: str | None) -> dict[str, str]:
    """The names to attach under, each with the name it was saved under."""
    if name is None:
        return {each: each for each in saved.configs}
    if name in saved.configs:
        return {name: name}
    if len(saved.configs) == 1:
        return {name: saved.active}
    raise TalanError(
        f"no side path named {name!r} is in this folder",
        place=str(saved.folder),
        value=name,
        hint=nearest(name, saved.configs),
    )


def _model(given: nn.Module | str | os.PathLike[str], saved: Checkpoint) -> nn.Module:
    """The model to load onto: the one given, or one that is loaded from where `given` says."""
    if isinstance(given, nn.Module):
        return given
    if saved.manifest.kind == "full":
        return read_model(saved, AutoModelForCausalLM)
    if (Path(given) / ADAPTER_CONFIG).exists():
        raise TalanError(
            "this folder holds an adapter, and its base model is needed",
            place="load",
            value=str(given),
            hint=f"give the base model: {saved.manifest.base.path or 'a folder or a hub id'}",
        )
    try:
        model: nn.Module = AutoModelForCausalLM.from_pretrained(given, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise TalanError(
            f"no model can be loaded from {str(given)!r} ({' '.join(str(error).split())[:200]})",
            place="load",
            value=str(given),
            hint="give a model, a folder with config.json and model.safetensors, or a hub id",
        ) from error
    return model


def _write_side_paths(staging: Path, paths: dict[str, Handle], active: str) -> None:
    sides = {name: handle.config.to_dict() for name, handle in paths.items()}
    content = {"active": active, "side_paths": sides}
    (staging / CONFIG).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, handle in paths.items()
        for key, value in handle.state_dict().items()
    }
    save_file(tensors, staging / TENSORS, metadata={"format": "pt"})


def _describe(
    model: nn.Module, kind: Kind, paths: dict[str, Handle], files: dict[str, str]
) -> Manifest:
    wrapped = model if isinstance(model, PeftModel) else None
    return Manifest(
        kind=kind,
        base=identify(model),
        adapters={} if wrapped is None else adapter_folders(wrapped),
        active_adapter=None if wrapped is None else str(wrapped.active_adapter),
        recipes={name: recipes(handle.config) for name, handle in paths.items()},
        versions=versions(),
        files=files,
    )
