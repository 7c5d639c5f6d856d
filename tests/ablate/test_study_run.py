"""A whole study on the toys: resume, byte-stable results, views, status. The real commands."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pandas as pd
import pytest

from ablate.home import Home
from ablate.tracking import prepare_store
from tests.ablate.test_cli import ROOT, ablate


@pytest.fixture(scope="module")
def settings(toys):
    return toys.settings(seeds="6", levels__memory="1,2,3", train__steps="6")


@pytest.fixture(scope="module")
def home(tmp_path_factory, settings):
    """A home in which the study has run once, uninterrupted."""
    folder = tmp_path_factory.mktemp("whole")
    done = ablate("run", *settings, "home=home", "progress=off", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "first.txt").write_text(done.stdout, encoding="utf-8")
    return folder


REPORT = "home/reports/toy"


def ledger_attempts(folder):
    with sqlite3.connect(folder / "home/ledger.sqlite") as db:
        return dict(db.execute("SELECT key, attempts FROM run"))


def test_the_last_line_is_the_path_of_the_report(home):
    last = (home / "first.txt").read_text(encoding="utf-8").splitlines()[-1]
    assert last == str(home / REPORT / "report.html")
    assert os.path.getsize(last) > 10_000


def test_the_plan_comes_first_and_the_terminal_fits_100_columns(home):
    lines = (home / "first.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("study")
    assert max(map(len, lines[:-1])) <= 100


def test_results_hold_every_run_and_benchmark(home):
    results = pd.read_csv(home / REPORT / "results.csv")
    assert len(results) == 4 * 6
    assert set(results["arm"]) == {"lora", *(f"lora+talan/memory={m}" for m in (1, 2, 3))}
    assert results["score"].between(0, 1).all()
    assert not results.duplicated(["arm", "backbone", "hp", "seed", "benchmark"]).any()
    items = pd.read_parquet(home / REPORT / "items.parquet")
    assert len(items) == 4 * 6 * 30
    means = items.groupby("run_key", observed=True)["correct"].mean()
    assert (results.set_index("run_key")["score"] - means).abs().max() == 0
    costs = pd.read_csv(home / REPORT / "costs.csv")
    assert (costs["train_seconds"] > 0).all()


def test_the_reference_arm_is_probed_after_its_runs(home):
    probes = pd.read_csv(home / REPORT / "probes.csv")
    assert set(probes["arm"]) == {"lora+talan/memory=1"}
    assert set(probes["seed"]) == set(range(6))
    curve = probes[(probes["measure"] == "rel_diff") & (probes["variant"] == "block")]
    assert (curve[curve["layer"] < curve["site"]]["value"] == 0).all()
    assert (curve[curve["layer"] >= curve["site"]]["value"] > 0).all()
    with sqlite3.connect(home / "home/ledger.sqlite") as db:
        assert db.execute("SELECT count(*) FROM probe").fetchone() == (6,)
    report = json.loads((home / REPORT / "report.json").read_text(encoding="utf-8"))
    (summary,) = report["sections"]["inside"]["probes"]["summaries"]
    assert (summary["arm"], summary["seeds"]) == ("lora+talan/memory=1", list(range(6)))
    assert report["sections"]["inside"]["probes"]["notes"] == []
    shown = (home / "first.txt").read_text(encoding="utf-8")
    assert "Does the mechanism do what it says" in shown
    assert "toy-backbone, 1 (6 seeds)" in (home / REPORT / "report.html").read_text("utf-8")


def test_the_same_command_again_trains_nothing(home, settings):
    before, attempts = (home / REPORT / "results.csv").read_bytes(), ledger_attempts(home)
    probes = (home / REPORT / "probes.csv").read_bytes()
    done = ablate("run", *settings, "home=home", cwd=home)
    assert done.returncode == 0
    assert "\n0 runs trained" in done.stdout
    assert (home / REPORT / "results.csv").read_bytes() == before
    assert (home / REPORT / "probes.csv").read_bytes() == probes
    assert ledger_attempts(home) == attempts
    report = json.loads((home / REPORT / "report.json").read_text(encoding="utf-8"))
    assert report["exploratory"] == []


def test_killing_the_driver_and_running_again_gives_the_same_bytes(home, settings, tmp_path):
    """kill -9 in the middle, twice; the rest is trained, nothing twice, and results are equal."""
    command = [sys.executable, "-m", "ablate", "run", *settings, "home=home", "progress=off"]
    ledger = tmp_path / "home/ledger.sqlite"
    total = len(ledger_attempts(home))

    def outcomes():
        if not ledger.exists():
            return 0
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as db:
            try:
                return db.execute("SELECT count(*) FROM run WHERE state='done'").fetchone()[0]
            except sqlite3.OperationalError:
                return 0

    seen = [0]
    for wanted in (3, 9):
        driver = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": ROOT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 120
        while outcomes() < wanted and time.monotonic() < end and driver.poll() is None:
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        seen.append(outcomes())
    assert 0 < seen[1] < seen[2] < total, f"the driver was not killed in the middle: {seen}"
    done = ablate(*command[3:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"\n{total - seen[2]} runs trained" in done.stdout
    assert (tmp_path / REPORT / "results.csv").read_bytes() == (
        home / REPORT / "results.csv"
    ).read_bytes()
    assert max(ledger_attempts(tmp_path).values()) == 1
    assert (tmp_path / REPORT / "probes.csv").read_bytes() == (
        home / REPORT / "probes.csv"
    ).read_bytes()
    kept = {path.name for path in (tmp_path / "home/checkpoints").iterdir()}
    assert kept == {path.name for path in (home / "home/checkpoints").iterdir()}
    assert len(kept) == 3 * 6


def test_more_seeds_train_the_difference_and_call_the_report_exploratory(home, settings, tmp_path):
    subprocess.run(["cp", "-r", str(home / "home"), str(tmp_path / "home")], check=True)
    more = [s for s in settings if not s.startswith("seeds")] + ["seeds=8"]
    done = ablate("run", *more, "home=home", "progress=off", "probe=no", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\n8 runs trained" in done.stdout
    assert "xploratory" in done.stdout
    report = json.loads((tmp_path / REPORT / "report.json").read_text(encoding="utf-8"))
    assert "seeds were added after a report with 6 seeds" in report["exploratory"][0]
    old = (home / REPORT / "results.csv").read_text(encoding="utf-8").splitlines()
    new = (tmp_path / REPORT / "results.csv").read_text(encoding="utf-8").splitlines()
    assert set(old) < set(new)


def test_other_levels_and_controls_share_the_baseline(home, settings, tmp_path):
    subprocess.run(["cp", "-r", str(home / "home"), str(tmp_path / "home")], check=True)
    other = [s for s in settings if not s.startswith(("levels", "name"))]
    done = ablate(
        "run",
        *other,
        "levels.memory=1,5",
        "controls=static",
        "name=other",
        "home=home",
        "progress=off",
        "probe=no",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "\n12 runs trained" in done.stdout
    assert "The mechanism against its controls" in done.stdout
    report = json.loads((tmp_path / "home/reports/other/report.json").read_text(encoding="utf-8"))
    (effect,) = report["sections"]["mechanism"]["controls"]["primary"]
    assert (effect["name"], effect["n_pairs"]) == ("mechanism vs static", 6)
    assert [arm["levels"] for arm in report["design"]["arms"]][-1] == {}
    page = (tmp_path / "home/reports/other/report.html").read_text(encoding="utf-8")
    assert "The mechanism at 1 against static" in page
    assert "learned vectors in place of a memory of the sequence" in page


def test_status_counts_and_names_reasons(home, settings):
    done = ablate("status", *settings, "home=home", "--json", cwd=home)
    status = json.loads(done.stdout)
    assert status["counts"]["done"] == 4 * 6 + 1
    assert status["not_entered"] == 0
    assert status["problems"] == []


def test_a_second_driver_is_refused(home, settings):
    import fcntl

    with (home / "home/driver.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = ablate("run", *settings, "home=home", cwd=home)
    assert done.returncode == 2
    assert "another driver is at work" in done.stderr


def test_ctrl_c_stops_cleanly_and_leaves_no_worker(settings, tmp_path):
    command = [sys.executable, "-m", "ablate", "run", *settings, "home=home", "train.steps=20000"]
    command = [part for part in command if part != "train.steps=6"]
    driver = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ROOT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while not slots_of(driver.pid) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(1)
    slots = slots_of(driver.pid)
    assert slots
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130, errors
    assert "the same command resumes" in errors
    assert "Traceback" not in errors
    for pid in slots:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with sqlite3.connect(tmp_path / "home/ledger.sqlite") as db:
        assert db.execute("SELECT count(*) FROM run WHERE state='running'").fetchone()[0] == 0


def slots_of(pid):
    """Worker processes of a driver."""
    found = subprocess.run(
        ["pgrep", "-P", str(pid), "-f", "ablate.executors.slot"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in found.stdout.split()]


def test_optuna_loads_the_factorial(home):
    import optuna

    results = pd.read_csv(home / REPORT / "results.csv")
    wide = results.pivot(index="seed", columns="arm", values="score") * 100
    study = optuna.load_study(study_name="toy", storage=f"sqlite:///{home}/home/optuna.db")
    assert {trial.params["memory"] for trial in study.trials} == {"1", "2", "3"}
    for trial in study.trials:
        expected = (wide[trial.user_attrs["arm"]] - wide["lora"]).mean()
        assert trial.value == pytest.approx(expected, abs=1e-9)
    assert set(optuna.importance.get_param_importances(study)) == {"memory"}


def test_mlflow_has_a_run_per_run_comparable_by_axis(home):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{home}/home/mlflow.db")
    experiment = client.get_experiment_by_name("toy")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    kinds = pd.Series([run.data.tags["ablate.kind"] for run in runs]).value_counts()
    assert kinds.to_dict() == {"run": 4 * 6 + 1, "arm": 3, "study": 1}
    assert {run.info.status for run in runs} == {"FINISHED"}
    (parent,) = [run for run in runs if run.data.tags["ablate.kind"] == "study"]
    tags = [set(run.data.tags) for run in runs if run.data.tags["ablate.kind"] == "run"]
    assert all(one == tags[0] for one in tags)
    results = pd.read_csv(home / REPORT / "results.csv").set_index("run_key")["score"]
    for run in runs:
        if run.data.tags["ablate.kind"] != "run" or run.data.params["adapter"] == "unadapted":
            continue
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert len([name for name in run.data.params if name.startswith("axis.")]) == 6
        score = run.data.metrics["score/pairs"]
        assert score == pytest.approx(100 * results[run.data.tags["ablate.run_key"]])
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"report.html", "report.json", "results.csv", "costs.csv", "items.parquet"} <= files
    assert {"probes.csv", "probe-growth.png", "probe-direction.png"} <= files
    inside = {
        run.data.tags["ablate.arm"]: run.data.metrics.get("probe.toy-backbone/amplification")
        for run in runs
        if run.data.tags["ablate.kind"] == "arm"
    }
    assert inside["lora+talan/memory=1"] > 0
    assert inside["lora+talan/memory=2"] is None


def test_a_lost_mlflow_database_is_rebuilt_by_report(home, settings, tmp_path):
    subprocess.run(["cp", "-r", str(home / "home"), str(tmp_path / "home")], check=True)
    (tmp_path / "home/mlflow.db").unlink()
    done = ablate("report", *settings, "home=home", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "home/mlflow.db") as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == 4 * 6 + 1 + 3 + 1
    assert (tmp_path / REPORT / "results.csv").read_bytes() == (
        home / REPORT / "results.csv"
    ).read_bytes()


def test_a_half_made_mlflow_database_is_made_anew(tmp_path):
    """A kill among MLflow's first migrations leaves a part file, never a broken database."""
    home = Home(tmp_path)
    part = tmp_path / "mlflow.part"
    part.write_bytes(b"torn")
    prepare_store(home)
    assert not part.exists()
    with sqlite3.connect(home.mlflow_database) as db:
        assert db.execute("SELECT count(*) FROM experiments").fetchone()[0] == 1


def test_own_results_give_the_same_inference(home):
    """``python -m stats`` on results.csv agrees with the study's own report."""
    done = subprocess.run(
        [sys.executable, "-m", "stats", "paired", str(home / REPORT / "results.csv"),
         "--arm", "arm", "--baseline", "lora", "--pair", "backbone,hp,seed",
         "--cell", "backbone,benchmark", "--score", "score", "--percent", "--sesoi", "1", "--json"],
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": ROOT},
    )  # fmt: skip
    alone = {cell["arm"]: cell for cell in json.loads(done.stdout)["cells"]}
    report = json.loads((home / REPORT / "report.json").read_text(encoding="utf-8"))
    text = json.dumps(report)
    for cell in alone.values():
        assert cell["n_pairs"] == 6
        if cell["t"] is not None:
            assert repr(cell["t"]) in text
            assert repr(cell["p_adjusted"]) in text


WILD = """
from ablate.adapters import lora, register_adapter

@register_adapter("wild", recipe=1, help="a scale at which training diverges")
def wild(hp, targets):
    config = lora(hp, targets)
    config.lora_alpha = 1e30
    return config
"""


def test_diverged_runs_are_outcomes_and_break_pairs(toys, tmp_path):
    (tmp_path / "wild_adapters.py").write_text(WILD, encoding="utf-8")
    settings = toys.settings(
        seeds="3", plugins="wild_adapters", adapters="lora,wild", train__steps="4"
    )
    done = ablate(
        "run",
        *settings,
        "home=home",
        "probe=no",
        cwd=tmp_path,
        PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    assert "9 diverged" in done.stdout
    results = pd.read_csv(tmp_path / REPORT / "results.csv")
    wild = results[results["adapter"] == "wild"]
    assert set(wild["outcome"]) == {"diverged"}
    assert wild["score"].isna().all()
    assert results[results["adapter"] == "lora"]["score"].notna().all()
    page = (tmp_path / REPORT / "report.html").read_text(encoding="utf-8")
    assert "step" in page
    assert "diverged" in page
    status = ablate(
        "status", "home=home", "--json", cwd=tmp_path, PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}"
    )
    problems = json.loads(status.stdout)["problems"]
    assert len(problems) == 9
    assert all("at step" in problem["reason"] for problem in problems)


def test_a_study_without_any_pair_ends_with_code_3_and_says_so(toys, tmp_path):
    settings = toys.settings(train__lr="1e30", train__steps="9")
    done = ablate("run", *settings, "home=home", "probe=no", cwd=tmp_path)
    assert done.returncode == 3
    assert "no contrast has two complete pairs" in done.stderr
    assert "Traceback" not in done.stderr
