"""Cross products of a mixed model, with the largest random term ready to be eliminated.

Notation of the room: W = [R | Q | y] where R holds the covariates of all random terms but the
largest, Q is an orthonormal basis of the fixed effects X and y the response less its projection
on Q. The largest term's own block of Z'Z is block-diagonal, so that it is eliminated level by
level; levels whose k x k block is the same fall into a class, over which cross products are summed
once. A deviance then costs no more than the other terms do, whatever the number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.linalg import solve_triangular

from stats.errors import StatsError
from stats.mixed.design import ModelDesign, RandomBlock

_MOST_CLASS_CELLS = 25_000_000  # doubles kept for sums over classes: 200 MB


@dataclass(frozen=True)
class Eliminated:
    """The largest random term: m levels of k covariates, cross products with W by level.

    ``gram`` (C, k, k) are the distinct blocks of its Z'Z, ``members`` (m,) tells each level's,
    ``counts`` (C,) their number. ``cross`` (m, k, w) is Z'W. ``sums`` (C, k, k, w, w) are the sums
    over a class of the symmetrised products of rows of ``cross``; None where they would not fit,
    and then products are formed when needed.
    """

    gram: np.ndarray = field(repr=False)
    members: np.ndarray = field(repr=False)
    counts: np.ndarray = field(repr=False)
    cross: np.ndarray = field(repr=False)
    sums: np.ndarray | None = field(repr=False)

    def weighted(self, weights: np.ndarray) -> np.ndarray:
        """sum_j A_j' M_j A_j, (w, w), for ``weights`` M (C, k, k), one for each class."""
        if self.sums is not None:
            return np.asarray(np.tensordot(weights, self.sums, axes=3))
        flat = self.cross.reshape(-1, self.cross.shape[2])
        scaled = np.einsum("jab,jbw->jaw", weights[self.members], self.cross)
        return np.asarray(flat.T @ scaled.reshape(flat.shape))

    def quadratic(self, omega: np.ndarray) -> np.ndarray:
        """sum over the levels of a class of A_j Omega A_j', (C, k, k), for symmetric Omega."""
        if self.sums is not None:
            c, k = self.sums.shape[:2]
            return (self.sums.reshape(c * k * k, -1) @ omega.ravel()).reshape(c, k, k)
        m, k, w = self.cross.shape
        right = (self.cross.reshape(-1, w) @ omega).reshape(m, k, w)
        by_level = np.einsum("jaw,jbw->jab", self.cross, right)
        out = np.zeros((self.counts.size, k, k))
        np.add.at(out, self.members, by_level)
        return out


@dataclass(frozen=True)
class Moments:
    """Everything the deviance needs; no array is as long as the table but in the design.

    ``first`` is the eliminated term (None: no random term at all), ``rest`` the others in the
    order of the columns of R, as (m, k) with ``starts``. ``gram`` (w, w) is W'W. ``scale`` is the
    unit of y; ``bases`` are the lower triangles M (k, k) that take each term's covariates z to the
    ones used here, z M (see ``basis``). ``r`` (p, p) is the triangle with X = Q r, ``beta0`` (p,)
    the least squares coefficients that y was reduced by. ``order`` maps the
    position of a term here (first, then rest) to its place in the formula. The first ``diagonal``
    columns of R are a term that stays diagonal when the eliminated one is gone, because its levels
    hold those of the latter (seed blocks hold runs); 0 where there is none.
    """

    design: ModelDesign = field(repr=False)
    first: Eliminated | None = field(repr=False)
    shapes: tuple[tuple[int, int], ...]
    order: tuple[int, ...]
    gram: np.ndarray = field(repr=False)
    q: np.ndarray = field(repr=False)
    r: np.ndarray = field(repr=False)
    beta0: np.ndarray = field(repr=False)
    scale: float
    bases: tuple[np.ndarray, ...] = field(repr=False)
    z: tuple[sparse.csr_matrix, ...] = field(repr=False)
    diagonal: int = 0

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.q.shape[0])

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return int(self.q.shape[1])

    @property
    def width(self) -> int:
        """Columns of R."""
        return int(self.gram.shape[0] - self.p - 1)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First column in R of each term but the eliminated one."""
        sizes = [m * k for m, k in self.shapes[1:]]
        return tuple(int(v) for v in np.cumsum([0, *sizes])[:-1])

    @cached_property
    def scalar(self) -> np.ndarray | None:
        """The term (counted from 0 without the eliminated one) of each column of R.

        None where a term has several covariates.
        """
        if any(k > 1 for _, k in self.shapes[1:]):
            return None
        return np.repeat(np.arange(len(self.shapes) - 1), [m for m, _ in self.shapes[1:]])

    @property
    def z_scales(self) -> tuple[np.ndarray, ...]:
        """1 / diag(M), (k,): the root mean square of what later covariates leave of each."""
        return tuple(1 / np.diag(m) for m in self.bases)

    @classmethod
    def of(cls, design: ModelDesign) -> Moments:
        """Cross products of a design.

        Raises StatsError if y lies in the span of X, and for covariates of a random term that
        determine each other.
        """
        q, r = np.linalg.qr(design.x)
        sizes = [block.m * block.k for block in design.blocks]
        ranked = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
        holder = next(
            (i for i in ranked[1:] if _holds(design.blocks[i], design.blocks[ranked[0]])), -1
        )
        if holder >= 0:
            ranked = [ranked[0], holder, *(i for i in ranked[1:] if i != holder)]
        order = tuple(ranked)
        blocks = [design.blocks[i] for i in order]
        bases = tuple(basis(block) for block in blocks)
        z = tuple(_indicator(block, m) for block, m in zip(blocks, bases, strict=True))
        shapes = tuple((block.m, block.k) for block in blocks)
        y, beta0, scale = _reduced(design.y, q, r)
        dense = np.column_stack([q, y])
        rest = sparse.hstack(z[1:], format="csr") if len(z) > 1 else None
        gram = _gram(rest, dense)
        first = None
        if z:
            cross = _cross(z[0], rest, dense).reshape(*shapes[0], -1)
            first = _eliminated(z[0], shapes[0], cross)
        diagonal = design.blocks[holder].m if holder >= 0 else 0
        return cls(design, first, shapes, order, gram, q, r, beta0, scale, bases, z, diagonal)

    def with_response(self, y: np.ndarray) -> Moments:
        """The same model for another response (n,): only what depends on y is made anew."""
        reduced, beta0, scale = _reduced(y, self.q, self.r)
        gram = self.gram.copy()
        column = np.concatenate(
            [*(block.T @ reduced for block in self.z[1:]), self.q.T @ reduced, [reduced @ reduced]]
        )
        gram[-1, :] = gram[:, -1] = column
        first = self.first
        if first is not None:
            m, k = self.shapes[0]
            cross = first.cross.copy()
            cross[:, :, -1] = (self.z[0].T @ reduced).reshape(m, k)
            sums = first.sums
            if sums is not None:
                sums = sums.copy()
                for c in range(first.counts.size):
                    rows = cross[first.members == c]
                    last = np.einsum("jaw,jb->abw", rows, rows[:, :, -1])
                    last = (last + last.transpose(1, 0, 2)) / 2
                    sums[c, :, :, -1, :] = last
                    sums[c, :, :, :, -1] = last
            first = replace(first, cross=cross, sums=sums)
        return replace(self, first=first, gram=gram, beta0=beta0, scale=scale)


def _holds(outer: RandomBlock, inner: RandomBlock | None) -> bool:
    """Whether every level of ``inner`` lies within one level of ``outer``, an intercept only."""
    if outer.k > 1 or inner is None:
        return False
    lowest, highest = np.full(inner.m, outer.m), np.full(inner.m, -1)
    np.minimum.at(lowest, inner.index, outer.index)
    np.maximum.at(highest, inner.index, outer.index)
    return bool((lowest == highest).all())


def _reduced(y: np.ndarray, q: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """y less its projection on Q in units of its own size, the coefficients, and that size."""
    coefficients = q.T @ y
    rest = y - q @ coefficients
    rest = rest - q @ (q.T @ rest)
    scale = float(np.sqrt((rest**2).mean()))
    if scale <= 1e-12 * max(1.0, float(np.abs(y).max())):
        raise StatsError(
            "the fixed effects reproduce the response exactly, so that no variance is left",
            place="response",
            hint="leave out fixed effects, or add rows",
        )
    return rest / scale, solve_triangular(r, coefficients), scale


def basis(block: RandomBlock) -> np.ndarray:
    """The lower triangle M (k, k) with z M orthogonal and of mean square one.

    An unstructured covariance means the same in any basis of the covariates: T of z is M T of z M,
    a lower triangle again. In the raw one years 2015 .. 2025 beside an intercept cost all digits of
    the information on the variances.
    """
    size = np.sqrt((block.z**2).mean(axis=0))
    for name, length in zip(block.names, size, strict=True):
        if length == 0:
            raise StatsError(
                f"'{name}' is zero in every row", place=f"random term {block.term}", value=name
            )
    if block.k == 1:
        return np.diag(1 / size)
    backwards = (block.z / size)[:, ::-1] / math.sqrt(len(block.z))
    triangle = np.asarray(np.linalg.qr(backwards, mode="r"))[::-1, ::-1]
    triangle = triangle * np.where(np.diag(triangle) < 0, -1.0, 1.0)[:, None]
    weak = np.flatnonzero(np.diag(triangle) < 1e-8)
    if weak.size:
        raise StatsError(
            f"'{block.names[int(weak[-1])]}' is determined by the other covariates",
            place=f"random term {block.term}",
            value=block.names[int(weak[-1])],
            hint="leave it out of the random term",
        )
    inverse = solve_triangular(triangle, np.eye(block.k), lower=True)
    return np.asarray(inverse / size[:, None])


def _indicator(block: RandomBlock, m: np.ndarray) -> sparse.csr_matrix:
    """Z of a term, (n, m k): covariates z M, levels outside, covariates in."""
    n, k = block.z.shape
    columns = (block.index[:, None] * k + np.arange(k)).ravel()
    pointer = np.arange(0, n * k + 1, k)
    # Column by column, so that equal rows stay equal to the last bit.
    moved = sum(block.z[:, [a]] * m[a] for a in range(k))
    return sparse.csr_matrix((np.ravel(moved), columns, pointer), shape=(n, block.m * k))


def _gram(rest: sparse.csr_matrix | None, dense: np.ndarray) -> np.ndarray:
    if rest is None:
        return np.asarray(dense.T @ dense)
    a, d = rest.shape[1], dense.shape[1]
    out = np.empty((a + d, a + d))
    out[:a, :a] = (rest.T @ rest).toarray()
    out[:a, a:] = rest.T @ dense
    out[a:, :a] = out[:a, a:].T
    out[a:, a:] = dense.T @ dense
    return out


def _cross(z: sparse.csr_matrix, rest: sparse.csr_matrix | None, dense: np.ndarray) -> np.ndarray:
    right = z.T @ dense
    return np.asarray(right if rest is None else np.hstack([(z.T @ rest).toarray(), right]))


def _eliminated(z: sparse.csr_matrix, shape: tuple[int, int], cross: np.ndarray) -> Eliminated:
    m, k = shape
    values = z.data.reshape(-1, k)
    index = z.indices.reshape(-1, k)[:, 0] // k
    gram = np.zeros((m, k, k))
    np.add.at(gram, index, values[:, :, None] * values[:, None, :])
    flat = gram.reshape(m, -1)
    # Sums in another order differ in the last bits: levels are alike to twelve digits.
    size = np.abs(flat).max(axis=1, keepdims=True)
    size = np.where(size > 0, size, 1.0)
    alike = np.round(np.hstack([np.log(size), flat / size]), 12)
    _, first, members, counts = np.unique(
        alike, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    members, distinct = members.reshape(-1), flat[first]
    w, c = cross.shape[2], counts.size
    sums = None
    # Sums over classes save work only where a class has many levels.
    if c * k * k * w * w <= _MOST_CLASS_CELLS and c * k * k <= max(4, 2 * math.isqrt(m)):
        sums = np.empty((c, k, k, w, w))
        for i in range(c):
            rows = cross[members == i]
            for a in range(k):
                for b in range(a, k):
                    product = rows[:, a].T @ rows[:, b]
                    sums[i, a, b] = sums[i, b, a] = (product + product.T) / 2
    return Eliminated(distinct.reshape(c, k, k), members, counts, cross, sums)


def lower(shapes: Sequence[tuple[int, int]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows and columns of each term's triangle T, column by column: the order of theta."""
    out = []
    for _, k in shapes:
        columns, rows = np.triu_indices(k)
        out.append((rows, columns))
    return out
