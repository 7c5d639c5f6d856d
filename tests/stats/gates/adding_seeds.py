"""Looking at the results so far: after every pair, and at planned looks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from stats.sequential.confseq import confidence_sequence
from stats.sequential.eholm import adjust_e, e_holm
from stats.sequential.eprocess import EFFECTS, combined, e_process, log_wealth
from stats.sequential.group import boundaries
from stats.sequential.plan import SequentialPlan
from stats.sequential.replay import SETTLED
from tests.stats.gates.draws import ALPHA, agree, each
from tests.stats.gates.gate import Runs, register

LAWS: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "Cauchy": lambda rng, shape: rng.standard_cauchy(shape),
    "growing": lambda rng, shape: rng.normal(size=shape) * np.geomspace(1, 100, shape[1]),
}


def _t_path(d: np.ndarray) -> np.ndarray:
    """p-values of the t test after each pair (replicates, n); 1 after the first."""
    n = np.arange(1, d.shape[1] + 1)
    mean, square = np.cumsum(d, axis=1) / n, np.cumsum(d * d, axis=1)
    p = np.ones(d.shape)
    variance = np.maximum(square - n * mean**2, 1e-12 * square)[:, 1:] / (n[1:] - 1)
    t = mean[:, 1:] / np.sqrt(variance / n[1:])
    p[:, 1:] = 2 * special.stdtr(n[1:] - 1, -np.abs(t))
    return p


@register(
    "e-process, {law}, {pairs} pairs",
    "Any rejection, e-process after each of {pairs} {law} pairs",
    expected=ALPHA,
    kind="at most",
    source="alpha: Ville 1939",
    mutant="t test after each from 3 on",
    cases=[
        {"law": "normal", "pairs": 20},
        {"law": "normal", "pairs": 50},
        {"law": "Cauchy", "pairs": 50},
        {"law": "growing", "pairs": 50},
    ],
)
def peeking(replicates: int, rng: np.random.Generator, *, law: str, pairs: int) -> Runs:
    d = LAWS[law](rng, (replicates, pairs))
    last = each(lambda x: e_process(x).p[-1], d)
    return Runs(last <= ALPHA, (_t_path(d)[:, 2:] <= ALPHA).any(axis=1))


@register(
    "confidence sequence",
    "Coverage of all 30 intervals of the confidence sequence",
    expected=0.95,
    kind="at least",
    source="1 - alpha: Ville 1939",
    mutant="t interval after each pair from 3 on",
    short=4000,
)
def all_intervals(replicates: int, rng: np.random.Generator) -> Runs:
    d = rng.normal(size=(replicates, 30))
    # A centre is held where its own e-process has not rejected it.
    covers = (combined(*log_wealth(d, EFFECTS), "two-sided") < -math.log(ALPHA)).all(axis=1)

    def by_package(i: int) -> bool:
        found = confidence_sequence(1.7 + d[i])
        return bool((found.low <= 1.7).all() and (found.high >= 1.7).all())

    agree(covers, by_package, 10)
    return Runs(covers, ~(_t_path(d)[:, 2:] <= ALPHA).any(axis=1))


@register(
    "e-Holm",
    "Any false rejection in 8 cells, e-values after each of 20 pairs",
    expected=ALPHA,
    kind="at most",
    source="alpha: Vovk and Wang 2021",
    mutant="each cell's e-value alone",
)
def many_cells(replicates: int, rng: np.random.Generator) -> Runs:
    d = math.sqrt(0.3) * rng.normal(size=(replicates, 1, 20))
    d = d + math.sqrt(0.7) * rng.normal(size=(replicates, 8, 20))
    d[:, :2] += 1.0  # real effects, whose rejection is right
    e = np.exp(combined(*log_wealth(d, EFFECTS), "two-sided"))
    # What is adjusted is never larger: only moments at which a null cell's own e rejects matter.
    alone = (e[:, 2:] >= 1 / ALPHA).any(axis=1)
    wrong = np.zeros(replicates, dtype=bool)
    for r, pair in zip(*np.nonzero(alone), strict=True):
        wrong[r] |= bool((adjust_e(e[r, :, pair])[2:] >= 1 / ALPHA).any())

    def by_package(i: int) -> bool:
        ends = (e_holm({str(k): x[:n] for k, x in enumerate(d[i])}) for n in range(5, 21))
        return any(any(end.rejected[2:]) for end in ends)

    agree(wrong, by_package, 10)
    return Runs(wrong, alone.any(axis=1))


@register(
    "planned looks {looks}, {rule}",
    "Any rejection, t tests at looks {looks}, {rule}",
    expected=ALPHA,
    source="alpha; levels off by .0002",
    mutant=".05 at every look",
    cases=[
        {"looks": (5, 10, 20), "rule": "obrien-fleming"},
        {"looks": (5, 10, 20), "rule": "pocock"},
        {"looks": (10, 20), "rule": "obrien-fleming"},
    ],
    short=5000,
)
def planned(
    replicates: int, rng: np.random.Generator, *, looks: tuple[int, ...], rule: str
) -> Runs:
    d = rng.normal(size=(replicates, looks[-1]))
    p = _t_path(d)[:, np.array(looks) - 1]
    rejects = (p <= boundaries(looks, ALPHA, rule).levels).any(axis=1)
    plan = SequentialPlan(looks[-1], looks, rule=rule)
    agree(rejects, lambda i: plan.decide(d[i]).verdict in SETTLED, 15)
    return Runs(rejects, (p <= ALPHA).any(axis=1))


@register(
    "e-value at a stopping time",
    "Mean e-value where one stops at the first significant t test, 20 pairs",
    expected=1.0,
    kind="at most",
    source="an e-value has mean 1 at most",
    mutant="likelihood ratio of the best effect",
)
def stopped(replicates: int, rng: np.random.Generator) -> Runs:
    d = rng.normal(size=(replicates, 20))
    e = each(lambda x: e_process(x).e, d)
    p = _t_path(d)
    stop = np.where((p[:, 2:] <= ALPHA).any(axis=1), (p[:, 2:] <= ALPHA).argmax(axis=1) + 2, 19)
    at = np.arange(replicates), stop
    n = stop + 1.0
    mean, square = np.cumsum(d, axis=1)[at] / n, np.cumsum(d * d, axis=1)[at] / n
    return Runs(e[at], np.exp(n / 2 * np.log(square / (square - mean**2)) * 0.5))
