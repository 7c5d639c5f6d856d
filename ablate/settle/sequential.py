"""The looks of a sequential study at its own ledger."""

from __future__ import annotations

from ablate.ledger import Ledger
from ablate.plan import Plan
from stats.errors import StatsError


def looks(each: int, budget: int) -> tuple[int, ...]:
    """The numbers of pairs at which a sequential study looks; the last is its budget."""
    return (*range(each, budget, each), budget)


def decided(plan: Plan, ledger: Ledger) -> bool:
    """Whether the runs so far decide the claim by the plan's stopping rule."""
    from ablate.collect import make_tables
    from ablate.settle.analysis import is_decided

    tables = make_tables(plan, ledger.records(plan.specs), ledger.scores(plan.specs))
    try:
        return is_decided(plan, tables)
    except StatsError:
        return False  # too few complete pairs so far
