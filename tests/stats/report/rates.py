"""Prints the error rates of noise floors that the method page quotes.

``python -m tests.stats.report.rates``, about ten seconds on one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from stats.paired import t_quantile
from stats.repeatability.floor import studentised_range
from stats.repeatability.grid import RunGrid
from stats.repeatability.within import least_squares

Draw = Callable[[int], np.ndarray]


def floors(
    entries: int, occasions: int, kept: float, draw: Draw, repeats: int, g: np.random.Generator
) -> None:
    """How often two fresh runs, and the range of all entries' fresh runs, exceed a floor."""
    names = [
        (str(i), str(j))
        for i in range(entries)
        for j in range(occasions)
        if g.random() < kept or j == i % occasions
    ]
    frame = pd.DataFrame(names, columns=["entry", "occasion"]).assign(score=0.0)
    grid = RunGrid.from_frame(frame, entry="entry", occasion="occasion", score="score")
    df = least_squares(replace(grid, values=g.normal(size=grid.n))).df
    t, q = t_quantile(0.975, df) * math.sqrt(2), studentised_range(entries, df, 0.95)
    hits = np.zeros(4)
    for _ in range(repeats):
        sd = least_squares(replace(grid, values=draw(grid.n))).sd
        fresh = draw(entries)
        two, span = abs(fresh[0] - fresh[1]), float(np.ptp(fresh))
        z = 1.96 * math.sqrt(2)
        hits += [two >= t * sd, two >= z * sd, span >= q * sd, span >= t * sd]
    rates = hits / repeats
    print(
        f"  {entries} entries, {occasions} occasions, {grid.n} runs, df {df}: two runs beyond t "
        f"{rates[0]:.3f}, beyond z {rates[1]:.3f}; some pair beyond q {rates[2]:.3f}, beyond t "
        f"{rates[3]:.3f}"
    )


def main() -> None:
    """Print both tables."""
    g = np.random.default_rng(0)
    draws: dict[str, Draw] = {
        "Normal noise (nominal .05)": lambda n: g.normal(size=n),
        "Noise of t with 3 degrees of freedom": lambda n: g.standard_t(3, size=n),
    }
    for name, draw in draws.items():
        print(name)
        floors(6, 3, 0.7, draw, 20_000, g)
        floors(20, 4, 0.6, draw, 8_000, g)


if __name__ == "__main__":
    main()
