"""Degrees of freedom that the design leaves, whatever the data say.

A column of X is held by a random term when it is constant within the term's levels, or for a term
with slopes proportional to a covariate there: then only differences between levels tell about its
coefficient. What a term leaves is its rank beyond X and the other terms, but for those nested in
it: blocks are counted beside plots, not beyond them. This is the containment rule of SAS PROC
MIXED, decided by the data and not by names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from stats.mixed.design import RandomBlock

MOST_COLUMNS = 3000
"""Columns of all random terms up to which ranks are taken."""


@dataclass(frozen=True)
class _Piece:
    """One covariate of a random term: ``z`` (n,) within the ``m`` levels ``index`` (n,)."""

    index: np.ndarray
    z: np.ndarray
    m: int

    def holds(self, column: np.ndarray) -> bool:
        """Whether a column (n,) is proportional to the covariate within every level."""
        size = np.bincount(self.index, self.z**2, self.m)
        along = np.bincount(self.index, self.z * column, self.m)
        slope = np.divide(along, size, out=np.zeros(self.m), where=size > 0)
        left = column - slope[self.index] * self.z
        return bool(np.linalg.norm(left) <= 1e-9 * np.linalg.norm(column))

    def contains(self, other: _Piece) -> bool:
        """Whether the levels of ``other`` are nested in ours, and its columns span ours."""
        pairs = np.unique(other.index * self.m + self.index)
        return pairs.size == other.m and other.holds(self.z)


@dataclass(frozen=True)
class Containment:
    """Ranks of the design (X, Z) with random terms ``blocks``, taken when they are needed."""

    x: np.ndarray = field(repr=False)
    blocks: Sequence[RandomBlock] = field(repr=False)

    @cached_property
    def _pieces(self) -> list[_Piece]:
        return [
            _Piece(block.index, block.z[:, c], block.m)
            for block in self.blocks
            for c in range(block.k)
        ]

    @cached_property
    def _gram(self) -> np.ndarray:
        """Cross products of [X | Z], columns in units of their own length."""
        n = len(self.x)
        rows = np.arange(n)
        parts = [
            sparse.csr_matrix((piece.z, (rows, piece.index)), shape=(n, piece.m))
            for piece in self._pieces
        ]
        whole = sparse.hstack([sparse.csr_matrix(self.x), *parts], format="csr")
        gram = (whole.T @ whole).toarray()
        size = np.sqrt(np.diag(gram))
        size = np.where(size > 0, size, 1.0)
        return np.asarray(gram / np.outer(size, size))

    @cached_property
    def _known(self) -> dict[tuple[int, ...], int]:
        return {}

    @property
    def feasible(self) -> bool:
        """Whether there are few enough columns."""
        return sum(piece.m for piece in self._pieces) <= MOST_COLUMNS

    @cached_property
    def residual(self) -> int:
        """Rows less the rank of everything."""
        return len(self.x) - self._rank(range(len(self._pieces)))

    def df(self, columns: Sequence[int]) -> float:
        """The fewest degrees of freedom among columns of X; each has those of what holds it."""
        return float(min(self._of_column(int(column)) for column in columns))

    def _of_column(self, column: int) -> int:
        left = [
            self._left(i) for i, piece in enumerate(self._pieces) if piece.holds(self.x[:, column])
        ]
        positive = [value for value in left if value > 0]
        return min(positive) if positive else self.residual

    def _left(self, i: int) -> int:
        own = self._pieces[i]
        others = [j for j, piece in enumerate(self._pieces) if j != i and not own.contains(piece)]
        return self._rank([*others, i]) - self._rank(others)

    def _rank(self, pieces: Sequence[int]) -> int:
        """The rank of X with some pieces, by a pivoted Cholesky factorisation."""
        key = tuple(sorted(pieces))
        if key not in self._known:
            ends = np.cumsum([self.x.shape[1], *(piece.m for piece in self._pieces)])
            at = np.concatenate(
                [np.arange(self.x.shape[1]), *(np.arange(ends[j], ends[j + 1]) for j in key)]
            )
            self._known[key] = int(lapack.dpstrf(self._gram[np.ix_(at, at)], tol=1e-8)[2])
        return self._known[key]
