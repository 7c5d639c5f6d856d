"""Internal state: what the block does to the residual stream, measured with its controls.

Definitions and result rows are light; what needs torch is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from talan.probe.definitions import MEASURES, VARIANTS, Measure
from talan.probe.result import COLUMNS, ProbeResult, Row

if TYPE_CHECKING:
    from talan.probe.prompts import Prompts
    from talan.probe.run import probe
    from talan.probe.streams import capture

_LAZY = {
    "capture": "talan.probe.streams",
    "probe": "talan.probe.run",
    "Prompts": "talan.probe.prompts",
}

__all__ = [
    "COLUMNS",
    "MEASURES",
    "VARIANTS",
    "Measure",
    "ProbeResult",
    "Prompts",
    "Row",
    "capture",
    "probe",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
