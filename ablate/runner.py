"""The driver's loop: give waiting runs to the executor, write what comes back to the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ablate.executors.base import Executor, Failure, Outcome
from ablate.ledger import FAILED, WAITING, Ledger
from ablate.progress import Reporter
from ablate.result import DIVERGED, RunResult
from ablate.spec import RunSpec

POLL_SECONDS = 0.2
PACE_FROM = 3
"""The pace is measured from this run's end on."""


@dataclass(frozen=True)
class Tally:
    """What one command did: runs that ended done, diverged, failed."""

    trained: int
    diverged: int
    failed: int


def run_waiting(
    specs: Mapping[str, RunSpec],
    labels: Mapping[str, str],
    ledger: Ledger,
    executor: Executor,
    reporter: Reporter,
    on_result: Callable[[RunResult], None] = lambda result: None,
) -> Tally:
    """Execute every waiting run of ``specs`` until each has an outcome or has failed.

    On any exception (Ctrl-C included) the runs in flight go back to waiting, uncounted.

    Args:
        specs: the study's runs by key, in the order in which they should start.
        labels: what to show for each key.
        ledger: entered runs; only this function moves their states meanwhile.
        executor: executes groups; closing it is the caller's task.
        reporter: told of each end.
        on_result: called with each outcome once the ledger has it.
    """
    states = ledger.states(specs)
    queue = [key for key in specs if states[key] == WAITING]
    flying: dict[str, RunSpec] = {}
    ended = {DIVERGED: 0, FAILED: 0, "done": 0}
    pace = Pace(len(queue))
    try:
        while queue or flying:
            while queue and executor.free:
                key = queue.pop(0)
                ledger.claim(key)
                flying[key] = specs[key]
                executor.submit([specs[key]])
            for outcome in executor.poll(POLL_SECONDS):
                del flying[outcome.key]
                state = _record(outcome, ledger)
                if state == WAITING:
                    queue.append(outcome.key)
                    continue
                ended[state] += 1
                if isinstance(outcome, RunResult):
                    on_result(outcome)
                reporter.update(
                    sum(ended.values()),
                    ended[DIVERGED] + ended[FAILED],
                    labels.get(outcome.key, outcome.key),
                    pace.seconds_left(sum(ended.values())),
                )
    except BaseException:
        for key in flying:
            ledger.release(key)
        raise
    return Tally(ended["done"], ended[DIVERGED], ended[FAILED])


def _record(outcome: Outcome, ledger: Ledger) -> str:
    if isinstance(outcome, Failure):
        return ledger.fail(outcome.key, outcome.reason)
    assert isinstance(outcome, RunResult)
    ledger.finish(outcome)
    return outcome.outcome


class Pace:
    """Time left, from the ends of runs alone: the start includes imports and says little."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._first: tuple[int, float] | None = None

    def seconds_left(self, done: int) -> float | None:
        """None until enough runs have ended to tell."""
        now = time.monotonic()
        if done >= PACE_FROM and self._first is None:
            self._first = (done, now)
        if self._first is None or done == self._first[0]:
            return None
        count, at = self._first
        return (now - at) / (done - count) * (self._total - done)
