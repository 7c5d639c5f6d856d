"""What must not matter: order, names, units, origins, the coding of factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from stats.mixed.fit import LmmFit, lmm
from tests.stats.mixed.designs import FORMULAS, unbalanced

SOME = ("slopes", "nested and crossed", "crossed slopes", "factor slopes", "no random term")
DDF = ("kenward-roger", "satterthwaite", "containment")


@dataclass(frozen=True)
class Numbers:
    """What is compared: t, df and p of every effect, F and df of every term, SDs."""

    criterion: float
    t: np.ndarray
    df: np.ndarray
    f: np.ndarray
    sd: np.ndarray
    sigma: float

    @classmethod
    def of(cls, fit: LmmFit) -> Numbers:
        tests = [fit.fixed(ddf).table() for ddf in DDF]
        joint = [fit.anova(type, "kenward-roger").table() for type in (2, 3)]
        return cls(
            fit.criterion_value,
            np.concatenate([t["statistic"] for t in tests]),
            np.concatenate([t["df"] for t in tests]),
            np.concatenate([np.r_[f["F"], f["den_df"]] for f in joint]),
            np.concatenate([c.sd for c in fit.components] or [np.empty(0)]),
            fit.sigma,
        )


def same(one: Numbers, other: Numbers, *, scale: float = 1.0, but: tuple[str, ...] = ()) -> None:
    if "criterion" not in but:
        assert one.criterion == pytest.approx(other.criterion, abs=1e-6)
    if "intercept" not in but:
        assert np.allclose(one.t, other.t, rtol=2e-5, atol=1e-6)
        assert np.allclose(one.df, other.df, rtol=2e-4)
    assert np.allclose(one.f, other.f, rtol=2e-4)
    if "sd" not in but:
        assert np.allclose(one.sd * scale, other.sd, rtol=2e-4, atol=1e-6 * scale)
    assert one.sigma * scale == pytest.approx(other.sigma, rel=1e-5)


@pytest.mark.parametrize("name", SOME)
def test_order_of_rows(name: str):
    frame = unbalanced()
    other = frame.sample(frac=1, random_state=3)
    a, b = lmm(FORMULAS[name], frame), lmm(FORMULAS[name], other)
    same(Numbers.of(a), Numbers.of(b))
    assert np.allclose(a.beta, b.beta, rtol=1e-6)
    ours = a.residuals()["residual"].to_numpy()
    assert np.allclose(ours[other.index], b.residuals()["residual"], atol=1e-5)
    left, right = a.effects(), b.effects()
    assert list(left["level"]) == list(right["level"])
    assert np.allclose(left["value"].astype(float), right["value"].astype(float), atol=1e-5)


@pytest.mark.parametrize("name", SOME)
def test_names_of_levels(name: str):
    frame = unbalanced()
    other = frame.assign(
        a=frame["a"].map({f"a{i}": v for i, v in enumerate("zyxwvu")}),
        c=frame["c"].map({f"c{i}": (7 * i) % 5 for i in range(5)}),
        b=frame["b"].map({"b0": "x", "b1": "a:b", "b2": " 1"}),
    )
    a, b = lmm(FORMULAS[name], frame), lmm(FORMULAS[name], other)
    same(Numbers.of(a), Numbers.of(b))
    renamed = b.effects()
    back = dict(zip("zyxwvu", (f"a{i}" for i in range(6)), strict=True))
    if name == "slopes":
        renamed["level"] = renamed["level"].map(back)
        both = a.effects().merge(renamed, on=["group", "level", "term"])
        assert len(both) == 12
        assert np.allclose(both["value_x"], both["value_y"], atol=1e-5)


@pytest.mark.parametrize("name", SOME)
def test_unit_of_the_response(name: str):
    frame = unbalanced()
    a = lmm(FORMULAS[name], frame)
    for factor in (1e3, 1e-6):
        b = lmm(FORMULAS[name], frame.assign(y=factor * frame["y"]))
        same(Numbers.of(a), Numbers.of(b), scale=factor, but=("criterion",))
        dof = a.n - len(a.beta)
        assert b.criterion_value - a.criterion_value == pytest.approx(2 * dof * np.log(factor))
        assert np.allclose(a.beta * factor, b.beta, rtol=1e-5)


@pytest.mark.parametrize("name", ["slopes", "nested and crossed"])
def test_origin_of_the_response(name: str):
    frame = unbalanced()
    a = lmm(FORMULAS[name], frame)
    b = lmm(FORMULAS[name], frame.assign(y=frame["y"] + 1e6))
    same(Numbers.of(a), Numbers.of(b), but=("intercept",))
    assert np.allclose(a.beta[1:], b.beta[1:], atol=1e-5)
    assert b.beta[0] - a.beta[0] == pytest.approx(1e6, abs=1e-4)


@pytest.mark.parametrize("unit", [1e4, 1e-9])
@pytest.mark.parametrize("name", ["slopes", "crossed slopes", "no random term"])
def test_unit_of_a_covariate(name: str, unit: float):
    frame = unbalanced()
    a = lmm(FORMULAS[name], frame)
    b = lmm(FORMULAS[name], frame.assign(x=frame["x"] * unit))
    same(Numbers.of(a), Numbers.of(b), but=("criterion", "sd"))
    assert b.beta[b.names.index("x")] * unit == pytest.approx(a.beta[a.names.index("x")], rel=1e-5)


@pytest.mark.parametrize("shift", [3.0, 2015.0])
def test_origin_of_a_covariate_with_correlated_slopes(shift: float):
    """The intercept moves, everything else stays: the correlation must be there for that."""
    frame = unbalanced()
    a = lmm("y ~ arm + x + (1 + x | a)", frame)
    b = lmm("y ~ arm + x + (1 + x | a)", frame.assign(x=frame["x"] + shift))
    same(Numbers.of(a), Numbers.of(b), but=("intercept", "sd"))
    assert np.allclose(a.beta[1:], b.beta[1:], rtol=1e-4)
    moved = np.array([[1.0, -shift], [0.0, 1.0]])
    expected = moved @ a.components[0].covariance @ moved.T
    assert np.allclose(b.components[0].covariance, expected, rtol=2e-3)
    # Without the correlation the origin does matter (the mutant of this test).
    c = lmm("y ~ arm + x + (1 + x || a)", frame)
    d = lmm("y ~ arm + x + (1 + x || a)", frame.assign(x=frame["x"] + shift))
    assert abs(c.criterion_value - d.criterion_value) > 1e-3


def test_years_are_a_covariate_like_any_other():
    """2015 .. 2025: nearly collinear with the intercept, in X and in Z."""
    rng = np.random.default_rng(1)
    year = np.tile(np.arange(2015, 2026), 14)
    group = np.repeat(np.arange(14), 11)
    y = 3 + 0.5 * (year - 2020) + rng.normal(0, 2, 14)[group]
    y = y + rng.normal(0, 0.6, 14)[group] * (year - 2020) + rng.normal(size=year.size)
    frame = pd.DataFrame({"y": y, "year": year, "since": year - 2020, "g": group})
    raw = lmm("y ~ year + (1 + year | g)", frame)
    centred = lmm("y ~ since + (1 + since | g)", frame)
    assert raw.criterion_value == pytest.approx(centred.criterion_value, abs=1e-5)
    assert raw.sigma == pytest.approx(centred.sigma, rel=1e-4)
    for ddf in DDF:
        a, b = raw.fixed(ddf).tests[1], centred.fixed(ddf).tests[1]
        assert (a.estimate, a.se) == pytest.approx((b.estimate, b.se), rel=1e-4)
        assert a.df == pytest.approx(b.df, rel=1e-3)
    slope = [c.covariance[1, 1] for c in (raw.components[0], centred.components[0])]
    assert slope[0] == pytest.approx(slope[1], rel=1e-3)


def test_coding_does_not_change_the_model():
    frame = unbalanced()
    formula = "y ~ arm * x + (1 | a) + (1 | c)"
    a, b = lmm(formula, frame), lmm(formula, frame, contrasts="sum")
    assert a.sigma == pytest.approx(b.sigma, rel=1e-6)
    for type in (2, 3):
        left, right = a.anova(type).table(), b.anova(type).table()
        assert np.allclose(left["F"], right["F"], rtol=1e-5)
        assert np.allclose(left["den_df"], right["den_df"], rtol=1e-5)
    one, other = a.emm("arm").table(), b.emm("arm").table()
    for column in ("mean", "se", "df", "ci_low"):
        assert np.allclose(one[column], other[column], rtol=1e-5)
    # REML criteria of different codings do not compare; ML ones do.
    assert abs(a.criterion_value - b.criterion_value) > 0.1
    ml = [
        lmm(formula, frame, contrasts=c, reml=False).criterion_value for c in ("sum", "treatment")
    ]
    assert ml[0] == pytest.approx(ml[1], abs=1e-7)


def test_order_of_terms_in_the_formula():
    frame = unbalanced()
    a = lmm("y ~ arm + x + (1 | c) + (1 + x | a)", frame)
    b = lmm("y ~ arm + x + (1 + x | a) + (1 | c)", frame)
    assert a.criterion_value == pytest.approx(b.criterion_value, abs=1e-8)
    assert [c.group for c in a.components] == ["c", "a"]
    assert np.allclose(a.components[1].covariance, b.components[0].covariance, rtol=1e-4)
    assert np.allclose(a.fixed().table()["df"], b.fixed().table()["df"], rtol=1e-5)


def test_covariates_in_wildly_different_units_at_once():
    frame = unbalanced()
    frame["year"], frame["tiny"] = 2015.0 + np.arange(96) % 11, 1e-9 * frame["w"]
    a = lmm("y ~ arm * w + x + (1 | a)", frame.assign(x=frame["year"] - 2020))
    b = lmm("y ~ arm * tiny + year + (1 | a)", frame)
    for type in (2, 3):
        left, right = a.anova(type).table(), b.anova(type).table()
        assert np.allclose(left["F"], right["F"], rtol=1e-4)
        assert np.allclose(left["den_df"], right["den_df"], rtol=1e-4)
