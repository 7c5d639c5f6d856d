"""Zero variances, correlations of one, false boundaries, groups of few levels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stats.mixed.criterion import Criterion
from stats.mixed.design import build
from stats.mixed.fit import lmm
from stats.mixed.formula import parse
from stats.mixed.moments import Moments
from stats.mixed.optimise import minimise
from tests.stats.mixed.cases import data, fitted
from tests.stats.mixed.designs import FORMULAS, unbalanced


def test_dyestuff2():
    """Batches vary less than by chance: theta is zero, and pbkrtest's df 5 not lmerTest's 29."""
    fit = fitted("dyestuff2")
    assert fit.boundary
    assert fit.triangles[0].tolist() == [[0.0]]
    assert fit.components[0].singular
    expected = {"auto": 5, "kenward-roger": 5, "satterthwaite": 29, "containment": 5}
    for ddf, df in expected.items():
        (test,) = fit.fixed(ddf).tests
        assert test.df == pytest.approx(df, rel=1e-9)
        assert test.se == pytest.approx(0.6783880312325, rel=1e-9)
    assert fit.fixed().tests[0].p == pytest.approx(0.0004026832579051, rel=1e-6)
    assert fit.fixed("satterthwaite").tests[0].p == pytest.approx(3.318292749197e-09, rel=1e-6)
    assert fit.notes == ("(1 | Batch) is estimated as zero (on the boundary).",)
    assert "on the boundary" in fit.summary()
    assert "forgets the clustering" in fit.summary("satterthwaite")


def sleepstudy_with_a_group_of_two() -> pd.DataFrame:
    """One subject against the rest: the group's variance is zero, and it has two levels."""
    frame = data("sleepstudy")
    frame["g"] = np.where(frame["Subject"] == frame["Subject"].min(), "one", "rest")
    return frame


def test_a_zero_variance_of_two_levels_does_not_eat_the_df():
    frame = sleepstudy_with_a_group_of_two()
    fit = lmm("Reaction ~ Days + (Days | Subject) + (1 | g)", frame, factors=("Subject",))
    plain = fitted("sleepstudy")
    assert fit.boundary
    assert fit.components[1].sd.tolist() == [0.0]
    assert [t.df for t in fit.fixed().tests] == pytest.approx([17, 17], rel=1e-3)
    assert [t.se for t in fit.fixed().tests] == pytest.approx(
        [t.se for t in plain.fixed().tests], rel=1e-3
    )
    # What pbkrtest says of it: .0136 degrees of freedom, F 81 and not 1357.
    asked = fit.fixed("kenward-roger").tests[0]
    assert asked.df == pytest.approx(0.0136, abs=5e-4)
    assert asked.statistic**2 == pytest.approx(81.3, abs=0.3)
    assert fit.fixed().tests[0].statistic ** 2 == pytest.approx(1357.1, abs=0.5)
    assert any("2 levels" in note for note in fit.notes)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_a_zero_variance_of_few_pairs_keeps_their_df(n):
    """Without it the rows would count as independent: 2 (n - 1), and a small p for nothing."""
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=2 * n)
        names = [f"s{i}" for i in range(n)]
        frame = pd.DataFrame({"seed": names * 2, "arm": ["a"] * n + ["b"] * n, "y": noise})
        fit = lmm("y ~ arm + (1 | seed)", frame)
        if fit.boundary:
            assert [t.df for t in fit.fixed().tests] == pytest.approx([n - 1, n - 1])
            assert fit.fixed("satterthwaite").tests[1].df == pytest.approx(2 * (n - 1))
            return
    raise AssertionError("no fit on the boundary")


def test_a_false_boundary_is_left():
    """theta = 0 is a stationary point that is a local maximum: a start there must not stay."""
    frame = unbalanced()
    criterion = Criterion(Moments.of(build(parse("y ~ arm + (1 | a)"), frame)), reml=True)
    zero = np.zeros(1)
    assert criterion.value_and_gradient(zero)[1] == pytest.approx([0.0], abs=1e-12)
    assert criterion.value(zero) > criterion.value(np.array([0.05])), "a local maximum"
    best = minimise(criterion)
    from_zero = minimise(criterion, zero)
    assert from_zero.value == pytest.approx(best.value, abs=1e-8)
    assert not from_zero.boundary
    # Without the check of the slope by the variance the search ends where it began.
    assert from_zero.theta[0] > 0.5


@pytest.mark.parametrize(
    "name", ["slopes", "crossed slopes", "nested and crossed", "factor slopes"]
)
def test_zero_starts_of_larger_models(name: str):
    criterion = Criterion(Moments.of(build(parse(FORMULAS[name]), unbalanced())), reml=True)
    best = minimise(criterion)
    found = minimise(criterion, np.zeros(criterion.size))
    assert found.value == pytest.approx(best.value, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["slopes", "crossed", "nested and crossed slopes"])
def test_no_start_finds_a_better_optimum(name: str, seed: int):
    """Effects near zero, where optima lie on the boundary: ten random starts and all faces."""
    fit = lmm(FORMULAS[name], unbalanced(seed, spread=0.15))
    rng = np.random.default_rng(seed)
    for _ in range(5):
        start = rng.normal(0, rng.choice([0.1, 1.0]), fit.criterion.size)
        found = minimise(fit.criterion, start)
        assert fit.optimum.value <= found.value + 1e-6
    assert fit.optimum.converged


def test_optima_satisfy_the_karush_kuhn_tucker_condition():
    """At a zero variance the deviance rises with the variance; elsewhere its slope is zero."""
    boundaries = 0
    for seed in range(8):
        fit = lmm("y ~ arm + (1 | a) + (1 | c)", unbalanced(seed, spread=0.15))
        state = fit.criterion.state(fit.optimum.theta)
        slopes = fit.criterion.slopes(state, fit.criterion.dof / state.r2)
        for t, slope in zip(fit.criterion.unpack(fit.optimum.theta), slopes, strict=True):
            if t[0, 0] == 0:
                boundaries += 1
                assert slope[0, 0] >= -1e-6
            else:
                assert abs(float(2 * slope[0, 0] * t[0, 0])) < 1e-3
    assert boundaries >= 3


def test_a_correlation_of_one_is_a_boundary():
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(12), 6), np.tile(np.arange(6.0), 12)
    effect = rng.normal(0, 3, 12)[g]
    frame = pd.DataFrame({"y": effect * (1 + 0.5 * x) + rng.normal(size=72), "x": x, "g": g})
    fit = lmm("y ~ x + (1 + x | g)", frame)
    assert fit.boundary
    (row,) = [r for r in fit.random().to_dict("records") if r["term"] == "x"]
    assert row["correlation"] == pytest.approx(1.0, abs=1e-3)
    assert fit.components[0].sd.min() > 0.5
    assert any("without full rank" in note for note in fit.notes)


def test_fixed_effects_do_not_vanish_at_the_boundary():
    """statsmodels #10239: zeros for all fixed effects where the variance is near zero."""
    frame = unbalanced(1, spread=0.0)
    rng = np.random.default_rng(3)
    frame["y"] = 5 + 2 * frame["x"] + rng.normal(size=len(frame))
    frame["y"] -= frame.groupby("a")["y"].transform("mean") - 5 - 2 * frame["x"].mean()
    fit = lmm("y ~ x + (1 | a)", frame)
    assert fit.boundary
    expected = np.polyfit(frame["x"], frame["y"], 1)[::-1]
    assert np.allclose(fit.beta, expected, rtol=1e-8)
    assert min(t.se for t in fit.fixed("satterthwaite").tests) > 0.05


def test_few_levels_are_noted():
    fit = lmm("y ~ x + (1 | b)", unbalanced())
    assert "fewer than 5 is hardly estimable; treat b as fixed" in fit.notes[0]


def test_the_headline_never_has_more_df_than_the_design_leaves():
    for seed in range(6):
        fit = lmm("y ~ arm + x + (1 | a) + (1 | a:arm) + (1 | c)", unbalanced(seed, spread=0.1))
        if fit.boundary:
            kept = [i for i in range(3) if not fit.negligible(i)]
            assert kept == [0, 1, 2]
            limit = [t.df for t in fit.fixed("containment").tests]
            ours = [t.df for t in fit.fixed().tests]
            asked = [t.df for t in fit.fixed("kenward-roger").tests]
            assert ours == pytest.approx(np.minimum(limit, asked))
