"""Profile-likelihood intervals of standard deviations, correlations and fixed effects.

A parameter is held at a value and the deviance minimised over all others; its interval holds the
values at which the deviance rises by less than the chi-squared quantile (Bates, Maechler, Bolker
and Walker 2015, section 5.1). The lower limit of a standard deviation is 0 where the deviance does
not rise enough. The deviance is the fit's own: the REML criterion of a REML fit. Intervals from
standard errors of variances are not offered: their sampling distribution is far from normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

from stats.errors import StatsError
from stats.mixed.contest import weights_of
from stats.mixed.criterion import Criterion
from stats.mixed.moments import Moments
from stats.mixed.optimise import minimise, triangle_of
from stats.paired import check_level
from stats.record import Record

if TYPE_CHECKING:
    import pandas as pd

    from stats.mixed.fit import LmmFit


@dataclass(frozen=True)
class Interval:
    """A profile interval: ``kind`` is "sd", "correlation" or "fixed"; units of the response."""

    group: str
    term: str
    kind: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Intervals(Record):
    """Profile intervals of all standard deviations (and of the correlation of two slopes)."""

    rows: tuple[Interval, ...]
    estimand: str
    method: str
    n: int
    confidence_level: float

    def table(self) -> pd.DataFrame:
        """One row per parameter."""
        import pandas as pd

        names = ("group", "term", "kind", "estimate", "low", "high")
        return pd.DataFrame([{name: getattr(row, name) for name in names} for row in self.rows])


def profile_intervals(fit: LmmFit, confidence_level: float = 0.95) -> Intervals:
    """Intervals of every standard deviation of a fit, residual last.

    Correlations get an interval in terms of two covariates; larger terms do not.
    """
    check_level(confidence_level)
    rise = float(special.chdtri(1, 1 - confidence_level))
    rows = []
    for place, component in enumerate(fit.components):
        for i, name in enumerate(component.names):
            low, high = profile_sd(fit, place, i, rise)
            rows.append(Interval(component.group, name, "sd", float(component.sd[i]), low, high))
        if len(component.names) == 2 and component.sd.all():
            low, high = profile_correlation(fit, place, rise)
            value = float(component.covariance[0, 1] / component.sd.prod())
            rows.append(
                Interval(
                    component.group, " ~ ".join(component.names), "correlation", value, low, high
                )
            )
    low, high = profile_sigma(fit, rise)
    rows.append(Interval("Residual", "", "sd", fit.sigma, low, high))
    return Intervals(
        tuple(rows), "standard deviations of the random terms", f"profile of the {fit.method} "
        "criterion", fit.n, confidence_level,
    )  # fmt: skip


class _Deviance:
    """D(theta, log sigma), before sigma is profiled out, in the reduced unit of the response.

    D = [the profiled criterion's determinants] + dof log(2 pi sigma^2) + r2 / sigma^2.
    """

    def __init__(self, criterion: Criterion) -> None:
        self.criterion = criterion
        self.dof = criterion.dof

    def __call__(self, theta: np.ndarray, log_sigma: float) -> tuple[float, np.ndarray, float]:
        """Value, derivatives by theta, derivative by log sigma."""
        state = self.criterion.state(theta)
        precision = math.exp(-2 * log_sigma)
        value = state.logdet + self.dof * (math.log(2 * math.pi) + 2 * log_sigma)
        value += state.r2 * precision
        if self.criterion.reml:
            value += state.logdet_x
        gradient = 2 * self.criterion.pack(self.criterion.half_gradient(state, precision))
        return value, gradient, 2 * self.dof - 2 * state.r2 * precision


def profile_sd(fit: LmmFit, place: int, row: int, rise: float) -> tuple[float, float]:
    """The interval of the SD of covariate ``row`` of the formula's term ``place``."""
    estimate = float(fit.components[place].sd[row])
    fit = _leading(fit, place, row)
    criterion = fit.criterion
    moments = criterion.moments
    term = moments.order.index(place)
    unit = moments.scale / float(moments.z_scales[term][0])  # internal to units of the response

    def minimum(value: float, start: np.ndarray) -> tuple[float, np.ndarray]:
        return _minimise_given(fit, lambda x: _with_first(criterion, x, term, value), start)

    low, high = _solve(fit, minimum, estimate / unit, rise, _free_start(fit))
    return low * unit, high * unit


def _leading(fit: LmmFit, place: int, row: int) -> LmmFit:
    """The same fit with a term's covariates in another order, ``row`` first.

    The SD of the first covariate is the first entry of the term's triangle in any basis that
    ``moments.basis`` makes, and so a single entry of theta.
    """
    block = fit.design.blocks[place]
    if row == 0:
        return fit
    turn = [row, *(i for i in range(block.k) if i != row)]
    turned = replace(block, names=tuple(block.names[i] for i in turn), z=block.z[:, turn])
    blocks = tuple(turned if i == place else b for i, b in enumerate(fit.design.blocks))
    criterion = Criterion(Moments.of(replace(fit.design, blocks=blocks)), reml=fit.reml)
    triangles = list(fit.triangles)
    triangles[place] = triangle_of((triangles[place] @ triangles[place].T)[np.ix_(turn, turn)])
    moments = criterion.moments
    theta = criterion.pack(
        [
            np.linalg.solve(basis, triangles[at])
            for at, basis in zip(moments.order, moments.bases, strict=True)
        ]
    )
    return replace(fit, criterion=criterion, optimum=replace(fit.optimum, theta=theta))


def profile_sigma(fit: LmmFit, rise: float) -> tuple[float, float]:
    """The interval of the residual SD."""
    criterion = fit.criterion
    scale = criterion.moments.scale
    deviance = _Deviance(criterion)

    def minimum(value: float, start: np.ndarray) -> tuple[float, np.ndarray]:
        def target(theta: np.ndarray) -> tuple[float, np.ndarray]:
            try:
                out, gradient, _ = deviance(theta, math.log(value))
            except (FloatingPointError, np.linalg.LinAlgError):
                return 1e300, np.zeros_like(theta)
            return out, gradient

        if not start.size:
            return target(start)[0], start
        return _descend(criterion, target, start)

    low, high = _solve(fit, minimum, fit.sigma / scale, rise, fit.optimum.theta)
    return low * scale, high * scale


def profile_correlation(fit: LmmFit, place: int, rise: float) -> tuple[float, float]:
    """The interval of the correlation of a term with two covariates."""
    criterion = fit.criterion
    term = criterion.moments.order.index(place)
    estimate = fit.components[place].covariance
    rho = float(estimate[0, 1] / math.sqrt(estimate[0, 0] * estimate[1, 1]))

    def minimum(value: float, start: np.ndarray) -> tuple[float, np.ndarray]:
        return _minimise_given(fit, lambda x: _with_correlation(criterion, x, term, value), start)

    center = math.atanh(min(max(rho, -1 + 1e-9), 1 - 1e-9))
    curve = _Curve(
        lambda z, start: minimum(math.tanh(z), start), fit, rise, center, _free_start(fit)
    )
    out = []
    for sign in (-1, 1):
        end = center + sign * 0.5
        while abs(end) < 8 and curve.excess(end) < 0:
            end += sign * 0.5
        out.append(float(sign) if abs(end) >= 8 else math.tanh(curve.root(center, end)))
    return out[0], out[1]


def profile_fixed(fit: LmmFit, name: str, confidence_level: float = 0.95) -> Interval:
    """The profile interval of one fixed effect, of an ML fit only.

    Raises StatsError for a REML fit (its criterion does not compare different fixed parts) and an
    unknown name.
    """
    check_level(confidence_level)
    if fit.reml:
        raise StatsError(
            "the REML criterion cannot profile a fixed effect", place="profile_fixed", value=name,
            hint="fit with reml=False",
        )  # fmt: skip
    weights_of(fit, {name: 1.0})
    at = fit.names.index(name)
    rise = float(special.chdtri(1, 1 - confidence_level))
    design = fit.design
    others = [i for i in range(len(fit.beta)) if i != at]
    names = tuple(design.names[i] for i in others)
    moments = Moments.of(replace(design, x=design.x[:, others], names=names))
    column = design.x[:, at]

    def excess(value: float) -> float:
        criterion = Criterion(moments.with_response(design.y - value * column), reml=False)
        found = minimise(criterion, fit.optimum.theta)
        return criterion.deviance(found.value) - fit.criterion_value - rise

    se = fit.sigma * math.sqrt(float(fit.info.phi[at, at]))
    ends = []
    for sign in (-1, 1):
        step = 2.0 * se
        end = float(fit.beta[at]) + sign * step
        while excess(end) < 0:
            end += sign * step
        ends.append(optimize.brentq(excess, end - sign * step, end, xtol=1e-7 * se))
    return Interval("", name, "fixed", float(fit.beta[at]), min(ends), max(ends))


def _free_start(fit: LmmFit) -> np.ndarray:
    """theta and log sigma at the optimum, in the reduced unit."""
    return np.append(fit.optimum.theta, math.log(fit.sigma / fit.criterion.moments.scale))


_Point = tuple[np.ndarray, float, np.ndarray]  # theta, log sigma, Jacobian of both by x


def _with_first(criterion: Criterion, x: np.ndarray, term: int, value: float) -> _Point:
    """theta whose first entry of a triangle is value / sigma; the rest is free."""
    theta, log_sigma = x[:-1].copy(), float(x[-1])
    at = _entry(criterion, term, 0, 0)
    theta[at] = value * math.exp(-log_sigma)
    jacobian = np.eye(x.size)
    jacobian[at] = 0.0
    jacobian[at, -1] = -theta[at]
    return theta, log_sigma, jacobian


def _with_correlation(criterion: Criterion, x: np.ndarray, term: int, value: float) -> _Point:
    """theta of a 2 x 2 triangle T = M T' with a given correlation: T'_10 follows from the rest.

    T_10 / |T_11| = value / sqrt(1 - value^2), where the sign is that of T_00.
    """
    theta = x[:-1].copy()
    m = criterion.moments.bases[term]
    first, below, last = (_entry(criterion, term, *at) for at in ((0, 0), (1, 0), (1, 1)))
    slope = value / math.sqrt(1 - value**2) * (-1.0 if theta[first] < 0 else 1.0)
    shift = float(m[1, 0] / m[1, 1])
    theta[below] = slope * abs(theta[last]) - shift * theta[first]
    jacobian = np.eye(x.size)
    jacobian[below] = 0.0
    jacobian[below, first] = -shift
    jacobian[below, last] = slope * (-1.0 if theta[last] < 0 else 1.0)
    return theta, float(x[-1]), jacobian


def _entry(criterion: Criterion, term: int, row: int, column: int) -> int:
    """The position in theta of an entry of a term's triangle."""
    triangles = [np.zeros((k, k)) for _, k in criterion.moments.shapes]
    triangles[term][row, column] = 1.0
    return int(np.flatnonzero(criterion.pack(triangles))[0])


def _minimise_given(
    fit: LmmFit, point: Callable[[np.ndarray], _Point], start: np.ndarray
) -> tuple[float, np.ndarray]:
    deviance = _Deviance(fit.criterion)

    def target(x: np.ndarray) -> tuple[float, np.ndarray]:
        theta, log_sigma, jacobian = point(x)
        try:
            value, by_theta, by_sigma = deviance(theta, log_sigma)
        except (FloatingPointError, np.linalg.LinAlgError, OverflowError):
            return 1e300, np.zeros_like(x)
        return value, jacobian.T @ np.append(by_theta, by_sigma)

    return _descend(fit.criterion, target, start)


def _descend(
    criterion: Criterion,
    target: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Minimise over theta, or theta and log sigma, in units in which all bend alike."""
    unit = criterion.units()
    if start.size > unit.size:
        unit = np.append(unit, math.sqrt(2 * criterion.dof))

    def scaled(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = target(x / unit)
        return value, gradient / unit

    done = optimize.minimize(
        scaled, start * unit, jac=True, method="L-BFGS-B",
        options={"maxiter": 200, "ftol": 1e-11, "gtol": 1e-4, "maxcor": 20},
    )  # fmt: skip
    return float(done.fun), done.x / unit


class _Curve:
    """The profiled deviance of one parameter above its minimum, less the rise asked for.

    Each minimisation starts from the solution at the nearest value already known: far ones may
    lie in a flat corner from which a search does not come back.
    """

    def __init__(
        self,
        minimum: Callable[[float, np.ndarray], tuple[float, np.ndarray]],
        fit: LmmFit,
        rise: float,
        estimate: float,
        start: np.ndarray,
    ) -> None:
        self._minimum = minimum
        self._floor, self._root = float(fit.optimum.value), math.sqrt(rise)
        self._known = {estimate: start}

    def excess(self, value: float) -> float:
        """Root of the rise less that of the rise asked for: nearly linear, negative inside."""
        nearest = min(self._known, key=lambda known: abs(known - value))
        found, self._known[value] = self._minimum(value, self._known[nearest])
        return math.sqrt(max(found - self._floor, 0.0)) - self._root

    def root(self, inside: float, outside: float) -> float:
        """Where the deviance has risen, between a value inside and one outside."""
        size = 1e-6 * max(abs(inside), abs(outside))
        return float(optimize.brentq(self.excess, inside, outside, xtol=size))


def _solve(
    fit: LmmFit,
    minimum: Callable[[float, np.ndarray], tuple[float, np.ndarray]],
    estimate: float,
    rise: float,
    start: np.ndarray,
) -> tuple[float, float]:
    """Both ends of a standard deviation's interval, in the reduced unit."""
    curve = _Curve(minimum, fit, rise, estimate, start)
    scale = max(estimate, 1e-3)
    inside, high = estimate, scale * 1.5
    while curve.excess(high) < 0:
        inside, high = high, high * 1.5
        if high > 1e6 * scale:
            return _lower_end(curve, estimate), math.inf
    return _lower_end(curve, estimate), curve.root(inside, high)


def _lower_end(curve: _Curve, estimate: float) -> float:
    inside, low = estimate, estimate / 1.5
    while low > 1e-4 * max(estimate, 1e-3):
        if curve.excess(low) > 0:
            return curve.root(inside, low)
        inside, low = low, low / 1.5
    return 0.0
