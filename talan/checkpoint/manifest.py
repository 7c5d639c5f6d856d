"""The manifest of a checkpoint: what belongs to it, with hashes, and the checks on reading it.

The manifest is written last and every file is moved into place whole, so a folder whose save was
interrupted is either the checkpoint it was before or is refused.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from talan.checkpoint.fingerprint import BaseModel
from talan.errors import TalanError

FORMAT = 1
CONFIG = "talan_config.json"
TENSORS = "talan.safetensors"
MANIFEST = "talan_manifest.json"
MODEL_CARD = "README.md"

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_TENSORS = "adapter_model.safetensors"

Kind = Literal["adapter", "block", "full"]

# What transformers would read from a folder of a whole model in place of the weights listed.
_TAKES_PRECEDENCE = (ADAPTER_CONFIG, "model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True)
class Manifest:
    """What lies in the folder of a checkpoint.

    `kind` says what lies beside the block: `adapter` PEFT's files, `full` the whole model, `block`
    nothing (the backbone is frozen and not saved). `adapters` gives the folder of each adapter,
    relative to the checkpoint. `recipes` are the versions of the implementations that each side
    path uses, `files` the SHA-256 of each file by its relative path. The model card is not among
    them: people edit it.
    """

    kind: Kind
    base: BaseModel
    adapters: dict[str, str]
    active_adapter: str | None
    recipes: dict[str, dict[str, int]]
    versions: dict[str, str]
    files: dict[str, str]

    def write(self, folder: Path) -> None:
        """Put the manifest into the folder, whole or not at all."""
        content = {"format": FORMAT, **asdict(self)}
        write_text(folder / MANIFEST, json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """The versions of the packages whose behaviour a checkpoint depends on."""
    return {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}


def read_json(path: Path) -> Any:
    """The content of a JSON file of a checkpoint; `TalanError` if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TalanError(
            f"cannot be read ({_short(error)})",
            place=str(path),
            hint="save the checkpoint again, or fetch it again from where it was copied",
        ) from error


def read_manifest(folder: Path) -> Manifest:
    """Read and check a manifest, and the hash of every file it lists.

    `TalanError` for a folder without one, a format newer than this version of the package, and a
    file that is missing, truncated or changed.
    """
    if not folder.is_dir():
        raise TalanError(
            "no such folder", place=str(folder), value=str(folder), hint="give a checkpoint folder"
        )
    if not (folder / MANIFEST).is_file():
        raise _no_checkpoint(folder)
    content = read_json(folder / MANIFEST)
    given = content.get("format") if isinstance(content, dict) else None
    if not isinstance(given, int) or given < 1:
        raise TalanError("this is no manifest of a checkpoint", place=str(folder / MANIFEST))
    if given > FORMAT:
        raise TalanError(
            f"format {given} is newer than the newest known here, {FORMAT}",
            place=str(folder / MANIFEST),
            value=given,
            hint="update this package",
        )
    try:
        values = {key: value for key, value in content.items() if key != "format"}
        manifest = Manifest(**{**values, "base": BaseModel(**values["base"])})
    except (KeyError, TypeError) as error:
        raise TalanError(
            f"the manifest lacks fields or has unknown ones ({_short(error)})",
            place=str(folder / MANIFEST),
            hint="save the checkpoint again",
        ) from error
    for name, digest in manifest.files.items():
        _check_file(folder / name, digest)
    if manifest.kind == "full":
        for name in _TAKES_PRECEDENCE:
            if (folder / name).exists() and name not in manifest.files:
                raise TalanError(
                    f"{name} does not belong to the checkpoint, and would be loaded in its place",
                    place=str(folder),
                    value=name,
                    hint="move that file to another folder",
                )
    return manifest


def _check_file(path: Path, digest: str) -> None:
    again = "save the checkpoint again, or fetch it again from where it was copied"
    if not path.is_file():
        raise TalanError(
            "the manifest lists this file, and it is missing",
            place=str(path),
            value=path.name,
            hint=again,
        )
    if sha256(path) == digest:
        return
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise TalanError(
                f"the file is truncated or corrupt ({_short(error)})", place=str(path), hint=again
            ) from error
    raise TalanError(
        "the file is not the one that was saved: its SHA-256 differs from the manifest's",
        place=str(path),
        value=path.name,
        hint=again,
    )


def _no_checkpoint(folder: Path) -> TalanError:
    """Say what is in a folder that holds no checkpoint."""
    names = sorted(each.name for each in folder.iterdir())
    if CONFIG in names or TENSORS in names:
        return TalanError(
            f"{MANIFEST} is missing, as after an interrupted save",
            place=str(folder),
            value=str(folder),
            hint="save the checkpoint again",
        )
    if ADAPTER_CONFIG in names:
        found = "a PEFT adapter alone; load it with PeftModel.from_pretrained"
    elif any(name.endswith((".safetensors", ".bin")) for name in names) and "config.json" in names:
        found = "a model alone; load it with AutoModelForCausalLM.from_pretrained"
    elif names:
        found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        if any((folder / name / MANIFEST).is_file() for name in names):
            within = [name for name in names if (folder / name / MANIFEST).is_file()]
            found += f"; checkpoints are in {', '.join(within[:8])}"
    else:
        found = "nothing"
    return TalanError(
        f"no checkpoint of a side path is here ({MANIFEST} is missing); the folder holds {found}",
        place=str(folder),
        value=str(folder),
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below `folder`, by its relative path, without the model card."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MODEL_CARD
    }


def publish(staging: Path, folder: Path, manifest: Manifest) -> None:
    """Move staged files over those of a former checkpoint, then write the manifest.

    What only the former checkpoint had is deleted; other files of the folder are left alone.
    """
    former = folder / MANIFEST
    stale = set(read_json(former)["files"]) - set(manifest.files) if former.exists() else set()
    for path in sorted(each for each in staging.rglob("*") if each.is_file()):
        target = folder / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    manifest.write(folder)
