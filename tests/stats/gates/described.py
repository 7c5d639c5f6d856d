"""Descriptions beside the tests: interquartile means, P(improvement), the best of n trials."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import scipy.stats

from stats.describe.best_of_n import best_of_n
from stats.describe.improvement import effective_pairs
from stats.describe.iqm import interquartile_mean, iqm
from stats.describe.subsets import expected_best, plug_in_best, subset_weights
from stats.items.proportions import proportion_interval
from stats.table import PairedTable
from tests.stats.describe.test_runs import study
from tests.stats.gates.draws import each, grid
from tests.stats.gates.exact import best_of_normals
from tests.stats.gates.gate import Runs, register

OURS = "docs/method/items-and-descriptions.md, {known} studies"
IQM = {5: 0.952, 10: 0.938}


def _table(block: np.ndarray) -> PairedTable:
    index = np.indices(block.shape)
    frame = pd.DataFrame(
        {
            "arm": np.array(["talan", "lora"])[index[0].ravel()],
            "seed": index[1].ravel().astype(str),
            "cell": index[2].ravel().astype(str),
            "score": block.ravel(),
        }
    )
    return PairedTable(frame, "arm", ("seed",), ("cell",), "score")


@register(
    "difference of interquartile means, n = {n}",
    "Coverage, difference of interquartile means, {n} pairs x 4 cells",
    expected=lambda n: IQM[n],
    source=OURS.format(known=500),
    known=500,
    mutant="runs resampled apart, percentile",
    cases=grid(n=tuple(IQM)),
    short=150,
    long=4000,
)
def interquartile(replicates: int, rng: np.random.Generator, *, n: int) -> Runs:
    ours, wrong = [], []
    for _ in range(replicates):
        block = study(rng, n, 4)
        found = iqm(_table(block), "talan", "lora", n_resamples=499, rng=rng)
        ours.append(found.ci_low <= 0 <= found.ci_high)
        drawn = rng.integers(0, n, (2, 499, n, 4))
        apart = np.take_along_axis(block[:, None], drawn, axis=2).reshape(2, 499, -1)
        low, high = np.quantile(np.subtract(*interquartile_mean(apart)), [0.025, 0.975])
        wrong.append(low <= 0 <= high)
    return Runs(np.array(ours), np.array(wrong))


IMPROVEMENT = {
    (5, 0.75, 0.5): 0.989, (10, 0.5, 0.5): 0.954, (20, 0.75, 0.5): 0.954, (20, 0.9, 0.9): 0.921,
}  # fmt: skip


@register(
    "P(improvement), n = {n}, P = {p}, r = {rho}",
    "Coverage, P(improvement) = {p}, {n} pairs x 4 cells, corr. {rho}",
    expected=lambda n, p, rho: IMPROVEMENT[n, p, rho],
    source=OURS.format(known="2,000"),
    known=2000,
    mutant="pairs x cells as independent",
    cases=[dict(zip(("n", "p", "rho"), row, strict=True)) for row in IMPROVEMENT],
)
def improvement(replicates: int, rng: np.random.Generator, *, n: int, p: float, rho: float) -> Runs:
    d = scipy.stats.norm.ppf(p) + math.sqrt(rho) * rng.normal(size=(replicates, n, 1))
    wins = (d + math.sqrt(1 - rho) * rng.normal(size=(replicates, n, 4)) > 0).astype(float)
    share = wins.mean(axis=(1, 2))
    sizes = np.array([effective_pairs([w], float(s)) for w, s in zip(wins, share, strict=True)])
    low, high = proportion_interval(share * sizes, sizes)
    below, above = proportion_interval(share * 4 * n, 4 * n)
    return Runs((low <= p) & (p <= high), (below <= p) & (p <= above))


@register(
    "expected best of {n}",
    "Mean estimate of the best of {n}, from 50 normal trials",
    expected=lambda n: best_of_normals(n),
    source="exact: unbiased (Tang et al. 2020)",
    mutant="plug-in (Dodge et al. 2019)",
    cases=grid(n=(5, 10, 25)),
    short=5000,
)
def best(replicates: int, rng: np.random.Generator, *, n: int) -> Runs:
    v = rng.normal(size=(replicates, 50))
    return Runs(
        each(lambda x: expected_best(x, [n])[0], v), each(lambda x: plug_in_best(x, [n])[0], v)
    )


@register(
    "interval of the best of 25",
    "Coverage, expected best of 25, from 50 normal trials",
    expected=0.948,
    source=OURS.format(known=800),
    known=800,
    mutant="percentile bootstrap",
    short=100,
    long=2000,
)
def best_interval(replicates: int, rng: np.random.Generator) -> Runs:
    truth, ours, wrong = best_of_normals(25), [], []
    for v in rng.normal(size=(replicates, 50)):
        frame = pd.DataFrame({"arm": "lora", "trial": np.arange(50), "score": v})
        point = best_of_n(frame, sampler="random", budgets=[25], n_resamples=499, rng=rng).points[0]
        ours.append(point.low <= truth <= point.high)
        drawn = np.sort(v[rng.integers(0, 50, (499, 50))], axis=1) @ subset_weights(50, [25])
        low, high = np.quantile(drawn, [0.025, 0.975])
        wrong.append(low <= truth <= high)
    return Runs(np.array(ours), np.array(wrong))
