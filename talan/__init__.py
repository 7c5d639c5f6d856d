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
    from talan.checkpoint import load, save
    from talan.controls import Donors
    from talan.handle import Handle
    from talan.scope import trainable_parameters
    from talan.summary import ParameterCounts, count_parameters, print_trainable
    from talan.trainer import TalanCallback, TalanTrainerMixin

_LAZY = {
    "attach": "talan.attachment",
    "handles": "talan.attachment",
    "Handle": "talan.handle",
    "Block": "talan.block",
    "Call": "talan.block",
    "Donors": "talan.controls",
    "ParameterCounts": "talan.summary",
    "TalanCallback": "talan.trainer",
    "TalanTrainerMixin": "talan.trainer",
    "count_parameters": "talan.summary",
    "load": "talan.checkpoint",
    "print_trainable": "talan.summary",
    "save": "talan.checkpoint",
    "trainable_parameters": "talan.scope",
}

__all__ = [
    "AXES",
    "Axis",
    "Block",
    "Call",
    "Donors",
    "Handle",
    "ParameterCounts",
    "TalanCallback",
    "TalanConfig",
    "TalanError",
    "TalanTrainerMixin",
    "attach",
    "canonical",
    "count_parameters",
    "handles",
    "load",
    "print_trainable",
    "recipes",
    "resolve_insertion",
    "save",
    "trainable_parameters",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
