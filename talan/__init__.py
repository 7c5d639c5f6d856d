"""TALAN: a sequence-conditioned latent side path in the residual stream, beside an adapter.

Axes, levels and configurations are light; what needs torch is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from talan.axes import AXES, Axis, resolve_insertion
from talan.config import TalanConfig, canonical, recipes
from talan.errors import TalanError

if TYPE_CHECKING:
    from talan.attachment import Handle, attach
    from talan.block import Block
    from talan.controls import Donors
    from talan.scope import apply_scope, trainable_parameters

_LAZY = {
    "attach": "talan.attachment",
    "Handle": "talan.attachment",
    "Block": "talan.block",
    "Donors": "talan.controls",
    "apply_scope": "talan.scope",
    "trainable_parameters": "talan.scope",
}

__all__ = [
    "AXES",
    "Axis",
    "Block",
    "Donors",
    "Handle",
    "TalanConfig",
    "TalanError",
    "apply_scope",
    "attach",
    "canonical",
    "recipes",
    "resolve_insertion",
    "trainable_parameters",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
