"""On average: over these cells, over a population of backbones, and in one more cell."""

from __future__ import annotations

import math

import numpy as np
import scipy.stats
from scipy import special

from stats.paired import paired_t
from stats.replication.average import new_cell, population, these_cells
from stats.sample import Sample
from tests.stats.gates.draws import ALPHA, agree, each, t_p
from tests.stats.gates.exact import satterthwaite_size
from tests.stats.gates.gate import Runs, register


def _size(n: tuple[int, int], sd: tuple[float, float]) -> float:
    return satterthwaite_size(n, sd)


@register(
    "average over these cells, pairs {n}, sd {sd}",
    "Type I, average over 2 backbones x 4 benchmarks, pairs {n}, SD {sd}",
    expected=_size,
    source="exact by quadrature: Satterthwaite's df are approximate",
    mutant="cells as independent",
    cases=[
        {"n": (5, 5), "sd": (1, 1)},
        {"n": (10, 10), "sd": (1, 1)},
        {"n": (20, 20), "sd": (1, 1)},
        {"n": (5, 10), "sd": (3, 1)},
    ],
    short=1000,
)
def average(
    replicates: int, rng: np.random.Generator, *, n: tuple[int, int], sd: tuple[float, float]
) -> Runs:
    # Benchmarks of a pair correlate 1/2; the SD of a pair's mean is sd x .79 on each backbone.
    groups = [
        s * (rng.normal(size=(replicates, 1, k)) + rng.normal(size=(replicates, 4, k)))
        for k, s in zip(n, sd, strict=True)
    ]
    samples = [Sample.of([g[r].mean(axis=0) for g in groups]) for r in range(replicates)]
    p = each(lambda sample: paired_t(sample).p, samples)
    if max(n) == 5:
        agree(p, lambda i: these_cells(samples[i]).p)
    # SE^2 = sum_c s_c^2 / n_c / C^2 over the eight cells
    shares = np.concatenate(
        [g.var(axis=2, ddof=1) / k for g, k in zip(groups, n, strict=True)], axis=1
    )
    df = shares.sum(axis=1) ** 2 / (shares**2 / (np.repeat(n, 4) - 1)).sum(axis=1)
    mean = np.mean([g.mean(axis=(1, 2)) for g in groups], axis=0)
    t = np.abs(mean) * 8 / np.sqrt(shares.sum(axis=1))
    return Runs(p <= ALPHA, 2 * special.stdtr(df, -t) <= ALPHA)


@register(
    "population of {backbones} backbones",
    "Type I, mean over a population, {backbones} backbones x 4 benchmarks",
    expected=ALPHA,
    source="exact: t over backbone means",
    cases=[
        {"backbones": 5, "mutant": "t over all cell means"},
        {"backbones": 10, "mutant": "t over all cell means"},
        {"backbones": 12, "mutant": "pooled runs"},
    ],
    short=600,
)
def over_backbones(
    replicates: int, rng: np.random.Generator, *, backbones: int, mutant: str
) -> Runs:
    pairs = 6
    d = 0.5 * rng.normal(size=(replicates, backbones, 1, 1))
    d = d + 0.5 * rng.normal(size=(replicates, backbones, 1, pairs))
    d = d + rng.normal(size=(replicates, backbones, 4, pairs))
    within = d.mean(axis=2)
    p = each(lambda x: population(Sample.of(list(x)), n_resamples=99).p, within)
    cells = d.mean(axis=3) if mutant.startswith("t over") else d
    return Runs(p <= ALPHA, t_p(cells.reshape(replicates, -1)) <= ALPHA)


@register(
    "one more cell, {backbones} backbones, {benchmarks} benchmarks",
    "Coverage for one more cell, {backbones} backbones x {benchmarks}",
    expected=0.95,
    kind="{kind}",
    source="{source}",
    cases=[
        {
            "backbones": backbones, "benchmarks": benchmarks,
            "kind": "equal" if benchmarks == 1 else "at least",
            "source": "exact: Hahn 1969" if benchmarks == 1 else "1 - alpha: Cochran and Cox 1957",
            "mutant": "interval of the mean" if benchmarks == 1 else "cells as independent",
        }
        for backbones, benchmarks in ((5, 1), (10, 1), (2, 4), (4, 4), (10, 4))
    ],
)  # fmt: skip
def one_more(
    replicates: int, rng: np.random.Generator, *, backbones: int, benchmarks: int,
    kind: str, source: str, mutant: str,
) -> Runs:  # fmt: skip
    y = 0.85 * rng.normal(size=(replicates, backbones + 1, 1))
    y = y + 0.5 * rng.normal(size=(replicates, backbones + 1, benchmarks))
    seen, new = y[:, :-1], y[:, -1, 0]

    def covers(x: np.ndarray, value: float) -> bool:
        found = new_cell(list(x))
        return found.low < value < found.high

    inside = np.array([covers(x, value) for x, value in zip(seen, new, strict=True)])
    flat = seen.reshape(replicates, -1)
    size = flat.shape[1]
    factor = 1 / size + (benchmarks > 1)
    half = scipy.stats.t.ppf(0.975, size - 1) * flat.std(axis=1, ddof=1) * math.sqrt(factor)
    return Runs(inside, np.abs(flat.mean(axis=1) - new) <= half)
