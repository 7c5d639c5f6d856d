"""What a probe of a run returns, as a line of JSON for the pipe and as bytes for the ledger."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

from talan.probe.result import ProbeResult, Row


@dataclass(frozen=True)
class Probed:
    """What was measured inside a trained run.

    ``recipe`` is the version of our own arithmetic, ``prompts`` the digest of the prompts that the
    run was shown, ``seconds`` what it took.
    """

    key: str
    recipe: int
    prompts: str
    measured: ProbeResult
    seconds: float

    def to_json(self) -> str:
        """One line of JSON, read back by :meth:`from_json`."""
        return json.dumps(
            {
                "key": self.key,
                "recipe": self.recipe,
                "prompts": self.prompts,
                "measured": _as_data(self.measured),
                "seconds": self.seconds,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Probed:
        """The inverse of :meth:`to_json`."""
        data = json.loads(text)
        return cls(**data | {"measured": _from_data(data["measured"])})

    def pack(self) -> bytes:
        """The line of JSON, compressed."""
        return zlib.compress(self.to_json().encode(), 6)

    @classmethod
    def unpack(cls, content: bytes) -> Probed:
        """The inverse of :meth:`pack`."""
        return cls.from_json(zlib.decompress(content).decode())


def _as_data(measured: ProbeResult) -> dict[str, Any]:
    """Plain data; a value that is not defined becomes null."""
    rows = [
        [r.benchmark, r.other, r.layer, r.measure, r.variant, r.draw, _number(r.value)]
        for r in measured.rows
    ]
    return {
        "rows": rows,
        "site": measured.site,
        "layers": measured.layers,
        "prompts": dict(measured.prompts),
        "tokens": dict(measured.tokens),
        "dtype": measured.dtype,
        "undefined": dict(measured.undefined),
    }


def _from_data(data: dict[str, Any]) -> ProbeResult:
    rows = tuple(
        Row(benchmark, other, layer, measure, variant, draw, math.nan if value is None else value)
        for benchmark, other, layer, measure, variant, draw, value in data["rows"]
    )
    return ProbeResult(**data | {"rows": rows})


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
