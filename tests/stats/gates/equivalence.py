"""Equivalence and non-inferiority at the margin."""

from __future__ import annotations

import numpy as np

from stats.equivalence.noninferiority import no_degradation
from stats.equivalence.tost import tost
from tests.stats.gates.draws import ALPHA, SIZES, each, grid, t_p
from tests.stats.gates.exact import tost_size
from tests.stats.gates.gate import Runs, register


@register(
    "TOST at the margin, n = {n}, margin {margin:g}",
    "TOST says equivalent at the margin, {margin:g} SD, {n} pairs",
    expected=lambda n, margin: tost_size(n, margin),
    source="exact by quadrature, at most alpha",
    mutant="'not significant' as equivalent",
    cases=[*grid(n=SIZES, margin=(1.0,)), {"n": 10, "margin": 0.5}],
)
def size(replicates: int, rng: np.random.Generator, *, n: int, margin: float) -> Runs:
    d = margin + rng.normal(size=(replicates, n))
    return Runs(each(lambda x: tost(x, -margin, margin).equivalent, d), t_p(d) > ALPHA)


@register(
    "TOST interval, n = {n}",
    "Coverage of TOST's interval (1 - 2 alpha), {n} pairs",
    expected=0.90,
    source="exact: Schuirmann 1987",
    mutant="the 1 - alpha interval",
    cases=grid(n=SIZES),
)
def interval(replicates: int, rng: np.random.Generator, *, n: int) -> Runs:
    d = 0.5 + rng.normal(size=(replicates, n))

    def covers(x: np.ndarray, alpha: float) -> bool:
        found = tost(x, -1.0, 1.0, alpha=alpha)
        return found.ci_low <= 0.5 <= found.ci_high

    return Runs(each(lambda x: covers(x, ALPHA), d), each(lambda x: covers(x, ALPHA / 2), d))


@register(
    "no degradation",
    "'No degradation' though 1 of 3 benchmarks loses the margin, 8 pairs",
    expected=0.025,
    source="exact where the others gain much: Berger 1982",
    mutant="test of the average",
)
def one_benchmark_loses(replicates: int, rng: np.random.Generator) -> Runs:
    noise = rng.normal(size=(replicates, 1, 8)) + rng.normal(size=(replicates, 3, 8))
    d = np.array([-1.0, 4.0, 4.0])[:, None] + 0.6 * noise
    holds = each(lambda x: no_degradation(dict(zip("abc", x, strict=True)), 1.0).holds, d)
    return Runs(holds, t_p(d.mean(axis=1) + 1.0, "greater") <= 0.025)
