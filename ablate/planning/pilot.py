"""Pairs that a study needs, from the runs of it that a home already has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.analyse import paired_table
from ablate.collect import make_tables
from stats.errors import StatsError

if TYPE_CHECKING:
    from ablate.ledger import Ledger
    from ablate.plan import Plan
    from stats.planning.pilot_plan import PilotPlan


def pilot_plan(plan: Plan, ledger: Ledger) -> PilotPlan | None:
    """The pairs that each primary contrast and each cell needs for the study's SESOI.

    The runs of the study that the ledger has are its pilot: their spread counts, with its upper
    80 % limit, never the differences they found. Their seeds must not be used again to confirm.
    None without two complete pairs.
    """
    from stats.planning.pilot import pilot
    from stats.planning.pilot_plan import plan_from_pilot

    keys = list(plan.specs)
    scores = ledger.scores(keys)
    if not scores:
        return None
    tables = make_tables(plan, ledger.records(keys), scores)
    table = paired_table(plan, tables.results, plan.main or plan.retention)
    try:
        found = pilot(table, cells=plan.design.secondary, primary=plan.design.primary)
    except StatsError:
        return None
    if not any(spread.usable for spread in (*found.primary, *found.cells)):
        return None
    return plan_from_pilot(found, plan.study.sesoi, alpha=plan.study.alpha)
