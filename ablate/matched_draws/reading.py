"""What the draws of a study say, for each adapter and for each design point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from ablate.analyse import CELL, PAIR, RNG_SEED, is_compared, whole_seeds
from ablate.matched_draws.importance import Importance, importances
from ablate.space import LOGARITHMIC, NAMES, SHARED
from stats.contrast import Contrast, versus
from stats.decompose.analysis import Decomposition
from stats.errors import StatsError
from stats.figures.matched_draws import MAX_PANELS
from stats.matched_draws.analysis import matched_draws
from stats.matched_draws.components import CellSpread, decomposition, spread_over_cells
from stats.matched_draws.outcome import MatchedDraws
from stats.table import PairedTable

if TYPE_CHECKING:
    from ablate.collect import Tables
    from ablate.plan import Plan

AVERAGE = "average over cells"
MOST_POINTS = 40
"""Design points that get a row of their own."""


@dataclass(frozen=True)
class AdapterDraws:
    """The mechanism against one adapter over the draws.

    ``mechanism`` is its mean over design points against the adapter, the study's primary contrast;
    ``points`` the single design points where there are several. ``parts`` decompose scores, on
    average over cells and in each cell; ``cells`` is mechanism x cell (None for one cell).
    """

    adapter: str
    contrast: Contrast
    mechanism: MatchedDraws
    points: Mapping[str, MatchedDraws]
    parts: Mapping[str, Decomposition]
    cells: CellSpread | None
    importance: tuple[Importance, ...]
    notes: tuple[str, ...]


def read_draws(plan: Plan, tables: Tables) -> list[AdapterDraws]:
    """The analysis of every adapter of a study with draws.

    Raises:
        StatsError: too little is left of the draws to say anything.
    """
    table = seed_table(plan, tables)
    return [
        _read(plan, table, contrast)
        for contrast in plan.design.primary
        if contrast.group == "mechanism"
    ]


def seed_table(plan: Plan, tables: Tables) -> PairedTable:
    """The scores of the main cells with those seeds of every draw that all compared arms have, on
    which the primary family rests too."""
    arms = [arm.name for arm in plan.design.arms if is_compared(arm)]
    frame = tables.results
    frame = frame[frame["benchmark"].isin(plan.main or plan.retention) & frame["arm"].isin(arms)]
    return PairedTable.from_frame(
        whole_seeds(pd.DataFrame(frame[["arm", *PAIR, "benchmark", "score"]])),
        pair=PAIR, cell=CELL, percent=True, allow_failed=True,
    )  # fmt: skip


def _read(plan: Plan, table: PairedTable, contrast: Contrast) -> AdapterDraws:
    (adapter,) = contrast.baselines
    settings = {
        str(draw.index): {name: float(value) for name, value in draw.values.items()}
        for draw in plan.draws
    }

    def read(one: Contrast) -> MatchedDraws:
        return matched_draws(
            table, one, draw="hp", settings=settings, log=tuple(LOGARITHMIC),
            independent=plan.study.draws.sampler == "iid", own_seeds=True,
            rng=RNG_SEED,
        )  # fmt: skip

    mechanism = read(contrast)
    labels = {arm.name: arm.label for arm in plan.design.arms}
    arms = [arm for arm in contrast.arms if len(contrast.arms) <= MOST_POINTS]
    points = {labels[arm]: read(versus(arm, adapter)) for arm in arms} if len(arms) > 1 else {}
    cells = table.scores().cells
    notes: list[str] = []
    parts: dict[str, Decomposition] = {}
    places: dict[str, list[tuple[str, ...]] | None] = {AVERAGE: None}
    if 1 < len(cells) < MAX_PANELS:  # one is the average
        places |= {" × ".join(cell): [cell] for cell in cells}
    for name, where in places.items():
        try:
            parts[name] = decomposition(table, contrast, draw="hp", cells=where)
        except StatsError as error:
            notes.append(f"No decomposition of {name}: {error.message}.")
    spread = None
    if len(cells) > 1:
        try:
            spread = spread_over_cells(table, contrast, draw="hp")
        except StatsError as error:
            notes.append(f"No spread over cells: {error.message}.")
    return AdapterDraws(
        adapter, contrast, mechanism, points, parts, spread,
        _importance(plan, mechanism), tuple(notes),
    )  # fmt: skip


def _importance(plan: Plan, result: MatchedDraws) -> tuple[Importance, ...]:
    draws = result.overall.draws
    values = {str(draw.index): draw.values for draw in plan.draws}
    baseline = [draw.baseline for draw in draws]
    effect = [draw.effect for draw in draws]
    return importances(
        plan.study.space,
        [values[draw.draw] for draw in draws],
        {
            "baseline": (SHARED, baseline),
            "mechanism": (NAMES, [b + e for b, e in zip(baseline, effect, strict=True)]),
            "difference": (NAMES, effect),
        },
    )
