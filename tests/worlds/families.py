"""The declared families: no effect is found where none is, and what is there is covered."""

from __future__ import annotations

from tests.worlds.campaign import Judged, campaign, claim
from tests.worlds.carry import Carried, found
from tests.worlds.mutants import by_score, unadjusted

SMALL = ("backbones=qwen3-tiny,qwen2-tiny", "benchmarks=arithmetic,recall", "seeds=6")


@campaign(
    "null",
    (*SMALL, "axes=memory", "levels.memory=1,4,16,64"),
    (
        claim(
            "null: primary",
            "Null world: any finding in the primary family (4 contrasts)",
            "at most",
            0.05,
            "every score as a unit, unadjusted",
        ),
        claim(
            "null: cells",
            "Null world: any finding among 16 arm x cell tests",
            "at most",
            0.05,
            "unadjusted t",
        ),
    ),
    short=10,
    long=1000,
)
def null(carried: Carried) -> Judged:
    main, design = carried.inference.main, carried.plan.design
    naive = [by_score(carried.tables.results, c, carried.plan.main) for c in design.primary]
    return {
        "null: primary": (found(main.primary), any(low > 0 or high < 0 for low, high in naive)),
        "null: cells": (found(main.cells), unadjusted(main.cells)),
    }


@campaign(
    "axes",
    (*SMALL, "axes=memory,writeback", "levels.memory=1,16", "levels.writeback=add,gate"),
    (
        claim(
            "axes: coverage",
            "Axes world: simultaneous intervals of all primary contrasts hold the truth",
            "at least",
            0.95,
            "every score as a unit, unadjusted",
            bites_when_short=False,
        ),
    ),
    short=3,
)
def axes(carried: Carried) -> Judged:
    primary, contrasts = carried.inference.main.primary, carried.plan.design.primary
    true = {effect.name: carried.truth(effect, contrasts) for effect in primary}
    naive = {c.name: by_score(carried.tables.results, c, carried.plan.main) for c in contrasts}
    return {
        "axes: coverage": (
            all(e.simultaneous_low <= true[e.name] <= e.simultaneous_high for e in primary),
            all(low <= true[name] <= high for name, (low, high) in naive.items()),
        )
    }
