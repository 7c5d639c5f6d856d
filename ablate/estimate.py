"""How long runs will take, and on what the figure rests."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ablate.spec import UNADAPTED, RunSpec

TYPICAL = {
    "qwen3-deep": (3.9, 1.7, 4.4, 2.1),
    "qwen3-tiny": (2.1, 1.1, 2.5, 1.5),
    "qwen2-tiny": (2.1, 1.1, 2.7, 1.5),
    "qwen3-moe-tiny": (2.3, 1.4, 2.8, 1.8),
    "llama-tiny": (2.1, 1.1, 2.5, 1.4),
}
"""Median seconds of a run, from docs/cells.md: training, scoring; the same with the block."""

TYPICAL_ROWS = 40 * 16
"""Rows (steps x batch) of the trainings in the table."""

START_SECONDS = 20.0
"""Imports of the workers, MLflow's first use, inference and report, as measured on that machine."""


@dataclass(frozen=True)
class Estimate:
    """Expected wall time in seconds (None: unknown) and its basis in words."""

    seconds: float | None
    basis: str


def estimate(
    specs: Sequence[RunSpec], measured: Sequence[tuple[RunSpec, float]], workers: int
) -> Estimate:
    """Expected wall time of ``specs`` on ``workers`` processes.

    Each run is expected to take the median of the measured runs like it (same backbone, adapter
    and hyperparameters, both with or both without the block), else what such a run typically takes.

    Args:
        specs: the runs to do.
        measured: finished runs with their seconds of training and scoring.
        workers: how many train at a time.
    """
    if not specs:
        return Estimate(0.0, "nothing to run")
    like: dict[object, list[float]] = {}
    for spec, seconds in measured:
        like.setdefault(_kind(spec), []).append(seconds)
    total, guessed = 0.0, 0
    for spec in specs:
        if _kind(spec) in like:
            total += statistics.median(like[_kind(spec)])
            continue
        typical = typical_seconds(spec)
        if typical is None:
            return Estimate(None, f"no run on {spec.backbone.name} has been measured here yet")
        total += typical
        guessed += 1
    used = sum(len(like.get(kind, ())) for kind in {_kind(spec) for spec in specs})
    bases = [f"medians of {used} like runs in the ledger"] if used else []
    bases += [f"typical 2-core figures for {guessed} runs unlike those"] if guessed and used else []
    bases += ["typical figures of a 2-core machine; none measured here yet"] if not used else []
    return Estimate(START_SECONDS + total / workers, f"{' and '.join(bases)}; {workers} at a time")


def typical_seconds(spec: RunSpec) -> float | None:
    """Seconds of a run on an embedded backbone by the published table; None for other backbones.

    Training is scaled by rows, scoring is not: the table is for the embedded benchmarks.
    """
    typical = TYPICAL.get(spec.backbone.name)
    if typical is None:
        return None
    train, score = typical[:2] if spec.block is None else typical[2:]
    if spec.adapter == UNADAPTED:
        return score
    return train * spec.hp.steps * spec.hp.batch / TYPICAL_ROWS + score


def _kind(spec: RunSpec) -> object:
    return spec.backbone.digest, spec.adapter, spec.hp, spec.block is None
