"""How long runs will take, and on what the figure rests."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ablate.spec import RunSpec


@dataclass(frozen=True)
class Estimate:
    """Expected wall time in seconds (None: unknown) and its basis in words."""

    seconds: float | None
    basis: str


def estimate(
    specs: Sequence[RunSpec], measured: Sequence[tuple[RunSpec, float]], workers: int
) -> Estimate:
    """Expected wall time of ``specs`` on ``workers`` processes.

    Each run is expected to take the median of the measured runs like it: same backbone, adapter
    and hyperparameters, both with or both without the block.

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
    total = 0.0
    for spec in specs:
        if _kind(spec) not in like:
            return Estimate(None, "no run like these has been measured in this home yet")
        total += statistics.median(like[_kind(spec)])
    used = sum(len(like[kind]) for kind in {_kind(spec) for spec in specs})
    return Estimate(
        total / workers, f"medians of {used} like runs in the ledger, {workers} at a time"
    )


def _kind(spec: RunSpec) -> object:
    return spec.backbone.digest, spec.adapter, spec.hp, spec.block is None
