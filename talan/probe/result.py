"""The outcome of a probe: one row per number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from talan.errors import TalanError, nearest
from talan.probe.definitions import MEASURES


@dataclass(frozen=True)
class Row:
    """One number.

    `benchmark` is empty for measures of the block itself, `other` the second benchmark of a pair,
    else empty; `layer` is the state 0..L, or None for measures without one; `measure` is a key of
    `MEASURES`; `variant` one of `VARIANTS`, empty for measures of the block itself; `draw` counts
    the random directions from 0 and is 0 elsewhere. `value` is NaN where it is undefined.
    """

    benchmark: str
    other: str
    layer: int | None
    measure: str
    variant: str
    draw: int
    value: float


COLUMNS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(Row))


@dataclass(frozen=True)
class ProbeResult:
    """What `probe` measured.

    `site` is the insertion site k and `layers` the number L of decoder layers. `prompts` and
    `tokens` count what was pooled on each benchmark. `dtype` is that of the model's stream.
    `undefined` says in a sentence why a variant is absent, or why the rows of a measure are NaN
    whatever the prompts.
    """

    rows: tuple[Row, ...]
    site: int
    layers: int
    prompts: Mapping[str, int]
    tokens: Mapping[str, int]
    dtype: str
    undefined: Mapping[str, str]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries with the keys `COLUMNS`, fit for a data frame."""
        return [dataclasses.asdict(row) for row in self.rows]

    def value(
        self,
        measure: str,
        *,
        benchmark: str = "",
        other: str = "",
        layer: int | None = None,
        variant: str = "block",
        draw: int = 0,
    ) -> float:
        """One number; `TalanError` if there is no such row."""
        if measure in MEASURES and MEASURES[measure].per == "block":
            variant = ""
        key = (benchmark, other, layer, measure, variant, draw)
        if key not in self._values:
            raise TalanError(
                f"no row for {dict(zip(COLUMNS, key, strict=False))}",
                place="ProbeResult",
                value=measure,
                hint=self.undefined.get(variant) or nearest(measure, MEASURES),
            )
        return self._values[key]

    def curve(
        self, measure: str, benchmark: str, variant: str = "block", draw: int = 0
    ) -> list[float]:
        """The values of a measure per layer, for the states 0..L; `TalanError` as `value`."""
        return [
            self.value(measure, benchmark=benchmark, layer=layer, variant=variant, draw=draw)
            for layer in range(self.layers + 1)
        ]

    @cached_property
    def _values(self) -> dict[tuple[str, str, int | None, str, str, int], float]:
        """The value of each row by its other columns."""
        return {
            (row.benchmark, row.other, row.layer, row.measure, row.variant, row.draw): row.value
            for row in self.rows
        }
