"""Group-sequential boundaries: a few planned looks that together spend alpha.

The test statistics at looks with n_1 < ... < n_K pairs behave like Brownian motion observed at
the information fractions n_k / n_K. The error spent and the boundaries z are those of that theory.
t tests of small samples behave a little worse; their levels (``tlevels``) are set so that they
spend the same error at each look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from scipy import optimize, special

from stats.errors import StatsError, nearest
from stats.paired import check_alternative, check_level
from stats.sequential.tlevels import t_levels

RULES = ("obrien-fleming", "pocock", "classical-obrien-fleming", "classical-pocock")

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)
_LARGEST = 8.5  # a boundary beyond (one-sided level 1e-17) is as good as none
_SMALLEST = 1e-15  # a share of alpha below is not spent at this look but kept for the next


@dataclass(frozen=True)
class Boundaries:
    """Boundaries at K looks, each field (K,).

    ``looks``: pairs; ``fractions``: of the information at the last look; ``spent``: type I error
    up to each look; ``z``: standard normal boundaries; ``nominal``: their p-values; ``levels``: the
    level of the t test at each look: reject when its p-value is at most that.
    """

    looks: tuple[int, ...]
    fractions: np.ndarray
    spent: np.ndarray
    z: np.ndarray
    nominal: np.ndarray
    levels: np.ndarray
    alpha: float
    rule: str
    alternative: str


def boundaries(
    looks: Sequence[int],
    alpha: float = 0.05,
    rule: str = "obrien-fleming",
    alternative: str = "two-sided",
) -> Boundaries:
    """Boundaries for looks at the given numbers of pairs (ascending; the last is the end).

    "obrien-fleming" and "pocock" are the spending functions of Lan and DeMets (1983, Biometrika 70,
    659-663): one-sided, of level a, at information fraction t,

        2 - 2 Phi(z_{a/2} / sqrt(t))    and    a log(1 + (e - 1) t);

    two-sided, each side spends with a = alpha / 2. Looks may move during a study, as long as the
    reason is not the results. The "classical-" rules are those of O'Brien and Fleming (1979,
    Biometrics 35, 549-556), z_k = C / sqrt(t_k), and Pocock (1977, Biometrika 64, 191-199),
    z_k = C, for equally spaced looks; here C makes the total alpha at any spacing.

    Crossing probabilities by recursive integration (Armitage, McPherson and Rowe 1969, Journal of
    the Royal Statistical Society A 132, 235-244) with Gauss-Legendre nodes. ``nominal`` may be held
    against t tests as an approximation (Jennison and Turnbull 2000, section 4.4), which spends too
    much at small n; ``levels`` do not, for normal differences.

    Raises StatsError for looks that do not ascend from 2, for alpha >= 1/2,
    and for an unknown rule or alternative.
    """
    check_level(alpha, "alpha")
    if alpha >= 0.5:
        raise StatsError(f"{alpha} is too large", place="alpha", value=alpha, hint="e.g. 0.05")
    check_alternative(alternative)
    if rule not in RULES:
        raise StatsError(
            f"'{rule}' is not a rule", place="rule", value=rule, hint=nearest(rule, RULES)
        )
    times = check_looks(looks)
    fractions = np.array(times) / times[-1]
    two_sided = alternative == "two-sided"
    if rule.startswith("classical-"):
        z = _classical(fractions, alpha, rule, two_sided)
        spent = np.cumsum(crossing(fractions, z, two_sided))
    else:
        spent = spending(rule, fractions, alpha, alternative)
        z = _spending_boundaries(fractions, spent, two_sided)
    nominal = (2.0 if two_sided else 1.0) * special.ndtr(-z)
    levels = np.array(t_levels(times, tuple(spent.tolist()), two_sided))
    return Boundaries(times, fractions, spent, z, nominal, levels, alpha, rule, alternative)


def check_looks(looks: Sequence[int]) -> tuple[int, ...]:
    """The looks as integers; StatsError unless they ascend from 2 or more."""
    times = tuple(int(n) for n in looks)
    whole = all(n == given for n, given in zip(times, looks, strict=True))
    if not times or not whole or times[0] < 2 or any(a >= b for a, b in pairwise(times)):
        raise StatsError(
            f"{list(looks)} are not looks",
            place="looks",
            value=tuple(looks),
            hint="give ascending numbers of pairs from 2 on, e.g. (8, 14, 20)",
        )
    return times


def spending(
    rule: str, fractions: np.ndarray, alpha: float, alternative: str = "two-sided"
) -> np.ndarray:
    """The type I error a Lan-DeMets rule has spent at each information fraction (K,)."""
    sides = 2.0 if alternative == "two-sided" else 1.0
    level = alpha / sides
    if rule == "pocock":
        spent = level * np.log1p((math.e - 1) * fractions)
    else:
        spent = 2 * special.ndtr(special.ndtri(level / 2) / np.sqrt(fractions))
    return np.asarray(sides * spent)


def crossing(fractions: np.ndarray, z: np.ndarray, two_sided: bool) -> np.ndarray:
    """P(the first crossing is at look k) under the null (K,), for boundaries z (K,)."""
    walk = _Walk(two_sided)
    out = []
    for fraction, boundary in zip(fractions.tolist(), z.tolist(), strict=True):
        out.append(walk.exit(fraction, boundary))
        walk.step(fraction, boundary)
    return np.array(out)


class _Walk:
    """Brownian motion observed at looks and stopped at boundaries: its density while it goes on."""

    def __init__(self, two_sided: bool) -> None:
        self.two_sided = two_sided
        self.fraction = 0.0
        self.nodes = np.zeros(1)
        self.mass = np.ones(1)  # density times weight

    def exit(self, fraction: float, z: float) -> float:
        """P(going on until now and beyond the boundary z at the fraction)."""
        scale, edge = math.sqrt(fraction - self.fraction), z * math.sqrt(fraction)
        tail = special.ndtr((self.nodes - edge) / scale)
        if self.two_sided:
            tail = tail + special.ndtr((-self.nodes - edge) / scale)
        return float(self.mass @ tail)

    def step(self, fraction: float, z: float) -> None:
        """Move to the fraction, keeping what lies within the boundary z."""
        scale, edge = math.sqrt(fraction - self.fraction), z * math.sqrt(fraction)
        edge = min(edge, _LARGEST * math.sqrt(fraction))
        low = -edge if self.two_sided else -_LARGEST * math.sqrt(fraction)
        nodes = low + (edge - low) / 2 * (_NODES + 1)
        u = (nodes[:, None] - self.nodes) / scale
        density = (np.exp(-u * u / 2) @ self.mass) / (scale * math.sqrt(2 * math.pi))
        self.nodes, self.mass = nodes, density * _WEIGHTS * (edge - low) / 2
        self.fraction = fraction


def _spending_boundaries(fractions: np.ndarray, spent: np.ndarray, two_sided: bool) -> np.ndarray:
    walk, done, z = _Walk(two_sided), 0.0, []
    for fraction, total in zip(fractions.tolist(), spent.tolist(), strict=True):
        share = total - done
        if share <= max(_SMALLEST, walk.exit(fraction, _LARGEST)):
            boundary = math.inf
        else:
            boundary = _root(
                partial(_excess, walk, fraction, share), 0.0 if two_sided else -_LARGEST
            )
            done = total
        z.append(boundary)
        walk.step(fraction, boundary)
    return np.array(z)


def _classical(fractions: np.ndarray, alpha: float, rule: str, two_sided: bool) -> np.ndarray:
    shape = np.ones_like(fractions) if rule == "classical-pocock" else fractions**-0.5
    total = partial(_total_excess, fractions, shape, alpha, two_sided)
    constant = _root(total, 1e-3)
    return np.asarray(constant * shape)


def _excess(walk: _Walk, fraction: float, share: float, z: float) -> float:
    return walk.exit(fraction, z) - share


def _total_excess(
    fractions: np.ndarray, shape: np.ndarray, alpha: float, two_sided: bool, constant: float
) -> float:
    return float(crossing(fractions, constant * shape, two_sided).sum()) - alpha


def _root(function: Callable[[float], float], low: float) -> float:
    return float(optimize.brentq(function, low, _LARGEST, xtol=1e-12, rtol=1e-13))
