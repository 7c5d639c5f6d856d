"""From probes to the tidy table that summaries, figures and ``probes.csv`` are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ablate.plan import PlannedRun
from ablate.probing.result import Probed
from talan.probe.result import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

PLACE = ("run_key", "arm", "backbone", "seed", "site", "layers")
"""What the table says of a run, before the columns of a measurement."""

KEYS = ("backbone", "arm", "seed", "measure", "variant", "benchmark", "other", "layer", "draw")
"""Columns that identify a row of the table and sort ``probes.csv``."""


def tidy(runs: Iterable[PlannedRun], probes: Mapping[str, Probed]) -> pd.DataFrame:
    """A row per number: the runs of ``runs`` that were probed, at each of their places.

    ``layer`` is empty for measures that have none, ``value`` for what is not defined.
    """
    import pandas as pd

    rows = [
        (
            run.key, run.arm.name, run.backbone, run.seed, found.site, found.layers,
            *(getattr(row, name) for name in COLUMNS),
        )
        for run in runs
        if run.key in probes
        for found in [probes[run.key].measured]
        for row in found.rows
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=[*PLACE, *COLUMNS])
    return frame.astype({"layer": "Int64", "value": float})
