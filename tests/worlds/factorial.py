"""The six-axis fraction: planted main effects and interactions are recovered, others not found."""

from __future__ import annotations

from ablate.factorial.analysis import analyse_factorial
from tests.worlds.campaign import Judged, campaign, claim
from tests.worlds.carry import Carried, few_resamples, says_difference

FRACTION = (
    "backbones=qwen3-tiny",
    "benchmarks=arithmetic",
    "axes=all",
    "design=fraction",
    "seeds=6",
)


@campaign(
    "null",
    FRACTION,
    (
        claim(
            "fraction: null",
            "Null world: any finding among 6 main effects and 15 interactions",
            "at most",
            0.05,
            "unadjusted t",
            bites_when_short=False,
        ),
    ),
    short=1,
    name="null-fraction",
)
def null_fraction(carried: Carried) -> Judged:
    effects = gated(carried)
    return {
        "fraction: null": (
            any(says_difference(e) for e in effects),
            any(e.p <= 0.05 for e in effects),
        )
    }


@campaign(
    "axes",
    FRACTION,
    (
        claim(
            "fraction: coverage",
            "Axes world: simultaneous intervals of all 21 effects hold the truth",
            "at least",
            0.95,
            "unadjusted intervals",
            bites_when_short=False,
        ),
        claim(
            "fraction: idle axes",
            "Axes world: any finding among effects that are zero",
            "at most",
            0.05,
            "unadjusted t",
            bites_when_short=False,
        ),
    ),
    short=1,
    name="axes-fraction",
)
def axes_fraction(carried: Carried) -> Judged:
    effects = gated(carried)
    factorial = carried.plan.design.factorial
    assert factorial is not None
    contrasts = (*factorial.mains, *factorial.interactions)
    true = {effect.name: carried.truth(effect, contrasts) for effect in effects}
    idle = [effect for effect in effects if abs(true[effect.name]) < 1e-9]
    return {
        "fraction: coverage": (
            all(e.simultaneous_low <= true[e.name] <= e.simultaneous_high for e in effects),
            all(e.ci_low <= true[e.name] <= e.ci_high for e in effects),
        ),
        "fraction: idle axes": (
            any(says_difference(e) for e in idle),
            any(e.p <= 0.05 for e in idle),
        ),
    }


def gated(carried: Carried) -> list:
    """The effects of both gates."""
    with few_resamples("ablate.factorial.analysis"):
        analysis = analyse_factorial(carried.plan, carried.tables)
    assert analysis is not None
    assert analysis.gates is not None
    return [term.effect for term in analysis.gates.terms]
