"""How long runs will take: low, expected and high, and on what the figures rest."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.planning.typical import rows, typical_seconds
from ablate.result import Cost
from ablate.spec import UNADAPTED, RunSpec

START_SECONDS = 20.0
"""Imports of the workers, MLflow's first use, inference and report, where the table was made."""

RUN_SECONDS = 0.25
"""Of a run beside training and scoring: loading, attaching, keeping the checkpoint."""

PROBE_SECONDS = 4.0
"""Of a probe of one trained run."""

SPREAD = (0.7, 1.4)
"""What typical figures are multiplied with for low and high: chosen, no quantiles."""

QUANTILES = (0.1, 0.9)
"""Of like runs in the ledger, for low and high."""

ENOUGH = 5
"""From so many measured runs on, they tell how fast this machine is."""


@dataclass(frozen=True)
class Estimate:
    """Expected wall time in seconds with its range (None: unknown), and the basis in words."""

    low: float | None
    seconds: float | None
    high: float | None
    basis: str


@dataclass(frozen=True)
class Measured:
    """Finished runs with what they cost, in order."""

    runs: Sequence[tuple[RunSpec, Cost]] = ()

    def by_kind(self) -> dict[object, list[tuple[float, float]]]:
        """Seconds of training per row and of scoring per benchmark, by kind of run."""
        found: dict[object, list[tuple[float, float]]] = {}
        for spec, cost in self.runs:
            train = 0.0 if spec.adapter == UNADAPTED else cost.train_seconds / rows(spec)
            score = cost.eval_seconds / max(1, len(spec.benchmarks))
            found.setdefault(kind(spec), []).append((train, score))
        return found

    def speed(self) -> float | None:
        """How fast the measured runs were against the typical table; None with too few."""
        ratios = [
            typical / seconds
            for spec, cost in self.runs
            if (typical := typical_seconds(spec))
            and (seconds := cost.train_seconds + cost.eval_seconds) > 0
        ]
        return statistics.median(ratios) if len(ratios) >= ENOUGH else None


def kind(spec: RunSpec) -> object:
    """What runs must share to take alike, up to the rows they train on."""
    control = None if spec.block is None else spec.block.control
    return spec.backbone.digest, spec.adapter, spec.block is None, control, spec.world


def estimate(
    specs: Sequence[RunSpec],
    measured: Measured,
    workers: int,
    *,
    probes: int = 0,
    speed: float = 1.0,
) -> Estimate:
    """Expected wall time of ``specs`` on ``workers`` processes.

    A run is expected to take the median of the measured runs of its kind, scaled by the rows it
    trains on, else what such a run typically takes, scaled by the speed that the other measured
    runs show, else by ``speed``.

    Args:
        specs: the runs to do.
        measured: finished runs.
        workers: how many train at a time.
        probes: runs that are looked inside of afterwards.
        speed: of this machine against the table's, where too few runs are measured.
    """
    if not specs and not probes:
        return Estimate(0.0, 0.0, 0.0, "nothing to run")
    like = {name: np.array(pairs) for name, pairs in measured.by_kind().items()}
    own_speed = measured.speed()
    pace = own_speed or speed
    totals = np.zeros(3)
    guessed = 0
    for spec in specs:
        seconds = _like_seconds(spec, like)
        if seconds is None:
            typical = typical_seconds(spec)
            if typical is None:
                basis = f"no run on {spec.backbone.name} has been measured here yet"
                return Estimate(None, None, None, basis)
            seconds = np.array([SPREAD[0], 1.0, SPREAD[1]]) * typical / pace
            guessed += 1
        totals += seconds + RUN_SECONDS / pace
    totals += probes * PROBE_SECONDS / pace * np.array([SPREAD[0], 1.0, SPREAD[1]])
    totals = START_SECONDS / pace + totals / workers
    low, middle, high = (float(total) for total in totals)
    used = sum(len(like[name]) for name in {kind(spec) for spec in specs} & set(like))
    return Estimate(low, middle, high, _basis(used, guessed, own_speed, speed, workers))


def _like_seconds(spec: RunSpec, like: Mapping[object, np.ndarray]) -> np.ndarray | None:
    """Low, median and high of the measured runs of its kind; None without any."""
    found = like.get(kind(spec))
    if found is None:
        return None
    work = found[:, 0] * (0 if spec.adapter == UNADAPTED else rows(spec))
    totals = work + found[:, 1] * len(spec.benchmarks)
    low, high = np.quantile(totals, QUANTILES)
    return np.array([low, float(np.median(totals)), high])


def _basis(used: int, guessed: int, own: float | None, speed: float, workers: int) -> str:
    bases = [f"medians of {used} like runs in the ledger"] if used else []
    if guessed:
        by = "runs in the ledger" if own else "a test of its cores"
        bases.append(
            f"typical figures for {guessed} runs, at {own or speed:.2f} times their speed by {by}"
        )
    return f"{' and '.join(bases) or 'typical figures'}; {workers} at a time"
