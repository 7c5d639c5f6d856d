"""The embedded benchmarks: four skills in a form no embedded backbone has seen, and retention.

The items are made by `python -m studies.items build` and shipped.
"""

from pathlib import Path

from ablate.benchmarks.registry import Benchmark, register

_ITEMS = Path(__file__).parent / "items"

NAMES = tuple(
    register(
        Benchmark(name, title, _ITEMS / f"{name}.jsonl", chance=chance, main=name != "retention")
    ).name
    for name, title, chance in (
        ("arithmetic", "sums and differences of two numbers below 100", 0.016),
        ("algebra", "linear equations in one unknown", 0.102),
        ("code", "a function call that reverses a word", 0.002),
        ("recall", "the value of a key in a table longer than the slots", 0.128),
        ("retention", "the same skills as they were asked in pre-training", 0.06),
    )
)
