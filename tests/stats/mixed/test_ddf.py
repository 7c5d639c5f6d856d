"""Degrees of freedom against matrices as large as the table and numerical differentiation."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from stats.errors import StatsError
from stats.mixed import containment
from stats.mixed.contest import joint
from stats.mixed.fit import LmmFit, lmm
from tests.stats.mixed.cases import fitted
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
        assert pytest.approx(f, rel=1e-6) == joint(fit, rows, "all", ddf="kenward-roger").F


@pytest.mark.parametrize(
    ("name", "reml"),
    [
        *((name, True) for name in RANDOM),
        *((name, False) for name in ("scalar", "slopes", "nested and crossed", "crossed slopes")),
    ],
)
def test_satterthwaite_by_numerical_differentiation(name: str, reml: bool):
    fit = interior(name, reml)
    rows = contrasts(fit)
    expected = satterthwaite(fit, rows)
    ours = [fit.contrast(row, ddf="satterthwaite").tests[0].df for row in rows]
    assert ours == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["slopes", "nested", "crossed slopes"])
def test_one_degree_of_freedom_is_satterthwaite_with_the_expected_information(name: str):
    """df_KR = 2 v^2 / (g'Wg), with W twice the inverse of the expected information."""
    fit, dense = interior(name), dense_kr(name)
    for row in contrasts(fit):
        g = np.array([row @ dense.phi @ p @ dense.phi @ row for p in dense.p])
        expected = 2 * float(row @ dense.phi @ row) ** 2 / float(g @ dense.w @ g)
        assert fit.contrast(row, ddf="kenward-roger").tests[0].df == pytest.approx(expected)


def test_without_random_terms_every_choice_is_the_residual_df():
    fit = interior("no random term")
    left = fit.n - len(fit.beta)
    for ddf in ("auto", "kenward-roger", "satterthwaite", "containment"):
        assert [t.df for t in fit.fixed(ddf).tests] == pytest.approx([left] * len(fit.beta))
        assert [t.den_df for t in fit.anova(3, ddf).tests] == pytest.approx([left] * 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dyestuff", [5]),
        ("machines", [5, 10, 10]),
        ("machines_slopes", [5, 5, 5]),
        ("sleepstudy", [17, 17]),
        ("sleepstudy_uncorrelated", [17, 17]),
        ("oats", [5, 10, 10, *[45] * 9]),
        ("tvbo", [7, 14, 14, 21, 21, 21, *[138] * 6]),
    ],
)
def test_containment_is_the_classical_analysis(name: str, expected: list[int]):
    """Split plots, blocks and slopes: the df of the analysis of variance's error strata."""
    assert [t.df for t in fitted(name).fixed("containment").tests] == expected


def test_containment_takes_the_fewest_of_a_contrast():
    fit = fitted("oats")
    assert (
        fit.contrast({"Variety[Marvellous]": 1, "nitro[0]": 1}, ddf="containment").tests[0].df == 10
    )
    assert {t.df for t in fit.emm("nitro", ddf="containment").tests.tests} == {5.0}
    assert [t.den_df for t in fit.anova(3, "containment").tests] == [10, 45, 45]


def test_containment_refuses_what_takes_too_long(monkeypatch: pytest.MonkeyPatch):
    fit = lmm("y ~ arm + x + (1 | a)", unbalanced())
    monkeypatch.setattr(containment, "MOST_COLUMNS", 5)
    with pytest.raises(StatsError, match="ranks take too long"):
        fit.fixed("containment")


def test_mistakes():
    fit = interior("scalar")
    with pytest.raises(StatsError, match="'kenward' is not a choice; did you mean 'kenward-roger'"):
        fit.fixed("kenward")
    ml = interior("scalar", reml=False)
    with pytest.raises(StatsError, match="Kenward-Roger needs a REML fit"):
        ml.anova(3, "kenward-roger")
    assert ml.fixed().ddf == "satterthwaite"
