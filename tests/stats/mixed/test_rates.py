"""Type I error of the arm effect, two arms paired by seed, from two mean squares.

Fits give the p values of the closed form, data set by data set, and the closed form has the
published rates; fits themselves are simulated by the gates (`tests/stats/gates/mixed.py`).
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
# n seeds, correlation of the arms: rates of Kenward-Roger, Satterthwaite and Wald z, as published
# from 40,000 simulations with another implementation.
EXPECTED = {
    (5, 0.0): (0.055, 0.069, 0.141),
    (10, 0.0): (0.059, 0.065, 0.095),
    (20, 0.0): (0.057, 0.061, 0.073),
    (20, 0.8): (0.051, 0.051, 0.066),
}


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
