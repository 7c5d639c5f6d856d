"""What every section is given: the table, its roles, the options, results that sections share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stats.contrast import Contrast, against, versus
from stats.report.names import shared_part, without
from stats.report.roles import PairedRoles, RepeatedRoles

if TYPE_CHECKING:
    import pandas as pd

    from stats.decompose.analysis import Decomposition
    from stats.repeatability.result import NoiseFloor
    from stats.result import Comparison
    from stats.table import PairedTable


@dataclass(frozen=True)
class Options:
    """How to analyse: levels, random numbers, what to leave out. ``sesoi`` in reported units."""

    sesoi: float | None = None
    alpha: float = 0.05
    confidence_level: float = 0.95
    n_resamples: int = 10_000
    seed: int = 0
    allow_failed: bool = False
    figures: bool = True
    item: str = "item"
    outcome: str = "correct"


@dataclass(frozen=True)
class PairedStudy:
    """Paired runs. ``items`` is the table of outcomes per item, or None."""

    frame: pd.DataFrame = field(repr=False)
    roles: PairedRoles
    options: Options
    items: pd.DataFrame | None = field(default=None, repr=False)

    @cached_property
    def table(self) -> PairedTable:
        """The checked table."""
        from stats.table import PairedTable

        return PairedTable.from_frame(
            self.frame,
            arm=self.roles.arm,
            pair=self.roles.pair,
            cell=self.roles.cell,
            score=self.roles.score,
            percent=self.roles.percent,
            required_arms=self.roles.baselines,
            allow_failed=self.options.allow_failed,
        )

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that are no baselines."""
        return tuple(arm for arm in self.table.arms if arm not in self.roles.baselines)

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Every arm against every baseline."""
        bases = self.roles.baselines
        if len(bases) == 1:
            return tuple(versus(arm, bases[0]) for arm in self.arms)
        return tuple(c for arm in self.arms for c in against(arm, bases))

    @cached_property
    def comparison(self) -> Comparison:
        """The paired comparison in cells and averaged."""
        from stats.compare import compare

        o = self.options
        return compare(
            self.table, cells=self.contrasts, primary=self.contrasts, sesoi=o.sesoi,
            alpha=o.alpha, confidence_level=o.confidence_level, n_resamples=o.n_resamples,
            rng=o.seed,
        )  # fmt: skip

    @cached_property
    def decomposition(self) -> Decomposition:
        """The variance components of the table."""
        from stats.decompose.analysis import decompose

        r, o = self.roles, self.options
        return decompose(
            self.frame, arm=r.arm, baseline=r.baselines[0], backbone=r.backbone,
            benchmark=r.benchmark, hp=r.hp, seed=r.seed, axes=r.axes, score=r.score,
            percent=r.percent, allow_failed=o.allow_failed, confidence_level=o.confidence_level,
        )  # fmt: skip


@dataclass(frozen=True)
class RepeatedStudy:
    """Repeated single runs."""

    frame: pd.DataFrame = field(repr=False)
    roles: RepeatedRoles
    options: Options

    @cached_property
    def floor(self) -> NoiseFloor:
        """The noise floor."""
        from stats.repeatability.floor import noise_floor

        r, o = self.roles, self.options
        return noise_floor(
            self.frame, entry=r.entry, occasion=r.occasion, score=r.score, percent=r.percent,
            confidence_level=o.confidence_level, rng=o.seed,
        )  # fmt: skip

    @cached_property
    def shared_part(self) -> str:
        """What all entries' names share."""
        return shared_part([e for e in self.frame[self.roles.entry].astype(str).unique()])

    def label(self, entry: str) -> str:
        """An entry's short name."""
        return without(entry, self.shared_part)
