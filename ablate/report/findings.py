"""What a report is made from: the design, the records and the inference, as plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ablate.control_arms import CONTROLS
from ablate.errors import AblateError

if TYPE_CHECKING:
    import pandas as pd

    from ablate.probing.findings import ProbeFindings
    from ablate.report.panel import Panel
    from stats.result import Comparison
    from stats.table import PairedTable

RESULT_KEYS = ("backbone", "arm", "hp", "seed", "benchmark")
"""Columns that identify a row of ``results`` and sort ``results.csv``."""

PAIR = ("backbone", "hp", "seed")
"""Columns of ``results`` that name a pair, where no more is averaged before inference."""

NEEDED = {
    "results": (*RESULT_KEYS, "run_key", "outcome", "score"),
    "costs": ("run_key", "arm", "backbone", "seed"),
    "items": ("run_key", "benchmark", "item", "correct", "loglik"),
    "unadapted": ("backbone", "benchmark", "score"),
    "failures": ("arm", "runs", "done", "diverged", "failed", "reasons"),
}
"""Columns each frame of :class:`Findings` must have; it may have more."""


@dataclass(frozen=True)
class ArmInfo:
    """An arm as a report shows it.

    ``name`` is the arm in the tables on disk, ``label`` a short form for people, ``levels`` the
    text of its level on each axis. A baseline has no levels and ``baseline == ""``.
    """

    name: str
    label: str
    adapter: str
    baseline: str
    levels: Mapping[str, str]

    @property
    def control(self) -> str:
        """Which control the arm is, "" where it is none; arms' names say it (``ablate.design``)."""
        _, slash, tail = self.name.rpartition("/")
        tail = tail.removeprefix("control=")
        return tail if slash and tail in CONTROLS else ""

    @property
    def is_mechanism(self) -> bool:
        """Whether it is a design point: an adapter with the mechanism, and no control."""
        return bool(self.baseline) and not self.control


@dataclass(frozen=True)
class Findings:
    """A finished study: what was asked, what was run, what came out, what it means.

    ``axes`` gives each varied axis's levels as text, the reference first. ``sesoi`` is in points.
    ``notes`` tell of merged or inert levels; ``exploratory`` gives the reasons why statements of
    this report are exploratory (none: empty). ``command`` is the command line as typed.

    Frames (see ``NEEDED`` for their columns): ``results`` has a row per run x benchmark with the
    score in 0..1, NaN when the run diverged or failed; ``costs`` a row per run; ``items`` a row per
    run x benchmark x item; ``unadapted`` the score of each untrained backbone; ``failures`` a row
    per arm. ``controls`` compares the mechanism with each control arm and is None without any.
    ``probes`` is None where no run was probed. ``panels`` are further analyses, ``methods``
    sentences that they contribute to ``methods.md``. ``pair`` names the columns of a pair, the unit
    of inference. ``hyperparameters`` are sentences in place of the usual ones, where each arm has
    settings of its own.

    Raises AblateError when a frame lacks a column it needs.
    """

    title: str
    question: str
    command: str
    axes: Mapping[str, tuple[str, ...]]
    arms: tuple[ArmInfo, ...]
    backbones: tuple[str, ...]
    benchmarks: tuple[str, ...]
    retention: tuple[str, ...]
    seeds: tuple[int, ...]
    sesoi: float
    alpha: float
    notes: tuple[str, ...]
    exploratory: tuple[str, ...]
    results: pd.DataFrame = field(repr=False)
    costs: pd.DataFrame = field(repr=False)
    items: pd.DataFrame = field(repr=False)
    unadapted: pd.DataFrame = field(repr=False)
    main: Comparison = field(repr=False)
    retention_comparison: Comparison | None = field(repr=False)
    failures: pd.DataFrame = field(repr=False)
    provenance: Mapping[str, str] = field(repr=False)
    controls: Comparison | None = field(default=None, repr=False)
    probes: ProbeFindings | None = field(default=None, repr=False)
    panels: tuple[Panel, ...] = field(default=(), repr=False)
    methods: tuple[str, ...] = ()
    pair: tuple[str, ...] = PAIR
    hyperparameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, columns in NEEDED.items():
            have = set(getattr(self, name).columns)
            missing = [column for column in columns if column not in have]
            if missing:
                raise AblateError(
                    f"the frame lacks the column '{missing[0]}'",
                    place=f"findings.{name}",
                    value=missing,
                    hint=f"it needs {', '.join(columns)}",
                )

    @property
    def unit(self) -> str:
        """The plural noun for the units of inference."""
        if self.pair == PAIR:
            return "pairs"
        return "searches" if self.tuned else "draws"

    @property
    def tuned(self) -> bool:
        """Whether each arm has settings of its own, those that a search of it chose."""
        return bool(self.hyperparameters)

    def label(self, arm: str) -> str:
        """The short label of an arm, or the name itself where no arm is called so."""
        return next((info.label for info in self.arms if info.name == arm), arm)


def paired_table(findings: Findings) -> PairedTable:
    """The scores of the main benchmarks as the paired table that inference starts from, a pair for
    each backbone, draw and seed."""
    from stats.table import PairedTable

    frame = findings.results
    return PairedTable.from_frame(
        frame[frame["benchmark"].isin(findings.benchmarks)],
        pair=PAIR,
        percent=True,
        allow_failed=True,
    )
