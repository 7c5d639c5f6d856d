"""Every model of ``data/lme4_reference.json``: what R's lme4, lmerTest and pbkrtest found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stats.mixed.contest import TTest
from stats.mixed.fit import LmmFit
from tests.stats.mixed.cases import MODELS, fitted, r_name

NAMES = tuple(MODELS)
WITH_KR = tuple(name for name in NAMES if MODELS[name]["reml"])
WITH_TERMS = tuple(name for name in NAMES if MODELS[name]["anova"])


def by_r_name(fit: LmmFit, ddf: str) -> dict[str, TTest]:
    return {r_name(fit, test.term): test for test in fit.fixed(ddf).tests}


def covariances(fit: LmmFit) -> list[tuple[str, str, str, float]]:
    """Group, first covariate, second (or the same), and the entry of the covariance matrix."""
    return [
        (c.group, r_name(fit, c.names[i]), r_name(fit, c.names[j]), float(c.covariance[i, j]))
        for c in fit.components
        for i in range(len(c.names))
        for j in range(i + 1)
    ]


def close_p(ours: float, theirs: float) -> bool:
    return abs(math.log(ours) - math.log(theirs)) <= 1e-3


def test_every_model_is_here():
    assert len(NAMES) == 13
    assert {MODELS[name]["contrasts"] for name in NAMES} == {"treatment", "sum"}


@pytest.mark.parametrize("name", NAMES)
def test_criterion_and_rows(name: str):
    fit, model = fitted(name), MODELS[name]
    assert fit.n == model["n"]
    assert fit.criterion_value <= model["criterion"] + 1e-6
    # R's optimum was polished: a much lower criterion would mean another criterion.
    slack = 1e-6 if (model["gradient"] or 0) < 1e-5 else 1e-3
    assert fit.criterion_value == pytest.approx(model["criterion"], abs=slack)
    assert fit.boundary == model["singular"]
    assert fit.optimum.converged


@pytest.mark.parametrize("name", NAMES)
def test_fixed_effects(name: str):
    model = MODELS[name]
    fit = fitted(name)
    ours = by_r_name(fit, "satterthwaite")
    assert set(ours) == {row["term"] for row in model["fixed"]}
    for row in model["fixed"]:
        test = ours[row["term"]]
        assert test.estimate == pytest.approx(row["estimate"], rel=1e-5)
        assert test.se == pytest.approx(row["se"], rel=1e-5)
        assert test.df == pytest.approx(row["df_satterthwaite"], rel=1e-3)
        assert test.statistic == pytest.approx(row["t"], rel=2e-5)
        assert close_p(test.p, row["p"])


@pytest.mark.parametrize("name", WITH_KR)
def test_kenward_roger(name: str):
    ours = by_r_name(fitted(name), "kenward-roger")
    for row in MODELS[name]["fixed"]:
        test = ours[row["term"]]
        assert test.se == pytest.approx(row["se_kr"], rel=1e-5)
        assert test.df == pytest.approx(row["df_kr"], rel=1e-3)
        assert close_p(test.p, row["p_kr"])


@pytest.mark.parametrize("name", NAMES)
def test_variance_components(name: str):
    model = MODELS[name]
    fit = fitted(name)
    rel = 1e-3 if (model["gradient"] or 0) > 1e-5 else 1e-4
    ours = {frozenset((g, a, b)): value for g, a, b, value in covariances(fit)}
    theirs = [row for row in model["varcomp"] if row["grp"] != "Residual"]
    assert len(ours) == len(theirs)
    for row in theirs:
        group = row["grp"].removesuffix(".1")
        key = frozenset((group, row["var1"], row["var2"] or row["var1"]))
        if row["vcov"] == 0:
            assert ours[key] == 0
        else:
            assert ours[key] == pytest.approx(row["vcov"], rel=rel)
    (residual,) = (row["vcov"] for row in model["varcomp"] if row["grp"] == "Residual")
    assert fit.sigma**2 == pytest.approx(residual, rel=rel)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("name", WITH_TERMS)
def test_type_3(name: str, ddf: str):
    rows: list[dict[str, Any]] = MODELS[name]["anova" if ddf == "satterthwaite" else "anova_kr"]
    tests = fitted(name).anova(3, ddf).tests
    assert [test.term for test in tests] == [row["term"] for row in rows]
    for test, row in zip(tests, rows, strict=True):
        assert test.num_df == row["num_df"]
        assert test.den_df == pytest.approx(row["den_df"], rel=1e-3)
        assert pytest.approx(row["F"], rel=2e-5) == test.F
        assert close_p(test.p, row["p"])


@pytest.mark.parametrize("name", [n for n in WITH_KR if n != "dyestuff2"])
def test_auto_is_kenward_roger_off_the_boundary(name: str):
    fit = fitted(name)
    assert [t.df for t in fit.fixed().tests] == [t.df for t in fit.fixed("kenward-roger").tests]
    assert np.allclose(fit.fixed().covariance, fit.fixed("kenward-roger").covariance, rtol=1e-12)
