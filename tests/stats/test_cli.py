"""``python -m stats`` as a user meets it: a process, its output, its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stats.cli import main
from tests.stats.tables import frame, write

ARMS = {"lora": 0.0, "talan": 3.0}
CELL = ["--cell", "backbone,benchmark"]
FIELDS = {
    "cell", "arm", "n_pairs", "mean_baseline", "mean_arm", "delta", "ci_low", "ci_high", "t", "df",
    "p", "p_signflip", "p_adjusted", "p_adjusted_method", "dz", "verdict",
}  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> str:
    data = frame(ARMS)
    return str(write(data.assign(score=data["score"] / 100), tmp_path / "results.csv"))


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stats", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_json_contract(results: str) -> None:
    done = process(
        "paired", results, "--arm", "arm", "--baseline", "lora", "--pair", "backbone,seed", *CELL,
        "--score", "score", "--sesoi", "1", "--percent", "--json",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    out = json.loads(done.stdout)
    assert len(out["cells"]) == 4
    assert len(out["primary"]) == 1
    for effect in out["cells"] + out["primary"]:
        assert effect.keys() >= FIELDS
    assert out["cells"][0]["cell"] == {"backbone": "deep", "benchmark": "algebra"}
    assert out["primary"][0]["cell"] is None
    assert out["primary"][0]["n_pairs"] == 12
    assert out["primary"][0]["verdict"] == "superior-and-meaningful"
    assert 40 < out["cells"][0]["mean_baseline"] < 60  # points
    assert out["units"] == "points"


def test_text_for_a_pipe_is_plain_and_narrow(results: str) -> None:
    done = process("paired", results, "--baseline", "lora", *CELL, "--percent", "--sesoi", "1")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "backbone=wide, benchmark=recall" in done.stdout
    assert "talan against lora, averaged over cells: better" in done.stdout


def test_help_teaches_by_example() -> None:
    done = process("paired", "--help")
    assert done.returncode == 0
    assert "python -m stats paired results.csv --baseline lora --percent --sesoi 1" in done.stdout


def test_a_users_mistake_is_one_sentence_and_exit_code_2(results: str) -> None:
    done = process("paired", results, "--baseline", "lorra", *CELL)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: column 'arm': there is no arm 'lorra'; did you mean 'lora'? known: lora, talan\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cell", "backbone"], "appears more than once"),
        ([*CELL, "--score", "accuracy"], "no column 'accuracy'"),
        ([*CELL, "--sesoi", "-1"], "sesoi: -1.0 is not a positive number"),
        ([*CELL, "--alpha", "5"], "alpha: 5.0 is not between 0 and 1"),
        ([*CELL, "--n-resamples", "3"], "3 resamples"),
        ([*CELL, "--seed", "-3"], "--seed: -3 is negative"),
        (["--pair", "", *CELL], "no column identifies a pair"),
    ],
)
def test_refusals(
    results: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["paired", results, "--baseline", "lora", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_missing_runs_need_to_be_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = frame(ARMS, seeds=8)
    data.loc[3, "score"] = np.nan
    path = str(write(data, tmp_path / "r.csv"))
    assert main(["paired", path, "--baseline", "lora", *CELL]) == 2
    assert "--allow-failed" in capsys.readouterr().err
    assert main(["paired", path, "--baseline", "lora", *CELL, "--allow-failed", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert [e["n_broken"] for e in out["cells"]] == [0, 1, 0, 0]
    assert len(out["broken"]) == 1


def test_without_cell_columns_there_is_one_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(frame(ARMS, benchmarks=["x"]), tmp_path / "r.csv"))
    assert main(["paired", path, "--baseline", "lora", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert [e["cell"] for e in out["cells"]] == [{}]
    assert out["cells"][0]["n_pairs"] == 12


def test_seed_repeats_the_output(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for seed in ("1", "1", "2"):
        assert main(["paired", results, "--baseline", "lora", *CELL, "--json", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_importing_stays_light() -> None:
    """No module of the package loads tables, plots, formulas or torch before it is used."""
    heavy = (
        "{'torch', 'matplotlib', 'seaborn', 'pandas', 'formulaic', 'statsmodels', 'jinja2', "
        "'ablate', 'talan', 'transformers'}"
    )
    code = (
        "import importlib, pkgutil, sys, stats; "
        "names = [m.name for m in pkgutil.walk_packages(stats.__path__, 'stats.')]; "
        "[importlib.import_module(n) for n in names if n != 'stats.__main__']; "
        f"print(len(names) > 100, sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "True []"
