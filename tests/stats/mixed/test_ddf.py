"""Degrees of freedom against matrices as large as the table and numerical differentiation."""

from __future__ import annotations

import functools
import math

import numpy as np
import pandas as pd
import pytest

from stats.errors import StatsError
from stats.mixed.contest import joint
from stats.mixed.ddf import KenwardRoger, containment
from stats.mixed.fit import LmmFit, lmm
from tests.stats.mixed.cases import data, lmm_of
from tests.stats.mixed.dense import Dense, DenseKenwardRoger, satterthwaite
from tests.stats.mixed.designs import FORMULAS, unbalanced

RANDOM = tuple(name for name in FORMULAS if name != "no random term")


@functools.cache
def interior(name: str, reml: bool = True) -> LmmFit:
    return lmm(FORMULAS[name], unbalanced(), reml=reml)


@functools.cache
def dense_kr(name: str) -> DenseKenwardRoger:
    fit = interior(name)
    dense = Dense.of(fit.design)
    return DenseKenwardRoger.of(dense, fit.sigma**2 * dense.v(fit.triangles))


def contrasts(fit: LmmFit) -> np.ndarray:
    p = len(fit.beta)
    return np.vstack([np.eye(p), np.random.default_rng(2).normal(size=(2, p))])


@pytest.mark.parametrize("name", RANDOM)
def test_kenward_roger_is_the_textbook_one(name: str):
    fit, dense = interior(name), dense_kr(name)
    assert np.allclose(fit.covariance, dense.phi, rtol=1e-7)
    adjusted = fit.sigma**2 * fit.kenward_roger.adjusted
    assert np.allclose(adjusted, dense.adjusted, rtol=1e-6, atol=1e-9 * np.abs(adjusted).max())
    for row in contrasts(fit):
        df, scale, f = dense.test(row[None], fit.beta)
        ours = fit.contrast(row, ddf="kenward-roger").tests[0]
        assert scale == pytest.approx(1.0, abs=1e-8)
        assert ours.df == pytest.approx(df, rel=1e-6)
        assert ours.statistic**2 == pytest.approx(f, rel=1e-6)
    rows = np.eye(len(fit.beta))[1:]
    if len(rows) > 1:
        df, scale, f = dense.test(rows, fit.beta)
        assert fit.kenward_roger.test(rows) == pytest.approx((df, scale), rel=1e-6)
        assert joint(fit, rows, "all", ddf="kenward-roger").F == pytest.approx(f, rel=1e-6)


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("name", RANDOM)
def test_satterthwaite_by_numerical_differentiation(name: str, reml: bool):
    fit = interior(name, reml)
    rows = contrasts(fit)
    expected = satterthwaite(fit, rows)
    ours = [fit.contrast(row, ddf="satterthwaite").tests[0].df for row in rows]
    assert ours == pytest.approx(expected, rel=1e-4)
