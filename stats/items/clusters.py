"""Items that are not independent (questions on one passage): the cluster in place of the item."""

from __future__ import annotations

import dataclasses

import numpy as np

from stats.columns import natural
from stats.errors import StatsError, nearest
from stats.items.table import Differences, ItemTable

MEAN_OVER = ("items", "clusters")


def by_cluster(d: Differences, mean_over: str = "items") -> Differences:
    """The (pairs, clusters) array that stands for a (pairs, items) array with clusters.

    ``mean_over`` = "clusters": each column is a cluster's mean, all clusters weigh the same.
    ``mean_over`` = "items": the mean over all items is kept, a ratio when clusters differ in size.
    Each column is then the cluster's linearised share of it,

        z_sg = mean + (T_sg - M_g mean) / (M / G),

    T_sg the sum over the M_g items of cluster g, M items in G clusters: the mean of z is the mean
    over items, the means of its rows are the pairs' means over items, and the variance of its
    column means over G is the ratio estimator's (Cochran 1977, Sampling Techniques, chapters 6
    and 9A). With clusters of one size both estimands are the same, with clusters of one item the
    array is unchanged.

    Raises StatsError when there are no clusters or for another ``mean_over``.
    """
    _check_mean_over(mean_over)
    if not d.clusters:
        raise StatsError(
            "the items have no clusters",
            place=d.place,
            hint="name the column that groups them (cluster=...)",
        )
    names = tuple(name for (name,) in sorted({(c,) for c in d.clusters}, key=natural))
    position = {name: g for g, name in enumerate(names)}
    member = np.zeros((len(d.clusters), len(names)))
    member[np.arange(len(d.clusters)), [position[c] for c in d.clusters]] = 1.0
    return dataclasses.replace(
        d,
        arm_values=_per_cluster(d.arm_values, member, mean_over),
        baseline_values=_per_cluster(d.baseline_values, member, mean_over),
        columns=names,
        clusters=(),
        unit="cluster",
        mean_over=mean_over,
    )


def _per_cluster(values: np.ndarray, member: np.ndarray, mean_over: str) -> np.ndarray:
    """One of the two arrays; both forms are linear, so that differences may be taken after."""
    sizes, sums = member.sum(axis=0), values @ member
    if mean_over == "clusters":
        return sums / sizes
    mean = values.mean()
    return mean + (sums - sizes * mean) / sizes.mean()


def differences_of(table: ItemTable, arm: str, baseline: str, mean_over: str) -> Differences:
    """The differences to analyse: by cluster where the table names clusters, else by item.

    Raises StatsError for a mean over clusters of a table without clusters.
    """
    _check_mean_over(mean_over)
    d = table.differences(arm, baseline)
    return by_cluster(d, mean_over) if d.clusters or mean_over == "clusters" else d


def _check_mean_over(mean_over: str) -> None:
    if mean_over not in MEAN_OVER:
        raise StatsError(
            f"a mean over '{mean_over}' is not offered",
            place="mean_over",
            value=mean_over,
            hint=nearest(mean_over, MEAN_OVER),
        )
