"""Tuned against tuned: where only the optimum differs, nothing is found once both are tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.executors import WorldExecutor
from ablate.ledger import open_ledger
from ablate.progress import Quiet
from ablate.runner import run_waiting
from ablate.search.confirm import confirmation_plan, confirmed_table, selected_table
from ablate.search.execute import Runs
from ablate.search.plan import make_search_plan
from ablate.search.replay import run_searches
from ablate.search.trial import Searched
from ablate.worlds import find_world
from stats.tuned.analysis import tuned_versus_tuned
from stats.tuned.result import Tuned
from tests.worlds.campaign import Judged, campaign, claim
from tests.worlds.carry import RESAMPLES, carry, says_better, study_in

PLACE = ("backbones=qwen3-tiny", "benchmarks=arithmetic,recall", "axes=none")
SEARCHED = (
    *PLACE,
    "search.trials=8",
    "search.seeds=2",
    "search.replicates=5",
    "search.confirm=6",
    "search.race=no",
    "hp.rank=8",
    "hp.steps=40",
)
FIXED = (*PLACE, "seeds=10")


@dataclass(frozen=True)
class Outcome:
    """Five searches of each arm, confirmed, and the same arms at the default learning rate.

    ``true`` is the true difference of the chosen settings in points, mean over searches,
    ``true_untuned`` that at the default learning rate.
    """

    tuned: Tuned
    true: float
    true_untuned: float
    better_untuned: bool


def search(world: str, settings: Sequence[str]) -> Outcome:
    """Search, freeze, confirm and compare in a world; and run there at fixed hyperparameters."""
    plan = make_search_plan(study_in(world, settings))
    ledger = open_ledger(Path(":memory:"))
    try:
        executor = WorldExecutor()
        searches = run_searches(plan, Runs(ledger, executor, Quiet(), 1))
        final = confirmation_plan(plan, searches)
        ledger.add(final.specs)
        run_waiting(final.specs, {}, ledger, executor, Quiet())
        records, scores = ledger.records(final.specs), ledger.scores(final.specs)
        confirmed = confirmed_table(final, plan.validation, records, scores)
    finally:
        ledger.close()
    tuned = tuned_versus_tuned(
        confirmed,
        selected_table(plan, searches),
        arm="lora+talan",
        baseline="lora",
        percent=True,
        n_resamples=RESAMPLES,
    )
    here = find_world(plan.study.world)
    run = {(planned.arm.name, planned.hp): planned.spec for planned in final.runs}

    def true(found: Searched) -> float:
        spec = run[found.arm, found.replicate]
        scores = [here.accuracy(spec, part) for part in plan.tests]
        sign = 1 if found.arm == "lora+talan" else -1
        return sign * 100 * sum(scores) / len(scores)

    fixed = carry(world, FIXED)
    (untuned,) = fixed.inference.main.primary
    at_default = fixed.truth(untuned, fixed.plan.design.primary)
    total = sum(true(found) for found in searches) / len(plan.replicates)
    return Outcome(tuned, total, at_default, says_better(untuned))


@campaign(
    "tuning",
    SEARCHED,
    (
        claim(
            "tuning: searches",
            "Tuning world: an effect over five searches, tuned against tuned",
            "equal",
            0.05,
            "both at the default learning rate",
        ),
        claim(
            "tuning: chosen",
            "Tuning world: the interval of the settings chosen holds their true difference",
            "equal",
            0.95,
            "read as the effect at the default",
            bites_when_short=False,
        ),
    ),
    short=3,
    carries=search,
)
def tuning(found: Outcome) -> Judged:
    tuned = found.tuned
    low, high = tuned.conditional.ci_low, tuned.conditional.ci_high
    return {
        "tuning: searches": (tuned.over_searches.p <= 0.05, found.better_untuned),
        "tuning: chosen": (
            low <= found.true <= high,
            low <= found.true_untuned <= high,
        ),
    }
