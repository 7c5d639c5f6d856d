"""``ablate doctor``: is this machine ready, and if not, what to do."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from ablate.backbones import BACKBONES, resolve
from ablate.checkpoints import megabytes, size_bytes
from ablate.errors import AblateError
from ablate.home import Home, check_writable
from ablate.ledger import open_ledger

DISTRIBUTION = "talan-ablate"
DISK_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is well, what was seen, what to do."""

    subject: str
    ok: bool
    seen: str
    advice: str = ""


def examine(home: Home) -> Iterator[Finding]:
    """All checks, one after the other."""
    yield _python()
    yield from _packages()
    yield _device()
    yield _backbones()
    yield _disk(home)
    yield _access(home)
    if home.ledger.exists():
        yield _ledger(home)
    if home.checkpoints.is_dir():
        yield _checkpoints(home)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _packages() -> Iterator[Finding]:
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(DISTRIBUTION, False, "not installed", "run: pip install -e .")
        return
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = "missing"
        ok = version != "missing" and requirement.specifier.contains(version, prereleases=True)
        yield Finding(
            requirement.name, ok, version,
            f"run: pip install '{requirement.name}{requirement.specifier}' -c constraints.txt",
        )  # fmt: skip


def _device() -> Finding:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if torch.cuda.is_available():
        return Finding("device", True, f"cuda ({torch.cuda.get_device_name()}), {cores} cores")
    if Path("/dev/nvidiactl").exists():
        return Finding(
            "device",
            False,
            "an NVIDIA driver is present, but torch cannot use it",
            "install a CUDA build of torch, or set device=cpu",
        )
    return Finding("device", True, f"cpu, {cores} cores")


def _backbones() -> Finding:
    try:
        found = [resolve(name) for name in BACKBONES]
    except AblateError as error:
        return Finding("backbones", False, str(error), "reinstall the package, weights included")
    return Finding("backbones", True, f"{len(found)} embedded")


def _disk(home: Home) -> Finding:
    place = next(path for path in (home.root, *home.root.parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e9
    return Finding(
        "disk",
        free >= DISK_GB,
        f"{free:.1f} GB free at {place}",
        f"free some space, or choose another home=DIR; {DISK_GB:g} GB is enough for thousands "
        "of runs",
    )


def _access(home: Home) -> Finding:
    try:
        check_writable(home)
    except AblateError as error:
        return Finding("home", False, error.message, error.hint)
    return Finding("home", True, f"{home.root} can be written")


def _checkpoints(home: Home) -> Finding:
    """Never BAD: without them nothing is lost but probes that are yet to be made."""
    runs = sum(1 for _ in home.checkpoints.glob("[!.]*"))
    size = megabytes(size_bytes(home.checkpoints))
    return Finding("checkpoints", True, f"{runs} runs, {size} in {home.checkpoints}")


def _ledger(home: Home) -> Finding:
    try:
        open_ledger(home.ledger, read_only=True).close()
    except AblateError as error:
        return Finding("ledger", False, error.message, error.hint)
    return Finding("ledger", True, "readable")
