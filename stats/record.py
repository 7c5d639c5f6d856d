"""What all result objects share: plain values for JSON, and how they were made."""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Mapping, Sequence
from enum import Enum
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

VERSIONED = ("numpy", "scipy", "pandas")


class Record:
    """Base of frozen dataclasses that are results.

    A result has the fields ``estimand`` (a sentence: what its numbers estimate) and ``method`` (how
    they were computed), and, where random numbers were used, ``rng_seed`` (None when a generator
    was handed in). ``table()`` is its rows with nothing rounded; ``summary()`` its text.
    """

    def table(self) -> pd.DataFrame:
        """One row: the fields that are single values. Results of several rows override this."""
        import pandas as pd

        flat = {
            name: value for name, value in self.to_dict().items() if not isinstance(value, list)
        }
        return pd.DataFrame([{k: v for k, v in flat.items() if not isinstance(v, dict)}])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a finite number becomes None."""
        return {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    def to_latex(self, caption: str = "") -> str:
        """The rows of ``table()`` as a LaTeX table (booktabs)."""
        from stats.layout import latex

        return latex(self.table(), caption)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinities become None, arrays and tuples lists."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Record):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (Sequence, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return plain(value.to_dict(orient="records"))
    return str(value)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that numbers depend on."""
    found = {name: metadata.version(name) for name in VERSIONED}
    return {"python": platform.python_version()} | found


def seed_of(rng: int | np.random.Generator) -> int | None:
    """The seed to record for an ``rng`` argument: None when a generator was handed in."""
    return None if isinstance(rng, np.random.Generator) else int(rng)
