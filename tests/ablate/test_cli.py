"""The command line as a user meets it: a process, its streams, its exit code."""

import json
import os
import subprocess
import sys
import time

import pytest

from ablate.cli import main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def ablate(*arguments, cwd, **environment):
    """Run ``python -m ablate`` in ``cwd``."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ABLATE", "MLFLOW"))}
    return subprocess.run(
        [sys.executable, "-m", "ablate", *arguments],
        cwd=cwd,
        env=clean | {"PYTHONPATH": ROOT} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def tree(folder):
    """Every file below a folder with its content."""
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


BAD = {
    "unknown axis": (["axes=memroy"], "did you mean 'memory'"),
    "unknown level": (["axes=mixer", "levels.mixer=mlp,atention"], "did you mean 'attention'"),
    "unknown key": (["trian.steps=3"], "did you mean 'train.steps'"),
    "unknown study": (["study=papershape"], "did you mean 'paper_shape'"),
    "unknown backbone": (["backbones=qwen3-tny"], "did you mean 'qwen3-tiny'"),
    "unknown benchmark": (["benchmarks=arithmetics"], "did you mean 'arithmetic'"),
    "unknown adapter": (["adapters=lorra"], "did you mean 'lora'"),
    "duplicate seeds": (["seeds=1,1"], "listed twice"),
    "one seed": (["seeds=1"], "with one seed no inference is possible"),
    "empty list": (["axes="], "the list is empty"),
    "wrong type": (["seeds=ten"], "'ten' is not a whole number"),
    "missing file": (["study=nowhere.yaml"], "cannot read nowhere.yaml"),
    "empty file": (["study=empty.yaml"], "empty.yaml: the file is empty"),
    "malformed file": (["study=malformed.yaml"], "malformed.yaml: not valid YAML in line 2"),
    "wrong key in a file": (["study=wrong.yaml"], "wrong.yaml, line 2: sedes"),
    "home is a file": (["home=empty.yaml"], "is a file, not a folder"),
    "home below a file": (["home=empty.yaml/x"], "is a file, not a folder"),
    "not key=value": (["axes"], "is not key=value"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    (tmp_path / "malformed.yaml").write_text("axes: [memory\nseeds: 6\n", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("axes: memory\nsedes: 6\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_and_exit_code_2_and_changes_nothing(folder, case):
    arguments, message = BAD[case]
    before = tree(folder)
    done = ablate("run", *arguments, cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert tree(folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written(folder):
    (folder / "locked").mkdir(mode=0o500)
    done = ablate("run", "home=locked/x", cwd=folder)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("command", ["run", "plan", "status", "report", "probe"])
def test_a_damaged_ledger_is_refused_by_every_command(folder, command):
    home = folder / "home"
    home.mkdir()
    (home / "ledger.sqlite").write_bytes(b"not a database" * 400)
    done = ablate(command, "home=home", cwd=folder)
    assert done.returncode == 2
    assert "damaged" in done.stderr
    assert (home / "ledger.sqlite").read_bytes() == b"not a database" * 400


@pytest.mark.parametrize("command", ["status", "report", "probe", "ui"])
def test_commands_on_nothing_say_how_to_start(folder, command):
    done = ablate(command, cwd=folder)
    assert done.returncode == 2
    assert "there is no ledger yet" in done.stderr
    assert not (folder / "ablate-home").exists()


def test_unknown_commands_name_the_nearest(folder):
    done = ablate("rum", "axes=memory", cwd=folder)
    assert done.returncode == 2
    assert "did you mean 'run'" in done.stderr


@pytest.mark.parametrize("command", ["run", "plan", "status", "report", "probe", "ui", "doctor"])
def test_help_teaches_by_example(folder, command):
    done = ablate(command, "--help", cwd=folder)
    assert done.returncode == 0
    assert f"ablate {command}" in done.stdout
    assert "examples:" in done.stdout
    assert "exit codes:" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_plan_answers_without_torch_and_writes_nothing(folder, toys):
    code = (
        "import sys; from ablate.cli import main; code = main(sys.argv[1:]); "
        "assert not {'torch', 'mlflow', 'transformers', 'optuna', 'peft'} & set(sys.modules); "
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", *toys.settings(), "--json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["runs"], plan["done"]) == (7, 0)
    assert plan["arms"] == ["lora", "lora+talan/memory=1", "lora+talan/memory=2"]
    assert "cannot settle" in plan["warnings"][0]
    assert not (folder / "ablate-home").exists()


def test_a_flag_may_stand_between_settings(folder, toys, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    first, *rest = toys.settings()
    assert main(["plan", first, "--json", *rest]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 7
    with pytest.raises(SystemExit, match="2"):
        main(["plan", first, "--jason", *rest])
    assert "unrecognized arguments: --jason" in capsys.readouterr().err


def test_plan_warns_only_where_no_verdict_can_be_reached(folder, toys):
    done = ablate("plan", *toys.settings(seeds="6"), "--json", cwd=folder)
    assert json.loads(done.stdout)["warnings"] == []


def test_doctor_finds_this_environment_ready(folder):
    done = ablate("doctor", cwd=folder)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("ready\n")
    assert not (folder / "ablate-home").exists()


def test_doctor_says_what_is_wrong(folder):
    done = ablate("doctor", "home=empty.yaml", cwd=folder)
    assert done.returncode == 1
    assert "BAD  home" in done.stdout


def test_help_and_errors_are_quick(folder):
    """A generous bound: the promise of 1.5 s is kept by not importing torch (tested above)."""
    started = time.monotonic()
    ablate("run", "axes=memroy", cwd=folder)
    assert time.monotonic() - started < 10
