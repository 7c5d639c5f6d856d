"""The pigeonhole bootstrap of a seed x item table: a check on the two-way inference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stats.bootstrap import check_resamples
from stats.items.clusters import differences_of
from stats.items.components import MeanSquares, mean_squares
from stats.items.table import ItemTable
from stats.items.twoway import variance_of_mean
from stats.layout import wrap
from stats.paired import check_level
from stats.record import Record, seed_of
from stats.wording import number

_CHUNK_CELLS = 1 << 20  # resamples x items drawn at a time; bounds memory to some 10 MB an array


@dataclass(frozen=True)
class Pigeonhole(Record):
    """The pigeonhole bootstrap of one mean difference, in ``units``.

    ``se`` is the bootstrap's standard error in the limit of many resamples (it has a closed form),
    ``se_two_way`` that of the two-way inference beside it. ``ci_low`` and ``ci_high`` are the
    percentile interval of ``n_resamples`` resampled means. NaN where nothing varies.
    """

    arm: str
    baseline: str
    cell: Mapping[str, str]
    estimand: str
    method: str
    units: str
    unit: str
    n_pairs: int
    n_units: int
    delta: float
    se: float
    se_two_way: float
    ci_low: float
    ci_high: float
    confidence_level: float
    n_resamples: int
    rng_seed: int | None

    def summary(self) -> str:
        """One paragraph of at most 100 columns."""
        return (
            "\n".join(
                wrap(
                    f"{self.arm} minus {self.baseline}: {number(self.delta, sign=True)} "
                    f"{self.units}, {self.confidence_level:.0%} pigeonhole interval "
                    f"[{number(self.ci_low)}, {number(self.ci_high)}], SE {number(self.se)} "
                    f"(two-way {number(self.se_two_way)}), {self.n_pairs} seed pairs x "
                    f"{self.n_units} {self.unit}s, {self.n_resamples} resamples."
                )
            )
            + "\n"
        )


def pigeonhole(
    table: ItemTable,
    arm: str,
    baseline: str,
    *,
    mean_over: str = "items",
    confidence_level: float = 0.95,
    n_resamples: int = 4000,
    rng: int | np.random.Generator = 0,
) -> Pigeonhole:
    """Resample seeds and items independently of each other, both with replacement.

    Owen 2007 (Annals of Applied Statistics 1, 386-411). Its variance counts the seed x item part
    about three times, so it errs to the safe side, much so where that part rules; and it lacks
    the factors n / (n - 1) and m / (m - 1) and any quantile of t, so that with few seeds its
    percentile interval errs to the other side. Hence a check on ``two_way``, not a replacement.
    No bootstrap of two crossed factors is exact (McCullagh 2000, Bernoulli 6, 285-301). Clusters
    stand in place of items where the table names them; for a mean over items of clusters of
    unequal size it is the linearised mean that is resampled.

    Raises StatsError for an unknown arm, a wrong level, fewer than 99 resamples, fewer than two
    pairs or two items (clusters).
    """
    check_level(confidence_level)
    check_resamples(n_resamples)
    d = differences_of(table, arm, baseline, mean_over)
    d.need(2, 2, "the pigeonhole bootstrap")
    squares = mean_squares(d.values, d.magnitude)
    variance, low, high = pigeonhole_variance(squares), math.nan, math.nan
    if variance > 0:
        tail = (1 - confidence_level) / 2
        means = pigeonhole_means(d.values, n_resamples, np.random.default_rng(rng))
        low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    return Pigeonhole(
        arm,
        baseline,
        d.cell,
        f"mean of {d.place} over seeds and {d.mean_over} like these",
        "pigeonhole bootstrap, percentile interval (Owen 2007)",
        d.units,
        d.unit,
        squares.n,
        squares.m,
        squares.mean,
        math.sqrt(variance),
        math.sqrt(variance_of_mean(squares)[0]),
        low,
        high,
        confidence_level,
        n_resamples,
        seed_of(rng),
    )


def pigeonhole_means(d: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """The means W_s' d W_i / nm of ``n_resamples`` resamples of d (n, m); W are multinomial."""
    n, m = d.shape
    out = np.empty(n_resamples)
    rows = max(1, _CHUNK_CELLS // (n + m))
    for start in range(0, n_resamples, rows):
        size = min(rows, n_resamples - start)
        seeds = rng.multinomial(n, np.full(n, 1 / n), size=size)
        items = rng.multinomial(m, np.full(m, 1 / m), size=size)
        out[start : start + size] = np.einsum("bm,bm->b", seeds @ d, items) / (n * m)
    return out


def pigeonhole_variance(squares: MeanSquares) -> float:
    """The variance of a pigeonhole mean given the data.

    ((1 - 1/n) MS_S + (1 - 1/m) MS_I + (1 - 1/n) (1 - 1/m) MS_SI) / nm: multinomial weights have
    covariance I - J / n, and the three parts of a two-way table are orthogonal. Its expectation is
    near s_S^2 / n + s_I^2 / m + 3 s_SI^2 / nm.
    """
    n, m = 1 - 1 / squares.n, 1 - 1 / squares.m
    total = n * squares.seed + m * squares.item + n * m * squares.residual
    return total / (squares.n * squares.m)
