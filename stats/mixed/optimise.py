"""Minimise the profiled deviance over theta, and know when the optimum is on the boundary.

theta is left unbounded: the deviance does not change when a column of a triangle T changes sign,
so that a zero variance is an interior stationary point, and never a wall to be stuck at. That
point may be a maximum, too; what tells is the slope by the covariance matrix T T', which must be
positive semidefinite at an optimum (the Karush-Kuhn-Tucker condition). Where it is not, the search
starts again from a step into the direction that it names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize

from stats.errors import StatsError
from stats.mixed.criterion import Criterion

SINGULAR = 1e-4
"""A standard deviation of a random effect below this share of sigma counts as zero."""
_MANY_STARTS = 60  # columns of the reduced system up to which three starts cost next to nothing
_STARTS = (1.0, 0.2, 3.0)


@dataclass(frozen=True)
class Optimum:
    """The best theta found, its criterion (reduced unit), and how sure that is.

    ``gradient`` is the largest absolute derivative by theta; ``boundary`` tells that a variance
    is zero or a correlation +-1. ``evaluations`` counts deviances.
    """

    theta: np.ndarray = field(repr=False)
    value: float
    gradient: float
    boundary: bool
    evaluations: int
    converged: bool


def minimise(
    criterion: Criterion, start: np.ndarray | None = None, *, polish: bool = True
) -> Optimum:
    """Minimise ``criterion``. Raises StatsError where no start leads to a finite deviance.

    Limited-memory BFGS with the analytic gradient, Newton steps on differences of the gradient to
    finish (unless ``polish`` is False), and the check of the boundary described above. A ``start``
    replaces the usual ones.
    """
    if criterion.size == 0:
        theta = np.empty(0)
        return Optimum(theta, criterion.value(theta), 0.0, False, 1, True)
    counter = _Counter(criterion)
    if start is not None:
        starts = [start]
    else:
        few = criterion.moments.width <= _MANY_STARTS
        starts = [criterion.start(scale) for scale in (_STARTS if few else _STARTS[:1])]
    best: np.ndarray | None = None
    value = math.inf
    for first in starts:
        theta, found = _descend(counter, first)
        if found < value - 1e-9:
            best, value = theta, found
    if best is None:
        raise StatsError("the likelihood has no finite value", place="lmm", hint="simplify it")
    theta = best
    for _ in range(10):
        if polish:
            theta, value = _newton(counter, theta, value)
        step = _escape(counter, theta)
        if step is None:
            break
        other, found = _descend(counter, step)
        if found >= value - 1e-9:
            break
        theta, value = other, found
    theta, value = _snapped(counter, theta, value)
    value, gradient = counter(theta)
    size = float(np.abs(gradient).max())
    return Optimum(
        theta, value, size, is_boundary(criterion, theta), counter.count,
        size <= 2e-3 * max(1.0, abs(value) * 1e-3),
    )  # fmt: skip


def is_boundary(criterion: Criterion, theta: np.ndarray) -> bool:
    """Whether a variance is zero or a covariance matrix lacks rank."""
    return any(_smallest(t) < SINGULAR for t in criterion.unpack(theta))


def _smallest(t: np.ndarray) -> float:
    return float(np.linalg.svd(t, compute_uv=False)[-1])


class _Counter:
    """The criterion with its gradient; counts, and remembers what it was last asked."""

    def __init__(self, criterion: Criterion) -> None:
        self.criterion = criterion
        self.count = 0
        self._last: tuple[bytes, tuple[float, np.ndarray]] | None = None

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        key = theta.tobytes()
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        self.count += 1
        try:
            out = self.criterion.value_and_gradient(theta)
        except (FloatingPointError, np.linalg.LinAlgError):
            out = (1e300, np.zeros_like(theta))
        if not math.isfinite(out[0]):
            out = (1e300, np.zeros_like(theta))
        self._last = (key, out)
        return out


def _descend(counter: _Counter, start: np.ndarray) -> tuple[np.ndarray, float]:
    unit = counter.criterion.units()

    def scaled(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = counter(x / unit)
        return value, gradient / unit

    done = optimize.minimize(
        scaled, start * unit, jac=True, method="L-BFGS-B",
        options={"maxiter": 500, "maxfun": 2000, "ftol": 1e-13, "gtol": 1e-5, "maxcor": 20},
    )  # fmt: skip
    value = float(done.fun)
    return done.x / unit, value if value < 1e299 else math.inf


def _newton(counter: _Counter, theta: np.ndarray, value: float) -> tuple[np.ndarray, float]:
    """Newton steps while the gradient is large enough to matter to the fifth digit of theta."""
    for _ in range(4):
        value, gradient = counter(theta)
        if np.abs(gradient).max() <= 1e-6:
            break
        step = 1e-4 * np.maximum(np.abs(theta), 0.1)
        hessian = np.empty((theta.size, theta.size))
        for i in range(theta.size):
            shift = np.zeros_like(theta)
            shift[i] = step[i]
            hessian[i] = (counter(theta + shift)[1] - counter(theta - shift)[1]) / (2 * step[i])
        hessian = (hessian + hessian.T) / 2
        eigenvalues, vectors = np.linalg.eigh(hessian)
        bent = np.maximum(np.abs(eigenvalues), 1e-8 * np.abs(eigenvalues).max() + 1e-300)
        move = vectors @ ((vectors.T @ gradient) / bent)
        for scale in (1.0, 0.25, 0.05):
            other = theta - scale * move
            found, slope = counter(other)
            if found < value or (
                found <= value + 1e-9 and np.abs(slope).max() < np.abs(gradient).max()
            ):
                theta, value = other, found
                break
        else:
            break
    return theta, value


def _escape(counter: _Counter, theta: np.ndarray) -> np.ndarray | None:
    """A start from which the deviance falls, if theta sits on a false boundary; else None."""
    criterion = counter.criterion
    if not is_boundary(criterion, theta):
        return None
    state = criterion.state(theta)
    slopes = criterion.slopes(state, criterion.dof / state.r2)
    triangles = list(criterion.unpack(theta))
    found = False
    for i, (t, slope) in enumerate(zip(triangles, slopes, strict=True)):
        if _smallest(t) >= SINGULAR:
            continue
        eigenvalues, vectors = np.linalg.eigh((slope + slope.T) / 2)
        if eigenvalues[0] < -1e-6 * max(1.0, float(np.abs(eigenvalues).max())):
            direction = vectors[:, :1]
            triangles[i] = triangle_of(t @ t.T + 0.01 * direction @ direction.T)
            found = True
    return criterion.pack(triangles) if found else None


def _snapped(counter: _Counter, theta: np.ndarray, value: float) -> tuple[np.ndarray, float]:
    """Columns of triangles that are all but zero are zero, if the deviance does not mind."""
    triangles = [_signed(t) for t in counter.criterion.unpack(theta)]
    for i, t in enumerate(triangles):
        small = np.abs(t).max(axis=0) < SINGULAR
        if small.any():
            trial = [*triangles]
            trial[i] = np.where(small[None, :], 0.0, t)
            found, _ = counter(counter.criterion.pack(trial))
            if found <= value + 1e-7:
                triangles, value = trial, min(value, found)
    return counter.criterion.pack(triangles), value


def _signed(t: np.ndarray) -> np.ndarray:
    """The triangle with a diagonal that is not negative; T T' stays as it is."""
    signs = np.where(np.diag(t) < 0, -1.0, 1.0)
    return np.asarray(t * signs)


def triangle_of(covariance: np.ndarray) -> np.ndarray:
    """A lower triangle T with T T' = covariance, positive semidefinite."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    half = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    return _signed(np.linalg.qr(half.T)[1].T)
