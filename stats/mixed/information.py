"""Information on the variance parameters, without any matrix as long as the table.

Parameters are the unique entries of each term's covariance matrix (in units of sigma^2) and V
itself in place of the residual's identity: I is a linear combination of V and the terms, and every
result here is invariant to linear changes of basis. With E_i the derivative of Lambda Lambda' by
parameter i, M_P = Z'PZ, N = Z'V^-1 X and w = Z'Py:

    traces_ij  = tr(E_i M_P E_j M_P)        tr(E_i M_P), rank of P = n - p
    inner_ij   = N'E_i M_P E_j N            (p, p)
    curved_ij  = w'E_i M_P E_j w            w'E_i w

Everything for V itself follows from P V P = P and P X = 0. The eliminated term enters level by
level, so that the cost is that of the reduced system.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stats.mixed.criterion import Criterion, State, lambda_times
from stats.mixed.moments import lower

Direction = tuple[int, int, int]  # term, row, column of the covariance matrix


@dataclass(frozen=True)
class Information:
    """Building blocks of degrees of freedom at an optimum, sigma = 1 (see the module).

    ``directions`` names the d parameters. ``traces`` (d, d), ``trace`` (d,), ``inner``
    (d, d, p, p), ``outer`` (d, p, p) = N'E_iN, ``curved`` (d, d), ``pull`` (d,) = w'E_iw; ``rank``
    is that of P. ``traces_ml`` and ``trace_ml`` have M in place of M_P. ``phi`` (p, p). X is in the
    coding of the design, w in the reduced unit of y.
    """

    directions: tuple[Direction, ...]
    traces: np.ndarray = field(repr=False)
    trace: np.ndarray = field(repr=False)
    traces_ml: np.ndarray = field(repr=False)
    trace_ml: np.ndarray = field(repr=False)
    inner: np.ndarray = field(repr=False)
    outer: np.ndarray = field(repr=False)
    curved: np.ndarray = field(repr=False)
    pull: np.ndarray = field(repr=False)
    phi: np.ndarray = field(repr=False)
    rank: int
    r2: float


def information(criterion: Criterion, theta: np.ndarray) -> Information:
    """Form the blocks at theta. O(a^3 + m k a^2) for a reduced columns and m levels eliminated."""
    state = criterion.state(theta)
    m = criterion.moments
    a, p = m.width, m.p
    # Back from the orthonormal basis: X = Q r.
    phi = np.linalg.solve(m.r, np.linalg.solve(m.r, state.phi).T)
    n_rest, w_rest = state.rest_cross
    n_rest = n_rest @ m.r
    b = state.b[:a, :a]
    blocks = _Blocks(state, n_rest, w_rest, phi, b)
    directions = tuple(
        (term, int(row), int(column))
        for term, (rows, columns) in enumerate(lower(m.shapes))
        for row, column in zip(rows, columns, strict=True)
    )
    d = len(directions)
    traces, traces_ml = np.empty((d, d)), np.empty((d, d))
    for i, (s, *left) in enumerate(directions):
        for j, (t, *right) in enumerate(directions[: i + 1]):
            for out, with_p in ((traces, True), (traces_ml, False)):
                out[i, j] = out[j, i] = _pairing(blocks.squares(s, t, with_p), left, right)
    trace = np.array([_along(blocks.diagonal(t, True), r, c) for t, r, c in directions])
    trace_ml = np.array([_along(blocks.diagonal(t, False), r, c) for t, r, c in directions])
    inner, outer = np.empty((d, d, p, p)), np.empty((d, p, p))
    curved, pull = np.empty((d, d)), np.empty(d)
    moved = [blocks.moved(t, r, c) for t, r, c in directions]
    for j, (t, _, _) in enumerate(directions):
        own = blocks.columns[t].T @ moved[j]
        outer[j], pull[j] = own[:p, :p], own[p, p]
        reached = blocks.apply(t, moved[j])
        for i, (s, _, _) in enumerate(directions):
            product = moved[i].T @ reached[s]
            inner[i, j], curved[i, j] = product[:p, :p], product[p, p]
    return Information(
        directions, traces, trace, traces_ml, trace_ml, inner, outer, curved, pull, phi, m.n - p,
        state.r2,
    )  # fmt: skip


def _pairing(h: np.ndarray, left: list[int], right: list[int]) -> float:
    """tr(E_ab M E_cd M') from h[a, b, c, d] = sum over levels of M[la, l'c] M[lb, l'd]."""
    (a, b), (c, d) = left, right
    one = {(a, b), (b, a)}
    two = {(c, d), (d, c)}
    return float(sum(h[i, j, k, q] for i, j in one for k, q in two))


def _along(block: np.ndarray, row: int, column: int) -> float:
    """tr(E D) for the summed diagonal block D (k, k)."""
    return float(block[row, column] * (1 if row == column else 2))


class _Blocks:
    """M_P and M by terms, the eliminated one as B - C K C' and never formed."""

    def __init__(
        self, state: State, n_rest: np.ndarray, w_rest: np.ndarray, phi: np.ndarray, b: np.ndarray
    ) -> None:
        self.state, self.phi, self.b = state, phi, b
        m = state.moments
        a, p = m.width, m.p
        self.shapes, self.starts = m.shapes, m.starts
        self.m_rest = b - state.f @ lambda_times(state.inverse, m, state.lam).T @ b if a else b
        self.mp_rest = self.m_rest - n_rest @ phi @ n_rest.T
        # columns of each term: [N | w], (m k, p + 1)
        self.columns: list[np.ndarray] = []
        if m.first is not None:
            levels, k = m.shapes[0]
            shrink = state.shrink[m.first.members]
            v, r = state.downdates()
            right = np.column_stack([v @ m.r, r])
            raw = (m.first.cross.reshape(levels * k, -1) @ right).reshape(levels, k, p + 1)
            self.columns.append((shrink @ raw).reshape(levels * k, p + 1))
            self.own = shrink @ m.first.gram[m.first.members]  # (m, k, k)
            u = shrink @ m.first.cross[:, :, :a]
            self.c = np.concatenate(
                [u.reshape(levels * k, a), self.columns[0][:, :p]], axis=1
            )  # (m k, a + p)
            self.k_p = np.zeros((a + p, a + p))
            self.k_p[:a, :a], self.k_p[a:, a:] = state.k, phi
            self.k_ml = self.k_p.copy()
            self.k_ml[a:, a:] = 0.0
            self.to_rest = self.c[:, :a] @ (np.eye(a) - state.k @ b)  # Z1'V^-1 R
            self.gram_c = self._gram_c()
        both = np.column_stack([n_rest, w_rest])
        for (levels, k), start in zip(m.shapes[1:], m.starts, strict=True):
            self.columns.append(both[start : start + levels * k])

    def _gram_c(self) -> np.ndarray:
        levels, k = self.shapes[0]
        by_level = self.c.reshape(levels, k, -1)
        out = np.empty((k, k, self.c.shape[1], self.c.shape[1]))
        for i in range(k):
            for j in range(k):
                out[i, j] = by_level[:, i].T @ by_level[:, j]
        return out

    def at(self, term: int) -> slice:
        levels, k = self.shapes[term]
        start = self.starts[term - 1]
        return slice(start, start + levels * k)

    def squares(self, s: int, t: int, with_p: bool) -> np.ndarray:
        """h[a, b, c, d] = sum over levels of M_st[la, l'c] M_st[lb, l'd]."""
        if s == 0 and t == 0:
            return self._own_squares(with_p)
        if s and t:
            m_st = (self.mp_rest if with_p else self.m_rest)[self.at(s), self.at(t)]
        else:
            rest = max(s, t)
            m_st = self.to_rest[:, self.at(rest)]
            if with_p:
                p = self.phi.shape[0]
                m_st = m_st - self.columns[0][:, :p] @ self.phi @ self.columns[rest][:, :p].T
            m_st = m_st if s == 0 else m_st.T
        ks, kt = self.shapes[s][1], self.shapes[t][1]
        if ks == kt == 1:
            return np.full((1, 1, 1, 1), float(np.vdot(m_st, m_st)))
        parts = m_st.reshape(-1, ks, m_st.shape[1] // kt, kt)
        return np.einsum("iajc,ibjd->abcd", parts, parts, optimize=True)

    def _own_squares(self, with_p: bool) -> np.ndarray:
        levels, k = self.shapes[0]
        kernel = self.k_p if with_p else self.k_ml
        c = self.c.reshape(levels, k, -1)
        h = np.einsum("jac,jbd->abcd", self.own, self.own)
        ckc = np.einsum("jaw,jbw->jab", (self.c @ kernel).reshape(c.shape), c)
        h = h - np.einsum("jac,jbd->abcd", self.own, ckc)
        h = h - np.einsum("jac,jbd->abcd", ckc, self.own)
        kg = [[kernel @ self.gram_c[i, j] for j in range(k)] for i in range(k)]
        for a in range(k):
            for b in range(k):
                for c_ in range(k):
                    for d in range(k):
                        # sum_jl (C_ja K C_lc')(C_jb K C_ld') = tr(K G_cd K G_ba)
                        h[a, b, c_, d] += float(np.vdot(kg[c_][d].T, kg[b][a]))
        return np.asarray(h)

    def diagonal(self, term: int, with_p: bool) -> np.ndarray:
        """The diagonal blocks of M summed over levels, (k, k)."""
        levels, k = self.shapes[term]
        if term == 0:
            kernel = self.k_p if with_p else self.k_ml
            traces = [
                [float(np.vdot(kernel, self.gram_c[i, j])) for j in range(k)] for i in range(k)
            ]
            return self.own.sum(axis=0) - np.array(traces)
        block = (self.mp_rest if with_p else self.m_rest)[self.at(term), self.at(term)]
        return np.asarray(np.einsum("jajb->ab", block.reshape(levels, k, levels, k)))

    def moved(self, term: int, row: int, column: int) -> np.ndarray:
        """E_i [N | w] of a term, (m k, p + 1)."""
        levels, k = self.shapes[term]
        parts = self.columns[term].reshape(levels, k, -1)
        out = np.zeros_like(parts)
        out[:, row] = parts[:, column]
        if row != column:
            out[:, column] = parts[:, row]
        return out.reshape(levels * k, -1)

    def apply(self, term: int, vectors: np.ndarray) -> list[np.ndarray]:
        """M_P times vectors (m k, .) that are zero outside of a term; rows of every term."""
        p = self.phi.shape[0]
        fixed = self.phi @ (self.columns[term][:, :p].T @ vectors)
        out = []
        for s, (levels, k) in enumerate(self.shapes):
            if s == 0 and term == 0:
                own = (self.own @ vectors.reshape(levels, k, -1)).reshape(vectors.shape)
                out.append(own - self.c @ (self.k_p @ (self.c.T @ vectors)))
                continue
            if s == 0:
                product = self.to_rest[:, self.at(term)] @ vectors
            elif term == 0:
                product = self.to_rest[:, self.at(s)].T @ vectors
            else:
                product = self.m_rest[self.at(s), self.at(term)] @ vectors
            out.append(product - self.columns[s][:, :p] @ fixed)
        return out
