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
    from talan.attachment import attach, handles
    from talan.block import Block, Call
    from talan.controls import Donors
    from talan.handle import Handle
    from talan.scope import trainable_parameters

_LAZY = {
    "attach": "talan.attachment",
    "handles": "talan.attachment",
    "Handle": "talan.handle",
    "Block": "talan.block",
    "Call": "talan.block",
    "Donors": "talan.controls",
    "trainable_parameters": "talan.scope",
}

__all__ = [
    "AXES",
    "Axis",
    "Block",
    "Call",
    "Donors",
    "Handle",
    "TalanConfig",
    "TalanError",
    "attach",
    "canonical",
    "handles",
    "recipes",
    "resolve_insertion",
    "trainable_parameters",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
