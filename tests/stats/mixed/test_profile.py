"""Profile intervals: documented ones, and those of a dense likelihood."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from stats.errors import StatsError
from stats.mixed.fit import lmm
from stats.mixed.profile import Intervals, profile_fixed
from tests.stats.mixed.cases import data, fitted, lmm_of
from tests.stats.mixed.dense import Dense
from tests.stats.mixed.designs import unbalanced


def ends(intervals: Intervals) -> dict[tuple[str, str], tuple[float, float]]:
    return {(row.group, row.term): (row.low, row.high) for row in intervals.rows}


def close(found: tuple[float, float], expected: tuple[float, float], rel: float = 2e-5) -> bool:
    return found == pytest.approx(expected, rel=rel)


def test_dyestuff():
    """lme4, inst/tests/profile-tst.R."""
    fit = fitted("dyestuff_ml")
    found = ends(fit.intervals())
    assert close(found["Residual", ""], (math.exp(3.64362), math.exp(4.21446)))
    beta = profile_fixed(fit, "(Intercept)")
    assert close((beta.low, beta.high), (1486.4515, 1568.5485), 1e-7)


def test_penicillin():
    """lme4, inst/tests/profile-tst.R."""
    fit = lmm_of("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", reml=False)
    found = ends(fit.intervals())
    assert close(found["plate", "(Intercept)"], (0.633566, 1.182104))
    assert close(found["sample", "(Intercept)"], (1.095782, 3.556319), 6e-5)
    assert close(found["Residual", ""], (math.exp(-0.721865), math.exp(-0.462903)))
    beta = profile_fixed(fit, "(Intercept)")
    assert close((beta.low, beta.high), (21.266627, 24.677818))


def test_sleepstudy():
    """lme4, inst/testdata/confint_ex.rda."""
    fit = lmm_of("Reaction ~ Days + (Days | Subject)", "sleepstudy", reml=False)
    found = ends(fit.intervals())
    assert close(found["Subject", "(Intercept)"], (14.3814, 37.7160))
    assert close(found["Subject", "Days"], (3.80116, 8.75338))
    assert close(found["Subject", "(Intercept) ~ Days"], (-0.48150, 0.68499), 5e-5)
    assert close(found["Residual", ""], (22.89827, 28.85800))
    for name, expected in (("(Intercept)", (237.6807, 265.1295)), ("Days", (7.35865, 13.57592))):
        row = profile_fixed(fit, name)
        assert close((row.low, row.high), expected)
        assert (row.kind, row.term) == ("fixed", name)


def test_sleepstudy_without_correlation():
    """lme4, man/confint.merMod.Rd: read off a spline, so that four digits are right.

    At our upper ends -2 log likelihood rises by 3.84146, the quantile; at lme4's by 3.8394 and
    3.8396.
    """
    fit = lmm_of("Reaction ~ Days + (Days || Subject)", "sleepstudy", reml=False)
    found = ends(fit.intervals())
    assert close(found["Subject", "(Intercept)"], (15.25847, 37.78184), 2e-4)
    assert close(found["Subject", "Days"], (3.964157, 8.768238), 2e-4)
    assert close(found["Residual", ""], (22.88062, 28.78768))


def test_ends_lie_where_the_dense_likelihood_says():
    """Held at an end of the interval, -2 log REML rises by the quantile, over all the rest."""
    fit = lmm("y ~ x + (1 + x | a)", unbalanced())
    dense = Dense.of(fit.design)
    best = dense.deviance(fit.triangles)

    def lowest(row: int, sd: float) -> float:
        def value(free: np.ndarray) -> float:
            log_sigma, angle, log_other = free
            rows = np.zeros((2, 2))
            if row == 0:
                other = math.exp(log_other) * np.array([math.sin(angle), math.cos(angle)])
                rows[0, 0], rows[1] = sd, other
            else:
                rows[0, 0] = math.exp(log_other)
                rows[1] = sd * np.array([math.sin(angle), math.cos(angle)])
            sigma = math.exp(log_sigma)
            return dense.minus_2_log(sigma**2 * dense.v([rows / sigma]))

        start = np.array([math.log(fit.sigma), 0.0, 0.0])
        tight = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000}
        return float(optimize.minimize(value, start, method="Nelder-Mead", options=tight).fun)

    found = ends(fit.intervals(0.9))
    for row, name in enumerate(("(Intercept)", "x")):
        for end in found["a", name]:
            assert end > 0
            assert lowest(row, end) - best == pytest.approx(stats.chi2.ppf(0.9, 1), abs=2e-3)


def test_intervals_of_covariates_far_from_zero():
    """The residual's interval does not care where the origin of x is, the slope's neither."""
    frame = data("sleepstudy")
    a = ends(lmm("Reaction ~ Days + (Days | Subject)", frame, factors=("Subject",)).intervals())
    frame["Days"] += 2015
    b = ends(lmm("Reaction ~ Days + (Days | Subject)", frame, factors=("Subject",)).intervals())
    assert close(a["Residual", ""], b["Residual", ""], 1e-4)
    assert close(a["Subject", "Days"], b["Subject", "Days"], 1e-3)


def test_a_zero_variance_has_an_interval_from_zero():
    fit = fitted("dyestuff2")
    (batch, residual) = fit.intervals().rows
    assert (batch.estimate, batch.low) == (0.0, 0.0)
    assert batch.high > 1
    dense = Dense.of(fit.design)

    def rise(sd: float) -> float:
        def value(log_sigma: float) -> float:
            sigma = math.exp(log_sigma)
            return dense.minus_2_log(sigma**2 * dense.v([np.array([[sd / sigma]])]))

        found = optimize.minimize_scalar(
            value, bounds=(0, 2.5), method="bounded", options={"xatol": 1e-8}
        )
        return float(found.fun) - fit.criterion_value

    assert rise(batch.high) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)
    assert residual.low < fit.sigma < residual.high


def test_levels_are_nested():
    fit = fitted("dyestuff")
    narrow, wide = ends(fit.intervals(0.8)), ends(fit.intervals(0.95))
    for key, (low, high) in narrow.items():
        assert wide[key][0] < low < high < wide[key][1]
    assert fit.intervals(0.8).confidence_level == 0.8


def test_a_record():
    found = fitted("dyestuff").intervals()
    assert list(found.table().columns) == ["group", "term", "kind", "estimate", "low", "high"]
    assert found.method == "profile of the REML criterion"
    assert set(found.to_dict()) == {"rows", "estimand", "method", "n", "confidence_level"}


def test_mistakes():
    with pytest.raises(StatsError, match="REML criterion cannot profile a fixed effect"):
        profile_fixed(fitted("dyestuff"), "(Intercept)")
    with pytest.raises(StatsError, match="there is no fixed effect 'Intercept'"):
        profile_fixed(fitted("dyestuff_ml"), "Intercept")
    with pytest.raises(StatsError, match="confidence_level"):
        fitted("dyestuff").intervals(95)
