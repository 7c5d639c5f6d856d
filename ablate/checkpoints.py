"""Trained adapters and blocks, kept in the home: one folder per run key, whole or not there.

A checkpoint is written beside its place and renamed, so that whatever is found under a run key was
finished. Names that begin with a dot are unfinished or replaced; the next driver removes them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from ablate.adapters import ADAPTERS
from ablate.backbones import BACKBONES, n_parameters
from ablate.phases import phase_of
from ablate.spec import RunSpec

TYPICAL_BYTES = 200_000
"""Bytes of a checkpoint of the default study, measured by ``ablate doctor`` after a run of it."""

LARGEST_MODEL_BYTES = 100_000_000
"""Of a larger model that is fine-tuned as a whole no checkpoint is kept, as each run has one."""


def whole_model_bytes(spec: RunSpec) -> int | None:
    """Bytes of the checkpoint of a run that trains all weights (fp32); None with an adapter."""
    adapter = ADAPTERS.get(spec.adapter)  # that of a plugin may not be known here
    if adapter is None or adapter.build is not None:
        return None
    return 4 * n_parameters(Path(spec.backbone.source))


def is_too_large(spec: RunSpec) -> bool:
    """Whether a run trains a whole model of more than ``LARGEST_MODEL_BYTES``."""
    return (whole_model_bytes(spec) or 0) > LARGEST_MODEL_BYTES


def is_kept(spec: RunSpec) -> bool:
    """Whether the checkpoint of a run is kept: something was trained, with a block, that is not too
    large; and not the trial of a search, which nobody looks inside of."""
    kept = spec.block is not None and not spec.world and phase_of(spec.seed) != "search"
    return kept and not is_too_large(spec)


def large_note() -> str:
    """Why there is no checkpoint of a model that is too large."""
    size = megabytes(LARGEST_MODEL_BYTES)
    return f"of a model above {size} that is fine-tuned as a whole no checkpoint is kept"


def keep(folder: Path, key: str, write: Callable[[Path], object]) -> Path:
    """Let ``write`` fill an empty folder, and make it the checkpoint of the run ``key``.

    A checkpoint that the run had before is replaced. A process that is killed at any point leaves
    the old checkpoint, the new one, or none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / key
    part = Path(tempfile.mkdtemp(dir=folder, prefix=f".{key}."))
    try:
        fresh, old = part / "fresh", part / "old"
        fresh.mkdir()
        write(fresh)
        if place.exists():
            os.rename(place, old)
        os.rename(fresh, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return place


def find(folder: Path, key: str) -> Path | None:
    """The checkpoint of a run, or None."""
    place = folder / key
    return place if place.is_dir() else None


def clear_unfinished(folder: Path) -> None:
    """Remove what killed workers have left; only for the driver, before its workers start."""
    for part in folder.glob(".*"):
        shutil.rmtree(part, ignore_errors=True)


def size_bytes(folder: Path, keys: Iterable[str] | None = None) -> int:
    """Bytes of the checkpoints of ``keys``, or of all."""
    places = folder.glob("*") if keys is None else (folder / key for key in keys)
    return sum(
        file.stat().st_size for place in places for file in place.rglob("*") if file.is_file()
    )


def expected_bytes(folder: Path, specs: Iterable[RunSpec]) -> float | None:
    """Bytes that the checkpoints of ``specs`` take, those that are not there yet included.

    A missing one is taken to be as large as the largest that is there with its backbone, adapter
    and rank, else, on an embedded backbone, as what is typical. None where neither is known.
    """
    known: dict[object, int] = {}
    absent: list[RunSpec] = []
    total = 0.0
    for spec in specs:
        if not is_kept(spec):
            continue
        if find(folder, spec.key) is None:
            absent.append(spec)
            continue
        size = size_bytes(folder, [spec.key])
        known[_kind(spec)] = max(size, known.get(_kind(spec), 0))
        total += size
    for spec in absent:
        typical = TYPICAL_BYTES if spec.backbone.name in BACKBONES else None
        size_or_none = known.get(_kind(spec), whole_model_bytes(spec) or typical)
        if size_or_none is None:
            return None
        total += size_or_none
    return total


def _kind(spec: RunSpec) -> object:
    return spec.backbone.digest, spec.adapter, spec.hp.rank


def megabytes(size: float) -> str:
    """``0.4 MB``, ``12 MB``, ``3.1 GB``."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"
