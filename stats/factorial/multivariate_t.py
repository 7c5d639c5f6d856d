"""P(all of several correlated t statistics stay below a bound): the law behind Dunnett's test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from stats.errors import StatsError
from stats.noncentral import chi_nodes

_Z, _WEIGHTS = np.polynomial.legendre.leggauss(160)
_REACH = 8.5  # of a standard normal: the rest is below 1e-16
_TOLERANCE = 1e-9
_NEAR_ONE = 1 - 1e-3  # squared loadings beyond make the one-factor integrand too steep
_REPLICATES, _POINTS = 8, 1 << 12
_SEED = 20_250


@dataclass(frozen=True)
class MaxLaw:
    """The law of max |T_i| (or max T_i, one-sided) of a central multivariate t.

    ``loadings`` (K,) are there when the correlations are b_i b_j: then probabilities are one
    integral by quadrature (error below 1e-8). Else ``cholesky`` (K, K) serves quasi-Monte Carlo.
    """

    df: float
    two_sided: bool
    loadings: np.ndarray | None
    cholesky: np.ndarray | None

    @classmethod
    def of(cls, correlation: np.ndarray, df: float, two_sided: bool) -> MaxLaw:
        """The law for a correlation matrix (K, K); statistics that repeat others are dropped.

        Raises StatsError for a matrix that is not a correlation matrix, and for a singular one
        without the many-to-one structure.
        """
        matrix = _distinct(check_correlation(correlation), two_sided)
        loadings = _one_factor(matrix)
        if loadings is not None:
            return cls(df, two_sided, loadings, None)
        try:
            cholesky = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            cholesky = None
        if cholesky is None or np.diag(cholesky).min() < 1e-6:
            raise StatsError(
                "the correlation matrix is singular: one comparison follows from others",
                place="correlation",
                hint="leave out comparisons that are sums of others",
            )
        return cls(df, two_sided, None, cholesky)

    @property
    def size(self) -> int:
        """The number of distinct statistics."""
        factor = self.loadings if self.loadings is not None else self.cholesky
        return 0 if factor is None else int(factor.shape[0])

    def below(self, bound: float) -> tuple[float, float]:
        """P(the maximum stays below the bound), and the standard error of the computation."""
        if math.isinf(bound):
            return (1.0 if bound > 0 else 0.0), 0.0
        if self.two_sided and bound <= 0:
            return 0.0, 0.0
        if self.loadings is not None:
            return self._by_quadrature(bound), 0.0
        return self._by_quasi_monte_carlo(bound)

    def reaching(self, value: float) -> tuple[float, float]:
        """P(the maximum reaches the value), and the standard error of the computation.

        It lies between the p-value of one statistic and K times that, which holds where the
        difference from 1 has no digits left.
        """
        known = math.isinf(self.df)
        single = float(special.ndtr(-value) if known else special.stdtr(self.df, -value))
        if self.two_sided:
            single = min(1.0, 2 * single)
        inside, error = self.below(value)
        return min(max(1.0 - inside, single), self.size * single, 1.0), error

    def critical(self, level: float) -> float:
        """The bound below which the maximum stays with probability ``level``."""
        low, high = (0.0, 2.0) if self.two_sided else (-2.0, 2.0)
        while self.below(high)[0] < level:
            low, high = high, 2 * high
        while self.below(low)[0] > level:
            low, high = 2 * low, low
        root = optimize.brentq(lambda bound: self.below(bound)[0] - level, low, high, xtol=1e-10)
        return float(root)

    def _by_quadrature(self, bound: float) -> float:
        """E over s and z of prod_i P(|b_i z + sqrt(1 - b_i^2) e| < bound s), e normal."""
        assert self.loadings is not None
        scale, scale_weight = _scale_nodes(self.df)
        z = _REACH * _Z
        z_weight = _REACH * _WEIGHTS * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        if self.two_sided:  # the integrand is even
            z, z_weight = z[z > 0], 2 * z_weight[z > 0]
        inside = np.ones((scale.size, z.size))
        values, counts = np.unique(self.loadings, return_counts=True)
        for b, count in zip(values.tolist(), counts.tolist(), strict=True):
            own = math.sqrt(1 - b * b)
            upper = (bound * scale[:, None] - b * z) / own
            term = special.ndtr(upper)
            if self.two_sided:
                term = term - special.ndtr((-bound * scale[:, None] - b * z) / own)
            inside *= term**count
        return min(1.0, float(scale_weight @ inside @ z_weight))

    def _by_quasi_monte_carlo(self, bound: float) -> tuple[float, float]:
        """Genz's sequential conditioning on scrambled Sobol points, from a fixed seed.

        Genz and Bretz 2009, Computation of Multivariate Normal and t Probabilities, section 4.
        """
        assert self.cholesky is not None
        size = self.cholesky.shape[0]
        means = []
        for replicate in range(_REPLICATES):
            u = _points(size, replicate)
            scale = (
                np.ones(_POINTS)
                if math.isinf(self.df)
                else np.sqrt(special.chdtri(self.df, u[:, -1]) / self.df)
            )
            y = np.zeros((_POINTS, size))
            inside = np.ones(_POINTS)
            for i in range(size):
                shift, own = y[:, :i] @ self.cholesky[i, :i], self.cholesky[i, i]
                upper = special.ndtr((bound * scale - shift) / own)
                lower = (
                    special.ndtr((-bound * scale - shift) / own)
                    if self.two_sided
                    else np.zeros(_POINTS)
                )
                inside *= upper - lower
                if i < size - 1:
                    share = lower + u[:, i] * (upper - lower)
                    y[:, i] = special.ndtri(np.clip(share, 1e-300, 1 - 1e-16))
            means.append(inside.mean())
        error = float(np.std(means, ddof=1) / math.sqrt(_REPLICATES))
        return float(np.mean(means)), error


@lru_cache(maxsize=64)
def _points(size: int, replicate: int) -> np.ndarray:
    """Scrambled Sobol points (_POINTS, size)."""
    from scipy.stats import qmc

    engine = qmc.Sobol(size, rng=np.random.default_rng([_SEED, replicate]))
    return np.asarray(engine.random(_POINTS))


def check_correlation(correlation: np.ndarray) -> np.ndarray:
    """The matrix (K, K) as floats; StatsError unless it is symmetric with ones on the diagonal."""
    matrix = np.atleast_2d(np.asarray(correlation, dtype=float))
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    if (
        not square
        or not np.isfinite(matrix).all()
        or not np.allclose(matrix, matrix.T, atol=1e-8)
        or not np.allclose(np.diag(matrix), 1.0, atol=1e-8)
        or np.abs(matrix).max() > 1 + 1e-8
        or np.linalg.eigvalsh(matrix).min() < -1e-8
    ):
        raise StatsError(
            "this is not a correlation matrix",
            place="correlation",
            value=matrix.tolist(),
            hint="give a symmetric K x K matrix without negative eigenvalues, 1 on its diagonal",
        )
    return np.clip((matrix + matrix.T) / 2, -1.0, 1.0)


def _distinct(matrix: np.ndarray, two_sided: bool) -> np.ndarray:
    """The matrix without statistics that equal an earlier one (two-sided: up to the sign)."""
    size = np.abs(matrix) if two_sided else matrix
    keep: list[int] = []
    for i in range(matrix.shape[0]):
        if not any(size[i, j] > 1 - _TOLERANCE for j in keep):
            keep.append(i)
    return matrix[np.ix_(keep, keep)]


def _one_factor(matrix: np.ndarray) -> np.ndarray | None:
    """Loadings b with b_i b_j = rho_ij off the diagonal, or None where there are none."""
    size = matrix.shape[0]
    if size == 1:
        return np.zeros(1)
    off = matrix - np.eye(size)
    if np.abs(off).max() < _TOLERANCE:
        return np.zeros(size)
    # b is fixed up to its sign by the largest correlation and a third statistic.
    i, j = np.unravel_index(np.abs(off).argmax(), off.shape)
    others = [k for k in range(size) if k not in (i, j)]
    third = others[int(np.abs(off[j, others]).argmax())] if others else j
    if abs(off[j, third]) < _TOLERANCE:  # none, or it moves with neither
        square = abs(float(off[i, j]))
    else:
        square = float(off[i, j] * off[i, third] / off[j, third])
    if not 0 < square < _NEAR_ONE:
        return None
    b = off[i] / math.sqrt(square)
    b[i] = math.sqrt(square)
    fits = np.abs(np.outer(b, b) - matrix)[~np.eye(size, dtype=bool)].max() < 1e-8
    return b if fits and (b * b).max() < _NEAR_ONE else None


def _scale_nodes(df: float) -> tuple[np.ndarray, np.ndarray]:
    if math.isinf(df):
        return np.ones(1), np.ones(1)
    nodes, weight = chi_nodes(df)
    heavy = weight > 1e-16
    return nodes[heavy], weight[heavy]
