"""The declared families again, with diverged runs scored as the unadapted backbone.

A diverged run is an outcome: whoever trains with that arm gets no adapter, and has the backbone as
it was. Leaving such runs out compares the lucky runs of one arm with all runs of the other.
Infrastructure failures and runs that were not made say nothing of an arm and stay missing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from ablate.analyse import DRAW, PAIR, Inference, analyse, is_compared
from ablate.collect import Tables
from ablate.plan import Plan
from ablate.result import DIVERGED, DONE
from stats.failed import FailureRates, Joined, failure_rates, join
from stats.verdict import Verdict

if TYPE_CHECKING:
    from stats.result import Comparison, Effect

SETTLED = (
    Verdict.SUPERIOR_AND_MEANINGFUL,
    Verdict.SUPERIOR,
    Verdict.EQUIVALENT,
    Verdict.INFERIOR,
    Verdict.INFERIOR_AND_MEANINGFUL,
)


@dataclass(frozen=True)
class Rescored:
    """The families with diverged runs scored, and what survives.

    ``inference`` is the whole analysis on the rescored table; ``primary``, ``cells``, ``controls``
    and ``retention`` join each claim with the same claim on complete pairs. ``n_scored`` counts the
    runs that were scored as unadapted, ``n_missing`` those still without a score.
    """

    inference: Inference
    primary: tuple[Joined, ...]
    cells: tuple[Joined, ...]
    controls: tuple[Joined, ...]
    retention: tuple[Joined, ...]
    n_scored: int
    n_missing: int

    @property
    def claims(self) -> tuple[Joined, ...]:
        """All of them."""
        return self.primary + self.cells + self.controls + self.retention

    @property
    def withdrawn(self) -> tuple[Joined, ...]:
        """Claims that hold on complete pairs and not with failures counted."""
        return tuple(
            claim for claim in self.claims if claim.complete.verdict in SETTLED and claim.withdrawn
        )


def surviving(inference: Inference, again: Rescored) -> Inference:
    """``inference`` with the verdicts that both analyses support; its numbers are untouched."""

    scored = again.inference
    return Inference(
        main=supported(inference.main, scored.main),
        retention=_both(inference.retention, scored.retention),
        controls=_both(inference.controls, scored.controls),
        averages=_both(inference.averages, scored.averages),
    )


def supported(complete: Comparison, scored: Comparison) -> Comparison:
    """``complete`` with the verdicts that ``scored``, the same families with diverged runs scored,
    supports too; its numbers are untouched."""
    return dataclasses.replace(
        complete,
        primary=supported_effects(complete.primary, scored.primary),
        cells=supported_effects(complete.cells, scored.cells),
    )


def supported_effects(complete: Sequence[Effect], scored: Sequence[Effect]) -> tuple[Effect, ...]:
    """``complete`` with the verdicts that ``scored``, the same claims in one order, supports
    too."""
    return tuple(map(_with_verdict, join(complete, scored)))


def _both(complete: Comparison | None, scored: Comparison | None) -> Comparison | None:
    return None if complete is None or scored is None else supported(complete, scored)


def _with_verdict(claim: Joined) -> Effect:
    also = claim.complete.also if claim.verdict == claim.complete.verdict else ""
    return dataclasses.replace(claim.complete, verdict=claim.verdict, also=also)


def scored_at_unadapted(plan: Plan, tables: Tables) -> pd.DataFrame:
    """``tables.results`` with every diverged run at its unadapted backbone's score, by benchmark.

    Other runs without a score keep NaN, and so do diverged ones of a backbone that was not scored.
    """
    results = tables.results.copy()
    known = {
        (row.backbone, row.benchmark): row.score for row in tables.unadapted.itertuples(index=False)
    }
    where = results["outcome"] == DIVERGED
    results.loc[where, "score"] = [
        known.get(key, float("nan"))
        for key in zip(results.loc[where, "backbone"], results.loc[where, "benchmark"], strict=True)
    ]
    return results


def rescore(plan: Plan, tables: Tables, inference: Inference) -> Rescored:
    """All declared families on :func:`scored_at_unadapted`, joined with ``inference``.

    Raises:
        StatsError: no contrast has two complete pairs.
    """
    results = scored_at_unadapted(plan, tables)
    again = analyse(plan, dataclasses.replace(tables, results=results))
    runs = results.drop_duplicates(["arm", *PAIR])
    no_score = results.groupby(["arm", *PAIR])["score"].apply(lambda s: bool(s.isna().any()))
    return Rescored(
        inference=again,
        primary=join(inference.main.primary, again.main.primary),
        cells=join(inference.main.cells, again.main.cells),
        controls=_joined(inference.controls, again.controls),
        retention=_joined(inference.retention, again.retention),
        n_scored=int((runs["outcome"] == DIVERGED).sum()),
        n_missing=int(no_score.sum()),
    )


def _joined(complete: Comparison | None, scored: Comparison | None) -> tuple[Joined, ...]:
    if complete is None or scored is None:
        return ()
    return join((*complete.primary, *complete.cells), (*scored.primary, *scored.cells))


def rates(plan: Plan, tables: Tables) -> FailureRates:
    """How often each arm's runs diverged, against its baseline's on the same pairs.

    With matched draws the unit is the draw: a learning rate that is too high makes all its seeds
    diverge, so that only draws are independent.
    """
    runs = tables.results.drop_duplicates(["arm", *PAIR])
    arms = [arm for arm in plan.design.arms if is_compared(arm)]
    names = [arm.name for arm in arms]
    known = runs[runs["outcome"].isin([DONE, DIVERGED]) & runs["arm"].isin(names)]
    frame = known[["arm", *PAIR]].assign(failed=known["outcome"] == DIVERGED)
    have = set(frame["arm"])
    against = {
        arm.name: arm.adapter
        for arm in arms
        if not arm.is_baseline and {arm.name, arm.adapter} <= have
    }
    found = failure_rates(
        frame,
        against,
        pair=PAIR,
        unit=DRAW if plan.over_draws else PAIR,
        alpha=plan.study.alpha,
    )
    return dataclasses.replace(found, unit=plan.unit)
