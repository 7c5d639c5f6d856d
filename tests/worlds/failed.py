"""Runs that fail because of the effect: no verdict rests on the lucky ones that are left."""

from __future__ import annotations

from ablate.failures import rates, rescore
from stats.verdict import Verdict
from tests.worlds.campaign import Judged, campaign, claim
from tests.worlds.carry import Carried, few_resamples, says_better

BETTER = (Verdict.SUPERIOR, Verdict.SUPERIOR_AND_MEANINGFUL)


@campaign(
    "failing",
    (
        "backbones=qwen3-tiny,qwen2-tiny",
        "benchmarks=arithmetic",
        "seeds=30",
        "axes=none",
    ),
    (
        claim(
            "failing: better",
            "Failing world: better, on whole pairs and with failures scored",
            "at most",
            0.05,
            "whole pairs only",
        ),
        claim(
            "failing: rates",
            "Failing world: the arm is shown to fail more often (50 %, 0 %)",
            "at least",
            0.9,
            "two backbones, 3 seeds each",
            "exact: binomial, 60 pairs",
        ),
    ),
    short=8,
)
def failing(carried: Carried) -> Judged:
    with few_resamples():
        joined = rescore(carried.plan, carried.tables, carried.inference).primary[0]
    rate = rates(carried.plan, carried.tables)
    few = carried.tables.results[carried.tables.results["seed"] < 3]
    lost = few.drop_duplicates("run_key")["outcome"].eq("diverged").sum()
    return {
        "failing: better": (joined.verdict in BETTER, says_better(joined.complete)),
        # with three seeds on each of two backbones, six pairs must all differ for p <= .05
        "failing: rates": (bool(rate.differing), bool(lost == 6)),
    }
