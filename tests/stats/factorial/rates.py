"""The rates that docs quote on factorials: ``python -m tests.stats.factorial.rates`` (a minute).

The tests of this folder hold the same procedures to binomial bands with fewer repeats. Everything
is simulated from the scores of runs; contrasts are taken by matrix products for speed, and
``test_two_gates`` checks that they are ``two_gates``' own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from stats.factorial.heterogeneity import vector_test
from stats.factorial.wilks import welch
from stats.family import holm
from tests.stats.factorial.designs import contrasts, design, scores

ALPHA_MAINS, ALPHA_INTERACTIONS = 0.04, 0.01


def weights() -> tuple[np.ndarray, np.ndarray]:
    """The contrasts' weights on the design points: (6, 32) and (15, 32)."""
    points = design()
    mains, interactions = contrasts(points)

    def rows(given: list) -> np.ndarray:
        return np.array([[c.weights.get(arm, 0.0) for arm in points.index] for c in given])

    return rows(mains), rows(interactions)


def simulate(repeats: int, pairs: int, **options: Any) -> np.ndarray:
    """Scores of many studies at once: (arms, backbones, repeats, pairs, benchmarks)."""
    y = scores(design(), np.random.default_rng(0), pairs=repeats * pairs, **options)
    return y[:-1].reshape(*y[:-1].shape[:2], repeats, pairs, y.shape[3])


def p_values(y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The deciding p-values (repeats, contrasts): t on each contrast's own differences."""
    d = np.tensordot(rows, y.mean(axis=4), axes=1)  # (contrasts, backbones, repeats, pairs)
    n, shares = d.shape[3], d.var(axis=3, ddof=1) / d.shape[3]
    t = d.mean(axis=(1, 3)) * d.shape[1] / np.sqrt(shares.sum(axis=1))
    df = shares.sum(axis=1) ** 2 / (shares**2 / (n - 1)).sum(axis=1)
    return np.asarray(2 * scipy.stats.t.sf(np.abs(t), df)).T


def pooled_p_values(y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The same contrasts against the pooled pair x arm error."""
    z = y.mean(axis=4)
    left = z - z.mean(axis=0) - z.mean(axis=3, keepdims=True)
    left += z.mean(axis=(0, 3), keepdims=True)
    arms, groups, _, n = z.shape
    df = groups * (n - 1) * (arms - 1)
    variance = (left**2).sum(axis=(0, 1, 3)) / df
    se = np.sqrt(np.outer((rows**2).sum(axis=1), variance) / n / groups)
    return np.asarray(2 * scipy.stats.t.sf(np.abs(rows @ z.mean(axis=(1, 3)) / se), df)).T


def independent_p_values(y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mutant: every pair x benchmark as an independent value."""
    d = np.moveaxis(np.tensordot(rows, y, axes=1), 2, 1)
    return scipy.stats.ttest_1samp(d.reshape(*d.shape[:2], -1), 0, axis=2).pvalue.T


def gates(repeats: int, *, pairs: int = 6, **options: Any) -> dict[str, tuple[float, float]]:
    """Any false rejection among mains and among interactions, by error term."""
    y, (mains, interactions) = simulate(repeats, pairs, **options), weights()

    def rate(p: np.ndarray, alpha: float) -> float:
        return float(np.mean([holm(row).min() <= alpha for row in p]))

    return {
        name: (rate(how(y, mains), ALPHA_MAINS), rate(how(y, interactions), ALPHA_INTERACTIONS))
        for name, how in (
            ("own error", p_values),
            ("pooled error", pooled_p_values),
            ("runs x benchmarks", independent_p_values),
        )
    }


def places(
    repeats: int, *, pairs: int, backbones: int, benchmarks: int, effect: float = 0.0
) -> dict[str, float]:
    """Rejections at .05 of one contrast's tests of heterogeneity; benchmarks correlate to .7.

    ``effect`` is added on the first benchmark, in SDs of the contrast's noise there. "T2" and
    "Bonferroni" are the two tests over benchmarks, whatever the number of pairs.
    """
    rng = np.random.default_rng(0)
    found = dict.fromkeys(("backbones", "benchmarks", "both", "T2", "Bonferroni"), 0.0)
    every = np.full((1, backbones), 1 / backbones)
    steps = np.diff(np.eye(backbones), axis=0)
    for _ in range(repeats):
        v = np.sqrt(0.7) * rng.normal(size=(backbones, pairs, 1))
        v = v + np.sqrt(0.3) * rng.normal(size=(backbones, pairs, benchmarks))
        v[:, :, 0] += effect
        groups = list(v)
        found["backbones"] += welch([x.mean(axis=1) for x in groups]).p <= 0.05
        found["benchmarks"] += vector_test(groups, every)[1].p <= 0.05
        found["both"] += vector_test(groups, steps)[1].p <= 0.05
        found["T2"] += vector_test(groups, every, by_vector=True)[1].p <= 0.05
        found["Bonferroni"] += vector_test(groups, every, by_vector=False)[1].p <= 0.05
    return {name: count / repeats for name, count in found.items()}


def power(repeats: int, effect: float) -> float:
    """How often a main effect of so many SDs of a run's noise is found, 2 x 6 pairs."""
    p = p_values(simulate(repeats, 6, effects={"A": effect}), weights()[0])
    return float(np.mean([holm(row)[0] <= ALPHA_MAINS for row in p]))


if __name__ == "__main__":
    print("any false rejection, mains at .04 and interactions at .01 (2 backbones x 6 pairs)")
    for label, options in (
        ("benchmarks correlated .7", {}),
        ("benchmarks correlated .95", {"correlation": 0.95}),
        ("an SD of 1 between pairs in the effect of A", {"luck": {"A": 1.0}}),
        ("3 pairs a backbone", {"pairs": 3}),
    ):
        for name, (mains, interactions) in gates(4000, **options).items():
            print(f"  {label}, {name:17}: {mains:.4f}, {interactions:.4f}")
    print("power for a main effect, in SDs of a run's noise")
    for effect in (0.3, 0.4, 0.5):
        print(f"  {effect}: {power(1000, effect):.3f}")
    print("heterogeneity of one contrast at .05, benchmarks correlated .7")
    for pairs, backbones, benchmarks in ((6, 2, 5), (3, 2, 5), (6, 2, 4), (5, 4, 4), (20, 4, 4)):
        for effect in (0.0, 1.0):
            rates = places(
                2000, pairs=pairs, backbones=backbones, benchmarks=benchmarks, effect=effect
            )
            text = ", ".join(f"{name} {rate:.3f}" for name, rate in rates.items())
            print(f"  {backbones} x {pairs} pairs, {benchmarks} benchmarks, +{effect}: {text}")
