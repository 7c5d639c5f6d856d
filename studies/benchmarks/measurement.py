"""Time in paired rounds with the interval of a median ratio, peak memory, and counts of kernels."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import binom
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

LEVEL = 0.95
"""The confidence that a decision needs."""

MIN_PAIRS = 6
"""The fewest pairs whose smallest and largest ratio enclose the median with 95 % confidence."""


@dataclass(frozen=True)
class Interval:
    """A median with a distribution-free interval: two order statistics of `n` values.

    `confidence` is exact, at least `LEVEL` where `n` >= `MIN_PAIRS`, and lower where fewer values
    allow no more than their whole range.
    """

    median: float
    low: float
    high: float
    confidence: float
    n: int


@dataclass(frozen=True)
class Goal:
    """A number must not exceed `limit`."""

    limit: float

    def judge(self, found: Interval | float) -> str:
        """`met`, `not met`, or `straddles` where the limit lies within the interval.

        Decided by the interval, not by the median; an exact number decides by itself. An interval
        of less than 95 % confidence decides nothing.
        """
        if not isinstance(found, Interval):
            return "met" if found <= self.limit else "not met"
        if found.confidence < LEVEL:
            return "too few"
        if found.high <= self.limit:
            return "met"
        return "not met" if found.low > self.limit else "straddles"


def median_interval(values: Sequence[float]) -> Interval:
    """The median of `values` and the narrowest symmetric pair of order statistics around it.

    [x_(k), x_(n+1-k)] encloses the population's median with probability 1 - 2 P(Bin(n, 1/2) < k)
    at least, whatever the distribution (David and Nagaraja 2003, Order Statistics, section 7.1).
    It takes the values as independent. `ValueError` without values.
    """
    ordered = sorted(values)
    n = len(ordered)
    if not n:
        raise ValueError("no values have no median")
    k = 1
    while 2 * (k + 1) <= n and 1 - 2 * binom.cdf(k, n, 0.5) >= LEVEL:
        k += 1
    confidence = max(0.0, float(1 - 2 * binom.cdf(k - 1, n, 0.5)))
    return Interval(float(np.median(ordered)), ordered[k - 1], ordered[n - k], confidence, n)


def rounds(
    contestants: Mapping[str, Callable[[], object]],
    count: int,
    *,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Seconds of each contestant in each of `count` rounds, after `warm_up` untimed ones.

    Every round runs each contestant once, in an order drawn by `orders`, so that a slow spell of
    the machine, a warmer chip or what the one before has left in the caches falls on all of them
    alike. Garbage is collected between the rounds only.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    drawn = orders(list(contestants), random.Random(seed))
    collecting = gc.isenabled()
    gc.disable()
    gc.collect()
    gc.freeze()  # the models need not be looked through in every round
    try:
        for turn in range(warm_up + count):
            gc.collect()
            for name in next(drawn):
                start = clock()
                contestants[name]()
                seconds = clock() - start
                if turn >= warm_up:
                    taken[name].append(seconds)
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()
    return taken


def orders(names: list[str], draw: random.Random) -> Iterator[list[str]]:
    """Random orders without end: in each run of len(names) of them, every name takes every place.

    A run holds the rotations of one random order, shuffled.
    """
    while True:
        first = draw.sample(names, len(names))
        rotations = [first[at:] + first[:at] for at in range(len(first))]
        draw.shuffle(rotations)
        yield from rotations


def wall_seconds() -> float:
    """A wall clock that is read when the GPU has nothing left to do."""
    torch.cuda.synchronize()
    return time.perf_counter()


CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "cuda": wall_seconds}
"""The clock by device. On a CPU the seconds of the process: with one thread they are those of the
wall on an idle machine, and what else runs there does not enter them."""


def ratios(taken: Sequence[float], baseline: Sequence[float]) -> Interval:
    """The median over the rounds of `taken` / `baseline`, with its interval."""
    return median_interval([one / other for one, other in zip(taken, baseline, strict=True)])


def shares(part: Sequence[float], whole: Sequence[float]) -> Interval:
    """The median over the rounds of 1 + `part` / `whole`: the cost of a part timed alone."""
    found = ratios(part, whole)
    return Interval(1 + found.median, 1 + found.low, 1 + found.high, found.confidence, found.n)


def resident_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of the storages behind `tensors`, each counted once."""
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage() for each in tensors}
    return sum(each.nbytes() for each in storages.values())


def peak_growth(call: Callable[[], object], device: torch.device) -> int:
    """Most bytes that torch holds during `call` above what it held before.

    On a GPU that is `torch.cuda.max_memory_allocated`; on a CPU the running sum of the allocations
    and releases of torch's allocator, which its profiler records (scratch memory that a library
    allocates by itself is not in it).
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    changes = [
        each for each in record.profiler.kineto_results.events() if each.name() == "[memory]"
    ]
    held = np.cumsum([each.nbytes() for each in sorted(changes, key=lambda each: each.start_ns())])
    return int(held.max(initial=0))


NO_KERNEL = (
    "_reshape_alias", "_unsafe_view", "detach", "empty", "empty_like", "empty_strided",
    "lift_fresh", "new_empty", "scalar_tensor",
)  # fmt: skip


class Operations(TorchDispatchMode):
    """Counts the tensor operations that compute; views and bare allocations are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Count `func` and run it."""
        if not func.is_view and func.overloadpacket.__name__ not in NO_KERNEL:
            self.count += 1
        return func(*args, **(kwargs or {}))


def operations(call: Callable[[], object]) -> int:
    """How many tensor operations `call` computes; a GPU launches one kernel or more for each."""
    with Operations() as counter:
        call()
    return counter.count


def launches(call: Callable[[], object]) -> int:
    """How many kernels, copies and fills `call` starts on the GPU."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        call()
        torch.cuda.synchronize()
    events = record.events() or []
    return sum(each.device_type == DeviceType.CUDA for each in events)
