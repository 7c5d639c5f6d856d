"""Where runs are executed: long-lived process slots on this machine."""

from ablate.executors.base import PROBE, TRAIN, Executor, Failure, Outcome
from ablate.executors.local import LocalExecutor

__all__ = ["PROBE", "TRAIN", "Executor", "Failure", "LocalExecutor", "Outcome"]
