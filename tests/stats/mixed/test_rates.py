"""Type I error of the arm effect, two arms paired by seed: simulated, and from two mean squares.

Bands are the central 99.9 % of the binomial at the expected rate, so that a right procedure fails
one seed in a thousand; seeds are fixed. Mutants must leave the band.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from stats.mixed.fit import fit_moments, lmm
from stats.mixed.moments import Moments

ALPHA = 0.05
REPEATS = 2000
# n seeds, correlation of the arms: rates of Kenward-Roger, Satterthwaite and Wald z, as published
# from 40,000 simulations with another implementation.
EXPECTED = {
    (5, 0.0): (0.055, 0.069, 0.141),
    (10, 0.0): (0.059, 0.065, 0.095),
    (20, 0.0): (0.057, 0.061, 0.073),
    (20, 0.8): (0.051, 0.051, 0.066),
}


def band(rate: float, repeats: int) -> tuple[float, float]:
    low, high = scipy.stats.binom.interval(0.999, repeats, rate)
    return low / repeats, high / repeats


def responses(n: int, rho: float, repeats: int, seed: int) -> np.ndarray:
    """(repeats, 2, n): two arms without a difference, correlated through the seed's luck."""
    rng = np.random.default_rng(seed)
    luck = rng.normal(size=(repeats, 1, n))
    return math.sqrt(rho) * luck + math.sqrt(1 - rho) * rng.normal(size=(repeats, 2, n))


@functools.cache
def model(n: int) -> Moments:
    frame = pd.DataFrame(
        {
            "y": np.random.default_rng(0).normal(size=2 * n),
            "arm": np.repeat(["a", "b"], n), "seed": np.tile(np.arange(n), 2),
        }
    )  # fmt: skip
    return lmm("y ~ arm + (1 | seed)", frame, factors=("seed",)).criterion.moments


def closed_form(y: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """theta (repeats,) and p values by name, from the mean squares of seeds and of residuals.

    Above F = 1 the model is the paired t test; else the variance is zero and both mean squares
    are pooled, with the pairs' n - 1 degrees of freedom (Kenward-Roger) or 2 (n - 1).
    """
    n = y.shape[2]
    difference = y[:, 1] - y[:, 0]
    within = difference.var(axis=1, ddof=1) / 2
    between = 2 * y.mean(axis=1).var(axis=1, ddof=1)
    theta = np.sqrt(np.maximum((between / within - 1) / 2, 0.0))
    variance = np.where(theta > 0, within, (within + between) / 2)
    t = np.abs(difference.mean(axis=1)) / np.sqrt(2 * variance / n)
    df = np.where(theta > 0, n - 1, 2 * (n - 1))
    return theta, {
        "kenward-roger": 2 * scipy.stats.t.sf(t, n - 1),
        "satterthwaite": 2 * scipy.stats.t.sf(t, df),
        "wald z": 2 * scipy.stats.norm.sf(t),
    }


@pytest.mark.parametrize("rho", [0.0, 0.8])
@pytest.mark.parametrize("n", [5, 10, 20])
def test_p_values_follow_from_two_mean_squares(n: int, rho: float):
    y = responses(n, rho, 20, seed=7)
    theta, p = closed_form(y)
    for i, values in enumerate(y):
        fit = fit_moments(model(n).with_response(values.ravel()), reml=True, notes=False)
        assert float(fit.triangles[0][0, 0]) == pytest.approx(theta[i], abs=1e-5)
        for ddf in ("kenward-roger", "satterthwaite"):
            found = fit.contrast([0.0, 1.0], ddf=ddf).tests[0].p
            assert found == pytest.approx(p[ddf][i], rel=1e-4)
        assert fit.fixed().tests[1].p == pytest.approx(p["kenward-roger"][i], rel=1e-4)


@pytest.mark.parametrize(("n", "rho"), EXPECTED)
def test_rates_of_the_closed_form(n: int, rho: float):
    """The published rates are those of the two mean squares (standard errors .001 and .0003)."""
    _, p = closed_form(responses(n, rho, 400_000, seed=n))
    rates = [float((values <= ALPHA).mean()) for values in p.values()]
    assert rates == pytest.approx(EXPECTED[n, rho], abs=4e-3)


@pytest.mark.parametrize(("n", "rho"), [(5, 0.0), (10, 0.0), (20, 0.8)])
def test_type_i_error_of_the_arm_effect(n: int, rho: float):
    """Fits of 2,000 data sets, started at the optimum that the mean squares tell."""
    y = responses(n, rho, REPEATS, seed=100 + n)
    theta, _ = closed_form(y)
    names = ("kenward-roger", "satterthwaite", "wald z")
    rejected = dict.fromkeys(names, 0)
    zeros = 0
    for values, start in zip(y, theta, strict=True):
        moments = model(n).with_response(values.ravel())
        fit = fit_moments(moments, reml=True, start=np.array([start]), notes=False)
        zeros += fit.boundary
        for ddf in names[:2]:
            rejected[ddf] += fit.contrast([0.0, 1.0], ddf=ddf).tests[0].p <= ALPHA
        z = abs(fit.beta[1]) / math.sqrt(fit.covariance[1, 1])
        rejected["wald z"] += 2 * scipy.stats.norm.sf(z) <= ALPHA
    for name, expected in zip(names, EXPECTED[n, rho], strict=True):
        low, high = band(expected, REPEATS)
        assert low <= rejected[name] / REPEATS <= high
    if n <= 10:
        assert rejected["wald z"] / REPEATS > band(EXPECTED[n, rho][0], REPEATS)[1]
    zero = scipy.stats.f.cdf((1 - rho) / (1 + rho), n - 1, n - 1)
    low, high = band(float(zero), REPEATS)
    assert low <= zeros / REPEATS <= high
