import dataclasses
import os
import signal
import time

import pytest

from ablate.executors import PROBE, Failure, LocalExecutor, WorldExecutor
from ablate.executors.slot import find
from ablate.plan import make_plan
from tests.ablate import works


def collect(executor, count, seconds=30.0):
    """Poll until ``count`` outcomes are in."""
    outcomes = []
    end = time.monotonic() + seconds
    while len(outcomes) < count and time.monotonic() < end:
        outcomes += executor.poll(0.1)
    return {outcome.key: outcome for outcome in outcomes}


class Inline:
    """An executor without processes, for tests of the driver's loop."""

    def __init__(self):
        self.outcomes = []
        self.closed = False

    @property
    def free(self):
        return 2 - len(self.outcomes)

    def submit(self, specs, work="tests.ablate.works:execute"):
        for spec in specs:
            try:
                self.outcomes += find(work)([spec], None)
            except Exception as error:
                self.outcomes.append(Failure(spec.key, f"crash: {error}"))

    def poll(self, timeout):
        outcomes, self.outcomes = self.outcomes, []
        return outcomes

    def close(self):
        self.closed = True


class ExecutorContract:
    """What every executor promises; ``executor`` is a fixture with at least two free places."""

    @pytest.fixture
    def spec(self, toys, tmp_path, monkeypatch):
        monkeypatch.setenv("ABLATE_TEST_DIR", str(tmp_path))
        specs = make_plan(toys.study()).specs.values()
        return next(spec for spec in specs if spec.block is not None)

    def test_a_result_comes_back_once_and_whole(self, executor, spec):
        executor.submit([spec])
        found = collect(executor, 1)
        assert found[spec.key].scores[0].score == works.result_of(spec).scores[0].score
        assert executor.poll(0.1) == []

    def test_a_group_gives_a_result_per_run(self, executor, spec):
        group = [dataclasses.replace(spec, seed=seed) for seed in (0, 1)]
        executor.submit(group)
        assert set(collect(executor, 2)) == {member.key for member in group}

    def test_submitting_takes_a_place_and_polling_frees_it(self, executor, spec):
        free = executor.free
        executor.submit([spec])
        assert executor.free == free - 1
        collect(executor, 1)
        assert executor.free == free

    @pytest.mark.parametrize(
        ("seed", "reason"), [(works.CRASH, "planted crash"), (works.OOM, "planted")]
    )
    def test_an_exception_is_a_failure_with_its_reason(self, executor, spec, seed, reason):
        bad = dataclasses.replace(spec, seed=seed)
        executor.submit([bad])
        outcome = collect(executor, 1)[bad.key]
        assert isinstance(outcome, Failure)
        assert reason in outcome.reason
        executor.submit([spec])
        assert not isinstance(collect(executor, 1)[spec.key], Failure)

    def test_divergence_is_a_result(self, executor, spec):
        bad = dataclasses.replace(spec, seed=works.DIVERGE)
        executor.submit([bad])
        assert collect(executor, 1)[bad.key].outcome == "diverged"


class TestInline(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return Inline()


class TestWorld(ExecutorContract):
    """The whole contract; what concerns processes (kill, close, pipes) has nothing to act on."""

    @pytest.fixture
    def executor(self):
        return WorldExecutor("tests.ablate.works:execute")

    def test_its_own_work_is_the_world_of_the_spec(self, spec):
        executor = WorldExecutor()
        executor.grow(2)
        executor.submit([dataclasses.replace(spec, world="null:1/1")])
        (result,) = executor.poll(0)
        assert (result.outcome, result.environment) == ("done", {"world": "null:1/1"})

    def test_a_spec_without_a_world_is_a_failure_not_a_result(self, spec):
        executor = WorldExecutor()
        executor.submit([spec])
        (failure,) = executor.poll(0)
        assert "no world is named" in failure.reason

    def test_there_is_nothing_to_probe(self, executor, spec):
        executor.submit([spec], PROBE)
        (failure,) = executor.poll(0)
        assert failure.reason == "a synthetic world has no trained blocks to probe"

    def test_places_run_out_until_polled_and_close_forgets(self, executor, spec):
        while executor.free:
            executor.submit([spec])
        assert len(executor.poll(0)) > 1
        executor.submit([spec])
        executor.close()
        assert executor.poll(0) == []


@pytest.fixture(scope="module")
def slots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slots")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_TEST_DIR", str(folder))
        executor = LocalExecutor(2, work="tests.ablate.works:execute", log=folder / "workers.log")
    yield executor
    executor.close()


class TestLocal(ExecutorContract):
    @pytest.fixture
    def executor(self, slots):
        return slots

    def test_a_killed_worker_fails_its_run_alone_and_is_replaced(self, executor, spec):
        bad = dataclasses.replace(spec, seed=works.KILL)
        executor.submit([bad])
        executor.submit([spec])
        found = collect(executor, 2)
        assert "SIGKILL" in found[bad.key].reason
        assert found[spec.key].outcome == "done"
        assert executor.free == 2

    def test_no_worker_outlives_close(self, spec, tmp_path):
        executor = LocalExecutor(1, work="tests.ablate.works:execute")
        executor.submit([dataclasses.replace(spec, seed=works.SLOW)])
        (pid,) = executor.pids
        executor.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_a_worker_ends_when_its_input_ends_even_in_a_run(self, spec):
        executor = LocalExecutor(1, work="tests.ablate.works:execute")
        executor.submit([dataclasses.replace(spec, seed=works.SLOW)])
        slot = executor._slots[0]
        assert slot.process.stdin is not None
        slot.process.stdin.close()
        assert slot.process.wait(timeout=30) == 0
        executor.close()

    def test_workers_that_cannot_start_are_an_error_not_a_loop(self):
        executor = LocalExecutor(1, work="tests.ablate.no_such_module:execute")
        try:
            with pytest.raises(RuntimeError, match="end before they take a run"):
                collect(executor, 1)
        finally:
            executor.close()

    def test_a_worker_killed_while_idle_is_replaced(self, spec):
        executor = LocalExecutor(1, work="tests.ablate.works:execute")
        (pid,) = executor.pids
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while pid in executor.pids and time.monotonic() < end:
            executor.poll(0.1)
        executor.submit([spec])
        assert collect(executor, 1)[spec.key].outcome == "done"
        executor.close()
