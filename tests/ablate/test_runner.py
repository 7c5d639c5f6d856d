import dataclasses

import pytest

from ablate.ledger import open_ledger
from ablate.plan import make_plan
from ablate.progress import Quiet
from ablate.runner import run_waiting
from tests.ablate import works
from tests.ablate.test_executors import Inline


@pytest.fixture
def specs(toys, tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_TEST_DIR", str(tmp_path))
    return make_plan(toys.study()).specs


@pytest.fixture
def ledger(tmp_path):
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def with_seed(specs, seed):
    """The runs plus one that misbehaves as ``works`` says for ``seed``."""
    spec = dataclasses.replace(next(s for s in specs.values() if s.block), seed=seed)
    return spec, specs | {spec.key: spec}


class Record(Quiet):
    def __init__(self):
        self.updates = []

    def update(self, done, failed, current, seconds_left):
        self.updates.append((done, failed, current))


def test_every_waiting_run_is_executed_once(specs, ledger, tmp_path):
    ledger.add(specs)
    reporter = Record()
    tally = run_waiting(specs, {}, ledger, Inline(), reporter)
    assert (tally.trained, tally.diverged, tally.failed) == (len(specs), 0, 0)
    assert set(ledger.states(specs).values()) == {"done"}
    assert [done for done, *_ in reporter.updates] == list(range(1, len(specs) + 1))
    again = run_waiting(specs, {}, ledger, Inline(), Record())
    assert again.trained == 0
    assert all(len((tmp_path / key).read_text(encoding="utf-8").splitlines()) == 1 for key in specs)


def test_a_crashing_run_is_tried_three_times_then_failed(specs, ledger, tmp_path):
    bad, more = with_seed(specs, works.CRASH)
    ledger.add(more)
    tally = run_waiting(more, {}, ledger, Inline(), Record())
    assert (tally.trained, tally.failed) == (len(specs), 1)
    assert len((tmp_path / bad.key).read_text(encoding="utf-8").splitlines()) == 3
    record = ledger.records([bad.key])[bad.key]
    assert record.state == "failed"
    assert "planted crash" in record.reason


def test_a_diverged_run_is_not_retried(specs, ledger, tmp_path):
    bad, more = with_seed(specs, works.DIVERGE)
    ledger.add(more)
    tally = run_waiting(more, {}, ledger, Inline(), Record())
    assert (tally.diverged, tally.failed) == (1, 0)
    assert len((tmp_path / bad.key).read_text(encoding="utf-8").splitlines()) == 1


def test_an_interruption_returns_runs_in_flight_uncounted(specs, ledger):
    class Interrupted(Inline):
        def poll(self, timeout):
            raise KeyboardInterrupt

    ledger.add(specs)
    with pytest.raises(KeyboardInterrupt):
        run_waiting(specs, {}, ledger, Interrupted(), Record())
    records = ledger.records(specs).values()
    assert {record.state for record in records} == {"waiting"}
    assert {record.attempts for record in records} == {0}


def test_results_are_announced_after_the_ledger_has_them(specs, ledger):
    ledger.add(specs)
    seen = []

    def check(result):
        seen.append(ledger.states([result.key])[result.key])

    run_waiting(specs, {}, ledger, Inline(), Record(), on_result=check)
    assert seen == ["done"] * len(specs)
