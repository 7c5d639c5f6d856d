"""Matched draws: the effect averaged over hyperparameters, and where its sign flips."""

from __future__ import annotations

import math

import numpy as np
import scipy.stats

from ablate.matched_draws.reading import seed_table
from stats.items.proportions import jeffreys
from stats.matched_draws.analysis import matched_draws
from stats.matched_draws.outcome import MatchedDraws
from tests.worlds.campaign import Judged, campaign, claim
from tests.worlds.carry import Carried, says_difference

DRAWN = (
    "backbones=qwen3-tiny,qwen2-tiny",
    "benchmarks=arithmetic,recall",
    "axes=none",
    "hp.seeds=2",
)
PAIRS_AS_UNITS = "pairs as units, not draws"


def by_pair(carried: Carried) -> np.ndarray:
    """The differences of all pairs in points, mean over benchmarks: draws are forgotten."""
    results = carried.tables.results
    runs = results.groupby(["arm", "backbone", "hp", "seed"])["score"].mean()
    (contrast,) = carried.plan.design.primary
    return 100 * (runs[contrast.arms[0]] - runs[contrast.baselines[0]]).to_numpy()


def read_draws(carried: Carried) -> MatchedDraws:
    """The mechanism over the draws, without what the report describes beside it."""
    plan = carried.plan
    return matched_draws(
        seed_table(plan, carried.tables),
        plan.design.primary[0],
        draw="hp",
        settings={
            str(draw.index): {name: float(value) for name, value in draw.values.items()}
            for draw in plan.draws
        },
        log=("lr",),
    )


@campaign(
    "tuning",
    (*DRAWN, "hp.draws=10"),
    (
        claim(
            "draws: tuning",
            "Tuning world: a mean effect over matched draws is found",
            "at most",
            0.05,
            PAIRS_AS_UNITS,
            bites_when_short=False,
        ),
    ),
    short=2,
    name="tuning-draws",
)
def tuning_draws(carried: Carried) -> Judged:
    t = scipy.stats.ttest_1samp(by_pair(carried), 0.0)
    return {
        "draws: tuning": (
            says_difference(carried.inference.main.primary[0]),
            bool(t.pvalue <= 0.05),
        )
    }


@campaign(
    "interplay",
    (*DRAWN, "hp.draws=12", "hp.rank=8", "hp.steps=40"),
    (
        claim(
            "interplay: mean",
            "Interplay world: the interval of the mean over draws holds that over the space",
            "equal",
            0.95,
            PAIRS_AS_UNITS,
            bites_when_short=False,
        ),
        claim(
            "interplay: sign",
            "Interplay world: the interval of the share with the other sign holds it",
            "at least",
            0.95,
            "signs of single pairs",
            bites_when_short=False,
        ),
    ),
    short=2,
)
def interplay(carried: Carried) -> Judged:
    (effect,) = carried.inference.main.primary
    read = read_draws(carried)
    planted = carried.world.planted
    # log10 of the learning rate is uniform over the declared range
    low, high = (math.log10(x) for x in (1e-3, 1e-2))
    mean = planted.mechanism + planted.interplay * ((low + high) / 2 - math.log10(5e-3))
    zero = math.log10(5e-3) - planted.mechanism / planted.interplay
    negative = (zero - low) / (high - low)
    sign = read.overall.sign
    opposite = negative if read.overall.mean.mean >= 0 else 1 - negative
    d = by_pair(carried)
    half = scipy.stats.t.ppf(0.975, d.size - 1) * d.std(ddof=1) / np.sqrt(d.size)
    against = int((np.sign(d) != np.sign(d.mean())).sum())
    least, most = jeffreys(against, d.size)
    return {
        "interplay: mean": (
            effect.simultaneous_low <= mean <= effect.simultaneous_high,
            abs(d.mean() - mean) <= half,
        ),
        "interplay: sign": (
            math.isnan(sign.low) or sign.low <= opposite <= sign.high,
            least <= opposite <= most,
        ),
    }


@campaign(
    "null",
    (*DRAWN, "hp.draws=10"),
    (
        claim(
            "null: interplay",
            "Null world: an interplay of mechanism and hyperparameters is found (F test)",
            "at most",
            0.05,
            "any hyperparameter correlates, unadjusted",
            bites_when_short=False,
        ),
    ),
    short=1,
    name="null-draws",
)
def null_draws(carried: Carried) -> Judged:
    read = read_draws(carried)
    return {
        "null: interplay": (
            read.overall.interplay.p <= 0.05,
            any(m.p <= 0.05 for m in read.moderators),
        )
    }
