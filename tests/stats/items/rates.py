"""Prints the simulated rates of seed x item inference: ``python -m tests.stats.items.rates``."""

from __future__ import annotations

import numpy as np

from stats.items.components import components, mean_squares
from stats.items.pigeonhole import pigeonhole_means
from stats.items.twoway import mean_inference

ALPHA = 0.05
RANDOM = ("seeds", "items", "both")


def type_i(n: int, m: int, sd: tuple[float, float, float], repeats: int) -> None:
    """Normal effects with SD of seed, item and seed x item."""
    rng = np.random.default_rng(0)
    hits, covered = np.zeros(3), np.zeros(3)
    for _ in range(repeats):
        d = rng.normal(0, sd[0], (n, 1)) + rng.normal(0, sd[1], m) + rng.normal(0, sd[2], (n, m))
        squares = mean_squares(d)
        hits += [mean_inference(squares, r, "").p <= ALPHA for r in RANDOM]
        covered += [c.low <= s**2 <= c.high for c, s in zip(components(squares), sd, strict=True)]
    print(
        f"  n {n:2}, m {m:3}, SD {sd}: seeds {hits[0] / repeats:.3f}, items "
        f"{hits[1] / repeats:.3f}, both {hits[2] / repeats:.3f}; components cover "
        f"{covered[0] / repeats:.3f}, {covered[1] / repeats:.3f}, {covered[2] / repeats:.3f}"
    )


def right_or_wrong(n: int, m: int, repeats: int) -> None:
    """Binary outcomes, chance .65, item effects of SD .10, no seed effect."""
    rng = np.random.default_rng(0)
    hits = np.zeros(3)
    for _ in range(repeats):
        arm = 0.65 + rng.normal(0, 0.1, m)
        d = (rng.random((n, m)) < arm).astype(float) - (rng.random((n, m)) < 0.65)
        squares = mean_squares(d, 1.0)
        hits += [mean_inference(squares, r, "").p <= ALPHA for r in RANDOM]
    rates = ", ".join(f"{r} {h / repeats:.3f}" for r, h in zip(RANDOM, hits, strict=True))
    print(f"  n {n:2}, m {m:4}: {rates}")


def pigeonhole_cover(n: int, m: int, sd: tuple[float, float, float], repeats: int) -> None:
    """Coverage of the pigeonhole percentile interval."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(repeats):
        d = rng.normal(0, sd[0], (n, 1)) + rng.normal(0, sd[1], m) + rng.normal(0, sd[2], (n, m))
        low, high = np.quantile(pigeonhole_means(d, 500, rng), [0.025, 0.975])
        covered += low <= 0 <= high
    print(f"  n {n:2}, m {m:3}, SD {sd}: {covered / repeats:.3f}")


def main() -> None:
    """Print every table."""
    print("Type I error at .05 of a claim about other seeds and other items:")
    for n, m, sd in (
        (5, 50, (1.0, 1.0, 1.0)),
        (5, 20, (0.5, 0.5, 1.0)),
        (10, 20, (0.3, 0.6, 0.6)),
        (6, 100, (0.05, 0.1, 0.65)),
        (10, 100, (0.0, 0.0, 1.0)),
    ):
        type_i(n, m, sd, 4000)
    print("The same with right or wrong outcomes, item effects of SD .10, no seed effect:")
    for n, m in ((6, 200), (20, 50), (20, 200), (20, 1000)):
        right_or_wrong(n, m, 2000)
    print("Coverage of the pigeonhole percentile interval (nominal .95):")
    for n, sd in ((5, (1.0, 1.0, 1.0)), (20, (1.0, 1.0, 1.0)), (20, (0.0, 0.1, 0.65))):
        pigeonhole_cover(n, 50, sd, 1000)


if __name__ == "__main__":
    main()
