"""``python -m stats report`` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stats.cli import main
from stats.report.progress import working_on
from tests.stats.report.test_page import campaigns
from tests.stats.tables import frame, write

QUICK = ["--no-figures", "--n-resamples", "500"]


@pytest.fixture
def single(tmp_path: Path) -> str:
    return str(write(campaigns(), tmp_path / "history.csv"))


@pytest.fixture
def paired(tmp_path: Path) -> str:
    table = frame({"lora": 0.0, "talan": 3.0}, backbones=["deep"], benchmarks=["x"])
    return str(write(table.assign(score=table["score"] / 100), tmp_path / "runs.csv"))


def test_columns_need_no_options_in_a_process_of_its_own(single: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stats", "report", single, "--no-figures"],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Two single runs of one campaign must differ by at least" in done.stdout
    assert done.stdout.endswith("report.html\n")
    assert max(map(len, done.stdout.splitlines())) <= 100
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "python -m stats report" in page


def test_json_holds_every_section(
    paired: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    arguments = ["report", paired, "--percent", "--sesoi", "1", "--out", str(out), "--json"]
    assert main([*arguments, *QUICK]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "paired"
    assert told["page"] == str(out)
    assert out.is_file()
    titles = [section["title"] for section in told["sections"]]
    assert titles[0] == "Is it real?"
    assert told["sections"][0]["results"]["primary"][0]["verdict"] == "superior-and-meaningful"
    assert told["columns"]["score"] == "score (fractions, reported in points)"


def test_overrides_and_a_title(
    single: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.html"
    arguments = ["--entry", "campaign", "--occasion", "config", "--title", "A & B"]
    assert main(["report", single, *arguments, "--out", str(out), *QUICK]) == 0
    assert "Two single runs of one config" in capsys.readouterr().out
    assert "<h1>A &amp; B</h1>" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--score", "accuracy"], "no column 'accuracy'"),
        (["--sesoi", "1"], "--sesoi: a smallest effect of interest belongs to paired runs"),
        (["--out", "/nowhere/at/all.html"], "the folder /nowhere/at does not exist"),
        (["--confidence-level", "3"], "3.0 is not between 0 and 1"),
        (["--seed", "-1"], "--seed: -1 is negative"),
        (["--arm", "config"], "no column identifies a pair of runs; found config (7 levels)"),
    ],
)
def test_refusals(
    single: str, arguments: list[str], words: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["report", single, *QUICK, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_a_folder_is_no_page(single: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", single, "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    assert "python -m stats report results.csv" in capsys.readouterr().out


def test_who_waits_is_told_and_who_does_not_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with working_on("slow part", patience=0.01):
        time.sleep(0.2)
    with working_on("quick part", patience=5):
        pass
    assert capsys.readouterr().err == "working on: slow part ...\n"
