"""A gate: a claim on a rate, the band it must keep, and a wrong method that must leave the band."""

from __future__ import annotations

import importlib
import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.stats

KINDS = ("equal", "at most", "at least")
BAND = 0.999
ROUNDED = 0.0005  # documented rates have three digits
SUBJECTS = (
    "single", "intervals", "families", "cells", "equivalence", "adding_seeds", "mixed", "spreads",
    "items", "described", "planned",
)  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """One value per replicate, ours and the mutant's on the same data, each (replicates,).

    Boolean: a hit or none; the gate is on their rate. Float: the gate is on their mean.
    """

    ours: np.ndarray
    mutant: np.ndarray


@dataclass(frozen=True)
class Gate:
    """What must hold of ``simulate(replicates, rng)``.

    ``expected`` is exact, or, where ``known`` > 0, a documented rate that was itself simulated with
    so many replicates; ``source`` says which. ``kind`` "equal" is two-sided, "at most" and "at
    least" have one side. ``short`` and ``long`` are the replicates of the test and of the command.
    """

    name: str
    claim: str
    kind: str
    source: str
    mutant: str
    simulate: Callable[[int, np.random.Generator], Runs] = field(repr=False)
    expects: Callable[[], float] = field(repr=False)
    known: int = 0
    short: int = 2000
    long: int = 20_000

    @cached_property
    def expected(self) -> float:
        """The value claimed."""
        return self.expects()

    def band(self, replicates: int, sd: float | None = None) -> tuple[float, float]:
        """Where the rate lies in 999 of 1,000 simulations if the claim is true.

        Binomial at ``expected``; a documented rate adds its own simulation error and rounding. With
        ``sd`` the band of a mean of values with that standard deviation (normal).
        """
        if sd is not None:
            half = -float(scipy.stats.norm.ppf((1 - BAND) / 2)) * sd / math.sqrt(replicates)
            low, high = self.expected - half, self.expected + half
        else:
            size = replicates
            if self.known:
                size = replicates * self.known // (replicates + self.known)
            low, high = (
                float(k) / size for k in scipy.stats.binom.interval(BAND, size, self.expected)
            )
            if self.known:
                low, high = low - ROUNDED, high + ROUNDED
        if self.kind == "at most":
            return -math.inf, high
        if self.kind == "at least":
            return low, math.inf
        return low, high


@dataclass(frozen=True)
class Outcome:
    """A gate after so many replicates: both rates, the band, and the seconds it took."""

    gate: Gate
    replicates: int
    found: float
    mutant: float
    low: float
    high: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the claim is kept."""
        return self.low <= self.found <= self.high

    @property
    def bites(self) -> bool:
        """Whether the mutant leaves the band, so that the gate can fail."""
        return not self.low <= self.mutant <= self.high

    @property
    def sentence(self) -> str:
        """The gate in words, for a failing test."""
        ends = (f"{end:.4f}" if math.isfinite(end) else "-" for end in (self.low, self.high))
        return (
            f"{self.gate.claim}: {self.found:.4f} in {self.replicates} replicates, expected "
            f"{self.gate.kind} {self.gate.expected:.4f} ({self.gate.source}), band "
            f"[{', '.join(ends)}]; the mutant '{self.gate.mutant}' has {self.mutant:.4f}"
        )


GATES: dict[str, Gate] = {}


def register(
    name: str,
    claim: str,
    *,
    expected: float | Callable[..., float],
    source: str,
    mutant: str = "{mutant}",
    kind: str = "equal",
    known: int | Callable[..., int] = 0,
    short: int | Callable[..., int] = 2000,
    long: int | Callable[..., int] = 20_000,
    cases: Sequence[Mapping[str, Any]] = ({},),
) -> Callable[[Callable[..., Runs]], Callable[..., Runs]]:
    """Register a simulation as a gate, once for each case.

    The case's values are the function's keyword arguments; they fill the braces of ``name``,
    ``claim``, ``kind``, ``source`` and ``mutant``, and are what ``expected``, ``known``, ``short``
    and ``long`` are called with where these are functions.
    """

    def add(simulate: Callable[..., Runs]) -> Callable[..., Runs]:
        for case in cases:
            full = name.format(**case)
            assert full not in GATES, full
            assert kind.format(**case) in KINDS, full
            GATES[full] = Gate(
                name=full,
                claim=claim.format(**case),
                kind=kind.format(**case),
                source=source.format(**case),
                mutant=mutant.format(**case),
                simulate=partial(simulate, **case),
                expects=partial(_of, expected, case),
                known=int(_of(known, case)),
                short=int(_of(short, case)),
                long=int(_of(long, case)),
            )
        return simulate

    return add


def _of(value: float | Callable[..., float], case: Mapping[str, Any]) -> float:
    return value(**case) if callable(value) else value


def every_gate() -> dict[str, Gate]:
    """All gates by name, in the order of ``SUBJECTS``."""
    for subject in SUBJECTS:
        importlib.import_module(f"{__package__}.{subject}")
    return GATES


@dataclass
class Simulation:
    """A gate being simulated in parts of its short size, so that a short run begins a long one.

    Each part is seeded by the gate's name, ``seed`` and the part's number. ``replicates`` is where
    it ends, ``seconds`` what the parts so far took.
    """

    gate: Gate
    replicates: int
    seed: int = 0
    seconds: float = 0.0
    parts: list[Runs] = field(default_factory=list, repr=False)

    @property
    def done(self) -> int:
        """The replicates so far."""
        return sum(part.ours.size for part in self.parts)

    @property
    def left(self) -> float:
        """Seconds to go, foreseen from the parts so far."""
        return self.seconds * (self.replicates / max(self.done, 1) - 1)

    def step(self) -> None:
        """Simulate one more part."""
        start = time.perf_counter()
        size = min(self.gate.short, self.replicates - self.done)
        name = zlib.crc32(self.gate.name.encode())
        runs = self.gate.simulate(size, np.random.default_rng([name, self.seed, len(self.parts)]))
        assert runs.ours.shape == runs.mutant.shape == (size,), self.gate.name
        self.parts.append(runs)
        self.seconds += time.perf_counter() - start

    def outcome(self) -> Outcome:
        """Both rates so far, and the band at so many replicates."""
        ours = np.concatenate([part.ours for part in self.parts])
        mutant = np.concatenate([part.mutant for part in self.parts])
        sd = None if ours.dtype == bool else float(ours.std(ddof=1))
        low, high = self.gate.band(ours.size, sd)
        return Outcome(
            self.gate, ours.size, float(ours.mean()), float(mutant.mean()), low, high, self.seconds
        )


def run(gate: Gate, replicates: int, *, seed: int = 0) -> Outcome:
    """Simulate a gate to its end."""
    simulation = Simulation(gate, replicates, seed)
    while simulation.done < replicates:
        simulation.step()
    return simulation.outcome()
