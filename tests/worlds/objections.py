"""The review's objections as worlds: a gain that is not the mechanism's is not called so."""

from __future__ import annotations

from tests.worlds.campaign import Judged, campaign, claim
from tests.worlds.carry import Carried, says_better
from tests.worlds.families import SMALL
from tests.worlds.mutants import by_score, items_of_a_seed, unpaired_p

CONTROLLED = (*SMALL, "axes=none", "controls=static,shuffled,random,matched")
BASELINE_ONLY = "the baseline is beaten"


def is_the_mechanism(carried: Carried) -> bool:
    """The intersection-union over baseline and controls, from the families' verdicts."""
    assert carried.inference.controls is not None
    effects = (*carried.inference.main.primary, *carried.inference.controls.primary)
    return all(says_better(effect) for effect in effects)


def beats_baseline(carried: Carried) -> bool:
    """Whether "mechanism present" is better than the baseline."""
    return says_better(carried.inference.main.primary[0])


@campaign(
    "mechanism",
    CONTROLLED,
    (
        claim(
            "mechanism: coverage",
            "Mechanism world: the interval of its gain holds the planted 2 points",
            "equal",
            0.95,
            "items of one seed as the units",
            bites_when_short=False,
        ),
        claim(
            "mechanism: controls",
            "Mechanism world: simultaneous intervals over all controls hold the truth",
            "at least",
            0.95,
            "every score as a unit, unadjusted",
            bites_when_short=False,
        ),
        claim(
            "mechanism: found",
            "Mechanism world: it is called the mechanism",
            "at least",
            0.8,
            "Welch's t on unpaired runs",
            "planned power",
            bites_when_short=False,
        ),
    ),
    short=4,
)
def mechanism(carried: Carried) -> Judged:
    design, inference = carried.plan.design, carried.inference
    assert inference.controls is not None
    (present,) = inference.main.primary
    true = carried.truth(present, design.primary)
    low, high = items_of_a_seed(
        carried.tables.results, carried.tables.items, design.primary[0], carried.plan.main
    )
    controls = inference.controls.primary
    truths = [carried.truth(effect, design.controls) for effect in controls]
    naive = [by_score(carried.tables.results, c, carried.plan.main) for c in design.controls]
    return {
        "mechanism: coverage": (
            present.simultaneous_low <= true <= present.simultaneous_high,
            low <= true <= high,
        ),
        "mechanism: controls": (
            all(
                e.simultaneous_low <= t <= e.simultaneous_high
                for e, t in zip(controls, truths, strict=True)
            ),
            all(a <= t <= b for (a, b), t in zip(naive, truths, strict=True)),
        ),
        "mechanism: found": (
            is_the_mechanism(carried),
            all(
                unpaired_p(carried.tables.results, c, carried.plan.main) <= 0.025
                for c in (*design.primary, *design.controls)
            ),
        ),
    }


@campaign(
    "parameters",
    CONTROLLED,
    (
        claim(
            "parameters: claimed",
            "Parameters world: it is called the mechanism",
            "at most",
            0.05,
            BASELINE_ONLY,
        ),
    ),
    short=3,
)
def parameters(carried: Carried) -> Judged:
    return {"parameters: claimed": (is_the_mechanism(carried), beats_baseline(carried))}


@campaign(
    "perturbation",
    CONTROLLED,
    (
        claim(
            "perturbation: claimed",
            "Perturbation world: it is called the mechanism",
            "at most",
            0.05,
            BASELINE_ONLY,
        ),
    ),
    short=3,
)
def perturbation(carried: Carried) -> Judged:
    return {"perturbation: claimed": (is_the_mechanism(carried), beats_baseline(carried))}
