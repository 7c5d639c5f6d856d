"""Settling: the gatekept claims are wrong at most at alpha over the whole tree."""

from __future__ import annotations

from collections.abc import Sequence

from ablate.settle.analysis import settle_claim
from ablate.settle.plan_file import settling_plan
from stats.gatekeeping.result import GateVerdict
from tests.worlds.campaign import Judged, campaign, claim
from tests.worlds.carry import Carried, carry

TREE = (
    "backbones=qwen3-tiny,qwen2-tiny",
    "benchmarks=arithmetic,recall",
    "axes=none",
    "adapters=lora,dora",
    "settle.pairs=21",
)


def settle(world: str, settings: Sequence[str]) -> Carried:
    """A settling study in a world."""
    return carry(world, settings, settling_plan)


@campaign(
    "null",
    TREE,
    (
        claim(
            "settled: null",
            "Null world: any gatekept claim, better or worse, in the whole tree",
            "at most",
            0.05,
            "unadjusted t against either adapter",
            bites_when_short=False,
        ),
    ),
    short=1,
    name="null-settle",
    carries=settle,
)
def null_settle(carried: Carried) -> Judged:
    kept = settle_claim(carried.plan, carried.tables).gatekept
    said = (GateVerdict.BETTER, GateVerdict.WORSE)
    return {
        "settled: null": (
            any(gate.verdict in said for gate in kept.gates),
            any(
                min(part.p_better, part.p_worse) <= 0.025
                for gate in kept.gates
                for part in gate.parts
            ),
        )
    }
