"""Between a search and the ledger: train what is missing, read what is there."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from ablate.errors import NoInference
from ablate.executors.base import Executor
from ablate.ledger import FAILED, WAITING, Ledger
from ablate.plan import PlannedRun
from ablate.progress import Reporter
from ablate.result import DIVERGED, DONE
from ablate.runner import Pace, Tally, run_waiting
from ablate.search.plan import VALIDATION
from ablate.search.replay import Scores
from ablate.spec import RunSpec


class Runs:
    """The runs of a search: an :data:`~ablate.search.replay.Execute` on a ledger.

    A run that fails by the machine's fault, attempts used up, ends the search: to go on without it
    would make the next suggestions depend on the machine. The same command tries again.

    Args:
        ledger: entered runs go there; the driver's lock must be held.
        executor: trains and scores.
        reporter: told of each end.
        total: runs at most, for the time left.
        prepare: called with the number of runs to train before each batch (to start workers).
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        reporter: Reporter,
        total: int,
        prepare: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._ledger, self._executor, self._reporter = ledger, executor, reporter
        self._prepare, self._pace = prepare, Pace(total)
        self.tally = Tally(0, 0, 0)
        self._passed = 0

    def __call__(self, runs: Sequence[PlannedRun]) -> Scores:
        """The validation score of each run, mean over its validation parts; None if it diverged.

        Raises:
            NoInference: a run has failed for good.
        """
        specs = {run.key: run.spec for run in runs}
        states = self._ledger.states(specs)
        have = self._ledger.scored(specs)
        lacking = {
            key: spec
            for key, spec in specs.items()
            if states.get(key) != DIVERGED
            and (
                states.get(key) != DONE
                or not {part.digest for part in spec.benchmarks} <= have.get(key, set())
            )
        }
        self._passed += len(specs) - len(lacking)
        if lacking:
            self._train(runs, lacking)
        states, scores = self._ledger.states(specs), self._ledger.scores(specs)
        found: dict[str, float | None] = {}
        for key, spec in specs.items():
            parts = [part for part in spec.benchmarks if part.split == VALIDATION]
            found[key] = (
                None
                if states[key] == DIVERGED
                else statistics.fmean(scores[key, part.digest].score for part in parts)
            )
        return found

    def _train(self, runs: Sequence[PlannedRun], lacking: Mapping[str, RunSpec]) -> None:
        self._ledger.add(lacking)
        labels = {run.key: f"{run.arm.label}, {run.backbone}, seed {run.spec.seed}" for run in runs}
        self._prepare(len(lacking))
        shown = _Counted(self._reporter, self._passed, self._pace)
        tally = run_waiting(lacking, labels, self._ledger, self._executor, shown)
        self._passed += len(lacking)
        old = self.tally
        self.tally = Tally(
            old.trained + tally.trained, old.diverged + tally.diverged, old.failed + tally.failed
        )
        states = self._ledger.states(lacking)
        failed = [key for key, state in states.items() if state in (FAILED, WAITING)]
        if failed:
            record = self._ledger.records(failed[:1])[failed[0]]
            raise NoInference(
                f"the search stops: run {failed[0][:8]} ({labels[failed[0]]}) failed "
                f"{record.attempts} times: {record.reason}",
                place="search",
                hint="the same command tries again; if the machine is too small for it, narrow the "
                "space (batch, rank, width)",
            )


class _Counted:
    """Passes counts of one batch on as counts of the whole search."""

    def __init__(self, reporter: Reporter, before: int, pace: Pace) -> None:
        self._reporter, self._before, self._pace = reporter, before, pace

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def update(self, done: int, failed: int, current: str, seconds_left: float | None) -> None:
        """One more run has ended."""
        whole = self._before + done
        self._reporter.update(whole, failed, current, self._pace.seconds_left(whole))
