"""Load a checkpoint into a model that has all its parts already."""

from __future__ import annotations

import os
from pathlib import Path

from peft import PeftModel
from torch import nn

from talan.attachment import active_handle, handles
from talan.checkpoint.adapter_files import (
    adapter_folders,
    compare,
    refuse_encoders,
    restore_adapters,
)
from talan.checkpoint.saved import (
    Checkpoint,
    check_base,
    check_block,
    kind_of,
    load_whole_model,
    read,
)
from talan.errors import TalanError


def restore(model: nn.Module, folder: str | os.PathLike[str]) -> None:
    """Load a checkpoint into a model that has all its parts already, as when training is resumed.

    The adapters and side paths of `model` must be those of the checkpoint, by name, configuration
    and shapes; what trains, and the mode, stay as they are. `TalanError`, with the model as it was,
    if they are not, and for whatever is wrong with the folder (see `load`).
    """
    saved = read(Path(folder))
    check_base(model, saved)
    _check_parts(model, saved)
    if saved.manifest.kind == "full":
        load_whole_model(model, saved)
    elif isinstance(model, PeftModel):
        restore_adapters(model, saved.folder, saved.manifest.adapters)
    for name, handle in handles(model).items():
        handle.load_state_dict(saved.tensors[name])


def _check_parts(model: nn.Module, saved: Checkpoint) -> None:
    """`TalanError` unless `model` has exactly the parts that the checkpoint has."""
    known = handles(model)
    parts: tuple[tuple[str, object, object], ...] = (
        ("side paths", sorted(saved.configs), sorted(known)),
        ("the active side path", saved.active, active_handle(model).name),
        *(
            (f"the configuration of {name!r}", saved.configs[name], known[name].config)
            for name in saved.configs
            if name in known
        ),
        ("what is saved beside the block", saved.manifest.kind, kind_of(model)),
        (
            "adapters",
            sorted(saved.manifest.adapters),
            sorted(adapter_folders(model)) if isinstance(model, PeftModel) else [],
        ),
    )
    for words, there, here in parts:
        if there != here:
            raise TalanError(
                f"the checkpoint and the model differ in {words}: {there} and {here}",
                place=str(saved.folder),
                value=here,
                hint="attach the side path and the adapter as they were when it was saved",
            )
    if isinstance(model, PeftModel):
        refuse_encoders(model)
        for name, where in saved.manifest.adapters.items():
            compare(model, name, saved.folder / where)
    for name, handle in known.items():
        check_block(handle, saved, name)
