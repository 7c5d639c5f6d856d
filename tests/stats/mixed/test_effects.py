"""Predicted random effects and residuals against matrices as large as the table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stats.mixed.fit import lmm
from tests.stats.mixed.cases import fitted
from tests.stats.mixed.dense import Dense
from tests.stats.mixed.designs import FORMULAS, unbalanced

RANDOM = tuple(name for name in FORMULAS if name != "no random term")


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("name", RANDOM)
def test_predictions_are_the_dense_ones(name: str, reml: bool):
    fit = lmm(FORMULAS[name], unbalanced(), reml=reml)
    dense = Dense.of(fit.design, reml)
    values, sds = dense.random_effects(fit.triangles), dense.random_effect_sds(fit.triangles)
    table = fit.effects()
    assert list(table.columns) == ["group", "level", "term", "value", "sd"]
    expected = np.concatenate([v.ravel() for v in values])
    assert np.allclose(table["value"], expected, atol=1e-7 * np.abs(expected).max())
    assert np.allclose(table["sd"], np.concatenate([s.ravel() for s in sds]), rtol=1e-5, atol=1e-7)
    rows = [
        (block.term.label, level, covariate)
        for block in fit.design.blocks
        for level in block.levels
        for covariate in block.names
    ]
    assert list(table[["group", "level", "term"]].itertuples(index=False, name=None)) == rows


def test_one_way_predictions_are_shrunken_means():
    fit = fitted("dyestuff")
    table = fit.effects()
    y = fit.design.frame.groupby("Batch", observed=True)["Yield"].mean()
    theta2 = fit.triangles[0][0, 0] ** 2
    shrink = 5 * theta2 / (1 + 5 * theta2)
    assert np.allclose(table["value"], shrink * (y - fit.beta[0]))
    assert np.allclose(table["sd"], fit.sigma * np.sqrt(theta2 / (1 + 5 * theta2)))
    # lme4, vignette lmer, ranef(fm01ML): at the ML estimates.
    ml = fitted("dyestuff_ml").effects()["value"]
    assert np.allclose(
        ml, [-16.62822, 0.36952, 26.97467, -21.80145, 53.57980, -42.49432], atol=1e-4
    )


def test_zero_variances_predict_zero():
    table = fitted("dyestuff2").effects()
    assert (table["value"] == 0).all()
    assert (table["sd"] == 0).all()


def test_residuals():
    frame = unbalanced()
    frame.loc[[3, 50], "x"] = np.nan
    fit = lmm("y ~ arm + x + (1 + x | a) + (1 | c)", frame, missing="drop")
    table = fit.residuals()
    assert list(table["row"]) == [i for i in range(len(frame)) if i not in (3, 50)]
    kept = frame.loc[table["row"]]
    assert np.allclose(table["fitted"] + table["residual"], kept["y"])
    assert np.allclose(table["fitted_fixed"], fit.design.x @ fit.beta)
    assert np.allclose(table["scaled"], table["residual"] / fit.sigma)
    effects = fit.effects().set_index(["group", "level", "term"])["value"]
    by_hand = [
        effects["a", a, "(Intercept)"] + effects["a", a, "x"] * x + effects["c", c, "(Intercept)"]
        for a, c, x in zip(kept["a"], kept["c"], kept["x"], strict=True)
    ]
    assert np.allclose(table["fitted"] - table["fitted_fixed"], by_hand)
    ranks = stats.rankdata(table["residual"])
    assert np.allclose(table["quantile"], stats.norm.ppf((ranks - 0.5) / len(table)))


def test_residuals_of_ordinary_least_squares():
    frame = unbalanced()
    fit = lmm("y ~ x", frame)
    table = fit.residuals()
    slope, intercept = np.polyfit(frame["x"], frame["y"], 1)
    assert np.allclose(table["residual"], frame["y"] - intercept - slope * frame["x"])
    assert fit.effects().empty
    assert list(fit.effects().columns) == ["group", "level", "term", "value", "sd"]
