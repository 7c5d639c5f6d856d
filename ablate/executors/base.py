"""What the driver asks of an executor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ablate.probing.result import Probed
from ablate.result import RunResult
from ablate.spec import RunSpec

TRAIN = "ablate.worker:execute"
"""The work of training and scoring: a function of RunSpecs that returns RunResults."""

PROBE = "ablate.probing.work:execute"
"""The work of probing trained runs: a function of RunSpecs that returns Probeds."""


@dataclass(frozen=True)
class Failure:
    """Work that came to no outcome through the machine's fault: crash, kill, out of memory."""

    key: str
    reason: str


Outcome = RunResult | Probed | Failure


class Executor(Protocol):
    """Executes groups of runs that share backbone and tensor shapes (a group of one is fine).

    What is done with a group is named by its ``work``, a ``module:function`` that takes the
    RunSpecs and the folder of the checkpoints (or None) and returns a result per RunSpec.

    Rules: ``submit`` never blocks on a run and may only be called while ``free`` is positive; each
    submitted key comes back from ``poll`` exactly once, as a result or a failure; the executor
    never retries (the ledger counts attempts); after ``close`` no worker is left.
    """

    @property
    def free(self) -> int:
        """How many groups can be submitted now."""
        ...

    def grow(self, workers: int) -> None:
        """Start workers until there are so many; never fewer than there were."""
        ...

    def submit(self, specs: Sequence[RunSpec], work: str = "") -> None:
        """Start ``work`` on a group; the executor's own work unless named."""
        ...

    def poll(self, timeout: float) -> list[Outcome]:
        """Outcomes since the last call; waits up to ``timeout`` seconds for the first one."""
        ...

    def close(self) -> None:
        """Stop all workers, whatever they are doing."""
        ...
