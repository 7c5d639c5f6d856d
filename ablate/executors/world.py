"""The executor of synthetic worlds: in this process, at once, nothing trained."""

from __future__ import annotations

from collections.abc import Sequence

from ablate.executors.base import PROBE, Failure, Outcome
from ablate.executors.slot import find, reason_of
from ablate.spec import RunSpec

WORLD = "ablate.worlds.draw:execute"
"""The work of a world: a function of RunSpecs that returns RunResults."""

PLACES = 64
"""Groups that may wait to be polled."""


class WorldExecutor:
    """An :class:`~ablate.executors.base.Executor` in the driver's own process.

    A run of a world takes a millisecond, so that ``submit`` carries it out and ``poll`` hands it
    over; there is no process that could die. Probes do not exist in a world and come back as
    failures.

    Args:
        work: the work of groups that are submitted without one.
    """

    def __init__(self, work: str = WORLD) -> None:
        self._work = work
        self._groups: list[list[Outcome]] = []

    @property
    def free(self) -> int:
        """How many groups can be submitted before the next poll."""
        return PLACES - len(self._groups)

    def grow(self, workers: int) -> None:
        """Nothing: there are no workers."""

    def submit(self, specs: Sequence[RunSpec], work: str = "") -> None:
        """Carry a group out; what an exception ends is a failure of every run of the group."""
        group: list[Outcome]
        if work == PROBE:
            group = [Failure(spec.key, NO_PROBES) for spec in specs]
        else:
            try:
                group = list(find(work or self._work)(specs, None))
            except Exception as error:
                reason = reason_of(error)
                group = [Failure(spec.key, reason) for spec in specs]
        self._groups.append(group)

    def poll(self, timeout: float) -> list[Outcome]:
        """What was submitted since the last call; never waits."""
        outcomes = [outcome for group in self._groups for outcome in group]
        self._groups.clear()
        return outcomes

    def close(self) -> None:
        """Forget what was not polled."""
        self._groups.clear()


NO_PROBES = "a synthetic world has no trained blocks to probe"
