"""Effects that vary by backbone: what holds on these is not said of backbones at large."""

from __future__ import annotations

from ablate.analyse import paired_table
from stats.prepare import Room, averaged
from stats.replication.average import population
from tests.worlds.campaign import Judged, campaign, claim
from tests.worlds.carry import RESAMPLES, Carried, says_difference

EVERY_BACKBONE = "backbones=qwen3-deep,qwen3-tiny,qwen2-tiny,qwen3-moe-tiny,llama-tiny"


@campaign(
    "backbones",
    (EVERY_BACKBONE, "benchmarks=arithmetic,recall", "seeds=3", "axes=none"),
    (
        claim(
            "backbones: population",
            "Backbones world: a mean effect over the population of backbones",
            "equal",
            0.05,
            "the average over these backbones",
            bites_when_short=False,
        ),
    ),
    short=5,
)
def backbones(carried: Carried) -> Judged:
    plan = carried.plan
    table = paired_table(plan, carried.tables.results, plan.main)
    scores = table.scores()
    cells = list(range(len(scores.cells)))
    sample = averaged(plan.design.primary[0], cells, table, scores, Room({}, None)).sample
    return {
        "backbones: population": (
            population(sample, n_resamples=RESAMPLES).p <= 0.05,
            says_difference(carried.inference.main.primary[0]),
        )
    }
