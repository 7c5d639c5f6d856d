"""``python -m stats family`` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stats.cli import main
from tests.stats.tables import frame, write

ARMS = {"lora": 0.0, "dora": 0.1, "talan": 3.0}
CELL = ["--cell", "backbone,benchmark"]


@pytest.fixture
def results(tmp_path: Path) -> str:
    data = frame(ARMS, seeds=7)
    return str(write(data.assign(score=data["score"] / 100), tmp_path / "results.csv"))


def test_json(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["family", results, "--baseline", "lora,dora", *CELL, "--percent", "--json"]
    assert main(arguments) == 0
    out = json.loads(capsys.readouterr().out)
    assert [c["contrast"] for c in out["contrasts"]] == ["talan vs lora", "talan vs dora"]
    assert out["claims"][0]["average"]["shown"] is True
    assert out["claims"][0]["average"]["units"] == "points"
    assert out["n_tests"] == 8
    assert out["contrasts"][0]["exploratory"]["exploratory"] is True


def test_text_in_a_process_of_its_own(results: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stats", "family", results, "--arm", "arm", "--baseline", "lora",
         "--pair", "backbone,seed", *CELL, "--alternative", "greater"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "talan vs lora in 4 cells (score units)" in done.stdout
    assert "dora vs lora in 4 cells" in done.stdout
    assert "(one-sided, greater)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--baseline", "lora,dorra", *CELL], "there is no arm 'dorra'; did you mean 'dora'?"),
        (["--baseline", "lora,dora,talan", *CELL], "--baseline: every arm is a baseline"),
        (["--baseline", ",", *CELL], "no baseline is given"),
        (["--baseline", "lora", *CELL, "--alternative", "bigger"], "'bigger' is not an alternativ"),
        (["--baseline", "lora", *CELL, "--seed", "-1"], "--seed: -1 is negative"),
    ],
)
def test_refusals(
    results: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["family", results, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["family", "--help"])
    assert "--baseline lora,matched,static,shuffled,random" in capsys.readouterr().out
