"""The inheritance procedure: hypotheses on a tree, tested from the root downwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stats.errors import StatsError


def inheritance(
    p: Sequence[float] | np.ndarray, parents: Sequence[int | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Adjusted p-values of hypotheses on a tree (Goeman and Finos 2012, Statistical Applications in
    Genetics and Molecular Biology 11(1), article 11).

    The whole level starts at the root (several roots: in equal parts). A hypothesis that is
    rejected hands its share to its children in equal parts; a branch that is rejected to its end
    leaves its share to the branches that are not, the nearest first. No hypothesis is tested
    before its parent is rejected. By the sequential rejection principle (Goeman and Solari 2010,
    Annals of Statistics 38, 3782-3810) the familywise error rate is at most the level, whatever the
    dependence between the p-values and whether or not parents are logically implied by children:
    at every step the shares of the true hypotheses that can be tested sum to at most the level, and
    shares only grow as more is rejected.

    Args:
        p: (K,) p-values; NaN (no test) is never rejected.
        parents: (K,) the index of each hypothesis's parent, None for a root; parents come first.

    Returns:
        ``p_adjusted`` (K,), the smallest level at which each hypothesis is rejected (1: none), and
        ``opened`` (K,), the smallest level at which it is tested at all (0 for a root, else its
        parent's p_adjusted).

    Raises StatsError for values outside [0, 1], an empty list, and a parent that does not come
    before its child.
    """
    values = np.asarray(p, dtype=float)
    if values.ndim != 1 or values.size == 0 or values.size != len(parents):
        raise StatsError(
            f"there are {values.size} p-values and {len(parents)} parents",
            place="p",
            value=values.shape,
        )
    if ((values < 0) | (values > 1)).any():
        raise StatsError("a p-value is not between 0 and 1", place="p", value=values.tolist())
    children: list[list[int]] = [[] for _ in parents]
    roots: list[int] = []
    for i, parent in enumerate(parents):
        if parent is None:
            roots.append(i)
        elif not 0 <= parent < i:
            raise StatsError(
                f"hypothesis {i} has the parent {parent}, which does not come before it",
                place="parents",
                value=parent,
            )
        else:
            children[parent].append(i)
    values = np.where(np.isnan(values), 1.0, values)
    adjusted, level = np.ones(values.size), 0.0
    rejected = np.zeros(values.size, dtype=bool)
    while not rejected.all():
        shares = _shares(roots, children, rejected)
        needed = {i: values[i] / share for i, share in shares.items()}
        nearest = min(needed, key=lambda i: needed[i])
        level = max(level, needed[nearest])
        if level >= 1.0:
            break
        adjusted[nearest], rejected[nearest] = level, True
    opened = np.array([0.0 if parent is None else adjusted[parent] for parent in parents])
    return adjusted, opened


def _shares(roots: list[int], children: list[list[int]], rejected: np.ndarray) -> dict[int, float]:
    """The share of the level that each hypothesis has which can be tested now."""
    done = rejected.copy()
    for i in range(len(children) - 1, -1, -1):
        done[i] &= all(done[child] for child in children[i])
    shares: dict[int, float] = {}

    def hand_down(members: list[int], share: float) -> None:
        heirs = [i for i in members if not done[i]]
        for i in heirs:
            if rejected[i]:
                hand_down(children[i], share / len(heirs))
            else:
                shares[i] = share / len(heirs)

    hand_down(roots, 1.0)
    return shares
