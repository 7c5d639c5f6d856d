"""Intervals for an accuracy on few items, where mean +- 1.96 SE does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from stats.errors import StatsError, nearest
from stats.items.table import ItemTable
from stats.layout import frame_lines, wrap
from stats.paired import check_level
from stats.record import Record

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("jeffreys", "uniform", "wilson")


@dataclass(frozen=True)
class Accuracy:
    """One checkpoint's accuracy on a benchmark: ``correct`` of ``n_items``; rates in its units."""

    arm: str
    pair: Mapping[str, str]
    correct: int
    n_items: int
    accuracy: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Accuracies(Record):
    """The accuracy of every run of an item table, each with its own interval over items."""

    runs: tuple[Accuracy, ...]
    cell: Mapping[str, str]
    estimand: str
    method: str
    units: str
    confidence_level: float

    def table(self) -> pd.DataFrame:
        """One row per run, the pair's columns spread; nothing is rounded."""
        import pandas as pd

        rows = [vars(run) for run in self.runs]
        return pd.DataFrame(
            [
                {"arm": row["arm"]}
                | dict(row["pair"])
                | {k: v for k, v in row.items() if k not in ("arm", "pair")}
                for row in rows
            ]
        )

    def summary(self) -> str:
        """Text of at most 100 columns."""
        lines = [f"Accuracy ({self.units}), {self.confidence_level:.0%} intervals: {self.method}"]
        note = (
            "Each interval is about one checkpoint on items like these. Differences between arms "
            "need the pairs (two_way): these intervals do not say whether arms differ."
        )
        return "\n".join([*lines, *frame_lines(self.table()), *wrap(note)]) + "\n"


def accuracies(
    table: ItemTable, *, method: str = "jeffreys", confidence_level: float = 0.95
) -> Accuracies:
    """The accuracy of each run with ``proportion_interval``, items independent.

    Raises StatsError for outcomes that are not 0 or 1, for clustered items (their counts are not
    binomial), and what ``proportion_interval`` raises.
    """
    if not np.isin(table.values, (0.0, table.scale)).all():
        raise StatsError(
            f"'{table.outcome}' is not right or wrong (1 or 0) on every item",
            place=f"column '{table.outcome}'",
            hint="for other scores use two_way",
        )
    if table.clusters:
        raise StatsError(
            "the items are clustered, so that their counts are not binomial",
            place="accuracies",
            hint="use paired_items or two_way, which know clusters",
        )
    correct = np.rint(table.values.sum(axis=2) / table.scale).astype(int)
    n = len(table.items)
    low, high = proportion_interval(correct, n, method=method, confidence_level=confidence_level)
    runs = tuple(
        Accuracy(
            arm,
            dict(zip(table.pair, pair, strict=True)),
            int(correct[a, p]),
            n,
            float(correct[a, p] / n * table.scale),
            float(low[a, p] * table.scale),
            float(high[a, p] * table.scale),
        )
        for a, arm in enumerate(table.arms)
        for p, pair in enumerate(table.pairs)
    )
    return Accuracies(
        runs,
        table.cell,
        "accuracy of one checkpoint over items like these",
        _NAMES[method],
        table.units,
        confidence_level,
    )


_NAMES = {
    "jeffreys": "beta-binomial, Jeffreys prior Beta(1/2, 1/2)",
    "uniform": "beta-binomial, uniform prior Beta(1, 1)",
    "wilson": "Wilson's score interval",
}
_PRIORS = {"jeffreys": 0.5, "uniform": 1.0}


def proportion_interval(
    successes: float | np.ndarray,
    n: float | np.ndarray,
    *,
    method: str = "jeffreys",
    confidence_level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the interval for a proportion, as fractions; arrays broadcast.

    ``jeffreys`` (default): equal tails of the beta posterior under the prior Beta(1/2, 1/2), the
    end set to 0 (1) where no (every) item is right (Brown, Cai and DasGupta 2001, Statistical
    Science 16, 101-133). ``uniform``: the same with prior Beta(1, 1), the beta-binomial interval
    that Bowyer, Aitchison and Ivanova recommend for small benchmarks (2025, arXiv 2503.01747).
    ``wilson``: the score interval (Wilson 1927, Journal of the American Statistical Association
    22, 209-212). All three keep their level on average down to a handful of items, where Wald's
    interval does not. Raises StatsError for another method, and counts that are not 0 <= k <= n.
    """
    check_level(confidence_level)
    if method not in METHODS:
        raise StatsError(
            f"'{method}' is not a method",
            place="method",
            value=method,
            hint=nearest(method, METHODS),
        )
    k, size = np.broadcast_arrays(np.asarray(successes, float), np.asarray(n, float))
    wrong = ~((k >= 0) & (k <= size) & (size >= 1))
    if wrong.any():
        first = tuple(index[0] for index in np.nonzero(np.atleast_1d(wrong)))
        bad, of = np.atleast_1d(k)[first], np.atleast_1d(size)[first]
        raise StatsError(
            f"{bad:g} right of {of:g} items is not a count",
            place="successes",
            value=(float(bad), float(of)),
        )
    tail = (1 - confidence_level) / 2
    if method == "wilson":
        z = -float(special.ndtri(tail))
        centre = (k + z**2 / 2) / (size + z**2)
        half = z * np.sqrt(k * (size - k) / size + z**2 / 4) / (size + z**2)
        return np.where(k == 0, 0.0, centre - half), np.where(k == size, 1.0, centre + half)
    prior = _PRIORS[method]
    low = special.betaincinv(k + prior, size - k + prior, tail)
    high = special.betaincinv(k + prior, size - k + prior, 1 - tail)
    if method == "jeffreys":
        low, high = np.where(k == 0, 0.0, low), np.where(k == size, 1.0, high)
    return low, high


def wilson(successes: float, n: float, confidence_level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of one proportion, as fractions."""
    low, high = proportion_interval(
        successes, n, method="wilson", confidence_level=confidence_level
    )
    return float(low), float(high)


def jeffreys(successes: float, n: float, confidence_level: float = 0.95) -> tuple[float, float]:
    """Jeffreys' interval of one proportion, as fractions."""
    low, high = proportion_interval(successes, n, confidence_level=confidence_level)
    return float(low), float(high)
