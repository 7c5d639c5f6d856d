"""Benchmarks: items in disjoint splits, the embedded ones and a user's own."""

from ablate.benchmarks import embedded
from ablate.benchmarks.registry import (
    BENCHMARKS,
    SPLITS,
    Benchmark,
    Item,
    benchmark,
    digest,
    load_items,
    majority_share,
    register,
)

MAIN = tuple(name for name in embedded.NAMES if BENCHMARKS[name].main)
"""The embedded benchmarks whose cells count in averages over main cells."""

__all__ = [
    "BENCHMARKS",
    "MAIN",
    "SPLITS",
    "Benchmark",
    "Item",
    "benchmark",
    "digest",
    "load_items",
    "majority_share",
    "register",
]
