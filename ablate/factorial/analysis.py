"""The inference of a factorial study, from its plan and tables; no text and no figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from ablate.analyse import RNG_SEED, paired_table, score_limits
from ablate.factorial.levels import level_contrasts_of
from ablate.failures.rescored import scored_at_unadapted, supported
from ablate.result import DIVERGED
from stats.compare import Comparison, compare
from stats.errors import StatsError
from stats.factorial.gates import FactorialEffects, two_gates
from stats.factorial.heterogeneity import Heterogeneity, heterogeneity
from stats.factorial.level_means import LevelMeans, level_means
from stats.failed import join
from stats.table import PairedTable
from stats.verdict import Verdict

if TYPE_CHECKING:
    from ablate.collect import Tables
    from ablate.design.factorial import Factorial
    from ablate.plan import Plan
    from stats.result import Effect

SHARE_OF_MAINS = 0.8
"""Of the study's alpha: .04 of .05 for main effects, the rest for interactions."""


@dataclass(frozen=True)
class Analysis:
    """What the runs of a factorial say.

    ``gates`` are the families of main effects and interactions, None where the study declares its
    level contrasts in the primary family or no two pairs are whole; ``scored`` the same with
    diverged runs scored as the unadapted backbone, None without any. ``mains`` are the tested main
    effects, from the gates or else from the primary family. ``verdicts`` gives each tested effect
    what all its analyses support. ``places`` are the tests of heterogeneity, None with one cell;
    ``means`` the level means against the baseline; ``cells`` the main effects in each cell, a
    family of its own. ``scored_alone``: no two pairs are whole, so that ``scored`` alone speaks,
    and the rest of the analysis is on the scored runs too.
    """

    factorial: Factorial
    gates: FactorialEffects | None
    scored: FactorialEffects | None
    mains: tuple[Effect, ...]
    verdicts: Mapping[str, Verdict]
    places: Heterogeneity | None
    means: LevelMeans
    cells: Comparison | None
    sesoi: float
    scored_alone: bool = False

    @property
    def shown(self) -> FactorialEffects | None:
        """The gates that tables and figures show."""
        return self.scored if self.scored_alone else self.gates

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "design": self.factorial.to_dict(),
            "gates": None if self.gates is None else self.gates.to_dict(),
            "scored": None if self.scored is None else self.scored.to_dict(),
            "verdicts": {name: str(verdict) for name, verdict in self.verdicts.items()},
            "heterogeneity": None if self.places is None else self.places.to_dict(),
            "level_means": self.means.to_dict(),
            "cells": None if self.cells is None else self.cells.to_dict(),
            "scored_alone": self.scored_alone,
        }


def analyse_factorial(
    plan: Plan, tables: Tables, primary: Sequence[Effect] = ()
) -> Analysis | None:
    """Test a plan's factorial on its tables; None where the design has none.

    ``primary`` are the effects of the study's primary family, for designs whose level contrasts
    are tested there.

    Raises:
        StatsError: not even with diverged runs scored are two pairs whole.
    """
    factorial = plan.design.factorial
    if factorial is None:
        return None
    whole = _table(plan, tables.results)
    diverged = bool((tables.results["outcome"] == DIVERGED).any())
    rescored = _table(plan, scored_at_unadapted(plan, tables)) if diverged else None
    gates = scored = None
    scored_alone = False
    if factorial.own_families:
        try:
            gates = _gates(plan, factorial, whole)
        except StatsError:
            if rescored is None:
                raise
            scored_alone = True
        scored = None if rescored is None else _gates(plan, factorial, rescored)
    names = [contrast.name for contrast in factorial.mains]
    shown = scored if scored_alone else gates
    mains = (
        tuple(term.effect for term in shown.mains)
        if shown is not None
        else tuple(effect for effect in primary if effect.name in names)
    )
    table = rescored if scored_alone and rescored is not None else whole
    benchmarks = plan.main or plan.retention
    cells = _cells(plan, factorial, table)
    if cells is not None and rescored is not None and not scored_alone:
        counted = _cells(plan, factorial, rescored)
        assert counted is not None
        cells = supported(cells, counted)
    return Analysis(
        factorial=factorial,
        gates=gates,
        scored=scored,
        mains=mains,
        verdicts={effect.name: effect.verdict for effect in mains} | _verdicts(gates, scored),
        places=(
            heterogeneity(table, factorial.mains, alpha=plan.study.alpha)
            if len(plan.backbones) * len(benchmarks) > 1
            else None
        ),
        means=level_means(table, level_contrasts_of(plan)),
        cells=cells,
        sesoi=plan.study.sesoi,
        scored_alone=scored_alone,
    )


def _table(plan: Plan, results: pd.DataFrame) -> PairedTable:
    return paired_table(plan, results, plan.main or plan.retention)


def _cells(plan: Plan, factorial: Factorial, table: PairedTable) -> Comparison | None:
    if not factorial.mains:
        return None
    return compare(
        table,
        cells=factorial.mains,
        primary=(),
        limits=score_limits(plan, plan.main or plan.retention),
        sesoi=plan.study.sesoi,
        alpha=plan.study.alpha,
        rng=RNG_SEED,
    )


def _gates(plan: Plan, factorial: Factorial, table: PairedTable) -> FactorialEffects:
    alpha = plan.study.alpha
    mains = SHARE_OF_MAINS * alpha if factorial.interactions else alpha
    return two_gates(
        table,
        factorial.mains,
        factorial.interactions,
        alpha_mains=mains,
        alpha_interactions=(1 - SHARE_OF_MAINS) * alpha,
        limits=score_limits(plan, plan.main or plan.retention),
        sesoi=plan.study.sesoi,
        rng=RNG_SEED,
    )


def _verdicts(
    gates: FactorialEffects | None, scored: FactorialEffects | None
) -> dict[str, Verdict]:
    """By effect, what the analyses that could be done support together."""
    if gates is not None and scored is not None:
        claims = join(*([term.effect for term in each.terms] for each in (gates, scored)))
        return {claim.complete.name: claim.verdict for claim in claims}
    alone = gates or scored
    return {} if alone is None else {t.effect.name: t.effect.verdict for t in alone.terms}
