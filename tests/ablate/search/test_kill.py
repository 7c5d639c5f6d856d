"""kill -9 of the driver in the middle of a search, twice; the same trials in the end."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

from ablate.search.plan import make_search_plan
from ablate.search.replay import run_searches
from tests.ablate.search.conftest import Surface, runs_on
from tests.ablate.search.driver import trials_of
from tests.ablate.test_cli import ROOT

SETTINGS = {
    "axes": "none",
    "hp__lr": "3e-4..3e-2",
    "hp__rank": "2,4",
    "search__trials": "14",
    "search__round": "3",
    "search__seeds": "5",
}


def finished(ledger):
    if not ledger.exists():
        return 0
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as db:
        try:
            return db.execute("SELECT count(*) FROM run WHERE state = 'done'").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def test_killing_the_driver_and_running_again_makes_the_same_trials(
    toys, ledger, tmp_path, monkeypatch
):
    study = toys.study(**SETTINGS)
    straight = run_searches(make_search_plan(study), runs_on(ledger, Surface()))
    expected = json.loads(json.dumps(trials_of(straight)))
    assert any(trial[-1] for trial in expected), "racing has stopped nothing"
    home = tmp_path / "home"
    command = [sys.executable, "-m", "tests.ablate.search.driver", str(home)]
    command += toys.settings(**SETTINGS)
    slow = os.environ | {"PYTHONPATH": ROOT, "ABLATE_TEST_SECONDS": "0.02"}
    seen = [0]
    for wanted in (7, 60):
        driver = subprocess.Popen(command, env=slow, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while finished(home / "ledger.sqlite") < wanted and time.monotonic() < end:
            assert driver.poll() is None, "the driver has ended by itself"
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        seen.append(finished(home / "ledger.sqlite"))
    runs = len({key for trial in expected for key in trial[5]}) + 1
    assert 0 < seen[1] < seen[2] < runs, f"the driver was not killed in the middle: {seen}"
    done = subprocess.run(
        command, env=slow | {"ABLATE_TEST_SECONDS": "0"}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == expected
    with sqlite3.connect(home / "ledger.sqlite") as db:
        assert db.execute("SELECT max(attempts), count(*) FROM run").fetchone() == (1, runs)
