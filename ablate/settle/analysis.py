"""What a settling study's tables say, by the plan: thin glue to ``stats``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ablate.analyse import RNG_SEED, paired_table, score_limits
from ablate.collect import NO_SCORE, OTHER_ENVIRONMENT, Tables
from ablate.failures import scored_at_unadapted, supported_effects
from ablate.plan import Plan
from ablate.result import DIVERGED
from ablate.settle.plan_file import SEQUENTIAL, main_benchmarks
from stats.contrast import Contrast
from stats.equivalence.analysis import equivalence
from stats.equivalence.result import Equivalence, EquivalenceTest
from stats.errors import StatsError
from stats.gatekeeping.gatekeep import gatekeep, per_index
from stats.gatekeeping.result import Gatekept, GateVerdict
from stats.gatekeeping.small_studies import SmallStudies, small_studies
from stats.prepare import Room, averaged, in_cell
from stats.sample import Sample
from stats.sequential.eholm import EHolm, e_holm
from stats.sequential.eprocess import EFFECTS
from stats.sequential.plan import SequentialPlan
from stats.sequential.replay import SETTLED, Replay
from stats.table import PairedTable

_ROOM = Room({}, None)  # limits play no part here


@dataclass(frozen=True)
class Settled:
    """The claim through its gates, and what the plan announces beside it.

    With a fixed number of pairs there are ``equivalence`` and ``small``, an entry per adapter, or
    a reason in ``lacking``; with a sequential rule ``replays`` (the average against each adapter,
    look by look) and ``cells`` (e-values of all cells against each adapter) instead.
    ``n_diverged`` counts runs that the second analysis scores, ``waiting`` has the seeds that a
    sequential rule has not looked at, because the first of them lacks a run.
    """

    gatekept: Gatekept
    equivalence: Equivalence | None
    small: tuple[SmallStudies, ...]
    lacking: dict[str, str]
    replays: dict[str, Replay]
    cells: dict[str, EHolm]
    n_diverged: int
    waiting: tuple[int, ...]


@dataclass(frozen=True)
class ClaimTables:
    """The claim's scores: ``complete`` pairs, and the same with diverged runs ``scored`` (None:
    ``n_diverged`` is 0). The seeds ``waiting`` have no score in either."""

    complete: PairedTable
    scored: PairedTable | None
    n_diverged: int
    waiting: tuple[int, ...]


def claim_contrasts(plan: Plan) -> tuple[Contrast, ...]:
    """The mechanism against each adapter, named by the adapter."""
    return tuple(
        Contrast(arm.adapter, {arm.name: 1.0, arm.adapter: -1.0})
        for arm in plan.design.arms
        if arm.is_design_point
    )


def claim_tables(plan: Plan, tables: Tables, contrasts: tuple[Contrast, ...]) -> ClaimTables:
    """The tables that the claim's analyses read."""
    arms = [arm for contrast in contrasts for arm in contrast.weights]
    benchmarks = main_benchmarks(plan)
    complete, scored = tables.results, scored_at_unadapted(plan, tables)
    waiting: tuple[int, ...] = ()
    if plan.study.settle.stopping == SEQUENTIAL:
        ours = scored["arm"].isin(arms) & scored["benchmark"].isin(benchmarks)
        waiting = from_first_gap(scored[ours])
        complete, scored = (
            each.assign(score=each["score"].mask(each["seed"].isin(waiting), NO_SCORE))
            for each in (complete, scored)
        )
    seen = complete[complete["arm"].isin(arms) & ~complete["seed"].isin(waiting)]
    diverged = int((seen.drop_duplicates("run_key")["outcome"] == DIVERGED).sum())
    return ClaimTables(
        paired_table(plan, complete, benchmarks, arms),
        paired_table(plan, scored, benchmarks, arms) if diverged else None,
        diverged,
        waiting,
    )


def from_first_gap(results: pd.DataFrame) -> tuple[int, ...]:
    """The seeds from the first one on that lacks a score on any backbone.

    A sequential rule bets seed by seed: a seed that a machine lost and that is run later would come
    before others that were seen already, and change every bet after it. So the rule looks at the
    seeds before the first gap, and no outcome of theirs can change. ``results`` has diverged runs
    scored: to diverge is an outcome, and so is another environment.
    """
    lacking = results["score"].isna() & (results["outcome"] != OTHER_ENVIRONMENT)
    if not lacking.any():
        return ()
    first = results.loc[lacking, "seed"].min()
    return tuple(sorted(int(seed) for seed in results["seed"].unique() if seed >= first))


def settle_claim(plan: Plan, tables: Tables) -> Settled:
    """The whole analysis of a settling study.

    Raises:
        StatsError: no contrast has two complete pairs.
    """
    study = plan.study
    contrasts = claim_contrasts(plan)
    read = claim_tables(plan, tables, contrasts)
    table = read.complete
    sequential = study.settle.stopping == SEQUENTIAL
    kept = _gates(plan, read, contrasts)
    if sequential:
        return Settled(
            kept, None, (), {}, replays(plan, table, contrasts), _cells(plan, table, contrasts),
            read.n_diverged, read.waiting,
        )  # fmt: skip
    small, lacking = _small(table, contrasts, study.alpha)
    return Settled(
        gatekept=kept,
        equivalence=_equivalence(plan, read, contrasts),
        small=small,
        lacking=lacking,
        replays={},
        cells={},
        n_diverged=read.n_diverged,
        waiting=(),
    )


def _equivalence(plan: Plan, read: ClaimTables, contrasts: tuple[Contrast, ...]) -> Equivalence:
    """Equivalence on complete pairs, as far as the analysis with diverged runs scored supports it:
    the verdict is that of both, p the larger; intervals and plans are of complete pairs."""
    complete, scored = (
        equivalence(
            table,
            cells=contrasts,
            primary=contrasts,
            margin=plan.study.sesoi,
            limits=score_limits(plan, main_benchmarks(plan)),
            alpha=plan.study.alpha,
            rng=RNG_SEED,
        )
        if table is not None
        else None
        for table in (read.complete, read.scored)
    )
    assert complete is not None
    if scored is None:
        return complete
    return dataclasses.replace(
        complete,
        primary=_both(complete.primary, scored.primary),
        cells=_both(complete.cells, scored.cells),
    )


def _both(
    complete: Sequence[EquivalenceTest], scored: Sequence[EquivalenceTest]
) -> tuple[EquivalenceTest, ...]:
    effects = supported_effects([t.effect for t in complete], [t.effect for t in scored])
    return tuple(
        dataclasses.replace(one, effect=e, p_adjusted=float(np.fmax(one.p_adjusted, p)))
        for one, e, p in zip(complete, effects, (t.p_adjusted for t in scored), strict=True)
    )


def _gates(plan: Plan, read: ClaimTables, contrasts: tuple[Contrast, ...]) -> Gatekept:
    return gatekeep(
        read.complete,
        contrasts,
        subject="the mechanism",
        says=("adds to", "takes from"),
        sensitivity=read.scored,
        alpha=plan.study.alpha,
        sesoi=plan.study.sesoi,
        evidence="e" if plan.study.settle.stopping == SEQUENTIAL else "t",
        effects=EFFECTS,
        rng=RNG_SEED,
    )


def _small(
    table: PairedTable, contrasts: tuple[Contrast, ...], alpha: float
) -> tuple[tuple[SmallStudies, ...], dict[str, str]]:
    """Smaller studies against each adapter, and why there are none against others."""
    found, lacking = [], {}
    for contrast in contrasts:
        try:
            found.append(small_studies(table, contrast, alpha=alpha, rng=RNG_SEED))
        except StatsError as error:
            lacking[contrast.name] = error.message
    return tuple(found), lacking


def replays(plan: Plan, table: PairedTable, contrasts: tuple[Contrast, ...]) -> dict[str, Replay]:
    """The sequential rule on the average against each adapter, one value per seed."""
    scores = table.scores()
    everywhere = list(range(len(scores.cells)))
    rule = SequentialPlan(
        max_n=plan.study.settle.budget,
        alpha=plan.study.alpha,
        sesoi=plan.study.sesoi,
        effects=EFFECTS,
        units=table.units,
    )
    found = {}
    for contrast in contrasts:
        whole = averaged(contrast, everywhere, table, scores, _ROOM).sample
        sample = per_index(whole, table, scores)
        if sample.n:
            found[contrast.name] = rule.decide(sample)
    return found


def _cells(plan: Plan, table: PairedTable, contrasts: tuple[Contrast, ...]) -> dict[str, EHolm]:
    scores = table.scores()
    found = {}
    for contrast in contrasts:
        samples: dict[str, Sample] = {}
        for c, cell in enumerate(scores.cells):
            test = in_cell(contrast, c, scores, _ROOM)
            if test is not None and test.sample.n:
                samples["/".join(cell)] = test.sample
        found[contrast.name] = e_holm(samples, alpha=plan.study.alpha, effects=EFFECTS)
    return found


def is_decided(plan: Plan, tables: Tables) -> bool:
    """Whether the stopping rule lets a sequential study end: see the plan's "stopping"."""
    contrasts = claim_contrasts(plan)
    read = claim_tables(plan, tables, contrasts)
    verdicts = []
    for each in (read.complete, read.scored):
        if each is None:
            continue
        states = replays(plan, each, contrasts)
        if len(states) < len(contrasts) or any(s.verdict not in SETTLED for s in states.values()):
            return False
        verdicts.append([s.verdict for s in states.values()])
    sides = {str(verdict).split("-")[0] for row in verdicts for verdict in row}
    if sides in ({"superior"}, {"inferior"}):
        first = _gates(plan, read, contrasts).average
        return first.verdict in (GateVerdict.BETTER, GateVerdict.WORSE)
    return all(row == verdicts[0] for row in verdicts)
