"""What runs typically take: figures of one machine, scaled by the speed of this one."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from ablate.spec import UNADAPTED, RunSpec

TYPICAL = {
    "qwen3-deep": (3.9, 1.7, 4.4, 2.1),
    "qwen3-tiny": (2.1, 1.1, 2.5, 1.5),
    "qwen2-tiny": (2.1, 1.1, 2.7, 1.5),
    "qwen3-moe-tiny": (2.3, 1.4, 2.8, 1.8),
    "llama-tiny": (2.1, 1.1, 2.5, 1.4),
}
"""Median seconds of a LoRA run, from docs/cells.md: training, scoring; the same with the block."""

TYPICAL_ROWS = 40 * 16
"""Rows (steps x batch) of the trainings in the table."""

TYPICAL_PARTS = 5
"""Benchmarks that the runs of the table were scored on."""

WORLD_SECONDS = 0.01
"""Of a run in a synthetic world."""

REFERENCE_SECONDS = 0.0085
"""Median of a round of :func:`core_speed` where the table was measured, idle."""


def typical_seconds(spec: RunSpec) -> float | None:
    """Seconds of a run on an embedded backbone by the table; None for other backbones.

    Training is scaled by rows, scoring by the number of benchmarks. In a synthetic world nothing is
    trained.
    """
    if spec.world:
        return WORLD_SECONDS
    typical = TYPICAL.get(spec.backbone.name)
    if typical is None:
        return None
    train, score = typical[:2] if spec.block is None else typical[2:]
    score *= len(spec.benchmarks) / TYPICAL_PARTS
    if spec.adapter == UNADAPTED:
        return score
    return train * rows(spec) / TYPICAL_ROWS + score


def rows(spec: RunSpec) -> int:
    """Rows that a run trains on."""
    return spec.hp.steps * spec.hp.batch


def machine_speed(workers: int) -> float:
    """How fast this machine is with ``workers`` cores at work, relative to that of the table.

    The median of as many processes that are tested at a time, as a core alone is often faster than
    one among busy ones; takes about a second.
    """
    test = "from ablate.planning.typical import core_speed; print(core_speed())"
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", test],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | threads,
        )
        for _ in range(workers)
    ]
    return statistics.median(float(process.communicate()[0]) for process in processes)


def core_speed(rounds: int = 21) -> float:
    """How fast the core is that runs this, relative to one of the table's; takes 0.3 s.

    The processor time of small matrix products, element-wise functions and plain Python, as in the
    training of a tiny model. Waiting for other work on the machine does not count.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    stream = rng.normal(size=(48, 64)).astype(np.float32)
    weight = rng.normal(size=(64, 64)).astype(np.float32) / 8
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        h, total = stream, 0
        for step in range(600):
            h = np.tanh(h @ weight + stream)
            for i in range(40):
                total += i * step % 7
        seconds.append(time.process_time() - started)
    return REFERENCE_SECONDS / statistics.median(seconds)
