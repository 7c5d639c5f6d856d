"""The deviance and its gradient, against matrices as large as the table and known values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stats.mixed.criterion import Criterion
from stats.mixed.design import build
from stats.mixed.formula import parse
from stats.mixed.moments import Moments
from tests.stats.mixed.cases import lmm_of
from tests.stats.mixed.dense import Dense
from tests.stats.mixed.designs import DIAGONAL, FORMULAS, unbalanced


def moments_of(name: str) -> Moments:
    return Moments.of(build(parse(FORMULAS[name]), unbalanced()))


def by_rows(moments: Moments) -> Moments:
    """The same, but products over levels are formed when needed."""
    assert moments.first is not None
    return replace(moments, first=replace(moments.first, sums=None))


def by_classes(moments: Moments) -> Moments:
    """The same, with sums over classes of levels even where they save nothing."""
    first = moments.first
    assert first is not None
    rows = first.cross
    k = rows.shape[1]
    sums = np.empty((first.counts.size, k, k, rows.shape[2], rows.shape[2]))
    for c in range(first.counts.size):
        own = rows[first.members == c]
        product = np.einsum("jaw,jbv->abwv", own, own)
        sums[c] = (product + product.transpose(0, 1, 3, 2)) / 2
    return replace(moments, first=replace(first, sums=sums))


def random_theta(criterion: Criterion, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    triangles = [
        np.tril(rng.normal(0, 0.6, (k, k))) + np.diag(rng.uniform(0.2, 1.5, k))
        for _, k in criterion.moments.shapes
    ]
    return criterion.pack(triangles)


def in_units_of_the_data(moments: Moments, criterion: Criterion, theta: np.ndarray) -> list:
    """Triangles in the formula's order."""
    scaled = criterion.unpack(theta)
    out: list[np.ndarray] = [np.empty(0)] * len(scaled)
    for place, t, basis in zip(moments.order, scaled, moments.bases, strict=True):
        out[place] = basis @ t
    return out


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("name", FORMULAS)
def test_deviance_is_the_dense_one(name: str, reml: bool):
    moments = moments_of(name)
    assert (moments.diagonal > 0) == (name in DIAGONAL)
    criterion = Criterion(moments, reml=reml)
    dense = Dense.of(moments.design, reml)
    for seed in range(3):
        theta = random_theta(criterion, seed)
        expected = dense.deviance(in_units_of_the_data(moments, criterion, theta))
        assert criterion.deviance(criterion.value(theta)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "no random term"])
def test_rows_and_classes_agree(name: str):
    moments = moments_of(name)
    variants = [
        Criterion(other, reml=True)
        for other in (moments, by_rows(moments), by_classes(moments), replace(moments, diagonal=0))
    ]
    theta = random_theta(variants[0], 7)
    values = [variant.value_and_gradient(theta) for variant in variants]
    slopes = [v.slopes(v.state(theta), 1.3) for v in variants]
    for (value, gradient), slope in zip(values[1:], slopes[1:], strict=True):
        assert value == pytest.approx(values[0][0], abs=1e-10)
        assert np.allclose(gradient, values[0][1], atol=1e-9)
        for one, other in zip(slope, slopes[0], strict=True):
            assert np.allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "no random term"])
def test_gradient_is_the_slope(name: str, reml: bool):
    criterion = Criterion(moments_of(name), reml=reml)
    for seed in range(2):
        theta = random_theta(criterion, 10 + seed)
        value, gradient = criterion.value_and_gradient(theta)
        assert value == pytest.approx(criterion.value(theta), abs=1e-10)
        steps = 1e-4 * np.eye(theta.size)

        def by(h: float, theta: np.ndarray = theta, steps: np.ndarray = steps) -> np.ndarray:
            return np.array(
                [
                    (criterion.value(theta + h * s) - criterion.value(theta - h * s)) / (2e-4 * h)
                    for s in steps
                ]
            )

        assert np.allclose(gradient, (4 * by(1.0) - by(2.0)) / 3, atol=2e-7, rtol=2e-7)


@pytest.mark.parametrize("name", ["scalar", "slopes", "nested", "crossed slopes"])
def test_slopes_by_the_covariance_are_right_derivatives(name: str):
    """slopes . D is the derivative of the deviance along T T' + h D."""
    criterion = Criterion(moments_of(name), reml=True)
    theta = random_theta(criterion, 3)
    state = criterion.state(theta)
    slopes = criterion.slopes(state, criterion.dof / state.r2)
    triangles = list(criterion.unpack(theta))
    rng = np.random.default_rng(5)
    for i, t in enumerate(triangles):
        d = rng.normal(size=t.shape)
        d = d + d.T
        h = 1e-5
        ends = []
        for sign in (1, -1):
            trial = [*triangles]
            trial[i] = np.linalg.cholesky(t @ t.T + sign * h * d)
            ends.append(criterion.value(criterion.pack(trial)))
        assert float((slopes[i] * d).sum()) == pytest.approx(
            (ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-6
        )


def test_the_deviance_does_not_change_with_the_sign_of_a_column():
    criterion = Criterion(moments_of("crossed slopes"), reml=True)
    theta = random_theta(criterion, 1)
    triangles = criterion.unpack(theta)
    flipped = criterion.pack([t * np.array([-1.0, 1.0]) for t in triangles])
    assert criterion.value(flipped) == pytest.approx(criterion.value(theta), abs=1e-10)


def test_documented_values_of_dyestuff():
    """lme4, tests/testthat/test-lmer.R."""
    criterion = lmm_of("Yield ~ 1 + (1 | Batch)", "dyestuff").criterion
    values = {1.0: 319.792389042002, 0.0: 326.023232155879}
    for theta, expected in values.items():
        found = criterion.deviance(criterion.value(np.array([theta])))
        assert found == pytest.approx(expected, abs=1e-9)


def test_documented_value_of_sleepstudy():
    """lme4, tests/REMLdev.R: the REML criterion at lme4.0's theta."""
    fit = lmm_of("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    assert fit.criterion_value <= 1743.6282722424
    dense = Dense.of(fit.design)
    triangle = np.array([[0.96673, 0.0], [0.01517, 0.23091]])
    assert np.allclose(fit.triangles[0], triangle, atol=6e-6)
    assert dense.deviance([triangle]) == pytest.approx(1743.6282722424, abs=1e-6)


@pytest.mark.parametrize("name", FORMULAS)
def test_another_response_is_as_good_as_another_table(name: str):
    moments = moments_of(name)
    y = np.random.default_rng(4).normal(50, 3, moments.n)
    frame = unbalanced().assign(y=y)
    anew = Moments.of(build(parse(FORMULAS[name]), frame))
    variants = [moments.with_response(y)]
    if moments.first is not None:
        variants += [by_rows(moments).with_response(y), by_classes(moments).with_response(y)]
    expected = Criterion(anew, reml=True)
    theta = random_theta(expected, 2)
    for variant in variants:
        criterion = Criterion(variant, reml=True)
        assert criterion.deviance(criterion.value(theta)) == pytest.approx(
            expected.deviance(expected.value(theta)), abs=1e-10
        )
        assert np.allclose(
            criterion.value_and_gradient(theta)[1], expected.value_and_gradient(theta)[1]
        )
        assert np.allclose(variant.beta0, anew.beta0)


def test_a_huge_ratio_of_variances_keeps_its_digits():
    """theta = 3000: group means carry everything, and the residual must not drown in rounding."""
    rng = np.random.default_rng(0)
    frame = unbalanced()
    frame["y"] = frame["a"].map({f"a{i}": v for i, v in enumerate(rng.normal(0, 3e3, 6))})
    frame["y"] += rng.normal(0, 1, len(frame))
    moments = Moments.of(build(parse("y ~ x + (1 | a)"), frame))
    criterion = Criterion(moments, reml=True)
    within = frame["y"] - frame.groupby("a")["y"].transform("mean")
    within_x = frame["x"] - frame.groupby("a")["x"].transform("mean")
    slope = float((within * within_x).sum() / (within_x**2).sum())
    # At theta -> infinity the slope is the one within groups.
    state = criterion.state(np.array([3000.0]))
    beta = moments.beta0 + moments.scale * np.linalg.solve(moments.r, state.beta)
    assert beta[1] == pytest.approx(slope, abs=1e-5)
    dense = Dense.of(moments.design)
    assert criterion.deviance(criterion.value(np.array([3000.0]))) == pytest.approx(
        dense.deviance([np.array([[3000.0]])]), abs=1e-6
    )


def test_levels_of_very_different_size_are_not_taken_for_alike():
    """A covariate that is 1e8 times larger in one level than in the others."""
    frame = unbalanced()
    frame["x"] = frame["x"] * np.where(frame["a"] == "a0", 1e8, 1.0)
    moments = Moments.of(build(parse("y ~ arm + (0 + x | a)"), frame))
    assert moments.first is not None
    assert moments.first.counts.size == 6
    criterion = Criterion(moments, reml=True)
    design = moments.design
    for theta in (1.0, 1e6, 1e8):
        t = theta * moments.bases[0][0, 0]
        # Level by level in closed form: V_j^-1 = I - t^2 x x' / (1 + t^2 x'x).
        both = np.column_stack([design.x, design.y])
        cross, logdet = both.T @ both, 0.0
        for level in range(6):
            rows = design.blocks[0].index == level
            x = design.blocks[0].z[rows, 0]
            along = both[rows].T @ x
            cross -= np.outer(along, along) * t**2 / (1 + t**2 * x @ x)
            logdet += np.log1p(t**2 * x @ x)
        xx, xy, yy = cross[:-1, :-1], cross[:-1, -1], cross[-1, -1]
        r2, dof = yy - xy @ np.linalg.solve(xx, xy), criterion.dof
        expected = logdet + np.linalg.slogdet(xx)[1] + dof * (1 + np.log(2 * np.pi * r2 / dof))
        found = criterion.deviance(criterion.value(np.array([theta])))
        assert found == pytest.approx(expected, abs=1e-6)


def test_equal_levels_are_one_class_whatever_the_order_of_rows():
    """A balanced design: every level has the same cross products, so that sums serve for all."""
    frame = pd.DataFrame({"g": np.repeat(range(40), 6), "x": np.tile(np.arange(6) / 7 + 0.1, 40)})
    frame["y"] = np.random.default_rng(0).normal(size=240)
    frame = frame.sample(frac=1, random_state=1)
    first = Moments.of(build(parse("y ~ x + (1 + x | g)"), frame)).first
    assert first is not None
    assert first.counts.tolist() == [40]
    assert first.sums is not None


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]):
    """LAPACK writes complaints to the terminal itself."""
    for name in sorted(DIAGONAL):
        criterion = Criterion(moments_of(name), reml=True)
        criterion.value_and_gradient(random_theta(criterion, 0))
    assert capfd.readouterr() == ("", "")
