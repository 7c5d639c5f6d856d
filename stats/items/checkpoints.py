"""One pair of checkpoints on the same items: what holds for them, and for them alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.columns import Key, label, show
from stats.errors import StatsError, nearest
from stats.items.clusters import by_cluster
from stats.items.table import Differences, ItemTable
from stats.layout import wrap
from stats.paired import check_level, paired_t
from stats.record import Record
from stats.sample import Sample
from stats.wording import number, p_value


@dataclass(frozen=True)
class PairedItems(Record):
    """Two checkpoints on the same items; ``delta``, ``se`` and interval are in ``units``.

    ``only_arm`` and ``only_baseline`` count the items that one of the two solves (None unless
    outcomes are right or wrong); ``p_mcnemar`` is the exact McNemar p on them, ``p_mcnemar_mid``
    its mid-p. ``p`` is that of the t on items (clusters). NaN where there is no test: clustered
    items for McNemar, no differences at all for any.
    """

    arm: str
    baseline: str
    pair: Mapping[str, str]
    cell: Mapping[str, str]
    estimand: str
    method: str
    units: str
    unit: str
    n_items: int
    n_units: int
    mean_arm: float
    mean_baseline: float
    delta: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    p: float
    only_arm: int | None
    only_baseline: int | None
    p_mcnemar: float
    p_mcnemar_mid: float
    confidence_level: float

    @property
    def sentence(self) -> str:
        """What the numbers are about, for every place that shows them."""
        where = ", ".join(f"{name} {value}" for name, value in self.pair.items())
        return (
            f"This describes the two checkpoints of {where}, not the mechanism: another seed would "
            "give other checkpoints."
        )

    def summary(self) -> str:
        """A paragraph of at most 100 columns that ends in ``sentence``."""
        text = (
            f"{self.arm} minus {self.baseline}: {number(self.delta, sign=True)} {self.units} "
            f"[{number(self.ci_low)}, {number(self.ci_high)}] on {self.n_items} items"
        )
        if self.unit == "cluster":
            text += f" in {self.n_units} clusters"
        if self.only_arm is not None:
            text += (
                f"; {self.only_arm} solved by {self.arm} only, {self.only_baseline} by "
                f"{self.baseline} only"
            )
        if self.unit == "item" and self.only_arm is not None:
            text += f" (exact McNemar p {p_value(self.p_mcnemar, equals=True)})"
        else:
            text += f" (p {p_value(self.p, equals=True)})"
        return "\n".join(wrap(f"{text}. {self.sentence}")) + "\n"


def paired_items(
    table: ItemTable,
    arm: str,
    baseline: str,
    pair: Sequence[object] | object,
    *,
    confidence_level: float = 0.95,
) -> PairedItems:
    """Compare the checkpoints of one ``pair`` (its labels, in the order of the table's columns).

    Outcomes that are right or wrong, without clusters: the interval is Bonett and Price's adjusted
    Wald interval for paired proportions (2012, Journal of Educational and Behavioral Statistics
    37, 479-488), which holds for few items, and McNemar's exact and mid-p tests (Fagerland,
    Lydersen and Laake 2013, BMC Medical Research Methodology 13, 91). Other outcomes: the t
    interval over items. With clusters: the t over clusters of the cluster-robust standard error
    sqrt(G / (G - 1) sum_g (T_g - M_g delta)^2) / M, G - 1 degrees of freedom (Liang and Zeger
    1986, Biometrika 73, 13-22; for evaluations Miller 2024, arXiv 2411.00640).

    Raises StatsError for an unknown arm or pair, and fewer than two items (clusters).
    """
    check_level(confidence_level)
    row = _row(table, pair)
    d = table.differences(arm, baseline)
    a, b = d.arm_values[row], d.baseline_values[row]
    units = by_cluster(_only(d, row)) if d.clusters else _only(d, row)
    units.need(1, 2, "a comparison of checkpoints")
    t = paired_t(Sample.of([units.values[0]], magnitude=d.magnitude), "two-sided", confidence_level)
    low, high = t.ci_low, t.ci_high
    binary = bool(np.isin(np.concatenate([a, b]), (0.0, table.scale)).all())
    only_arm = only_baseline = None
    exact = mid = math.nan
    method = "t over clusters, cluster-robust standard error" if d.clusters else "t over items"
    if binary:
        only_arm, only_baseline = int((a > b).sum()), int((b > a).sum())
        if not d.clusters:
            method = "adjusted Wald interval (Bonett and Price 2012), McNemar's exact and mid-p"
            exact, mid = mcnemar(only_arm, only_baseline)
            low, high = adjusted_wald(only_arm, only_baseline, a.size, confidence_level)
            low, high = low * table.scale, high * table.scale
    return PairedItems(
        arm,
        baseline,
        dict(zip(table.pair, table.pairs[row], strict=True)),
        table.cell,
        f"mean of {d.place} over items like these, for the two checkpoints of "
        f"{show(table.pair, table.pairs[row])}",
        method,
        table.units,
        units.unit,
        a.size,
        units.values.shape[1],
        float(a.mean()),
        float(b.mean()),
        float((a - b).mean()),
        t.se,
        t.df,
        low,
        high,
        t.p,
        only_arm,
        only_baseline,
        exact,
        mid,
        confidence_level,
    )


def mcnemar(only_arm: int, only_baseline: int) -> tuple[float, float]:
    """The exact two-sided McNemar p (McNemar 1947, Psychometrika 12, 153-157) and its mid-p.

    A binomial test at 1/2 of the items that one side alone solves; NaN when there is none.
    """
    n, k = only_arm + only_baseline, min(only_arm, only_baseline)
    if n == 0:
        return math.nan, math.nan
    tail = float(special.bdtr(k, n, 0.5))
    atom = tail - (float(special.bdtr(k - 1, n, 0.5)) if k else 0.0)
    return min(1.0, 2 * tail), min(1.0, 2 * tail - atom)


def adjusted_wald(
    only_arm: int, only_baseline: int, n_items: int, confidence_level: float = 0.95
) -> tuple[float, float]:
    """The interval of a difference of paired proportions, as fractions (Bonett and Price 2012).

    One item is added to each of the two discordant counts and two to n, then Wald's formula.
    """
    n = n_items + 2
    plus, minus = (only_arm + 1) / n, (only_baseline + 1) / n
    centre = plus - minus
    half = float(special.ndtri(0.5 + confidence_level / 2)) * math.sqrt(
        (plus + minus - centre**2) / n
    )
    return max(centre - half, -1.0), min(centre + half, 1.0)


def _row(table: ItemTable, pair: Sequence[object] | object) -> int:
    labels = pair if isinstance(pair, (tuple, list)) else (pair,)
    key: Key = tuple(label(part) for part in labels)
    if key not in table.pairs:
        raise StatsError(
            f"there is no pair {'/'.join(key)}",
            place=f"pair ({', '.join(table.pair)})",
            value=key,
            hint=nearest("/".join(key), ["/".join(known) for known in table.pairs]),
        )
    return table.pairs.index(key)


def _only(d: Differences, row: int) -> Differences:
    return dataclasses.replace(
        d,
        arm_values=d.arm_values[row : row + 1],
        baseline_values=d.baseline_values[row : row + 1],
        pairs=(d.pairs[row],),
    )
