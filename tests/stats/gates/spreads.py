"""Fixed terms: how much their effects spread, and which share of variance that is."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import scipy.stats
from scipy import special

from stats.decompose.finite import Spread, spread_of
from stats.factorial.effect_sizes import effect_sizes
from stats.mixed.fit import fit_moments, lmm
from stats.mixed.moments import Moments
from tests.stats.gates.draws import ALPHA, agree, grid
from tests.stats.gates.exact import scaled_chi2
from tests.stats.gates.gate import Runs, register

LEVELS, REPEATS = 4, 5
DF = LEVELS * (REPEATS - 1)


@lru_cache
def _moments() -> Moments:
    y = np.random.default_rng(0).normal(size=LEVELS * REPEATS)
    frame = pd.DataFrame({"level": np.repeat(list("abcd"), REPEATS), "score": y})
    return lmm("score ~ level", frame, contrasts="sum").criterion.moments


def _package(y: np.ndarray) -> Spread:
    fit = fit_moments(_moments().with_response(y.ravel()), reml=True, notes=False)
    return spread_of(fit, ["level"], 1 - ALPHA)


def _draw(rng: np.random.Generator, replicates: int, variance: float) -> np.ndarray:
    """Scores (replicates, levels, repeats) with effects of that finite-population variance."""
    effects = np.linspace(-1, 1, LEVELS)
    effects *= np.sqrt(variance / effects.var(ddof=1))
    return effects[:, None] + rng.normal(size=(replicates, LEVELS, REPEATS))


def _squares(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the levels' means, and the part of it that is error."""
    return y.mean(axis=2).var(axis=1, ddof=1), y.var(axis=2, ddof=1).mean(axis=1) / REPEATS


@register(
    "finite-population variance, {variance:g}",
    "Mean finite-population variance of 4 levels, truth {variance:g}",
    expected=lambda variance: variance,
    source="exact: unbiased",
    mutant="variance of the levels' means",
    cases=grid(variance=(0.0, 0.3)),
)
def unbiased(replicates: int, rng: np.random.Generator, *, variance: float) -> Runs:
    y = _draw(rng, replicates, variance)
    plain, error = _squares(y)
    agree(plain - error, lambda i: _package(y[i]).variance, 25)
    return Runs(plain - error, plain)


def _below(total: np.ndarray, error: np.ndarray, variance: float) -> np.ndarray:
    """The share of the generalized distribution of the spread that lies above ``variance``.

    ``total`` is the sum of squared effects, ``error`` the estimated error variance of a mean.
    """
    q = LEVELS - 1
    c = error[:, None] / scaled_chi2(DF, 200)
    return special.chndtr(total[:, None] / c, q, q * variance / c).mean(axis=1)


@register(
    "interval of a spread, {variance:g}",
    "Coverage, interval of the spread of 4 levels, variance {variance:g}",
    expected=0.95,
    source="1 - alpha: Weerahandi 1993",
    cases=[
        {"variance": 0.1, "mutant": "chi-squared of the means' variance"},
        {"variance": 1.0, "mutant": "noncentral F x estimated error"},
        {"variance": 10.0, "mutant": "noncentral F x estimated error"},
    ],
)
def spread(replicates: int, rng: np.random.Generator, *, variance: float, mutant: str) -> Runs:
    y = _draw(rng, replicates, variance)
    plain, error = _squares(y)
    q = LEVELS - 1
    place = _below(q * plain, error, variance)
    covers = (place >= ALPHA / 2) & (place <= 1 - ALPHA / 2)

    def by_package(i: int) -> bool:
        found = _package(y[i])
        return found.low <= variance <= found.high

    agree(covers, by_package, 25)
    if mutant.startswith("chi"):  # as if the means had no error of their own
        wrong = special.chdtr(q, q * plain / variance)
    else:  # nc / q is the spread in units of the error, which is doubted twice
        wrong = scipy.stats.ncf.cdf(plain / error, q, DF, q * variance / error)
    return Runs(covers, (wrong >= ALPHA / 2) & (wrong <= 1 - ALPHA / 2))


@register(
    "share of variance, {variance:g}",
    "Coverage, interval of partial eta and omega squared, variance {variance:g}",
    expected=0.95,
    source="exact: inverts the noncentral F (Steiger 2004)",
    mutant="eta squared +- 1.96 large-sample SE",
    cases=grid(variance=(0.05, 0.5)),
)
def share(replicates: int, rng: np.random.Generator, *, variance: float) -> Runs:
    y = _draw(rng, replicates, variance)
    plain, error = _squares(y)
    f, n, q = plain / error, LEVELS * REPEATS, LEVELS - 1
    nc = REPEATS * q * variance
    truth = nc / (nc + n)
    place = scipy.stats.ncf.cdf(f, q, DF, nc)
    covers = (place >= ALPHA / 2) & (place <= 1 - ALPHA / 2)

    def by_package(i: int) -> bool:
        size = effect_sizes(float(f[i]), q, DF, n)
        return size.omega2_low <= truth <= size.omega2_high

    agree(covers, by_package)
    eta = q * f / (q * f + DF)
    se = 2 * np.sqrt(eta) * (1 - eta) / np.sqrt(n)
    return Runs(covers, np.abs(eta - truth) <= 1.96 * se)
