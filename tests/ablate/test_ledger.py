import sqlite3

import numpy as np
import pytest

from ablate.errors import AblateError
from ablate.ledger import MAX_ATTEMPTS, open_ledger
from ablate.plan import make_plan
from ablate.result import Cost, RunResult, Score


@pytest.fixture
def plan(toys):
    return make_plan(toys.study())


@pytest.fixture
def ledger(tmp_path, plan):
    opened = open_ledger(tmp_path / "ledger.sqlite")
    opened.add(plan.specs)
    yield opened
    opened.close()


def a_result(spec, outcome="done", reason=""):
    rng = np.random.default_rng(0)
    scores = tuple(
        Score(p.benchmark, p.digest, rng.random(7) < 0.5, rng.normal(size=7).astype("f4"))
        for p in (spec.benchmarks if outcome == "done" else ())
    )
    return RunResult(
        spec.key, outcome, reason, scores, Cost(1.0, 0.5, 100.0, 10, 3), (1.5, 0.5), {"torch": "2"}
    )


def first(plan):
    return next(iter(plan.specs.items()))


def test_a_run_goes_from_waiting_to_done(ledger, plan):
    key, spec = first(plan)
    assert ledger.states([key]) == {key: "waiting"}
    ledger.claim(key)
    assert ledger.states([key]) == {key: "running"}
    result = a_result(spec)
    ledger.finish(result)
    record = ledger.records([key])[key]
    assert (record.state, record.attempts, record.losses) == ("done", 1, (1.5, 0.5))
    assert record.spec == spec
    assert record.cost == result.cost
    score = ledger.scores([key])[key, spec.benchmarks[0].digest]
    assert (score.correct == result.scores[0].correct).all()
    assert (score.loglik == result.scores[0].loglik).all()
    assert ledger.environments()[record.environment] == {"torch": "2"}


def test_adding_again_changes_nothing(ledger, plan):
    key, spec = first(plan)
    ledger.claim(key)
    ledger.finish(a_result(spec))
    ledger.add(plan.specs)
    assert ledger.states([key]) == {key: "done"}
    assert set(ledger.keys()) == set(plan.specs)


def test_a_run_cannot_be_claimed_twice(ledger, plan):
    key, _ = first(plan)
    ledger.claim(key)
    with pytest.raises(RuntimeError, match="is not waiting"):
        ledger.claim(key)


def test_attempts_are_counted_and_end_in_failed(ledger, plan):
    key, _ = first(plan)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        ledger.claim(key)
        state = ledger.fail(key, f"crash {attempt}")
        assert state == ("failed" if attempt == MAX_ATTEMPTS else "waiting")
    assert ledger.records([key])[key].reason == f"crash {MAX_ATTEMPTS}"
    ledger.add(plan.specs)
    record = ledger.records([key])[key]
    assert (record.state, record.attempts) == ("waiting", 0)


def test_a_dead_drivers_runs_are_released_without_an_attempt(ledger, plan):
    key, _ = first(plan)
    ledger.claim(key)
    assert ledger.release_running() == 1
    record = ledger.records([key])[key]
    assert (record.state, record.attempts) == ("waiting", 0)


def test_a_diverged_run_is_an_outcome_without_scores(ledger, plan):
    key, spec = first(plan)
    ledger.claim(key)
    ledger.finish(a_result(spec, "diverged", "loss nan at step 3"))
    assert ledger.scores([key]) == {}
    ledger.add(plan.specs)
    record = ledger.records([key])[key]
    assert (record.state, record.reason) == ("diverged", "loss nan at step 3")


def test_a_benchmark_that_was_not_scored_makes_the_run_wait_again(ledger, plan, toys, tmp_path):
    key, spec = first(plan)
    ledger.claim(key)
    ledger.finish(a_result(spec))
    copy = tmp_path / "more.jsonl"
    text = toys.benchmark.read_text(encoding="utf-8").replace(">", ">>")
    copy.write_text(text, encoding="utf-8")
    other = make_plan(toys.study(benchmarks=f"{toys.benchmark},{copy}"))
    assert key in other.specs
    ledger.add(other.specs)
    assert ledger.states([key]) == {key: "waiting"}
    assert len(ledger.records([key])[key].spec.benchmarks) == 2


def test_reports_are_remembered_once_per_set_of_seeds(ledger):
    ledger.add_report("design", "study", (0, 1))
    ledger.add_report("design", "study", (0, 1))
    ledger.add_report("design", "study", (0, 1, 2))
    assert [seen.seeds for seen in ledger.reported("design")] == [(0, 1), (0, 1, 2)]
    assert ledger.reported("other") == []


def test_more_runs_than_sqlite_takes_at_once(ledger):
    assert ledger.states(f"key{i}" for i in range(3000)) == {}


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '99'")
    db.close()
    with pytest.raises(AblateError, match="has schema 99, this version knows up to 3"):
        open_ledger(path)


@pytest.mark.parametrize("content", [b"no database at all, but long enough" * 20, b"x"])
def test_a_damaged_ledger_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(AblateError, match="damaged"):
        open_ledger(path)
    assert path.read_bytes() == content


def test_a_torn_ledger_is_refused_and_left_alone(tmp_path, plan):
    path = tmp_path / "ledger.sqlite"
    ledger = open_ledger(path)
    ledger.add(plan.specs)
    ledger.close()
    torn = bytearray(path.read_bytes())
    torn[4096:12288] = b"\xff" * 8192
    path.write_bytes(bytes(torn))
    with pytest.raises(AblateError, match="damaged"):
        open_ledger(path)
    assert path.read_bytes() == bytes(torn)


def test_another_kind_of_database_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE something (x)")
    db.close()
    with pytest.raises(AblateError, match="no ledger"):
        open_ledger(path)
