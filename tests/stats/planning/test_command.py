"""``python -m stats power``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stats.cli import main
from tests.stats.tables import frame, write

CELL = ["--baseline", "lora", "--cell", "backbone,benchmark"]


@pytest.fixture
def results(tmp_path: Path) -> str:
    data = frame({"lora": 0.0, "talan": 3.0, "static": 0.2})
    return str(write(data.assign(score=data["score"] / 100), tmp_path / "pilot.csv"))


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["power", *arguments]) == 0
    text = capsys.readouterr().out
    assert "--json" in arguments or max(map(len, text.splitlines())) <= 100
    return text


def test_without_anything_a_table_in_standard_deviations(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = output(capsys)
    assert "in standard deviations of theirs" in text
    line = next(row.split() for row in text.splitlines() if row.split()[:1] == ["20"])
    assert line == ["20", "0.660", "0.679"]


def test_from_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--sd", "1.2", "--sesoi", "1", "--tests", "16", "--n", "6,10")
    assert "Pairs needed to find 1 score unit: 26 (14 for a single test)" in text
    done = json.loads(output(capsys, "--sd", "1.2", "--sesoi", "1", "--n", "6,10", "--json"))
    assert [row["n"] for row in done["rows"]] == [6, 10]
    assert done["pairs_family"] == done["pairs_single"] == 14


def test_from_a_pilot(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, results, *CELL, "--percent", "--sesoi", "1")
    assert "Averages, a family of 2" in text
    assert "Cells, a family of 8" in text
    assert "to find 1 point" in text
    done = json.loads(output(capsys, results, *CELL, "--percent", "--sesoi", "1", "--json"))
    assert len(done["cells"]) == 8
    assert done["cells"][0]["spread"]["cell"] == {"backbone": "deep", "benchmark": "algebra"}
    assert 0.2 < done["cells"][0]["spread"]["sd"] < 3  # points
    assert all(row["pairs_family"] >= row["pairs_single"] for row in done["cells"])
    wider = json.loads(output(capsys, results, *CELL, "--percent", "--sesoi", "0.5", "--json"))
    for near, far in zip(wider["cells"], done["cells"], strict=True):
        assert near["pairs_family"] > far["pairs_family"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sd", "0"], "sd: 0 is not a positive number"),
        (["--n", "1"], "n: 1 pairs show no spread; 2 is the smallest"),
        (["--n", "six"], "--n: 'six' is not a number of pairs"),
        (["--sesoi", "-1"], "sesoi: -1 is not a positive number"),
        (["--alpha", "0.7"], "alpha: 0.7 is not between 0 and 0.5"),
        (["--power", "0.01"], "power: 0.01 is not between alpha = 0.05 and 1"),
        (["--tests", "0"], "tests: 0 is less than 1"),
        (["--baseline", "lora"], "--baseline: a baseline is given and no file"),
        (["FILE"], "--baseline: a plan from a file needs --baseline"),
        (["FILE", *CELL], "--sesoi: a plan from a file needs --sesoi"),
        (["FILE", *CELL, "--sesoi", "1", "--sd", "2"], "--sd: both a standard deviation and a"),
        (["FILE", *CELL[2:], "--baseline", "lorra", "--sesoi", "1"], "did you mean 'lora'?"),
    ],
)
def test_refusals(
    arguments: list[str], words: str, results: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["power", *(results if a == "FILE" else a for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
