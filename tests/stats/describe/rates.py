"""Prints the simulated coverage of descriptions: ``python -m tests.stats.describe.rates``."""

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


def interquartile(n: int, cells: int, repeats: int) -> None:
    """A null difference of IQMs: bootstrap-t of pairs, percentile of pairs, percentile of runs."""
    rng = np.random.default_rng(0)
    covered = np.zeros(3)
    for _ in range(repeats):
        block = study(rng, n, cells)
        index = np.indices(block.shape)
        data = pd.DataFrame({
            "arm": np.array(["talan", "lora"])[index[0].ravel()],
            "seed": index[1].ravel().astype(str),
            "cell": index[2].ravel().astype(str),
            "score": block.ravel(),
        })  # fmt: skip
        table = PairedTable(data, "arm", ("seed",), ("cell",), "score")
        made = iqm(table, "talan", "lora", n_resamples=999, rng=rng)
        covered[0] += made.ci_low <= 0 <= made.ci_high
        pairs = rng.integers(0, n, (999, n))
        means = interquartile_mean(block[:, pairs].reshape(2, 999, -1))
        runs = [
            np.take_along_axis(side[None], rng.integers(0, n, (999, n, cells)), axis=1)
            for side in block
        ]
        apart = [interquartile_mean(part.reshape(999, -1)) for part in runs]
        for k, drawn in ((1, means[0] - means[1]), (2, apart[0] - apart[1])):
            low, high = np.quantile(drawn, [0.025, 0.975])
            covered[k] += low <= 0 <= high
    rates = covered / repeats
    print(f"  {n:2} pairs, {cells} cells: {rates[0]:.3f}, {rates[1]:.3f}, {rates[2]:.3f}")


def improvement(n: int, p: float, rho: float, repeats: int) -> None:
    """P(improvement) over four cells: effective pairs, and pairs x cells taken as independent."""
    rng = np.random.default_rng(0)
    covered = np.zeros(2)
    for _ in range(repeats):
        d = scipy.stats.norm.ppf(p) + math.sqrt(rho) * rng.normal(size=(n, 1))
        scores = (d + math.sqrt(1 - rho) * rng.normal(size=(n, 4)) > 0).astype(float)
        share = float(scores.mean())
        for k, size in enumerate((effective_pairs([scores], share), 4.0 * n)):
            low, high = proportion_interval(share * size, size)
            covered[k] += low <= p <= high
    rates = covered / repeats
    print(f"  {n:2} pairs, P {p}, correlation {rho}: {rates[0]:.3f}, {rates[1]:.3f}")


def best(size: int, repeats: int) -> None:
    """Normal trials: bias of both estimates, coverage of bootstrap-t and percentile intervals."""
    rng = np.random.default_rng(0)
    budgets = [size // 10, size // 5, size // 2]
    x = np.linspace(-9, 9, 20001)
    cdf = scipy.stats.norm.cdf(x)
    truth = np.array([x[-1] - np.trapezoid(cdf**n, x) for n in budgets])
    covered, estimates = np.zeros((2, 3)), np.zeros((2, 3))
    for _ in range(repeats):
        v = rng.normal(size=size)
        frame = pd.DataFrame({"arm": "lora", "trial": np.arange(size), "score": v})
        curve = best_of_n(frame, sampler="random", budgets=budgets, n_resamples=499, rng=rng)
        covered[0] += [p.low <= t <= p.high for p, t in zip(curve.points, truth, strict=True)]
        drawn = np.sort(v[rng.integers(0, size, (499, size))], axis=1)
        low, high = np.quantile(drawn @ subset_weights(size, budgets), [0.025, 0.975], axis=0)
        covered[1] += (low <= truth) & (truth <= high)
        estimates += [expected_best(v, budgets) - truth, plug_in_best(v, budgets) - truth]
    for k, n in enumerate(budgets):
        print(
            f"  best of {n:2} from {size}: bias {estimates[0, k] / repeats:+.3f} (plug-in "
            f"{estimates[1, k] / repeats:+.3f}), coverage {covered[0, k] / repeats:.3f} "
            f"(percentile {covered[1, k] / repeats:.3f})"
        )


def main() -> None:
    """Print every table."""
    print("Difference of IQMs: bootstrap-t of pairs, percentile of pairs, percentile of runs:")
    for n in (5, 10):
        interquartile(n, 4, 500)
    print("P(improvement) over 4 cells: effective pairs, pairs x cells:")
    for n, p, rho in ((5, 0.75, 0.5), (10, 0.5, 0.5), (20, 0.75, 0.5), (20, 0.9, 0.9)):
        improvement(n, p, rho, 2000)
    print("Expected best of n, normal trials, in standard deviations:")
    best(50, 800)


if __name__ == "__main__":
    main()
