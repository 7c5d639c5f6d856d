"""Where runs are executed: long-lived process slots on this machine."""

from ablate.executors.base import Executor, Failure, Outcome
from ablate.executors.local import LocalExecutor

__all__ = ["Executor", "Failure", "LocalExecutor", "Outcome"]
