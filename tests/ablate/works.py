"""Work functions for slots under test: no training, misbehaviour on demand.

A run's seed says what it does; a file in ``$ABLATE_TEST_DIR`` counts attempts across processes.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from ablate.result import Cost, RunResult, Score

CRASH, KILL, KILL_ONCE, OOM, DIVERGE, SLOW = 101, 102, 103, 104, 105, 106


def result_of(spec) -> RunResult:
    """Scores drawn from the run's key."""
    rng = np.random.default_rng(int(spec.key[:8], 16))
    scores = tuple(
        Score(p.benchmark, p.digest, rng.random(20) < 0.5, rng.normal(size=20).astype("f4"))
        for p in spec.benchmarks
    )
    return RunResult(spec.key, "done", "", scores, Cost(), (1.0,), {"torch": "test"})


def attempts(spec) -> int:
    """How often this run has been started, this time included."""
    file = Path(os.environ["ABLATE_TEST_DIR"]) / spec.key
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"{os.getpid()}\n")
    return len(file.read_text(encoding="utf-8").splitlines())


def execute(specs, checkpoints=None):
    """What ``ablate.worker:execute`` does, in no time."""
    results = []
    for spec in specs:
        count = attempts(spec)
        print("noise on standard output must not reach the driver")
        if spec.seed == CRASH:
            raise RuntimeError("planted crash")
        if spec.seed == OOM:
            raise MemoryError("planted")
        if spec.seed == KILL or (spec.seed == KILL_ONCE and count == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if spec.seed == SLOW:
            time.sleep(60)
        result = result_of(spec)
        if spec.seed == DIVERGE:
            result = RunResult(
                spec.key, "diverged", "loss nan at step 0", (), Cost(), (), {"torch": "test"}
            )
        results.append(result)
    return results
