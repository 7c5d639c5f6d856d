"""Equivalence in a table: families, verdicts, wording, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stats.cli import main
from stats.contrast import versus
from stats.equivalence.analysis import equivalence
from stats.equivalence.result import Equivalence, EquivalenceTest
from stats.equivalence.tost import tost
from stats.errors import StatsError
from stats.family import holm
from stats.planning.tost_power import pairs_needed_for_equivalence
from stats.table import PairedTable
from stats.verdict import Verdict, decide, pairs_needed
from tests.stats.tables import frame, write


def outcome(data: pd.DataFrame, margin: float | tuple[float, float], **options: Any) -> Equivalence:
    table = PairedTable.from_frame(data)
    contrasts = [versus(arm, "lora") for arm in table.arms if arm != "lora"]
    given: dict[str, Any] = {"cells": contrasts, "primary": contrasts, "n_resamples": 400}
    return equivalence(table, margin=margin, **(given | options))


def pick(result: Equivalence, name: str) -> EquivalenceTest:
    return next(test for test in result.primary if test.effect.name == name)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    made = frame({"lora": 0.0, "talan": 3.0, "static": 0.1, "same": 0.0}, seeds=10, rng=1)
    same = made.loc[made.arm == "lora", "score"].to_numpy()
    made.loc[made.arm == "same", "score"] = same
    return made


def test_a_table_is_its_tests_adjusted_by_holm(data: pd.DataFrame) -> None:
    result = outcome(data, (-1.0, 1.5))
    assert len(result.cells) == 12
    d = data.pivot(index=["backbone", "seed"], columns=["benchmark", "arm"], values="score")
    test = next(t for t in result.cells if t.effect.name == "static")
    assert test.effect.cell == {"backbone": "deep", "benchmark": "algebra"}
    here = d.loc["deep"]["algebra"]
    assert test.tost.p == pytest.approx(tost(here["static"] - here["lora"], -1.0, 1.5).p)
    inside = [t for t in result.cells if t.effect.name != "same"]
    assert [t.p_adjusted for t in inside] == pytest.approx(holm([t.tost.p for t in inside]))
    e = test.effect
    assert e.pairs_needed == pairs_needed(e.sd, 10, 1.0, 0.05 / 8)
    assert test.pairs_for_equivalence == pairs_needed_for_equivalence(e.sd, 9, -1.0, 1.5, 0.05 / 8)
    average = pick(result, "static")
    again = pairs_needed_for_equivalence(
        average.tost.sd, average.tost.df, -1.0, 1.5, 0.05 / 2, groups=2
    )
    assert average.pairs_for_equivalence == again


def test_verdicts_and_their_sentences_come_from_one_place(data: pd.DataFrame) -> None:
    result = outcome(data, 1.0)
    verdicts = {test.effect.name: test.effect.verdict for test in result.primary}
    assert verdicts == {
        "talan": Verdict.SUPERIOR_AND_MEANINGFUL,
        "static": Verdict.EQUIVALENT,
        "same": Verdict.IDENTICAL,
    }
    assert math.isnan(pick(result, "same").p_adjusted)
    sentence = result.sentence(pick(result, "static"))
    assert sentence.startswith("static against lora, averaged over cells: the same within 1 score")
    assert "90% interval [" in sentence
    assert "adjusted p: equivalence < .001" in sentence
    text = result.summary()
    assert max(map(len, text.splitlines())) <= 100
    assert "adjusted by Holm over 8 tests of cells and over 2 tests of averages" in text
    out = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert out["primary"][1]["sentence"] == sentence
    assert list(result.table()["family"]) == ["primary"] * 3 + ["cells"] * 12
    for test in result.cells:  # said only where the adjusted test says so
        said = test.effect.verdict is Verdict.EQUIVALENT
        assert said == (test.p_adjusted <= 0.05 and test.effect.name != "talan")


def test_margins_of_different_sides_are_worded_and_used_apart(data: pd.DataFrame) -> None:
    moved = data.assign(score=data.score - 1.2 * (data.arm == "static"))
    assert pick(outcome(moved, (-3.0, 0.5)), "static").effect.verdict is Verdict.EQUIVALENT
    assert pick(outcome(moved, (-3.0, 0.5)), "static").effect.also == "inferior"
    assert pick(outcome(moved, (-0.5, 3.0)), "static").effect.verdict is (
        Verdict.INFERIOR_AND_MEANINGFUL
    )
    result = outcome(moved, (-3.0, 0.5))
    assert "the same within -3 and +0.5 score units, though worse" in result.sentence(
        pick(result, "static")
    )
    worse = outcome(moved, (-0.5, 3.0))
    assert "worse, and by more than 0.5 score units" in worse.sentence(pick(worse, "static"))
    assert "better, though perhaps by less than 3 score units" in worse.sentence(
        pick(worse, "talan")
    )


def test_no_room_and_no_spread(data: pd.DataFrame) -> None:
    limits = {("deep", "algebra"): (25.0, 52.5), ("wide", "recall"): (0.0, 100.0)}
    base = data[(data.arm == "lora") & (data.backbone == "deep") & (data.benchmark == "algebra")]
    assert 48.5 < base.score.mean() < 52.5  # between 1 and 2 margins below the maximum
    result = outcome(data, (-0.5, 2.0), limits=limits)
    at = {(*t.effect.cell.values(), t.effect.name): t for t in result.cells if t.effect.cell}
    blocked = at["deep", "algebra", "static"]
    assert blocked.effect.no_room
    assert blocked.effect.verdict is not Verdict.EQUIVALENT
    assert not at["wide", "recall", "static"].effect.no_room
    assert "(no room)" in result.summary()
    flat = data.copy()
    flat.loc[flat.arm == "static", "score"] = flat.loc[flat.arm == "lora", "score"].to_numpy() + 0.5
    constant = pick(outcome(flat, 1.0), "static")
    assert constant.effect.verdict is Verdict.UNDEFINED
    assert (constant.p_adjusted, constant.pairs_for_equivalence) == (1.0, None)


def test_the_rule_takes_two_bounds_and_a_test_of_equivalence() -> None:
    given: dict[str, Any] = {"delta": 0.4, "p_adjusted": 0.2, "alpha": 0.05, "sesoi": (-1.0, 0.8)}
    assert decide(**given, low=-0.9, high=0.7)[0] == "equivalent"
    assert decide(**given, low=-0.9, high=0.9)[0] == "inconclusive"
    assert decide(**given, low=-0.9, high=0.9, p_equivalent=0.04)[0] == "equivalent"
    assert decide(**given, low=-0.9, high=0.7, p_equivalent=0.06)[0] == "inconclusive"
    assert decide(**given, low=-0.9, high=0.7, p_equivalent=math.nan)[0] == "inconclusive"
    no_room = decide(**given, low=-0.9, high=0.7, p_equivalent=0.01, no_room=True)
    assert no_room[0] == "inconclusive"


@pytest.mark.parametrize(
    ("margin", "words"),
    [
        (0.0, "margin: 0 is not a positive number; the largest difference that does not matter"),
        (-1.0, "margin: -1 is not a positive number"),
        (math.inf, "margin: inf is not a positive number"),
        ((1.0, -1.0), "margin: the lower bound 1 is not below the upper bound -1; e.g. -1 and 1"),
        ((1.0, 2.0), "margin: 1 to 2 does not hold 0 inside"),
        ((-1.0, math.inf), "not a bounded range; for one bound only, test non-inferiority"),
    ],
)
def test_refused_margins(data: pd.DataFrame, margin: Any, words: str) -> None:
    with pytest.raises(StatsError) as error:
        outcome(data, margin)
    assert words in str(error.value)


@pytest.fixture
def results(data: pd.DataFrame, tmp_path: Path) -> list[str]:
    path = write(data.assign(score=data["score"] / 100), tmp_path / "results.csv")
    return [str(path), "--baseline", "lora", "--cell", "backbone,benchmark", "--percent"]


def test_command(results: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equivalence", *results, "--margin", "1", "--n-resamples", "400"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Equivalence within -1.00 to +1.00 points\n")
    assert "static against lora, averaged over cells: the same within 1 point" in text
    sides = ["--low", "-0.5", "--high", "1"]
    assert main(["equivalence", *results, *sides, "--n-resamples", "400", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["margin_low"], out["margin_high"], out["units"]) == (-0.5, 1.0, "points")
    assert out["cells"][0]["tost"]["confidence_level"] == 0.9


def test_command_for_retention(results: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equivalence", *results, "--low", "-2", "--non-inferiority", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert list(out) == ["talan", "static", "same"]
    assert out["static"]["holds"]
    assert out["static"]["confidence_level"] == 0.975
    assert list(out["static"]["tests"]) == [
        "deep/algebra", "deep/recall", "wide/algebra", "wide/recall"
    ]  # fmt: skip
    assert main(["equivalence", *results, "--margin", "1", "--non-inferiority"]) == 0
    text = capsys.readouterr().out
    assert "same against lora (points)" in text
    assert "No degradation on any benchmark: all scores are identical" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--margin: there is no margin; give --margin 1, or --low -1 --high 2"),
        (["--low", "-1"], "--margin: there is no margin"),
        (["--margin", "1", "--low", "-1"], "--margin: both a margin and its bounds are given"),
        (["--margin", "0"], "margin: 0 is not a positive number"),
        (["--low", "1", "--high", "2"], "margin: 1 to 2 does not hold 0 inside"),
        (["--margin", "1", "--alpha", "0.6"], "alpha: 0.6 is not between 0 and 0.5"),
        (["--margin", "1", "--alpha", "5", "--non-inferiority"], "alpha: 5.0 is not between"),
    ],
)
def test_command_refuses(
    results: list[str], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["equivalence", *results, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
