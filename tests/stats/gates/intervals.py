"""Intervals of one mean or one standardised effect: coverage."""

from __future__ import annotations

import math

import numpy as np
import scipy.stats
from scipy import special

from stats.bootstrap import bootstrap_t
from stats.effect import effect_size
from stats.family import correct, max_t
from stats.paired import paired_t
from stats.sample import Sample, estimate
from tests.stats.gates.draws import (
    ALPHA,
    SIZES,
    agree,
    arms,
    each,
    grid,
    percentile_covers,
    skewed,
    study,
    t_of,
)
from tests.stats.gates.gate import Runs, register

EFFECT = 0.7
PERCENTILE = "percentile bootstrap"


def _t_covers(d: np.ndarray, mean: float) -> np.ndarray:
    def covers(x: np.ndarray) -> bool:
        t = paired_t(x)
        return t.ci_low <= mean <= t.ci_high

    return each(covers, d)


@register(
    "t interval, normal, n = {n}",
    "Coverage, t interval, {n} normal pairs",
    expected=0.95,
    source="exact: Student 1908",
    mutant=PERCENTILE,
    cases=grid(n=SIZES),
    short=lambda n: 5000 if n == 20 else 2000,
)
def t_normal(replicates: int, rng: np.random.Generator, *, n: int) -> Runs:
    d = EFFECT + rng.normal(size=(replicates, n))
    return Runs(_t_covers(d, EFFECT), percentile_covers(d, EFFECT, rng))


# The documented rates of skewed data rest on 2,000 studies. The t interval needs no code of ours,
# so that a larger simulation of the formula is at hand: see ``test_gates``.
SKEWED_T = {5: 0.8829, 10: 0.9005, 20: 0.9186}


@register(
    "t interval, exponential, n = {n}",
    "Coverage, t interval, {n} exponential pairs",
    expected=lambda n: SKEWED_T[n],
    source="documented .886, .895, .918; 4,000,000 studies by formula",
    known=4_000_000,
    mutant=PERCENTILE,
    cases=grid(n=SIZES),
    short=lambda n: 8000 if n == 20 else 2000,
)
def t_skewed(replicates: int, rng: np.random.Generator, *, n: int) -> Runs:
    d = EFFECT + skewed(rng, (replicates, n))
    return Runs(_t_covers(d, EFFECT), percentile_covers(d, EFFECT, rng))


DOCUMENTED = {
    ("normal", 5): 0.954, ("normal", 10): 0.949, ("normal", 20): 0.948,
    ("exponential", 5): 0.934, ("exponential", 10): 0.934, ("exponential", 20): 0.948,
}  # fmt: skip
ITEMS = "items resampled, not pairs"


@register(
    "bootstrap-t, {law}, n = {n}",
    "Coverage, bootstrap-t interval, {n} {law} pairs",
    expected=lambda law, n, mutant: DOCUMENTED[law, n],
    source="documented, 2,000 studies",
    known=2000,
    cases=[
        case | {"mutant": ITEMS if case == {"law": "normal", "n": 20} else PERCENTILE}
        for case in grid(law=("normal", "exponential"), n=SIZES)
    ],
    # More where the percentile interval is not so bad.
    short=lambda law, n, mutant: 1500 if n + (law == "normal") in (11, 20) else 600,
)
def boot_t(replicates: int, rng: np.random.Generator, *, law: str, n: int, mutant: str) -> Runs:
    shape = (replicates, n)
    d = EFFECT + (rng.normal(size=shape) if law == "normal" else skewed(rng, shape))

    def covers(x: np.ndarray) -> bool:
        found = bootstrap_t(x, n_resamples=999, rng=rng)
        return found.low <= EFFECT <= found.high

    if mutant == PERCENTILE:
        wrong = percentile_covers(d, EFFECT, rng)
    else:
        # Four items a pair, which share half of the pair's variance.
        items = rng.normal(size=(replicates, n, 4))
        items += d[:, :, None] - items.mean(axis=2, keepdims=True)
        wrong = percentile_covers(items.reshape(replicates, -1), EFFECT, rng)
    return Runs(each(covers, d), wrong)


@register(
    "d_z, n = {n}",
    "Coverage, interval of d_z, {n} pairs",
    expected=0.95,
    source="exact: inverts the noncentral t",
    mutant="d of independent groups",
    cases=grid(n=SIZES),
)
def dz(replicates: int, rng: np.random.Generator, *, n: int) -> Runs:
    arm, base = arms(rng, replicates, n, 0.8)
    spread = math.sqrt(2 * 0.2)
    arm = arm + EFFECT * spread
    d = arm - base
    # The interval holds what the observed t does not reject.
    place = scipy.stats.nct.cdf(t_of(d), n - 1, EFFECT * math.sqrt(n))
    covers = (place >= ALPHA / 2) & (place <= 1 - ALPHA / 2)

    def by_package(i: int) -> bool:
        size = effect_size(d[i])
        return size.low <= EFFECT <= size.high

    agree(covers, by_package)
    pooled = np.sqrt((arm.var(axis=1, ddof=1) + base.var(axis=1, ddof=1)) / 2)
    cohen = d.mean(axis=1) / pooled
    error = np.sqrt(2 / n + cohen**2 / (4 * n))
    return Runs(covers, np.abs(cohen - EFFECT) <= 1.96 * error)


TRUTH = np.array([0.0, 0.0, 1.0, 4.0, 4.0, 4.0])
METHOD = {5: "Holm", 6: "max-T", 10: "max-T", 20: "max-T, random flips"}


@register(
    "simultaneous intervals, n = {n}",
    "Coverage of all 6 intervals, {method}, {n} pairs",
    expected=0.95,
    kind="at least",
    source="1 - alpha",
    mutant="t intervals of the single tests",
    cases=[{"n": n, "method": method} for n, method in METHOD.items()],
    short=500,
)
def simultaneous(replicates: int, rng: np.random.Generator, *, n: int, method: str) -> Runs:
    d = study(rng, replicates, (2, 3), n, 0.5).reshape(replicates, 6, n) + TRUTH[:, None]
    off = np.abs(t_of(d, TRUTH))

    def critical(x: np.ndarray) -> float:
        samples = [Sample.of([row], [np.arange(n)]) for row in x]
        if n == 20:
            return max_t(samples, n_resamples=999, max_enumerated=12, rng=rng).critical
        ts = [paired_t(sample) for sample in samples]
        found = correct(samples, [t.p for t in ts], [t.df for t in ts])
        return float(found.critical.max())

    widest = each(critical, d)
    single = -special.stdtrit(n - 1, ALPHA / 2)
    es = [estimate(Sample.of([row])) for row in d[0]]
    agree(off[0], lambda i: abs(es[i].mean - TRUTH[i]) / es[i].se)
    return Runs(off.max(axis=1) <= widest, off.max(axis=1) <= single)
