"""Items: which population a claim is about, variance components, accuracies on few items."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from stats.items.components import components, mean_squares
from stats.items.proportions import proportion_interval
from stats.items.twoway import mean_inference
from tests.stats.gates.draws import ALPHA, agree, each, t_p
from tests.stats.gates.exact import jeffreys_coverage, two_way_size, wilson_coverage
from tests.stats.gates.gate import Runs, register


def _table(
    rng: np.random.Generator, replicates: int, n: int, m: int, sd: tuple[float, float, float]
) -> np.ndarray:
    """Differences (replicates, n seeds, m items) with SDs of seed, item and seed x item."""
    d = sd[0] * rng.normal(size=(replicates, n, 1)) + sd[1] * rng.normal(size=(replicates, 1, m))
    return d + sd[2] * rng.normal(size=(replicates, n, m))


def _rejects(d: np.ndarray, random: str) -> np.ndarray:
    return each(lambda x: mean_inference(mean_squares(x), random, "").p, d) <= ALPHA


@register(
    "items, {random} random",
    "Type I, {random} random, 8 seeds x 20 items",
    expected=ALPHA,
    source="exact: a t test of the means",
    mutant="all seeds x items as units",
    cases=[
        {"random": "seeds", "sd": (0.5, 0.0, 1.0)},
        {"random": "items", "sd": (0.0, 0.5, 1.0)},
    ],
)
def one_way(
    replicates: int, rng: np.random.Generator, *, random: str, sd: tuple[float, float, float]
) -> Runs:
    d = _table(rng, replicates, 8, 20, sd)
    return Runs(_rejects(d, random), t_p(d.reshape(replicates, -1)) <= ALPHA)


@register(
    "items, both random, {n} x {m}, sd {sd}",
    "Type I, both random, {n} seeds x {m} items, SD {sd}",
    expected=lambda n, m, sd, mutant: two_way_size(n, m, *sd),
    source="exact by quadrature: Satterthwaite's df are approximate",
    cases=[
        {"n": 5, "m": 50, "sd": (1.0, 1.0, 1.0), "mutant": "items"},
        {"n": 5, "m": 20, "sd": (0.5, 0.5, 1.0), "mutant": "items"},
        {"n": 10, "m": 20, "sd": (0.3, 0.6, 0.6), "mutant": "seeds"},
        {"n": 20, "m": 100, "sd": (0.02, 0.1, 0.65), "mutant": "seeds"},
    ],
    mutant="{mutant} alone random",
    short=1000,
)
def both_random(
    replicates: int, rng: np.random.Generator, *, n: int, m: int,
    sd: tuple[float, float, float], mutant: str,
) -> Runs:  # fmt: skip
    d = _table(rng, replicates, n, m, sd)
    alone = d.mean(axis=1 if mutant == "items" else 2)
    return Runs(_rejects(d, "both"), t_p(alone) <= ALPHA)


@register(
    "items, right or wrong, {m} items",
    "Type I, both random, right or wrong, 20 seeds x {m} items",
    expected=ALPHA,
    kind="at most",
    source="alpha; seeds alone reject a documented 10 %",
    mutant="seeds alone random",
    cases=[{"m": 50}, {"m": 200}],
    short=1000,
)
def right_or_wrong(replicates: int, rng: np.random.Generator, *, m: int) -> Runs:
    arm = 0.65 + 0.1 * rng.normal(size=(replicates, 1, m))
    d = (rng.random((replicates, 20, m)) < arm).astype(float)
    d -= rng.random((replicates, 20, m)) < 0.65
    return Runs(_rejects(d, "both"), t_p(d.mean(axis=2)) <= ALPHA)


SD = (0.3, 0.5, 1.0)


@register(
    "variance component, {name}",
    "Mean estimate of the {name} component, 6 seeds x 25 items",
    expected=lambda place, **_: SD[place] ** 2,
    source="exact: unbiased, negative values included",
    cases=[
        {"name": "seed", "place": 0},
        {"name": "item", "place": 1},
    ],
    mutant="variance of the {name}s' means",
)
def component(replicates: int, rng: np.random.Generator, *, name: str, place: int) -> Runs:
    d = _table(rng, replicates, 6, 25, SD)
    raw = each(lambda x: components(mean_squares(x))[place].raw, d)
    return Runs(raw, d.mean(axis=2 - place).var(axis=1, ddof=1))


@register(
    "interval of a component, {name}",
    "Coverage, interval of the {name} component, 6 seeds x 25 items",
    expected=0.95,
    source="1 - alpha: Ting et al. 1990",
    cases=[
        {"name": "seed", "place": 0, "mutant": "estimate +- 1.96 SE"},
        {"name": "item", "place": 1, "mutant": "interval of the items' means"},
    ],
)
def component_interval(
    replicates: int, rng: np.random.Generator, *, name: str, place: int, mutant: str
) -> Runs:
    d = _table(rng, replicates, 6, 25, SD)
    truth, divisor = SD[place] ** 2, (25, 6)[place]
    covers, wrong = [], []
    for x in d:
        squares = mean_squares(x)
        part = components(squares)[place]
        covers.append(part.low <= truth <= part.high)
        first, df = (squares.seed, squares.item)[place], squares.df[place]
        if place == 0:
            error = math.sqrt(2 * (first**2 / df + squares.residual**2 / squares.df[2])) / divisor
            wrong.append(abs(part.raw - truth) <= 1.96 * error)
        else:
            # chi-squared, as if means had no error of their own
            low, high = (df * first / divisor / special.chdtri(df, q) for q in (0.025, 0.975))
            wrong.append(low <= truth <= high)
    return Runs(np.array(covers), np.array(wrong))


PRIORS: dict[str, tuple[float, Callable[[int], float], str]] = {
    "Jeffreys": (0.5, jeffreys_coverage, "exact: p from the interval's own prior"),
    "uniform": (1.0, lambda n: 0.95, "exact: p from the interval's own prior"),
    "Wilson": (1.0, wilson_coverage, "exact sum: p uniform"),
}


@register(
    "accuracy, {method}, {n} items",
    "Coverage, {method} interval of an accuracy, {n} items",
    expected=lambda method, n, source: PRIORS[method][1](n),
    source="{source}",
    mutant="Wald's interval",
    cases=[
        {"method": method, "n": n, "source": PRIORS[method][2]}
        for method in PRIORS
        for n in (20, 100)
    ],
)
def accuracy(
    replicates: int, rng: np.random.Generator, *, method: str, n: int, source: str
) -> Runs:
    prior = PRIORS[method][0]
    p = rng.beta(prior, prior, replicates)
    k = rng.binomial(n, p)
    low, high = proportion_interval(k, n, method=method.lower())
    share = k / n
    half = -special.ndtri(ALPHA / 2) * np.sqrt(share * (1 - share) / n)
    ends = [proportion_interval(int(x), n, method=method.lower()) for x in k[:50]]
    agree(low, lambda i: ends[i][0])
    return Runs((low <= p) & (p <= high), np.abs(share - p) <= half)
