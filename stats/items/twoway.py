"""Inference on a seed x item table: for these items, for these checkpoints, or beyond both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stats.items.clusters import differences_of
from stats.items.components import MeanSquares, VarianceComponent, components, mean_squares
from stats.items.table import Differences, ItemTable
from stats.layout import columns, wrap
from stats.paired import check_level, t_inference, t_quantile
from stats.record import Record
from stats.wording import number, p_value

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MeanInference:
    """One way to read the same mean difference: what is random decides its standard error.

    ``random`` is "seeds", "items" (or "clusters") or "both"; ``se``, ``ci_low`` and ``ci_high``
    are in reported units. NaN where the means do not vary: no test is possible, and p is not 0.
    """

    random: str
    estimand: str
    se: float
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class TwoWay(Record):
    """Three inferences on one mean difference, and the variance components behind them.

    ``delta`` and ``mean_*`` are in ``units``. ``inferences`` are, in this order: seeds random and
    items fixed, items random and seeds fixed, both random. ``unit`` is "item", or "cluster" where
    clusters stand in place of items; ``n_units`` counts them. ``mean_squares`` are those of the
    array behind it all.
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
    mean_arm: float
    mean_baseline: float
    delta: float
    confidence_level: float
    inferences: tuple[MeanInference, MeanInference, MeanInference]
    components: tuple[VarianceComponent, VarianceComponent, VarianceComponent]
    mean_squares: MeanSquares

    @property
    def seeds_random(self) -> MeanInference:
        """For other seeds on these items."""
        return self.inferences[0]

    @property
    def items_random(self) -> MeanInference:
        """For other items with these checkpoints."""
        return self.inferences[1]

    @property
    def both_random(self) -> MeanInference:
        """For other seeds on other items."""
        return self.inferences[2]

    def table(self) -> pd.DataFrame:
        """One row per inference; nothing is rounded."""
        import pandas as pd

        rows = [
            {"arm": self.arm, "baseline": self.baseline, "delta": self.delta} | vars(inference)
            for inference in self.inferences
        ]
        return pd.DataFrame(rows).drop(columns="estimand")

    def component_table(self) -> pd.DataFrame:
        """One row per variance component; nothing is rounded."""
        import pandas as pd

        return pd.DataFrame([vars(component) for component in self.components])

    def summary(self) -> str:
        """Text of at most 100 columns: the three inferences, the components, what each claims."""
        head = ("random", "delta", "se", "df", f"{self.confidence_level:.0%} interval", "p")
        rows = [
            (
                i.random,
                number(self.delta, sign=True),
                i.se,
                i.df,
                f"[{number(i.ci_low)}, {number(i.ci_high)}]" if i.se > 0 else "-",
                p_value(i.p),
            )
            for i in self.inferences
        ]
        parts = [
            (c.name, c.sd, number(c.raw), f"[{number(c.low)}, {number(c.high)}]")
            for c in self.components
        ]
        lines = [
            f"{self.arm} minus {self.baseline} ({self.units}), {self.n_pairs} seed pairs x "
            f"{self.n_units} {self.unit}s",
            *columns(head, rows, indent="  "),
            "",
            "Where the differences vary",
            *columns(("", "SD", "variance", "interval"), parts, indent="  "),
            "",
            *(
                line
                for i in self.inferences
                for line in wrap(f"- {i.random}: {i.estimand}", hanging="  ")
            ),
        ]
        return "\n".join(lines) + "\n"


def two_way(
    table: ItemTable,
    arm: str,
    baseline: str,
    *,
    mean_over: str = "items",
    confidence_level: float = 0.95,
) -> TwoWay:
    """``arm`` minus ``baseline`` with seeds random, items random, and both.

    Where the table names clusters, they stand in place of items (``mean_over``: see
    ``clusters.by_cluster``). Raises StatsError for an unknown arm, fewer than two pairs, and fewer
    than two items (clusters).
    """
    check_level(confidence_level)
    d = differences_of(table, arm, baseline, mean_over)
    d.need(2, 2, "inference beyond seeds and items")
    squares = mean_squares(d.values, d.magnitude)
    return TwoWay(
        arm,
        baseline,
        d.cell,
        f"mean of {d.place} over seeds and {d.mean_over}",
        _METHOD.format(unit=d.unit),
        d.units,
        d.unit,
        squares.n,
        squares.m,
        float(d.arm_values.mean()),
        float(d.baseline_values.mean()),
        squares.mean,
        confidence_level,
        _inferences(d, squares, confidence_level),
        components(squares, confidence_level, d.unit),
        squares,
    )


_METHOD = (
    "two-way random effects without replication: variance (MS_seed + MS_{unit} - MS_residual) / nm,"
    " not below MS_seed / nm or MS_{unit} / nm, Satterthwaite degrees of freedom, interval not "
    "narrower than either one-way interval; components by ANOVA, modified large-sample intervals"
)


def mean_inference(
    squares: MeanSquares, random: str, estimand: str, confidence_level: float = 0.95
) -> MeanInference:
    """The t inference on the mean with ``random`` = "seeds", "both", or any other word: items.

    Seeds: SE^2 = MS_S / nm with n - 1 degrees of freedom, the paired t test on the pairs' means.
    Items: MS_I / nm with m - 1. Both: ``variance_of_mean``, or the one-way inference with the wider
    interval where that is wider still (it may have fewer degrees of freedom).
    """
    size = squares.n * squares.m
    seeds = squares.seed / size, float(squares.n - 1)
    items = squares.item / size, float(squares.m - 1)
    if random == "both":
        options = [variance_of_mean(squares), seeds, items]
        tail = 0.5 + confidence_level / 2
        variance, df = max(options, key=lambda o: math.sqrt(o[0]) * t_quantile(tail, o[1]))
    else:
        variance, df = seeds if random == "seeds" else items
    if variance == 0:
        nan = math.nan
        return MeanInference(random, estimand, 0.0, nan, nan, nan, nan, nan)
    se = math.sqrt(variance)
    t = squares.mean / se
    p, low, high = t_inference(t, df, "two-sided", confidence_level)
    return MeanInference(
        random, estimand, se, df, t, p, squares.mean + low * se, squares.mean + high * se
    )


def variance_of_mean(squares: MeanSquares) -> tuple[float, float]:
    """Var(mean) with seeds and items random, and its degrees of freedom.

    The unbiased estimate is (MS_S + MS_I - MS_SI) / nm, of s_S^2 / n + s_I^2 / m + s_SI^2 / nm
    (Scheffe 1959, 7.4; the same form as two-way clustering, Cameron, Gelbach and Miller 2011,
    Journal of Business and Economic Statistics 29, 238-249), with Satterthwaite's (1946) degrees
    of freedom, as in Clark's quasi-F for subjects and items (1973, Journal of Verbal Learning and
    Verbal Behavior 12, 335-359). It is not let below either one-way value: a population of seeds
    *and* items cannot be known better than one of seeds alone. At a floor the degrees of freedom
    are that value's own.
    """
    size = squares.n * squares.m
    df_seed, df_item, df_residual = squares.df
    total = squares.seed + squares.item - squares.residual
    if total <= max(squares.seed, squares.item):
        if squares.seed >= squares.item:
            return squares.seed / size, float(df_seed)
        return squares.item / size, float(df_item)
    spread = (
        squares.seed**2 / df_seed + squares.item**2 / df_item + squares.residual**2 / df_residual
    )
    return total / size, total**2 / spread


def _inferences(
    d: Differences, squares: MeanSquares, level: float
) -> tuple[MeanInference, MeanInference, MeanInference]:
    many = f"{d.unit}s"
    like = "items like these"
    if d.unit == "cluster":
        like = "items of clusters like these"
    if d.mean_over == "clusters":
        like = "clusters like these, all weighing the same"
    return (
        mean_inference(
            squares,
            "seeds",
            f"over seeds, on these {squares.m} {many}: what the mechanism does on them",
            level,
        ),
        mean_inference(
            squares,
            many,
            f"over {like}, for these {squares.n} trained pairs: it describes those checkpoints, "
            "not the mechanism",
            level,
        ),
        mean_inference(
            squares,
            "both",
            f"over seeds and over {like}: what the mechanism does on this kind of data",
            level,
        ),
    )
