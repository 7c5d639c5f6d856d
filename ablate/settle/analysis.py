"""What a settling study's tables say, by the plan: thin glue to ``stats``."""

from __future__ import annotations

from dataclasses import dataclass

from ablate.analyse import RNG_SEED, paired_table, score_limits
from ablate.collect import Tables
from ablate.failures import scored_at_unadapted
from ablate.plan import Plan
from ablate.result import DIVERGED
from ablate.settle.plan_file import SEQUENTIAL, main_benchmarks
from stats.contrast import Contrast
from stats.equivalence.analysis import equivalence
from stats.equivalence.result import Equivalence
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
    ``n_diverged`` counts runs that the second analysis scores.
    """

    gatekept: Gatekept
    equivalence: Equivalence | None
    small: tuple[SmallStudies, ...]
    lacking: dict[str, str]
    replays: dict[str, Replay]
    cells: dict[str, EHolm]
    n_diverged: int


def claim_contrasts(plan: Plan) -> tuple[Contrast, ...]:
    """The mechanism against each adapter, named by the adapter."""
    return tuple(
        Contrast(arm.adapter, {arm.name: 1.0, arm.adapter: -1.0})
        for arm in plan.design.arms
        if arm.is_design_point
    )


def claim_tables(
    plan: Plan, tables: Tables, contrasts: tuple[Contrast, ...]
) -> tuple[PairedTable, PairedTable | None, int]:
    """Complete pairs, the same with diverged runs scored (None: there are none), their number."""
    arms = [arm for contrast in contrasts for arm in contrast.weights]
    benchmarks = main_benchmarks(plan)
    table = paired_table(plan, tables.results, benchmarks, arms)
    ours = tables.results[tables.results["arm"].isin(arms)]
    diverged = int((ours.drop_duplicates("run_key")["outcome"] == DIVERGED).sum())
    if not diverged:
        return table, None, 0
    scored = paired_table(plan, scored_at_unadapted(plan, tables), benchmarks, arms)
    return table, scored, diverged


def settle_claim(plan: Plan, tables: Tables) -> Settled:
    """The whole analysis of a settling study.

    Raises:
        StatsError: no contrast has two complete pairs.
    """
    study = plan.study
    contrasts = claim_contrasts(plan)
    table, scored, diverged = claim_tables(plan, tables, contrasts)
    sequential = study.settle.stopping == SEQUENTIAL
    kept = _gates(plan, table, scored, contrasts)
    if sequential:
        return Settled(
            kept, None, (), {}, replays(plan, table, contrasts), _cells(plan, table, contrasts),
            diverged,
        )  # fmt: skip
    small, lacking = _small(table, contrasts, study.alpha)
    return Settled(
        gatekept=kept,
        equivalence=equivalence(
            table,
            cells=contrasts,
            primary=contrasts,
            margin=study.sesoi,
            limits=score_limits(plan, main_benchmarks(plan)),
            alpha=study.alpha,
            rng=RNG_SEED,
        ),
        small=small,
        lacking=lacking,
        replays={},
        cells={},
        n_diverged=diverged,
    )


def _gates(
    plan: Plan,
    table: PairedTable,
    scored: PairedTable | None,
    contrasts: tuple[Contrast, ...],
) -> Gatekept:
    return gatekeep(
        table,
        contrasts,
        subject="the mechanism",
        says=("adds to", "takes from"),
        sensitivity=scored,
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
    table, scored, _ = claim_tables(plan, tables, contrasts)
    verdicts = []
    for each in (table, *([scored] if scored is not None else [])):
        states = replays(plan, each, contrasts)
        if len(states) < len(contrasts) or any(s.verdict not in SETTLED for s in states.values()):
            return False
        verdicts.append([s.verdict for s in states.values()])
    sides = {str(verdict).split("-")[0] for row in verdicts for verdict in row}
    if sides in ({"superior"}, {"inferior"}):
        first = _gates(plan, table, scored, contrasts).average
        return first.verdict in (GateVerdict.BETTER, GateVerdict.WORSE)
    return all(row == verdicts[0] for row in verdicts)
