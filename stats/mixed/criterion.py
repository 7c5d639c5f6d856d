"""The profiled deviance of a mixed model and its gradient, in terms of theta.

Model: y = X beta + Z b + e, b = Lambda u, u ~ N(0, sigma^2 I), e ~ N(0, sigma^2 I); Lambda is block
diagonal with a lower triangle T_t (k x k) for every level of term t, theta its entries column by
column (Bates, Maechler, Bolker and Walker 2015, section 2). With V = I + Z Lambda Lambda' Z',

    ML:    d = log|V| + n (1 + log(2 pi r2 / n))
    REML:  d = log|V| + log|X'V^-1 X| + (n - p) (1 + log(2 pi r2 / (n - p)))
    r2 = y'Py,   P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1,

    dd / dtheta_i = 2 tr(Lambda' M_P dLambda_i) - 2 (n - p) / r2  w' dLambda_i Lambda' w,

M_P = Z'PZ and w = Z'Py. The largest term is eliminated first, see ``moments``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from stats.mixed.moments import Moments, lower


@dataclass(frozen=True)
class State:
    """The linear algebra at one theta, in the units of ``Moments`` (sigma = 1).

    ``b`` (w, w) is W'V1^-1W with only the first term in V1; ``lam`` the triangles; ``f`` (a, a) =
    B_RR Lambda; ``inverse`` (a, a) = S^-1 with S = Lambda'B_RR Lambda + I; ``yx`` (a, p)
    and ``yy`` (a,) = S^-1 Lambda'B_R[Q, y]; ``beta`` (p,) in the basis Q; ``phi`` (p, p) =
    (Q'V^-1 Q)^-1; ``shrink`` (C, k, k) = I - G M and ``weight`` (C, k, k) = M = T H^-1 T' of the
    eliminated term's classes.
    """

    moments: Moments = field(repr=False)
    lam: tuple[np.ndarray, ...]
    b: np.ndarray = field(repr=False)
    f: np.ndarray = field(repr=False)
    inverse: np.ndarray = field(repr=False)
    yx: np.ndarray = field(repr=False)
    yy: np.ndarray = field(repr=False)
    beta: np.ndarray = field(repr=False)
    rx: np.ndarray = field(repr=False)
    weight: np.ndarray = field(repr=False)
    shrink: np.ndarray = field(repr=False)
    r2: float
    logdet: float
    logdet_x: float

    @cached_property
    def k(self) -> np.ndarray:
        """Lambda S^-1 Lambda', (a, a)."""
        turned = [t.T for t in self.lam]
        return lambda_times(times(self.inverse, self.moments, turned), self.moments, self.lam)

    @cached_property
    def rest_cross(self) -> tuple[np.ndarray, np.ndarray]:
        """N = R'V^-1 Q (a, p) and w = R'Py (a,)."""
        a, p = self.moments.width, self.moments.p
        n_x = self.b[:a, a : a + p] - self.f @ self.yx
        return n_x, self.b[:a, a + p] - self.f @ self.yy - n_x @ self.beta

    def downdates(self) -> tuple[np.ndarray, np.ndarray]:
        """v (w, p) and r (w,) with Z1'V^-1 Q = shrink A v and Z1'Py = shrink A r, by level."""
        m = self.moments
        v = np.vstack([-lambda_times(self.yx, m, self.lam), np.eye(m.p), np.zeros((1, m.p))])
        of_y = lambda_times((self.yy - self.yx @ self.beta)[:, None], m, self.lam)[:, 0]
        return v, np.concatenate([-of_y, -self.beta, [1.0]])

    @cached_property
    def phi(self) -> np.ndarray:
        """(Q'V^-1 Q)^-1, (p, p)."""
        half, _ = lapack.dtrtri(self.rx, lower=1)
        return np.asarray(half.T @ half)


@dataclass(frozen=True)
class Factor:
    """S = [[D, E'], [E, G]] with D diagonal: only the Schur complement of D is dense.

    ``d`` (m,), ``e`` (a - m, m) = E D^-1, ``root`` the Cholesky factor of G - E D^-1 E'.
    """

    d: np.ndarray = field(repr=False)
    e: np.ndarray = field(repr=False)
    root: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, s: np.ndarray, m: int) -> Factor:
        """Factorise S (a, a) whose leading (m, m) block is diagonal. S is overwritten."""
        d = np.diag(s)[:m].copy()
        e = s[m:, :m] / d
        schur = s[m:, m:] - e @ s[:m, m:] if m else s
        root, info = lapack.dpotrf(schur.T, lower=1, clean=1, overwrite_a=1)
        if info != 0:
            raise FloatingPointError("the factorisation failed")
        return cls(d, e, root)

    @property
    def logdet(self) -> float:
        """log|S|."""
        return float(np.log(self.d).sum()) + 2 * float(np.log(np.diag(self.root)).sum())

    def solve(self, right: np.ndarray) -> np.ndarray:
        """S^-1 times right (a, .)."""
        m = self.d.size
        if not self.root.size:
            return np.asarray(right / self.d[:, None])
        inner, _ = lapack.dpotrs(self.root, right[m:] - self.e @ right[:m], lower=1)
        if not m:
            return np.asarray(inner)
        return np.vstack([right[:m] / self.d[:, None] - self.e.T @ inner, inner])

    def inverse(self) -> np.ndarray:
        """S^-1 (a, a)."""
        m, a = self.d.size, self.d.size + self.root.shape[0]
        if not self.root.size:
            return np.diag(1 / self.d)  # LAPACK complains of an empty triangle
        half, _ = lapack.dtrtri(self.root, lower=1)
        inner = half.T @ half
        if not m:
            return np.asarray(inner)
        out = np.empty((a, a))
        corner = inner @ self.e
        out[m:, m:] = inner
        np.negative(corner, out=out[m:, :m])
        out[:m, m:] = out[m:, :m].T
        np.matmul(self.e.T, corner, out=out[:m, :m])
        out[np.arange(m), np.arange(m)] += 1 / self.d
        return out


class Criterion:
    """The profiled deviance as a function of theta (in scaled covariates).

    ``value(theta)`` and ``value_and_gradient(theta)`` work in the response's reduced unit;
    ``deviance(value)`` turns the former into that of the data.
    """

    def __init__(self, moments: Moments, *, reml: bool = True) -> None:
        self.moments = moments
        self.reml = reml
        self.dof = moments.n - moments.p if reml else moments.n
        self._lower = lower(moments.shapes)
        sizes = [rows.size for rows, _ in self._lower]
        self.size = sum(sizes)
        self._ends = np.cumsum([0, *sizes])

    def start(self, scale: float = 1.0) -> np.ndarray:
        """theta of identity triangles times ``scale``."""
        return self.pack([scale * np.eye(k) for _, k in self.moments.shapes])

    def pack(self, triangles: Sequence[np.ndarray]) -> np.ndarray:
        """Triangles to theta."""
        parts = [t[at] for t, at in zip(triangles, self._lower, strict=True)]
        return np.concatenate(parts) if parts else np.empty(0)

    def unpack(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        """theta to triangles, in the order of ``moments.shapes``."""
        out = []
        for i, ((_, k), at) in enumerate(zip(self.moments.shapes, self._lower, strict=True)):
            triangle = np.zeros((k, k))
            triangle[at] = theta[self._ends[i] : self._ends[i + 1]]
            out.append(triangle)
        return tuple(out)

    def units(self) -> np.ndarray:
        """sqrt(2 m) for each entry of theta: a term of many levels bends the deviance more.

        In units of their inverses all entries bend it alike, which searches are grateful for.
        """
        parts = [np.full(k * (k + 1) // 2, math.sqrt(2 * m)) for m, k in self.moments.shapes]
        return np.concatenate(parts) if parts else np.empty(0)

    def deviance(self, value: float) -> float:
        """The criterion of the data from that of the reduced response and basis."""
        m = self.moments
        out = value + 2 * self.dof * math.log(m.scale)
        if self.reml:
            out += 2 * float(np.log(np.abs(np.diag(m.r))).sum())
        return out

    def value(self, theta: np.ndarray) -> float:
        """The criterion at theta."""
        return self._value(self.state(theta, inverse=False))

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The criterion and its derivatives by theta."""
        state = self.state(theta)
        halves = self.half_gradient(state, self.dof / state.r2)
        return self._value(state), 2 * self.pack(halves)

    def _value(self, state: State) -> float:
        out = state.logdet + self.dof * (1 + math.log(2 * math.pi * state.r2 / self.dof))
        return out + state.logdet_x if self.reml else out

    def state(self, theta: np.ndarray, *, inverse: bool = True) -> State:
        """Factorise at theta; ``inverse`` False leaves S^-1 (needed by gradients) empty."""
        m = self.moments
        lam = self.unpack(theta)
        b, logdet = m.gram, 0.0
        weight = shrink = np.empty((0, 0, 0))
        if m.first is not None:
            t, gram = lam[0], m.first.gram
            k = t.shape[0]
            h = t.T @ gram @ t + np.eye(k)
            weight = t @ np.linalg.solve(h, np.broadcast_to(t.T, h.shape))
            shrink = np.eye(k) - gram @ weight
            logdet = float(m.first.counts @ np.linalg.slogdet(h)[1])
            b = b - m.first.weighted(weight)
        a, p = m.width, m.p
        f = times(b[:, :a], m, lam)  # W'V1^-1 R Lambda
        s = times(f[:a].T, m, lam)
        s[np.diag_indices(a)] += 1.0
        inv = np.empty((0, 0))
        if a:
            factor = Factor.of(s, m.diagonal)
            logdet += factor.logdet
            y_all = factor.solve(f[a:].T)
            c = b[a:, a:] - f[a:] @ y_all
            if inverse:
                inv = factor.inverse()
        else:
            y_all, c = np.empty((0, p + 1)), b
        rx = np.linalg.cholesky(c[:p, :p])
        # LAPACK itself: scipy's checks cost more than such small systems do.
        u, _ = lapack.dtrtrs(rx, c[:p, p], lower=1)
        beta, _ = lapack.dtrtrs(rx, u, lower=1, trans=1)
        r2 = float(c[p, p] - u @ u)
        if not r2 > 0:
            raise FloatingPointError("no residual is left")
        return State(
            m, lam, b, f[:a], inv, y_all[:, :p], y_all[:, p], beta, rx, weight, shrink, r2,
            logdet, 2 * float(np.log(np.diag(rx)).sum()),
        )  # fmt: skip

    def slopes(self, state: State, precision: float) -> list[np.ndarray]:
        """Sums over levels of the diagonal blocks of M_P - precision w w', (k, k) for each term.

        These are the derivatives of the deviance by the terms' covariance matrices (in units of
        sigma^2); under ML M stands in place of M_P.
        """
        m, a = state.moments, state.moments.width
        outer = self._outer(state, precision)
        out = [self._first_slope(state, precision)] if m.first is not None else []
        b = state.b[:a, :a]
        kb = state.k @ b
        for (levels, k), start, part in zip(m.shapes[1:], m.starts, outer, strict=True):
            at = slice(start, start + levels * k)
            own = np.einsum("jajb->ab", b[at, at].reshape(levels, k, levels, k))
            out.append(own - _blocks(b[at], kb[:, at].T, k) - part)
        return out

    def half_gradient(self, state: State, precision: float) -> list[np.ndarray]:
        """``slopes`` times the triangles, without the product of two (a, a) matrices.

        M Lambda = B Lambda S^-1 does not cancel where Lambda is near zero.
        """
        m = state.moments
        out = []
        if m.first is not None:
            out.append(self._first_slope(state, precision) @ state.lam[0])
        if m.scalar is not None:
            if m.starts:
                n_x, w = state.rest_cross
                part = precision * w**2
                if self.reml:
                    part += np.einsum("ap,ap->a", n_x @ state.phi, n_x)
                own = np.einsum("ab,ab->a", state.f, state.inverse)
                sizes = np.array([t[0, 0] for t in state.lam[1:]])
                sums = np.add.reduceat(own - sizes[m.scalar] * part, m.starts)
                out += [np.array([[value]]) for value in sums]
            return out
        outer = self._outer(state, precision)
        for (levels, k), start, part, t in zip(
            m.shapes[1:], m.starts, outer, state.lam[1:], strict=True
        ):
            at = slice(start, start + levels * k)
            out.append(_blocks(state.f[at], state.inverse[at], k) - part @ t)
        return out

    def _outer(self, state: State, precision: float) -> list[np.ndarray]:
        """Diagonal blocks of N Phi N' + precision w w', summed, of the terms not eliminated."""
        m, p = state.moments, state.moments.p
        phi = state.phi if self.reml else np.zeros((p, p))
        n_x, w = state.rest_cross
        out = []
        for (levels, k), start in zip(m.shapes[1:], m.starts, strict=True):
            at = slice(start, start + levels * k)
            n_t, w_t = n_x[at].reshape(levels, k, p), w[at].reshape(levels, k)
            right = (n_x[at] @ phi).reshape(levels, k, p)
            out.append(np.einsum("jap,jbp->ab", right, n_t) + precision * (w_t.T @ w_t))
        return out

    def _first_slope(self, state: State, precision: float) -> np.ndarray:
        m, a = state.moments, state.moments.width
        assert m.first is not None
        v, r = state.downdates()
        omega = -precision * np.outer(r, r)
        if self.reml:
            omega -= v @ state.phi @ v.T
        omega[:a, :a] -= state.k
        inner = state.shrink @ m.first.quadratic(omega) @ state.shrink.transpose(0, 2, 1)
        own = m.first.counts[:, None, None] * (state.shrink @ m.first.gram)
        return np.asarray((own + inner).sum(axis=0))


def times(matrix: np.ndarray, moments: Moments, lam: Sequence[np.ndarray]) -> np.ndarray:
    """matrix (., a) times the block-diagonal Lambda of the terms that are not eliminated."""
    if moments.scalar is not None:
        sizes = np.array([t[0, 0] for t in lam[1:]])
        return np.asarray(matrix * sizes[moments.scalar]) if sizes.size else matrix
    out = np.empty(matrix.shape)
    for (levels, k), start, t in zip(moments.shapes[1:], moments.starts, lam[1:], strict=True):
        at = slice(start, start + levels * k)
        if k == 1:
            np.multiply(matrix[:, at], t[0, 0], out=out[:, at])
        else:
            out[:, at] = (matrix[:, at].reshape(-1, levels, k) @ t).reshape(-1, levels * k)
    return out


def lambda_times(matrix: np.ndarray, moments: Moments, lam: Sequence[np.ndarray]) -> np.ndarray:
    """Lambda times matrix (a, .)."""
    return times(matrix.T, moments, [t.T for t in lam]).T


def _blocks(left: np.ndarray, right: np.ndarray, k: int) -> np.ndarray:
    """Sum over levels of the diagonal (k, k) blocks of left right', both (m k, a)."""
    if k == 1:
        return np.array([[float(np.vdot(left, right))]])
    a = left.shape[1]
    return np.asarray(np.einsum("jaw,jbw->ab", left.reshape(-1, k, a), right.reshape(-1, k, a)))
