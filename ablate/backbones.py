"""Backbones: causal language models in Hugging Face format, embedded, in a folder or on the hub.

Resolving a name reads `config.json` and hashes files; torch and transformers are imported only when
a model is loaded.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.errors import AblateError, nearest
from ablate.spec import Backbone

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BACKBONES = ("qwen3-deep", "qwen3-tiny", "qwen2-tiny", "qwen3-moe-tiny", "llama-tiny")
"""The embedded backbones, built by `python -m studies.backbones build`."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# what a causal language model and its tokenizer are loaded from, and nothing else
_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")

_ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
_DENSE_MLP = ["gate_proj", "up_proj", "down_proj"]
# the architectures whose linear layers carry these names
_TARGETS = {
    "llama": _ATTENTION + _DENSE_MLP,
    "mistral": _ATTENTION + _DENSE_MLP,
    "qwen2": _ATTENTION + _DENSE_MLP,
    "qwen3": _ATTENTION + _DENSE_MLP,
    # fused experts are no linear layers: DoRA and dropout fail on them
    "mixtral": _ATTENTION,
    "qwen2_moe": _ATTENTION,
    "qwen3_moe": _ATTENTION,
}


def resolve(name: str) -> Backbone:
    """Find a backbone without loading it.

    Args:
        name: an embedded name, a local folder, or a hub id (`organisation/model`), which is
            downloaded unless the local cache has it.

    Returns:
        Its name (a folder's own), the folder to load from, the digest of its files, and its
        number of layers.

    Raises:
        AblateError: unknown name, or a folder that lacks config.json or safetensors weights.
    """
    folder = embedded_folder(name) if name in BACKBONES else Path(name)
    if name not in BACKBONES and not folder.is_dir():
        if not _HUB_ID.fullmatch(name):
            raise AblateError(
                f"unknown backbone {name!r}",
                place="backbones",
                value=name,
                hint=nearest(name, BACKBONES) + "; or a folder, or a hub id",
            )
        folder = _download(name)
    layers = read_config(folder).get("num_hidden_layers")
    if not isinstance(layers, int) or layers < 1:
        raise AblateError(
            "config.json does not say num_hidden_layers",
            place=str(folder),
            value=layers,
            hint="a backbone is a causal language model made of decoder layers",
        )
    if folder == Path(name):
        name = folder.resolve().name
    return Backbone(name=name, source=str(folder), digest=folder_digest(folder), n_layers=layers)


def load(backbone: Backbone) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, in fp32 and evaluation mode on the CPU, and its tokenizer.

    Only safetensors are read, and no code that comes with a model is run.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        backbone.source, dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    return model.eval(), load_tokenizer(Path(backbone.source))


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that was saved in the folder.

    The automatic choice goes by the model's architecture where it knows one: beside a Qwen2 model
    it rebuilds Qwen2's own pre-tokenisation over the saved vocabulary, which lost every space. A
    folder whose tokenizer names no architecture is therefore read as it is.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = folder / "tokenizer_config.json"
    saved = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    generic = saved.get("tokenizer_class") in ("TokenizersBackend", "PreTrainedTokenizerFast")
    loader = PreTrainedTokenizerFast if generic else AutoTokenizer
    return loader.from_pretrained(folder, local_files_only=True)


def adapter_targets(config: Mapping[str, Any] | Backbone) -> list[str]:
    """The linear layers that every adapter of this backbone trains, by module name.

    All linear layers of a dense decoder; of a mixture of experts the attention projections only.

    Args:
        config: a resolved backbone, or the content of its config.json.

    Raises:
        AblateError: an architecture whose layers are not known here.
    """
    if isinstance(config, Backbone):
        config = read_config(Path(config.source))
    kind = str(config.get("model_type"))
    if kind not in _TARGETS:
        raise AblateError(
            f"no adapter targets are known for the architecture {kind!r}",
            place="backbones",
            value=kind,
            hint=nearest(kind, _TARGETS),
        )
    return list(_TARGETS[kind])


def embedded_folder(name: str) -> Path:
    """The folder of an embedded backbone, found without importing anything heavy."""
    spec = importlib.util.find_spec("studies")
    if spec is None or not spec.submodule_search_locations:
        raise AblateError(
            "the package 'studies' is not installed",
            place=f"backbones: {name}",
            hint="install this project with pip install -e .",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "weights" / name


def read_config(folder: Path) -> dict[str, Any]:
    """The content of a backbone folder's config.json; AblateError if there is none."""
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AblateError(
            f"config.json cannot be read ({error})",
            place=str(folder),
            hint="a backbone folder holds config.json, *.safetensors and tokenizer files",
        ) from error
    if not isinstance(content, dict):
        raise AblateError("config.json is no JSON object", place=str(folder))
    return content


@functools.cache
def n_parameters(folder: Path) -> int:
    """Numbers in the weights of a backbone folder, from the heads of its safetensors files.

    Weights that two layers share are saved once, and so counted once.

    Raises:
        AblateError: a file that is no safetensors file.
    """
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        files = [folder / name for name in sorted(names)]
    elif (folder / "model.safetensors").exists():
        files = [folder / "model.safetensors"]
    else:
        files = sorted(folder.glob("*.safetensors"))
    total = 0
    for path in files:
        try:
            with path.open("rb") as file:
                head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            shapes = [entry["shape"] for name, entry in head.items() if name != "__metadata__"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
            raise AblateError(
                "this is no safetensors file",
                place=str(path),
                hint="save the model with save_pretrained, which writes model.safetensors",
            ) from error
        total += sum(math.prod(shape) for shape in shapes)
    return total


def folder_digest(folder: Path) -> str:
    """A 128-bit BLAKE2b hash of names and contents of all files a backbone is loaded from.

    Two folders with the same files have the same digest, wherever they lie.
    """
    files = sorted({path for pattern in _FILES for path in folder.glob(pattern)})
    if not any(path.suffix == ".safetensors" for path in files):
        raise AblateError(
            "no weights in safetensors format",
            place=str(folder),
            hint="save the model with save_pretrained, which writes model.safetensors",
        )
    state = hashlib.blake2b(digest_size=16)
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        state.update(f"{path.name} {content}\n".encode())
    return state.hexdigest()


def _download(name: str) -> Path:
    """The local snapshot of a hub id."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except (OSError, ValueError) as error:
        raise AblateError(
            f"backbone {name!r} is no embedded one, no folder, and not to be had from the hub"
            f" ({type(error).__name__})",
            place="backbones",
            value=name,
            hint=nearest(name, BACKBONES),
        ) from error
