"""Denominator degrees of freedom from the data: Kenward-Roger and Satterthwaite.

Sources: Kenward and Roger 1997, Biometrics 53, 983-997 (adjusted covariance, scaled F; in the form
for covariance matrices that are linear in their parameters); Satterthwaite 1946 with the observed
information as in Kuznetsova, Brockhoff and Christensen 2017, Journal of Statistical Software
82(13), and for several df Fai and Cornelius 1996, Journal of Statistical Computation and
Simulation 54, 363-378. All algebra is in the variance parameters (see ``information``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from stats.mixed.information import Information
from stats.mixed.moments import lower


@dataclass(frozen=True)
class KenwardRoger:
    """What every Kenward-Roger test needs, sigma = 1.

    ``adjusted`` (p, p) is the covariance of the fixed effects with the correction for estimated
    variances, ``w`` (d, d) the covariance of the variance parameters, ``outer`` (d, p, p) the
    derivatives N'E_iN; the last of the d parameters is V itself.
    """

    phi: np.ndarray = field(repr=False)
    adjusted: np.ndarray = field(repr=False)
    w: np.ndarray = field(repr=False)
    outer: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, info: Information, keep: np.ndarray | None = None) -> KenwardRoger:
        """From the information; ``keep`` selects the variance parameters (default: all)."""
        at = np.arange(len(info.directions)) if keep is None else np.flatnonzero(keep)
        d = at.size
        expected = np.empty((d + 1, d + 1))
        expected[:d, :d] = info.traces[np.ix_(at, at)]
        expected[:d, d] = expected[d, :d] = info.trace[at]
        expected[d, d] = info.rank
        w = 2 * _inverse(expected)
        phi = info.phi
        u = np.einsum("ij,ijpq->pq", w[:d, :d], info.inner[np.ix_(at, at)])
        outer = np.concatenate([info.outer[at], np.linalg.inv(phi)[None]])
        return cls(phi, phi + 2 * phi @ u @ phi, w, outer)

    def test(self, rows: np.ndarray) -> tuple[float, float]:
        """df and the scale of F for L (q, p) of full row rank."""
        q = rows.shape[0]
        theta = rows.T @ np.linalg.solve(rows @ self.phi @ rows.T, rows)
        moved = np.array([self.phi @ o @ self.phi @ theta for o in self.outer])
        single = np.array([float(np.trace(m)) for m in moved])
        a1 = float(single @ self.w @ single)
        pairs = np.einsum("ipq,jqp->ij", moved, moved)
        a2 = float((self.w * pairs).sum())
        if a2 <= 0:
            return math.inf, 1.0
        b = (a1 + 6 * a2) / (2 * q)
        g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
        e = 3 * q + 2 * (1 - g)
        c1, c2, c3 = g / e, (q - g) / e, (q + 2 - g) / e
        upper, down = 1 - a2 / q, 1 - c2 * b
        first = 1.0 if abs(upper) < 1e-14 and abs(down) < 1e-14 else upper / down
        second = 1 + c1 * b
        second = 0.0 if abs(second) < 1e-10 else second
        third = 1 - c3 * b
        # At exactly 4 degrees of freedom (two arms, five seeds) rho has its pole.
        rho = first**2 * second / third / q if third else math.inf
        df = 4 + (q + 2) / (q * rho - 1)
        scale = 1.0 if abs(df - 2) < 1e-2 else df * upper / (df - 2)
        return float(df), float(scale)


@dataclass(frozen=True)
class Satterthwaite:
    """Gradients of the fixed effects' covariance and the covariance of the variance parameters.

    Parameters are theta and log sigma^2: at a zero variance the derivative by theta is zero, so
    that the component drops out of the degrees of freedom, as in lmerTest (the clustering is
    forgotten; Kenward-Roger keeps it). sigma = 1.
    """

    phi: np.ndarray = field(repr=False)
    slopes: np.ndarray = field(repr=False)
    covariance: np.ndarray = field(repr=False)

    @classmethod
    def of(
        cls, info: Information, triangles: tuple[np.ndarray, ...], *, reml: bool
    ) -> Satterthwaite:
        """From the information at an optimum with the given triangles T."""
        shapes = [(0, t.shape[0]) for t in triangles]
        entries = [
            (term, int(r), int(c))
            for term, (rows, columns) in enumerate(lower(shapes))
            for r, c in zip(rows, columns, strict=True)
        ]
        d = len(entries)
        sigma2 = info.r2 / (info.rank if reml else info.rank + info.phi.shape[0])
        jacobian = np.zeros((len(info.directions), d))
        where = {direction: i for i, direction in enumerate(info.directions)}
        for j, (term, row, column) in enumerate(entries):
            t = triangles[term]
            step = np.zeros_like(t)
            step[row, column] = 1.0
            moved = step @ t.T + t @ step.T
            for low in range(t.shape[0]):
                for left in range(low + 1):
                    jacobian[where[term, low, left], j] = moved[low, left]
        traces = info.traces if reml else info.traces_ml
        trace = info.trace if reml else info.trace_ml
        by_gamma = -traces + 2 * info.curved / sigma2
        slope = trace - info.pull / sigma2
        hessian = np.empty((d + 1, d + 1))
        hessian[:d, :d] = jacobian.T @ by_gamma @ jacobian
        for i, (s, a, b) in enumerate(entries):
            for j, (other, c, e) in enumerate(entries):
                if s == other and b == e:
                    # the second derivative of T T': e_a e_c' + e_c e_a'
                    value = slope[where[s, max(a, c), min(a, c)]]
                    hessian[i, j] += 2 * value if a == c else value
        hessian[:d, d] = hessian[d, :d] = jacobian.T @ info.pull / sigma2
        hessian[d, d] = info.r2 / sigma2
        outer = np.concatenate(
            [np.einsum("ij,ipq->jpq", jacobian, info.outer), np.linalg.inv(info.phi)[None]]
        )
        slopes = info.phi @ outer @ info.phi
        return cls(info.phi, slopes, 2 * _positive_inverse(hessian))

    def single(self, row: np.ndarray) -> float:
        """df of one contrast row (p,)."""
        variance = float(row @ self.phi @ row)
        g = np.array([float(row @ s @ row) for s in self.slopes])
        spread = float(g @ self.covariance @ g)
        return 2 * variance**2 / spread if spread > 0 else math.inf

    def joint(self, rows: np.ndarray) -> float:
        """df of the F of L (q, p), from those of its independent directions."""
        values, vectors = np.linalg.eigh(rows @ self.phi @ rows.T)
        keep = values > math.sqrt(np.finfo(float).eps) * values[-1]
        directions = vectors[:, keep].T @ rows
        q = directions.shape[0]
        nus = np.array([self.single(direction) for direction in directions])
        if q == 1 or np.ptp(nus) < 1e-8:
            return float(nus.mean())
        if (nus <= 2).any():
            return 2.0
        e = float((nus / (nus - 2)).sum()) if np.isfinite(nus).all() else float("nan")
        return 2 * e / (e - q)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse, or the pseudo-inverse of a matrix that is singular but for rounding."""
    size = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    scaled = matrix / np.outer(size, size)
    if np.linalg.eigvalsh(scaled)[0] <= 1e-10:
        return np.asarray(np.linalg.pinv(matrix, rcond=1e-10, hermitian=True))
    return np.asarray(np.linalg.inv(scaled) / np.outer(size, size))


def _positive_inverse(hessian: np.ndarray) -> np.ndarray:
    """The inverse on the eigenvectors whose eigenvalue is positive."""
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    keep = values > 1e-8
    return np.asarray((vectors[:, keep] / values[keep]) @ vectors[:, keep].T)
