"""Mixed models by matrices as large as the table, straight from the definitions.

Nothing here shares code with ``stats.mixed`` but the coding of the table: V is formed, inverted,
differentiated. Sources as in ``stats.mixed.criterion`` and ``stats.mixed.ddf``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stats.mixed.design import ModelDesign
from stats.mixed.fit import LmmFit


@dataclass(frozen=True)
class Dense:
    """y (n,), X (n, p) and for each random term Z (n, m k), levels outside, and k."""

    y: np.ndarray
    x: np.ndarray
    terms: tuple[tuple[np.ndarray, int], ...]
    reml: bool

    @classmethod
    def of(cls, design: ModelDesign, reml: bool = True) -> Dense:
        terms = []
        for block in design.blocks:
            z = np.zeros((design.y.size, block.m, block.k))
            z[np.arange(design.y.size), block.index] = block.z
            terms.append((z.reshape(design.y.size, -1), block.k))
        return cls(design.y, design.x, tuple(terms), reml)

    @property
    def n(self) -> int:
        return self.y.size

    @property
    def p(self) -> int:
        return self.x.shape[1]

    def along(self, z: np.ndarray, inner: np.ndarray) -> np.ndarray:
        """Z (I (x) inner) Z'."""
        m = z.shape[1] // inner.shape[0]
        return z @ np.kron(np.eye(m), inner) @ z.T

    def v(self, triangles: Sequence[np.ndarray]) -> np.ndarray:
        out = np.eye(self.n)
        for (z, _), t in zip(self.terms, triangles, strict=True):
            out += self.along(z, t @ t.T)
        return out

    def beta(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and (X'V^-1 X)^-1."""
        inverse = np.linalg.inv(v)
        phi = np.linalg.inv(self.x.T @ inverse @ self.x)
        return phi @ self.x.T @ inverse @ self.y, phi

    def minus_2_log(self, v: np.ndarray) -> float:
        """-2 log of the (restricted) likelihood where V is the covariance itself."""
        beta, phi = self.beta(v)
        left = self.y - self.x @ beta
        dof = self.n - self.p if self.reml else self.n
        out = dof * math.log(2 * math.pi) + np.linalg.slogdet(v)[1]
        out += left @ np.linalg.solve(v, left)
        return float(out - np.linalg.slogdet(phi)[1]) if self.reml else float(out)

    def deviance(self, triangles: Sequence[np.ndarray]) -> float:
        """sigma profiled out."""
        v = self.v(triangles)
        return self.minus_2_log(self.sigma2(v) * v)

    def sigma2(self, v: np.ndarray) -> float:
        left = self.y - self.x @ self.beta(v)[0]
        dof = self.n - self.p if self.reml else self.n
        return float(left @ np.linalg.solve(v, left)) / dof

    def random_effects(self, triangles: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Z-wise conditional means G Z'V^-1 (y - X beta), (m, k) for each term."""
        v = self.v(triangles)
        pulled = np.linalg.solve(v, self.y - self.x @ self.beta(v)[0])
        return [
            (z.T @ pulled).reshape(-1, k) @ (t @ t.T)
            for (z, k), t in zip(self.terms, triangles, strict=True)
        ]

    def random_effect_sds(self, triangles: Sequence[np.ndarray]) -> list[np.ndarray]:
        """SDs of b given y, beta and variances held fixed: sigma^2 (G - G Z'V^-1 Z G)."""
        v = self.v(triangles)
        sigma2 = self.sigma2(v)
        out = []
        for (z, k), t in zip(self.terms, triangles, strict=True):
            g = np.kron(np.eye(z.shape[1] // k), t @ t.T)
            spread = g - g @ z.T @ np.linalg.solve(v, z @ g)
            out.append(np.sqrt(np.maximum(sigma2 * np.diag(spread), 0)).reshape(-1, k))
        return out

    def directions(self) -> list[np.ndarray]:
        """dV by every unique entry of every covariance matrix, and by sigma^2."""
        out = []
        for z, k in self.terms:
            for column in range(k):
                for row in range(column, k):
                    e = np.zeros((k, k))
                    e[row, column] = e[column, row] = 1.0
                    out.append(self.along(z, e))
        return [*out, np.eye(self.n)]


@dataclass(frozen=True)
class DenseKenwardRoger:
    """Kenward and Roger 1997: covariance, adjusted covariance, and a test of L beta = 0."""

    phi: np.ndarray
    adjusted: np.ndarray
    w: np.ndarray
    p: list[np.ndarray]

    @classmethod
    def of(cls, dense: Dense, v: np.ndarray) -> DenseKenwardRoger:
        """``v`` is the covariance itself, sigma^2 included."""
        x, inverse = dense.x, np.linalg.inv(v)
        phi = np.linalg.inv(x.T @ inverse @ x)
        g = dense.directions()
        d = len(g)
        moved = [inverse @ one @ inverse for one in g]
        p = [-x.T @ one @ x for one in moved]
        q = [[x.T @ moved[i] @ g[j] @ inverse @ x for j in range(d)] for i in range(d)]
        information = np.empty((d, d))
        for i in range(d):
            for j in range(d):
                information[i, j] = (
                    np.trace(moved[i] @ g[j])
                    - 2 * np.trace(phi @ q[i][j])
                    + np.trace(phi @ p[i] @ phi @ p[j])
                )
        w = 2 * np.linalg.inv(information)
        u = sum(w[i, j] * (q[i][j] - p[i] @ phi @ p[j]) for i in range(d) for j in range(d))
        return cls(phi, phi + 2 * phi @ u @ phi, w, p)

    def test(self, rows: np.ndarray, beta: np.ndarray) -> tuple[float, float, float]:
        """df, scale lambda and the scaled F."""
        q = len(rows)
        theta = rows.T @ np.linalg.inv(rows @ self.phi @ rows.T) @ rows
        moved = [theta @ self.phi @ p @ self.phi for p in self.p]
        d = len(moved)
        a1 = sum(
            self.w[i, j] * np.trace(moved[i]) * np.trace(moved[j])
            for i in range(d)
            for j in range(d)
        )
        a2 = sum(self.w[i, j] * np.trace(moved[i] @ moved[j]) for i in range(d) for j in range(d))
        b = (a1 + 6 * a2) / (2 * q)
        g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
        e = 3 * q + 2 * (1 - g)
        c1, c2, c3 = g / e, (q - g) / e, (q + 2 - g) / e
        mean = 1 / (1 - a2 / q)
        variance = 2 / q * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
        rho = variance / (2 * mean**2)
        df = 4 + (q + 2) / (q * rho - 1)
        scale = df / (mean * (df - 2))
        effect = rows @ beta
        f = effect @ np.linalg.solve(rows @ self.adjusted @ rows.T, effect) / q
        return float(df), float(scale), float(scale * f)


def second_derivatives(f: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """The Hessian by central differences, extrapolated to the fourth order."""

    def by(step: np.ndarray) -> np.ndarray:
        out = np.empty((at.size, at.size))
        for i in range(at.size):
            for j in range(i + 1):
                a, b = np.zeros_like(at), np.zeros_like(at)
                a[i], b[j] = step[i], step[j]
                out[i, j] = out[j, i] = (
                    f(at + a + b) - f(at + a - b) - f(at - a + b) + f(at - a - b)
                ) / (4 * step[i] * step[j])
        return out

    step = 2e-3 * np.maximum(np.abs(at), 0.1)
    return (4 * by(step) - by(2 * step)) / 3


def satterthwaite(fit: LmmFit, rows: np.ndarray) -> list[float]:
    """df of each row of L by differentiating -2 log likelihood and Cov(beta) numerically.

    As lmerTest does it: parameters (theta, sigma), the observed information's inverse on its
    positive eigenvalues.
    """
    dense = Dense.of(fit.design, fit.reml)
    sizes = [t.shape[0] for t in fit.triangles]

    def split(tau: np.ndarray) -> np.ndarray:
        triangles, start = [], 0
        for k in sizes:
            t = np.zeros((k, k))
            columns, lines = np.triu_indices(k)
            t[lines, columns] = tau[start : start + lines.size]
            start += lines.size
            triangles.append(t)
        return tau[-1] ** 2 * dense.v(triangles)

    packed = []
    for t in fit.triangles:
        columns, lines = np.triu_indices(t.shape[0])
        packed.append(t[lines, columns])
    tau = np.concatenate([*packed, [fit.sigma]])
    hessian = second_derivatives(lambda at: dense.minus_2_log(split(at)), tau)
    values, vectors = np.linalg.eigh(hessian)
    keep = values > 1e-6 * values.max()
    spread = 2 * (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    slopes = []
    for i in range(tau.size):
        step = np.zeros_like(tau)
        step[i] = 1e-4 * max(abs(tau[i]), 0.1)
        up, down = (dense.beta(split(tau + s))[1] for s in (step, -step))
        slopes.append((up - down) / (2 * step[i]))
    out = []
    covariance = dense.beta(split(tau))[1]
    for row in rows:
        g = np.array([row @ slope @ row for slope in slopes])
        out.append(float(2 * (row @ covariance @ row) ** 2 / (g @ spread @ g)))
    return out
