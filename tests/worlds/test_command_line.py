"""A world through the command line: the report is a report, and says what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ablate.cli import main

STUDY = [
    "world=mechanism:1",
    "axes=none",
    "controls=static,same",
    "backbones=qwen3-tiny",
    "benchmarks=arithmetic,retention",
    "seeds=8",
    "workers=1",
    "progress=off",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the study was run once."""
    folder = tmp_path_factory.mktemp("home")
    assert main(["run", *STUDY, f"home={folder}"]) == 0
    return folder


def report(home: Path) -> Path:
    (folder,) = (home / "reports").iterdir()
    return folder


def test_it_is_told_apart_from_the_real_study(home: Path) -> None:
    assert report(home).name == "mechanism-in-mechanism-1"


@pytest.mark.parametrize("name", ["report.html", "report.json"])
def test_every_page_says_that_no_model_was_trained(home: Path, name: str) -> None:
    text = (report(home) / name).read_text(encoding="utf-8")
    assert "Synthetic world mechanism:1: no model was trained" in text


def test_the_report_finds_what_was_planted(home: Path) -> None:
    data = json.loads((report(home) / "report.json").read_text(encoding="utf-8"))
    (effect,) = data["sections"]["real"]["main"]["primary"]
    assert effect["simultaneous_low"] <= 2.0 <= effect["simultaneous_high"]
    results = pd.read_csv(report(home) / "results.csv")
    assert len(results) == 4 * 8 * 2
    assert not (home / "checkpoints").exists() or not any((home / "checkpoints").iterdir())


def test_running_again_runs_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (report(home) / "results.csv").read_bytes()
    assert main(["run", *STUDY, f"home={home}"]) == 0
    assert "0 runs trained" in capsys.readouterr().out
    assert (report(home) / "results.csv").read_bytes() == before


def test_an_unknown_world_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "world=nul", f"home={tmp_path}"]) == 2
    out = capsys.readouterr()
    assert "command line: world: unknown world 'nul'; did you mean 'null'?" in out.err + out.out
    assert not any(tmp_path.iterdir())
