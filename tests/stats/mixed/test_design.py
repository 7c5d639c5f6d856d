"""From a table to matrices: names, coding, and every mistake in one sentence."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from stats.errors import StatsError
from stats.mixed.contest import estimable_rows
from stats.mixed.design import ModelDesign, build
from stats.mixed.fit import lmm
from stats.mixed.formula import parse
from tests.stats.mixed.designs import unbalanced

N = 60


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    frame = pd.DataFrame(
        {
            "y": rng.normal(10, 1, N), "x": x, "z": rng.normal(size=N), "positive": np.exp(x),
            "arm": rng.choice(["a2", "a10", "a1"], N), "g": rng.integers(0, 8, N),
            "h": [f"h{i}" for i in rng.integers(0, 5, N)], "flag": rng.random(N) > 0.5,
            "one": "only", "row": range(N), "constant": 1.0, "k": rng.integers(0, 3, N),
        }
    )  # fmt: skip
    frame["sized"] = pd.Categorical(
        rng.choice(["small", "large"], N), categories=["small", "never", "large"]
    )
    return frame


def made(formula: str, frame: pd.DataFrame | None = None, **options: object) -> ModelDesign:
    return build(parse(formula), table() if frame is None else frame, **options)


def refused(formula: str, frame: pd.DataFrame | None = None, **options: object) -> StatsError:
    with pytest.raises(StatsError) as caught:
        made(formula, frame, **options)
    return caught.value


# Coding -----------------------------------------------------------------------------------------


def test_levels_are_in_natural_order_or_in_that_of_a_categorical():
    design = made("y ~ arm + flag + sized + (1 | g)")
    assert design.factors["arm"] == ("a1", "a2", "a10")
    assert design.factors["sized"] == ("small", "large"), "levels that do not occur do not count"
    assert design.names == ("(Intercept)", "arm[a2]", "arm[a10]", "flag[True]", "sized[large]")
    assert design.blocks[0].levels == tuple(str(i) for i in range(8))
    frame = table()
    for name, level in (("arm[a2]", "a2"), ("arm[a10]", "a10")):
        column = design.x[:, design.names.index(name)]
        assert (column == (frame["arm"] == level)).all()


def test_numbers_are_covariates_unless_declared():
    assert made("y ~ k").names == ("(Intercept)", "k")
    for design in (made("y ~ k", factors=("k",)), made("y ~ C(k)")):
        assert design.names == ("(Intercept)", "k[1]", "k[2]")
        assert design.factors["k"] == ("0", "1", "2")
        assert [term.name for term in design.terms] == ["(Intercept)", "k"]


def test_contrasts():
    design = made("y ~ arm", contrasts="sum")
    arm = table()["arm"].to_numpy()
    expected = {"arm[a1]": (1, 0, -1), "arm[a2]": (0, 1, -1)}
    assert design.names == ("(Intercept)", *expected)
    for name, values in expected.items():
        by_level = dict(zip(("a1", "a2", "a10"), values, strict=True))
        column = design.x[:, design.names.index(name)]
        assert (column == [by_level[level] for level in arm]).all()
    own = made("y ~ C(arm, contr.treatment('a2'))")
    assert own.names == ("(Intercept)", "arm[a1]", "arm[a10]")
    assert refused("y ~ arm", contrasts="helmert").place == "contrasts"


def test_names_that_are_no_identifiers():
    frame = table().rename(
        columns={"x": "my x", "arm": "arm-x", "h": "lambda", "z": "a.b", "g": "1st", "y": "class"}
    )
    # Were `arm-x` read as a difference, these two would be found in its place.
    frame["arm"], frame["x"] = 1.0, 2.0
    design = made("class ~ `my x` * `arm-x` + a.b + lambda + (`my x` | `1st`)", frame)
    plain = made("y ~ x * arm + z + h + (x | g)")
    assert np.array_equal(design.x, plain.x)
    assert np.array_equal(design.blocks[0].z, plain.blocks[0].z)
    assert design.names == (
        "(Intercept)", "my x", "arm-x[a2]", "arm-x[a10]", "a.b", "lambda[h1]", "lambda[h2]",
        "lambda[h3]", "lambda[h4]", "my x:arm-x[a2]", "my x:arm-x[a10]",
    )  # fmt: skip
    assert design.variables == ("my x", "arm-x", "a.b", "lambda")
    fit = lmm("class ~ `my x` * `arm-x` + (`my x` | `1st`)", frame, contrasts="sum")
    assert [test.term for test in fit.anova().tests] == ["my x", "arm-x", "my x:arm-x"]
    assert fit.emm("arm-x").names == ("a1", "a2", "a10")
    again = lmm(fit.formula, frame, contrasts="sum")
    assert again.criterion_value == pytest.approx(fit.criterion_value, abs=1e-9)


def test_level_names_may_be_anything():
    frame = table()
    frame["arm"] = frame["arm"].map({"a1": "T.[x]:1", "a2": "a, b)", "a10": "~`|"})
    design = made("y ~ arm * x + (1 | arm:g)", frame)
    assert len(design.names) == 6
    assert "arm[~`|]:x" in design.names
    assert len(design.blocks[0].levels) == frame.groupby(["arm", "g"]).ngroups


def test_functions_and_arithmetic():
    frame = table()
    design = made("log(positive) ~ poly(z, 2) + I(x**2) + {x * z} + sqrt(positive) + (1 | g)")
    assert np.allclose(design.y, frame["x"])
    assert design.names == (
        "(Intercept)", "poly(z, 2)[1]", "poly(z, 2)[2]", "I(x ** 2)", "x * z", "sqrt(positive)",
    )  # fmt: skip
    assert np.allclose(design.x[:, 3], frame["x"] ** 2)
    assert np.allclose(design.x[:, 4], frame["x"] * frame["z"])
    assert np.allclose(made("y / 2 - z ~ x").y, frame["y"] / 2 - frame["z"])
    assert np.allclose(made("np.log(y) ~ np.exp(x)").x[:, 1], np.exp(frame["x"]))


def test_a_response_written_as_text_is_a_number():
    frame = table()
    frame["text"] = frame["y"].map(repr)
    assert np.array_equal(made("text ~ x", frame).y, frame["y"])


def test_rows_of_another_table_are_coded_alike():
    frame = table()
    design = made("y ~ poly(x, 2) * arm + scale(z)")
    assert np.allclose(design.rows(design.frame.iloc[5:9]), design.x_all[5:9], atol=1e-12)
    assert frame.shape[0] == N


# Mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ xx + (1 | g)", "there is no column 'xx'; did you mean 'x'?"),
        ("yy ~ x + (1 | g)", "there is no column 'yy'; did you mean 'y'?"),
        ("y ~ x + (1 | gg)", "there is no column 'gg'; did you mean 'g'?"),
        ("y ~ x + (poz | g)", "there is no column 'poz'"),
        ("y ~ lg(x)", "'lg' is not a function that formulas know; did you mean 'log'?"),
        ("y ~ __import__('os')", "'__import__' is not a function"),
        ("y ~ eval('x')", "'eval' is not a function"),
        ("y ~ x.mean()", "'x.mean' is not a function"),
        ("y ~ x[0]", "'x[0]' is more than arithmetic on columns"),
        ("y ~ I(x if x else z)", "more than arithmetic on columns"),
        ("y ~ I((lambda: x)())", "is not a function"),
        ("y ~ I(x^2)", "there powers are written **"),
        ("y ~ x +* z", "cannot be read"),
        ("y ~ 3", "'3' cannot be read as fixed effects"),
        ("y ~ 0 + (1 | g)", "the fixed part is empty; keep the intercept"),
        ("y ~ log(x)", "'log(x)': a value is not finite"),
        ("y ~ z + (log(x) | g)", "'log(x)': a value is not finite"),
        ("y ~ one", "column 'one': the factor has one level only, 'only'"),
        ("y ~ arm:one", "column 'one': the factor has one level only, 'only'"),
        ("y ~ x + (1 | one)", "random term (1 | one): the grouping factor has one level only"),
        ("y ~ x + (0 | g)", "the random term (0 | g) has no covariate"),
        ("y ~ x + (1 | row)", "60 levels x 1 covariates are no fewer than the 60 rows"),
        ("y ~ x + (arm | row)", "60 levels x 3 covariates are no fewer than the 60 rows"),
        ("y ~ C(row)", "60 rows cannot estimate 60 fixed effects and a variance"),
        ("y ~ x + constant", "the fixed effects constant are determined by the columns before"),
        ("y ~ y", "the fixed effects reproduce the response exactly"),
        ("arm ~ x", "column 'arm', row 1: 'a2' is not a number; the response must be numeric"),
        ("constant ~ x", "response 'constant': all 60 values are the same"),
        ("y ~ arm + (1 | arm)", "random term (1 | arm): the fixed effects determine '(Intercept)'"),
        ("y ~ C(g) * x + (x | g)", "random term (x | g): the fixed effects determine"),
        ("y ~ x + (x | g) + (1 | g)", "random term (1 | g): it varies over the same levels as"),
        ("y ~ x + (1 | g) + (0 + arm | g)", "a factor over groups is (1 | group:factor)"),
        ("y ~ x + (1 | g:h) + (1 | h:g)", "random term (1 | h:g): it varies over the same levels"),
    ],
)
def test_refusals(formula: str, message: str):
    with pytest.raises(StatsError) as caught:
        lmm(formula, table())
    text = str(caught.value)
    assert message in text
    assert "\n" not in text


def test_nothing_is_run():
    before = set(os.listdir())
    refused("y ~ I(__import__('os').mkdir('made_by_a_formula'))")
    refused("y ~ {open('made_by_a_formula', 'w')}")
    assert set(os.listdir()) == before


@pytest.mark.parametrize("name", ["x", "h", "y", "g"])
def test_missing_values(name: str):
    frame = table().astype({"g": float})
    frame.loc[[4, 7], name] = None
    error = refused("y ~ x + h + (1 | g)", frame)
    assert str(error).startswith(
        f"column '{name}', row 5: a value is missing (rows that lack one: 2)"
    )
    design = made("y ~ x + h + (1 | g)", frame, missing="drop")
    assert design.kept.tolist() == [i for i in range(N) if i not in (4, 7)]
    assert np.array_equal(design.y, frame["y"].drop([4, 7]))
    assert made("z ~ constant - 1", frame).y.size == N, "columns that are not used do not matter"


def test_a_blank_label_is_missing():
    frame = table()
    frame.loc[3, "h"] = "  "
    assert refused("y ~ x + (1 | h)", frame).place == "column 'h', row 4"


def test_rows_in_messages_are_those_of_the_table():
    frame = table()
    frame.loc[2, "x"] = np.nan
    frame.loc[9, "z"] = np.inf
    error = refused("y ~ x + z", frame, missing="drop")
    assert error.place == "column 'z', row 10"
    frame["text"] = frame["y"].astype(str).where(frame.index != 20, "oops")
    error = refused("text ~ x", frame, missing="drop")
    assert str(error) == (
        "column 'text', row 21: 'oops' is not a number; the response must be numeric"
    )


def test_other_mistakes_in_the_table():
    frame = table()
    assert "the table holds no rows" in str(refused("y ~ x", frame.iloc[:0]))
    assert "column 'x' appears twice" in str(
        refused("y ~ x", pd.concat([frame, frame[["x"]]], axis=1))
    )
    assert refused("y ~ x", frame, factors=("armm",)).place == "factors"
    assert "did you mean 'drop'" in str(refused("y ~ x", frame, missing="dropp"))
    assert "'keep' is not known" in str(refused("y ~ x", frame, aliased="keep"))
    assert "complex" in str(refused("y ~ x", frame.assign(x=frame["x"] + 1j)))


# Aliased columns --------------------------------------------------------------------------------


def test_aliased_columns_are_named_or_dropped():
    frame = table()
    frame["twice"] = 2 * frame["x"]
    error = refused("y ~ x + twice + arm + (1 | g)", frame)
    assert "the fixed effects twice are determined" in str(error)
    assert error.value == ["twice"]
    fit = lmm("y ~ x + twice + arm + (1 | g)", frame, aliased="drop")
    assert fit.names == ("(Intercept)", "x", "arm[a2]", "arm[a10]")
    assert fit.design.aliased == ("twice",)
    assert fit.notes[0] == "Left out because others determine them: twice."
    plain = lmm("y ~ x + arm + (1 | g)", frame)
    assert np.allclose(fit.beta, plain.beta)


def test_estimable_rows_whatever_the_units():
    """x + 2 twice can be told, x alone cannot; a covariate in tiny units is not a null column."""
    frame = unbalanced()
    frame["twice"], frame["year"] = 2 * frame["x"], 2015.0 + np.arange(len(frame)) % 11
    frame["tiny"] = 1e-9 * frame["w"]
    fit = lmm("y ~ x + twice + year + tiny + (1 | a)", frame, aliased="drop")
    rows = np.array(
        [[0, 1.0, 2, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]
    )
    kept, fine = estimable_rows(fit, rows)
    assert fine.tolist() == [True, False, True, True, True]
    assert kept.shape == (5, 4)
    found = lmm("y ~ x + year + tiny + (1 | a)", frame)
    assert float(kept[0] @ fit.beta) == pytest.approx(found.beta[1])
