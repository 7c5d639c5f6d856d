"""One test of one cell: type I error."""

from __future__ import annotations

import numpy as np

from stats.family import correct
from stats.paired import paired_t
from stats.sample import Sample
from stats.signflip import sign_flips
from tests.stats.gates.draws import (
    ALPHA,
    CORRELATIONS,
    SIZES,
    arms,
    each,
    grid,
    t_p,
    unpaired_p,
    z_p,
)
from tests.stats.gates.exact import flip_level
from tests.stats.gates.gate import Runs, register

UNPAIRED, WALD, LOOKED = "unpaired t", "Wald z", "side chosen after looking"


def _looked(d: np.ndarray) -> np.ndarray:
    """The one-sided t test on the side that looks better."""
    return np.minimum(t_p(d, "greater"), t_p(d, "less"))


@register(
    "paired t, n = {n}, r = {rho:g}",
    "Type I, paired t, {n} pairs, correlation {rho:g}",
    expected=ALPHA,
    source="exact: Student 1908",
    # Uncorrelated arms need no pairs: another mistake must show there.
    cases=[
        case | {"mutant": UNPAIRED if case["rho"] else LOOKED if case["n"] == 20 else WALD}
        for case in grid(n=SIZES, rho=CORRELATIONS)
    ],
)
def paired(replicates: int, rng: np.random.Generator, *, n: int, rho: float, mutant: str) -> Runs:
    arm, base = arms(rng, replicates, n, rho)
    p = each(lambda d: paired_t(d).p, arm - base)
    wrong = {UNPAIRED: lambda: unpaired_p(arm, base), WALD: lambda: z_p(arm - base),
             LOOKED: lambda: _looked(arm - base)}[mutant]()  # fmt: skip
    return Runs(p <= ALPHA, wrong <= ALPHA)


@register(
    "sign flip, n = 5, r = {rho:g}",
    "Type I, sign flips, 5 pairs, correlation {rho:g}",
    expected=0.0,
    source="exact: the smallest p is 2 / 2^5",
    mutant="the data's own flip not counted",
    cases=grid(rho=CORRELATIONS),
)
def five_pairs(replicates: int, rng: np.random.Generator, *, rho: float) -> Runs:
    arm, base = arms(rng, replicates, 5, rho)
    flips = sign_flips([Sample.of([d]) for d in arm - base])
    p = np.array([flip.p for flip in flips])
    # Without itself and its mirror image the most extreme data have p = 0.
    return Runs(p <= ALPHA, p - 2 / 2**5 <= ALPHA)


def _one_sided(d: np.ndarray) -> np.ndarray:
    """The smaller of the two one-sided flip p-values."""
    samples = [Sample.of([x]) for x in d]
    both = [sign_flips(samples, side) for side in ("greater", "less")]
    return np.array([min(a.p, b.p) for a, b in zip(*both, strict=True)])


@register(
    "sign flip, n = {n}, {law}",
    "Type I, sign flips, {n} pairs, {law}",
    expected=lambda n, **_: flip_level(n),
    source="exact: multiples of 2 / 2^n below .05",
    mutant=LOOKED,
    cases=[
        *({"n": 10, "law": f"correlation {rho:g}", "rho": rho} for rho in CORRELATIONS),
        {"n": 8, "law": "Cauchy, a scale per pair", "rho": None},
    ],
)
def enumerated(
    replicates: int, rng: np.random.Generator, *, n: int, law: str, rho: float | None
) -> Runs:
    if rho is None:
        d = rng.standard_cauchy((replicates, n)) * np.geomspace(0.1, 10, n)
    else:
        arm, base = arms(rng, replicates, n, rho)
        d = arm - base
    p = np.array([flip.p for flip in sign_flips([Sample.of([x]) for x in d])])
    return Runs(p <= ALPHA, _one_sided(d) <= ALPHA)


@register(
    "sign flip, n = 20, r = 0.8",
    "Type I, sign flips, 20 pairs, correlation 0.8",
    expected=flip_level(20),
    source="exact: multiples of 2 / 2^n below .05",
    mutant=UNPAIRED,
    short=200,
    long=3000,
)
def a_million_flips(replicates: int, rng: np.random.Generator) -> Runs:
    arm, base = arms(rng, replicates, 20, 0.8)
    p = np.array([flip.p for flip in sign_flips([Sample.of([d]) for d in arm - base])])
    return Runs(p <= ALPHA, unpaired_p(arm, base) <= ALPHA)


@register(
    "family of one, n = {n}, r = {rho:g}",
    "Type I, adjusted p of a single test, {n} pairs, corr. {rho:g}",
    expected=lambda n, rho: {5: ALPHA, 10: flip_level(10), 20: ALPHA}[n],
    source="exact: Holm below 6 pairs, flips from 6, 999 random flips at 20",
    mutant=LOOKED,
    cases=[{"n": n, "rho": rho} for n, rho in zip(SIZES, CORRELATIONS, strict=True)],
    short=1000,
)
def family_of_one(replicates: int, rng: np.random.Generator, *, n: int, rho: float) -> Runs:
    arm, base = arms(rng, replicates, n, rho)
    d = arm - base

    def adjusted(x: np.ndarray) -> float:
        sample = Sample.of([x])
        t = paired_t(sample)
        found = correct([sample], [t.p], [t.df], n_resamples=999, max_enumerated=12, rng=rng)
        return float(found.p_adjusted[0])

    return Runs(each(adjusted, d) <= ALPHA, _looked(d) <= ALPHA)
