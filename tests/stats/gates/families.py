"""Many tests at once: family-wise error, false discoveries, counts of cells, all baselines."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from stats.factorial.many_to_one import critical_value
from stats.family import correct, holm, max_t
from stats.paired import paired_t
from stats.replication.conjunction import count_effects
from stats.replication.exploratory import benjamini_hochberg
from stats.replication.intersection import intersection_union
from stats.sample import Sample
from tests.stats.gates.draws import ALPHA, agree, each, study, t_p
from tests.stats.gates.exact import holm_size
from tests.stats.gates.gate import Runs, register

UNCORRECTED = "no correction"


def _adjusted(d: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adjusted p-values of differences (backbones, tests, n), pairs of a backbone shared."""
    backbones, _, n = d.shape
    samples = [Sample.of([x], [np.arange(n) + n * b]) for b in range(backbones) for x in d[b]]
    ts = [paired_t(sample) for sample in samples]
    found = correct(
        samples, [t.p for t in ts], [t.df for t in ts], n_resamples=999, max_enumerated=12, rng=rng
    )
    return found.p_adjusted


@register(
    "family-wise error, n = {n}",
    "Family-wise error, 12 tests, shared baseline, {n} pairs, {method}",
    expected=ALPHA,
    kind="at most",
    source="alpha",
    mutant=UNCORRECTED,
    cases=[
        {"n": 5, "method": "Holm"},
        {"n": 6, "method": "max-T"},
        {"n": 10, "method": "max-T"},
        {"n": 20, "method": "max-T"},
    ],
    short=200,
)
def family(replicates: int, rng: np.random.Generator, *, n: int, method: str) -> Runs:
    # Two arms on three benchmarks of two backbones.
    d = np.stack([study(rng, replicates, (2, 3), n, 0.5) for _ in range(2)], axis=1)
    d = d.reshape(replicates, 2, 6, n)
    least = each(lambda x: _adjusted(x, rng).min(), d)
    return Runs(least <= ALPHA, t_p(d).min(axis=(1, 2)) <= ALPHA)


@register(
    "step-down beside real effects, n = {n}",
    "Family-wise error of 4 nulls beside 2 real effects, {n} pairs",
    expected=ALPHA,
    kind="at most",
    source="alpha",
    mutant="uncorrected once one is significant",
    cases=[{"n": 8}, {"n": 10}],
    short=400,
)
def step_down(replicates: int, rng: np.random.Generator, *, n: int) -> Runs:
    d = study(rng, replicates, (2, 3), n, 0.5).reshape(replicates, 6, n)
    d[:, :2] += 4.0
    p = each(lambda x: max_t([Sample.of([row]) for row in x]).p_adjusted, d)
    raw = t_p(d)
    significant = raw.min(axis=1) * 6 <= ALPHA
    return Runs(p[:, 2:].min(axis=1) <= ALPHA, significant & (raw[:, 2:].min(axis=1) <= ALPHA))


def _unsorted_wrongly(p: np.ndarray) -> np.ndarray:
    """Holm's p-values put back by the forward permutation, as deepsig does."""
    order = np.argsort(p)
    return np.sort(holm(p))[order]


@register(
    "Holm, independent tests",
    "Family-wise error, Holm, 6 independent nulls beside 4 real effects",
    expected=holm_size(6),
    source="exact: 1 - (1 - alpha / 6)^6",
    mutant="un-sorted by the wrong permutation",
)
def holm_alone(replicates: int, rng: np.random.Generator) -> Runs:
    p = rng.uniform(size=(replicates, 10))
    p[:, :4] *= 1e-6
    p = rng.permuted(p, axis=1)
    null = p > 1e-6

    def false(adjusted: np.ndarray, where: np.ndarray) -> bool:
        return bool((adjusted[where] <= ALPHA).any())

    return Runs(
        np.array([false(holm(x), w) for x, w in zip(p, null, strict=True)]),
        np.array([false(_unsorted_wrongly(x), w) for x, w in zip(p, null, strict=True)]),
    )


@register(
    "false discovery rate",
    "False discovery rate at q = .05, 12 of 16 effects are null",
    expected=ALPHA * 12 / 16,
    source="exact for independent tests: Benjamini and Hochberg 1995",
    mutant=UNCORRECTED,
)
def discoveries(replicates: int, rng: np.random.Generator) -> Runs:
    z = rng.normal(size=(replicates, 16))
    z[:, :4] += 3.0
    p = special.ndtr(-z)

    def share(chosen: np.ndarray) -> np.ndarray:
        return chosen[:, 4:].sum(axis=1) / np.maximum(1, chosen.sum(axis=1))

    return Runs(share(each(benjamini_hochberg, p) <= ALPHA), share(p <= ALPHA))


@register(
    "many levels against one",
    "Family-wise error, 5 levels against a reference (Dunnett), 4 runs",
    expected=ALPHA,
    source="exact: Dunnett 1955",
    mutant="t tests of the levels",
    short=5000,
)
def dunnett(replicates: int, rng: np.random.Generator) -> Runs:
    levels, runs = 6, 4
    y = rng.normal(size=(replicates, levels, runs))
    df = levels * (runs - 1)
    error = np.sqrt(y.var(axis=2, ddof=1).mean(axis=1) * 2 / runs)
    means = y.mean(axis=2)
    t = np.abs(means[:, 1:] - means[:, :1]).max(axis=1) / error
    correlation = np.full((levels - 1, levels - 1), 0.5) + 0.5 * np.eye(levels - 1)
    critical = critical_value(correlation, df)
    return Runs(t >= critical, t >= -special.stdtrit(df, ALPHA / 2))


@register(
    "number of improved cells, {real} real",
    "The bound on improved cells exceeds {real} of 16, correlation .6",
    expected=ALPHA,
    kind="at most",
    source="alpha: Benjamini and Heller 2008",
    cases=[
        {"real": 0, "mutant": "count of significant cells"},
        {"real": 3, "mutant": "Fisher's form on dependent cells"},
        {"real": 8, "mutant": "count of significant cells"},
    ],
)
def improved(replicates: int, rng: np.random.Generator, *, real: int, mutant: str) -> Runs:
    d = math.sqrt(0.6) * rng.normal(size=(replicates, 1, 8))
    d = d + math.sqrt(0.4) * rng.normal(size=(replicates, 16, 8))
    d[:, :real] += 3.0
    p = t_p(d, "greater")
    bound = each(lambda x: count_effects(x).k, p)
    if mutant.startswith("Fisher"):
        wrong = each(lambda x: count_effects(x, form="fisher").k, p)
    else:
        wrong = (p <= ALPHA).sum(axis=1)
    return Runs(bound > real, wrong > real)


@register(
    "Fisher's form, independent cells",
    "The bound by Fisher's form exceeds 0 of 16 independent cells",
    expected=ALPHA,
    source="exact: Fisher 1932",
    mutant="count of significant cells",
)
def fisher(replicates: int, rng: np.random.Generator) -> Runs:
    p = rng.uniform(size=(replicates, 16))
    bound = each(lambda x: count_effects(x, form="fisher").k, p)
    return Runs(bound > 0, (p <= ALPHA).any(axis=1))


@register(
    "all baselines, {case}",
    "Size of 'better than all 3 baselines', {case}",
    expected=ALPHA,
    kind="{kind}",
    source="alpha: Berger 1982",
    cases=[
        {"case": "one equals it", "kind": "equal", "mutant": "against the baselines' mean"},
        {"case": "all equal it", "kind": "at most", "mutant": "better than one of them"},
    ],
    short=500,
)
def all_baselines(
    replicates: int, rng: np.random.Generator, *, case: str, kind: str, mutant: str
) -> Runs:
    n = 8
    scores = rng.normal(size=(replicates, 4, n)) + rng.normal(0, 2, (replicates, 1, n))
    if case == "one equals it":
        scores[:, 2:] -= 5.0
    d = scores[:, :1] - scores[:, 1:]
    shown = each(
        lambda x: intersection_union(dict(zip("abc", x, strict=True)), n_resamples=99).shown, d
    )
    p = t_p(d, "greater")
    agree(shown, lambda i: p[i].max() <= ALPHA)
    wrong = t_p(d.mean(axis=1), "greater") if "mean" in mutant else p.min(axis=1)
    return Runs(shown, wrong <= ALPHA)


@register(
    "one-sided family, n = 5",
    "Family-wise error, 6 one-sided tests, 5 pairs, max-T",
    expected=ALPHA,
    kind="at most",
    source="alpha",
    mutant=UNCORRECTED,
    short=500,
)
def one_sided(replicates: int, rng: np.random.Generator) -> Runs:
    d = study(rng, replicates, (2, 3), 5, 0.5).reshape(replicates, 6, 5)
    least = each(lambda x: max_t([Sample.of([y]) for y in x], "greater").p_adjusted.min(), d)
    return Runs(least <= ALPHA, t_p(d, "greater").min(axis=1) <= ALPHA)
