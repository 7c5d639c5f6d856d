"""Work functions for searches under test: scores from a known surface, in no time.

Every run leaves a line in ``$ABLATE_TEST_DIR/log``: seed and splits.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np

from ablate.result import Cost, RunResult, Score
from ablate.spec import UNADAPTED

ITEMS = 200
OPTIMUM = math.log(3e-3)
BAD_LR, DIVERGING_LR = 0.05, 0.2
"""Learning rates from which a run is far worse, and from which it diverges."""


def quality(spec) -> float:
    """The share of items answered: best at a learning rate of 3e-3, a little better with a block.

    Seeds add noise that arms and settings share, so that a bad setting loses on every instance.
    """
    if spec.adapter == UNADAPTED:
        return 0.1
    shared = np.random.default_rng(spec.seed).normal(0, 0.05)
    own = np.random.default_rng(int(spec.key[:8], 16)).normal(0, 0.01)
    gain = 0.05 if spec.block is not None else 0.0
    loss = 0.5 if spec.hp.lr >= BAD_LR else 0.05 * (math.log(spec.hp.lr) - OPTIMUM) ** 2
    return float(np.clip(0.6 + gain + shared + own - loss, 0, 1))


def result_of(spec) -> RunResult:
    """The outcome of a run; it diverges at huge learning rates."""
    cost = Cost(train_seconds=1.0 if spec.block is None else 1.5)
    if spec.adapter != UNADAPTED and spec.hp.lr >= DIVERGING_LR:
        return RunResult(spec.key, "diverged", "loss nan", (), cost, (), {"torch": "test"})
    right = round(ITEMS * quality(spec))
    loglik = np.full(ITEMS, -1.0, dtype="f4")
    scores = tuple(
        Score(p.benchmark, p.digest, np.arange(ITEMS) < right, loglik) for p in spec.benchmarks
    )
    return RunResult(spec.key, "done", "", scores, cost, (1.0,), {"torch": "test"})


def execute(specs, checkpoints=None):
    """What ``ablate.worker:execute`` does, on the surface above."""
    results = []
    for spec in specs:
        with (Path(os.environ["ABLATE_TEST_DIR"]) / "log").open("a", encoding="utf-8") as log:
            log.write(f"{spec.seed} {spec.key} {','.join(p.split for p in spec.benchmarks)}\n")
        time.sleep(float(os.environ.get("ABLATE_TEST_SECONDS", "0")))
        results.append(result_of(spec))
    return results
