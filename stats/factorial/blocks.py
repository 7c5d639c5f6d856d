"""A factorial's scores as blocks: the complete pairs of each group, and the error they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stats.contrast import Contrast
from stats.sample import ROUNDING
from stats.table import Key, PairedTable, Scores


@dataclass(frozen=True)
class Block:
    """The pairs of one group that have every arm in every cell of the group.

    ``group`` is the group's key, ``cells`` are the keys of its cells, ``values`` is (arms, pairs,
    cells) in reported units.
    """

    group: Key
    cells: tuple[Key, ...]
    values: np.ndarray = field(repr=False)

    @property
    def n(self) -> int:
        """The number of pairs."""
        return int(self.values.shape[1])


def blocks(
    table: PairedTable, scores: Scores, arms: Sequence[str], chosen: Sequence[int]
) -> tuple[Block, ...]:
    """The complete pairs of ``arms`` over the ``chosen`` cells (indices), by group."""
    at = np.array([scores.arms.index(arm) for arm in arms])
    by_group: dict[Key, list[int]] = {}
    for c in chosen:
        by_group.setdefault(table.group_of(scores.cells[c], table.cell), []).append(c)
    out = []
    for group, columns in by_group.items():
        inside = [
            p for p, pair in enumerate(scores.pairs) if table.group_of(pair, table.pair) == group
        ]
        values = scores.values[np.ix_(at, np.array(inside, dtype=int), np.array(columns))]
        whole = ~np.isnan(values).any(axis=(0, 2))
        out.append(Block(group, tuple(scores.cells[c] for c in columns), values[:, whole]))
    return tuple(out)


def differences(contrast: Contrast, arms: Sequence[str], block: Block) -> np.ndarray:
    """The contrast in each pair and cell of a block of ``arms``: (pairs, cells)."""
    weights = np.array([contrast.weights.get(arm, 0.0) for arm in arms])
    return np.asarray(np.tensordot(weights, block.values, axes=1))


@dataclass(frozen=True)
class PooledError:
    """The pair x arm error of runs (means over cells) within groups: the ANOVA's residual.

    ``sd`` is in reported units, with ``df`` degrees of freedom; ``observations`` counts the runs
    and ``shares`` is sum_b 1 / n_b / B^2, so that a contrast's pooled standard error is
    sd |weights| sqrt(shares). NaN and 0 where no group has two complete pairs.
    """

    sd: float
    df: int
    observations: int
    shares: float

    def standard_error(self, contrast: Contrast) -> float:
        """The contrast's standard error if every arm erred alike and independently."""
        length = sum(weight**2 for weight in contrast.weights.values())
        return float(self.sd * np.sqrt(length * self.shares))


def pooled_error(parts: Sequence[Block]) -> PooledError:
    """The error of the additive model pair + group x arm on the means over cells.

    sd^2 = sum_b sum_p sum_a (y_bpa - y_bp. - y_b.a + y_b..)^2 / sum_b (n_b - 1)(A - 1), the
    randomised block analysis (Montgomery 2019, Design and Analysis of Experiments, chapter 4)
    with groups as strata.
    """
    squares, df, observations = 0.0, 0, 0
    shares = magnitude = 0.0
    for part in parts:
        if part.n == 0:
            return PooledError(float("nan"), 0, 0, float("nan"))
        y = part.values.mean(axis=2)  # (arms, pairs)
        left = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean()
        squares += float((left**2).sum())
        df += (y.shape[0] - 1) * (y.shape[1] - 1)
        observations += y.size
        magnitude = max(magnitude, float(np.abs(part.values).max(initial=0.0)))
        shares += 1 / part.n / len(parts) ** 2
    sd = float(np.sqrt(squares / df)) if df else float("nan")
    return PooledError(0.0 if sd <= ROUNDING * magnitude else sd, df, observations, shares)
