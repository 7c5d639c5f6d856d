"""A fit as a record: tables, text, JSON, LaTeX, notes."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stats.mixed.fit import LmmFit, lmm
from tests.stats.mixed.cases import MODELS, fitted
from tests.stats.mixed.designs import FORMULAS, unbalanced


@pytest.fixture(scope="module")
def wide() -> LmmFit:
    """Long names, many columns, a boundary, three covariates."""
    frame = unbalanced()
    name = "a_very_long_column_name_that_goes_on_and_on"
    frame[name] = frame["arm"] + "_with_a_long_level_name_as_well"
    return lmm(f"y ~ {name} * x * w + ({name} | a) + (1 | c)", frame)


def test_json(wide: LmmFit):
    for fit in (fitted("sleepstudy"), fitted("dyestuff2"), fitted("machines_slopes"), wide):
        found = fit.to_dict()
        assert set(found) == {
            "formula", "n", "method", "criterion", "boundary", "ddf", "fixed", "random", "residual",
            "type", "anova", "notes", "versions",
        }  # fmt: skip
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        for row in found["fixed"]:
            assert set(row) == {
                "term", "estimate", "se", "df", "statistic", "p", "ci_low", "ci_high",
            }  # fmt: skip
        for row in found["random"]:
            assert {"group", "term", "variance", "sd"} <= set(row)
            assert row["sd"] ** 2 == pytest.approx(row["variance"])
        assert set(found["residual"]) == {"variance", "sd"}
        for row in found["anova"]:
            assert {"term", "num_df", "den_df", "F", "p", "eta2", "omega2"} <= set(row)


def test_nothing_is_rounded():
    found = fitted("sleepstudy").to_dict()
    assert found["fixed"][1]["estimate"] == fitted("sleepstudy").beta[1]
    assert found["criterion"] == fitted("sleepstudy").criterion_value
    assert (found["method"], found["ddf"], found["type"]) == ("REML", "auto", 3)
    assert fitted("dyestuff_ml").to_dict()["ddf"] == "satterthwaite"


@pytest.mark.parametrize("name", [*MODELS, "wide"])
def test_summaries_fit_a_terminal(name: str, wide: LmmFit):
    fit = wide if name == "wide" else fitted(name)
    for ddf in ("auto", "satterthwaite", "containment"):
        text = fit.summary(ddf)
        assert max(map(len, text.splitlines())) <= 100
        assert "nan" not in text.lower()
        assert not any(line != line.rstrip() for line in text.splitlines())


def test_a_summary_says_what_was_done():
    text = fitted("sleepstudy").summary()
    assert text.startswith(
        "Reaction ~ Days + (Days | Subject)\n180 rows, REML, REML criterion 1743.6"
    )
    for part in ("Random effects", "Fixed effects", "Terms (type III)", "Kenward-Roger"):
        assert part in text
    assert "deviance (-2 log likelihood) 327.327060" in fitted("dyestuff_ml").summary()
    assert "on the boundary" not in text.splitlines()[1]
    assert "on the boundary" in fitted("dyestuff2").summary().splitlines()[1]


def test_variances_have_no_standard_errors():
    """Their sampling distribution is skewed; statsmodels prints SEs in neither scale."""
    fit = fitted("penicillin")
    assert list(fit.random().columns) == ["group", "term", "variance", "sd"]
    assert all(set(row) == {"group", "term", "variance", "sd"} for row in fit.to_dict()["random"])
    head = fit.summary().split("Random effects\n")[1].splitlines()[0]
    assert head.split() == ["group", "term", "variance", "SD", "corr", "levels"]


def test_latex(wide: LmmFit):
    for fit in (fitted("sleepstudy"), fitted("machines_slopes"), fitted("dyestuff"), wide):
        text = fit.to_latex("A & B")
        assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
        assert text.count(r"\caption{A \& B}") == 2
        bare = re.sub(r"\\[{}]", "", text)
        depth = 0
        for character in bare:
            depth += (character == "{") - (character == "}")
            assert depth >= 0
        assert depth == 0
        assert not re.search(r"(?<!\\)_", text)
        for table in text.split(r"\end{table}")[:2]:
            columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", table)[1])  # type: ignore[index]
            rows = [line for line in table.splitlines() if line.endswith(r"\\")]
            assert rows
            for row in rows:
                assert len(re.findall(r"(?<!\\)&", row)) == columns - 1
        assert "Residual" in text
        assert "nan" not in text.lower()
    assert r"\caption" not in fitted("dyestuff").to_latex()


def test_random_effects_as_a_table():
    table = fitted("machines_slopes").random()
    assert list(table.columns) == ["group", "term", "variance", "sd", "correlation"]
    assert math.isnan(table["correlation"][0])
    assert table["correlation"][1] == pytest.approx(0.4839815, abs=1e-5)
    assert table["correlation"][2] == pytest.approx([-0.3650033, 0.2966364], abs=1e-5)
    empty = lmm("y ~ x", unbalanced()).random()
    assert empty.empty
    assert list(empty.columns) == ["group", "term", "variance", "sd"]


def test_tests_as_a_table():
    found = fitted("oats").fixed(confidence_level=0.9)
    table = found.table()
    assert list(table["term"]) == list(fitted("oats").names)
    assert (found.confidence_level, found.n, found.ddf) == (0.9, 72, "auto")
    wider = fitted("oats").fixed().table()
    assert (wider["ci_low"] < table["ci_low"]).all()
    assert np.allclose(np.sqrt(np.diag(found.covariance)), table["se"])
    assert found.to_dict()["method"] == f"REML, {found.method.split(', ', 1)[1]}"


def test_a_record_of_f_tests():
    found = fitted("oats").anova()
    assert list(found.table().columns) == [
        "term", "num_df", "den_df", "F", "p", "eta2", "eta2_low", "eta2_high", "omega2",
        "omega2_low", "omega2_high",
    ]  # fmt: skip
    for test, size in zip(found.tests, found.sizes, strict=True):
        effect = test.num_df * test.F
        assert size["eta2"] == pytest.approx(effect / (effect + test.den_df))
        assert size["eta2_low"] <= size["eta2"] <= size["eta2_high"]
    assert found.estimand == ("effects of each fixed term, averaged equally over the other factors")
    assert found.method.startswith("type III F tests, REML, Kenward-Roger")
    assert json.loads(json.dumps(found.to_dict()))["type"] == 3


def test_a_contrast_of_fixed_effects():
    fit = fitted("machines")
    found = fit.contrast({"Machine[C]": 1, "Machine[B]": -1}, "C - B").tests[0]
    assert found.term == "C - B"
    assert found.estimate == pytest.approx(13.916667 - 7.966667, abs=1e-5)
    assert found.df == pytest.approx(10, rel=1e-6)
    by_order = fit.contrast([0, -1, 1], "C - B").tests[0]
    assert found == by_order


@pytest.mark.parametrize("name", FORMULAS)
def test_every_table_of_every_design(name: str):
    fit = lmm(FORMULAS[name], unbalanced(1, spread=0.1))
    assert isinstance(fit.summary(), str)
    assert fit.to_latex()
    assert np.isfinite(fit.fixed().table().drop(columns="term").to_numpy(dtype=float)).all()
    factors = [name for name in fit.design.variables if name in fit.design.factors]
    if factors:
        means = fit.emm(factors[0])
        assert np.isfinite(means.table()[["mean", "se", "df"]].to_numpy()).all()
        assert json.loads(json.dumps(means.to_dict()))["factors"] == factors[:1]


def test_importing_is_light():
    code = (
        "import sys, stats.mixed.fit, stats.mixed.profile, stats.mixed.emm, stats.mixed.nested; "
        "heavy = ('pandas', 'matplotlib', 'statsmodels', 'formulaic'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_table_handed_in_is_left_alone():
    frame = unbalanced()
    frame["text"] = frame["y"].astype(str)
    before = frame.copy()
    lmm("text ~ arm + (x | a)", frame, missing="drop")
    pd.testing.assert_frame_equal(frame, before)
