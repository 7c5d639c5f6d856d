"""The probes of a study as reports show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ablate.plan import PlannedRun
from ablate.probing.result import Probed
from ablate.probing.summary import Summary, summarise
from ablate.probing.table import tidy

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ProbeFindings:
    """``table`` has every number of every probed run, ``summaries`` one entry per arm and
    backbone over its seeds, ``notes`` what is missing and why."""

    table: pd.DataFrame = field(repr=False)
    summaries: tuple[Summary, ...]
    notes: tuple[str, ...] = ()


def make_probe_findings(
    runs: Sequence[PlannedRun],
    probes: Mapping[str, Probed],
    shown: Sequence[str],
    notes: Sequence[str] = (),
) -> ProbeFindings | None:
    """Findings of those of ``runs`` that were probed; None where none was.

    Args:
        runs: places of the study, or named runs.
        probes: what the ledger has, by run key.
        shown: names of the arms that are summarised; the table has all.
        notes: what to tell the reader beside.
    """
    table = tidy(runs, probes)
    if table.empty:
        return None
    labels = {run.arm.name: run.arm.label for run in runs}
    groups = table[table["arm"].isin(list(shown))].groupby(["arm", "backbone"], sort=False)
    order = {name: i for i, name in enumerate(labels)}
    summaries = [summarise(group, labels[str(arm)]) for (arm, _), group in groups]
    summaries.sort(key=lambda summary: order[summary.arm])
    return ProbeFindings(table, tuple(summaries), tuple(notes))
