"""Where runs are executed: long-lived process slots on this machine, or a synthetic world."""

from ablate.executors.base import PROBE, TRAIN, Executor, Failure, Outcome
from ablate.executors.local import LocalExecutor
from ablate.executors.world import WorldExecutor

__all__ = ["PROBE", "TRAIN", "Executor", "Failure", "LocalExecutor", "Outcome", "WorldExecutor"]
