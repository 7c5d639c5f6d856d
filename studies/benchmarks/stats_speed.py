"""How fast the resampling of ``stats`` is: ``python -m studies.benchmarks.stats_speed``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from stats.bootstrap import bootstrap_t
from stats.family import max_t
from stats.sample import Sample

RUNS = 5


def flips() -> None:
    """Step-down max-T of 32 paired tests with 20 seeds: random joint flips, and all of them."""
    samples = _tests(32, 20)
    _report(
        "10,000 random joint sign flips, 32 tests x 20 pairs",
        lambda: max_t(samples, n_resamples=10_000, max_enumerated=0),
    )
    _report("all 1,048,576 joint sign flips, 32 tests x 20 pairs", lambda: max_t(samples))


def boots() -> None:
    """Bootstrap-t intervals of 16 cells with 20 pairs each."""
    samples = _tests(16, 20)
    _report(
        "10,000 bootstrap-t resamples of each of 16 cells x 20 pairs",
        lambda: [bootstrap_t(sample, n_resamples=10_000) for sample in samples],
    )


def _tests(count: int, pairs: int) -> list[Sample]:
    """Differences of ``count`` correlated tests over the same pairs."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=pairs)
    return [Sample.of([shared + rng.normal(0.3, 1, pairs)]) for _ in range(count)]


def _report(what: str, work: Callable[[], object]) -> None:
    """Print the median seconds of ``RUNS`` runs, after one that is not counted."""
    work()
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    print(f"{what}: {statistics.median(seconds):.3f} s (median of {RUNS})")


if __name__ == "__main__":
    flips()
    boots()
