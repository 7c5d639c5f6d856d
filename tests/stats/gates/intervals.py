"""Intervals of one mean or one standardised effect: coverage."""

from __future__ import annotations

import math

import numpy as np
import scipy.stats
from scipy import special

from stats.bootstrap import bootstrap_t
from stats.effect import effect_size
from stats.family import correct
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
PERCENTILE, ITEMS = "percentile bootstrap", "items resampled, not pairs"
# With 20 pairs the percentile interval is hardly wrong any more.
BY_PAIRS, BY_ITEMS = {"mutant": PERCENTILE}, {"mutant": ITEMS}


def _t_covers(d: np.ndarray) -> np.ndarray:
    def covers(x: np.ndarray) -> bool:
        t = paired_t(x)
        return t.ci_low <= EFFECT <= t.ci_high

    return each(covers, d)


def _resampled_covers(d: np.ndarray, mutant: str, rng: np.random.Generator) -> np.ndarray:
    """The percentile interval over pairs, or over four items of each pair taken as units."""
    if mutant == PERCENTILE:
        return percentile_covers(d, EFFECT, rng)
    items = rng.normal(size=(*d.shape, 4))
    items += d[:, :, None] - items.mean(axis=2, keepdims=True)
    return percentile_covers(items.reshape(len(d), -1), EFFECT, rng)


@register(
    "t interval, normal, n = {n}",
    "Coverage, t interval, {n} normal pairs",
    expected=0.95,
    source="exact: Student 1908",
    cases=[{"n": 5} | BY_PAIRS, {"n": 10} | BY_PAIRS, {"n": 20} | BY_ITEMS],
)
def t_normal(replicates: int, rng: np.random.Generator, *, n: int, mutant: str) -> Runs:
    d = EFFECT + rng.normal(size=(replicates, n))
    return Runs(_t_covers(d), _resampled_covers(d, mutant, rng))


# The documented rates of skewed data rest on 2,000 studies. The t interval needs no code of ours,
# so that a larger simulation of the formula is at hand: see ``test_gates``.
SKEWED_T = {5: 0.8829, 10: 0.9005, 20: 0.9186}


@register(
    "t interval, exponential, n = {n}",
    "Coverage, t interval, {n} exponential pairs",
    expected=lambda n, mutant: SKEWED_T[n],
    source="4,000,000 studies by formula; documented .886, .895, .918",
    known=4_000_000,
    cases=[{"n": 5} | BY_PAIRS, {"n": 10} | BY_PAIRS, {"n": 20} | BY_ITEMS],
)
def t_skewed(replicates: int, rng: np.random.Generator, *, n: int, mutant: str) -> Runs:
    d = EFFECT + skewed(rng, (replicates, n))
    return Runs(_t_covers(d), _resampled_covers(d, mutant, rng))


DOCUMENTED = {
    ("normal", 5): 0.954, ("normal", 10): 0.949, ("normal", 20): 0.948,
    ("exponential", 5): 0.934, ("exponential", 10): 0.934, ("exponential", 20): 0.948,
}  # fmt: skip


@register(
    "bootstrap-t, {law}, n = {n}",
    "Coverage, bootstrap-t interval, {n} {law} pairs",
    expected=lambda law, n, mutant: DOCUMENTED[law, n],
    source="documented, 2,000 studies",
    known=2000,
    cases=[
        case | (BY_PAIRS if case["n"] == 5 else BY_ITEMS)
        for case in grid(law=("normal", "exponential"), n=SIZES)
    ],
    short=600,
)
def boot_t(replicates: int, rng: np.random.Generator, *, law: str, n: int, mutant: str) -> Runs:
    shape = (replicates, n)
    d = EFFECT + (rng.normal(size=shape) if law == "normal" else skewed(rng, shape))

    def covers(x: np.ndarray) -> bool:
        found = bootstrap_t(x, n_resamples=999, rng=rng)
        return found.low <= EFFECT <= found.high

    return Runs(each(covers, d), _resampled_covers(d, mutant, rng))


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


# The centred flips' quantile is approximate; these are the coverages of the formula, simulated
# without the package 200,000, 100,000 and 20,000 times.
SIMULTANEOUS = {(6, 6): (0.9484, 200_000), (7, 16): (0.9421, 100_000), (10, 6): (0.9501, 20_000)}


@register(
    "simultaneous intervals, {tests} tests, n = {n}",
    "Coverage of all {tests} intervals together, {n} pairs, {method}",
    expected=lambda n, tests, **_: SIMULTANEOUS.get((n, tests), (0.95, 0))[0],
    known=lambda n, tests, **_: SIMULTANEOUS.get((n, tests), (0.95, 0))[1],
    kind="{kind}",
    source="{source}",
    mutant="t intervals of the single tests",
    cases=[
        *(
            {"n": n, "tests": tests, "method": "max-T", "kind": "equal",
             "source": "simulation of the formula; nominal .95"}
            for n, tests in SIMULTANEOUS
        ),
        *(
            {"n": n, "tests": 6, "method": method, "kind": "at least", "source": "1 - alpha"}
            for n, method in ((5, "Holm"), (20, "random flips"))
        ),
    ],
    short=200,
)  # fmt: skip
def simultaneous(
    replicates: int, rng: np.random.Generator, *, n: int, tests: int, method: str, kind: str,
    source: str,
) -> Runs:  # fmt: skip
    truth = np.arange(tests) % 3 * 2.0
    d = study(rng, replicates, (2, tests // 2), n, 0.5).reshape(replicates, tests, n)
    d += truth[:, None]
    off = np.abs(t_of(d, truth)).max(axis=1)

    def critical(x: np.ndarray) -> float:
        samples = [Sample.of([row], [np.arange(n)]) for row in x]
        ts = [paired_t(sample) for sample in samples]
        found = correct(
            samples, [t.p for t in ts], [t.df for t in ts], n_resamples=999, max_enumerated=12,
            rng=rng,
        )  # fmt: skip
        return float(found.critical.max())

    es = [[estimate(Sample.of([row])) for row in x] for x in d[:20]]
    agree(off, lambda i: max(abs(e.mean - m) / e.se for e, m in zip(es[i], truth, strict=True)), 20)
    return Runs(off <= each(critical, d), off <= -special.stdtrit(n - 1, ALPHA / 2))
