"""From a RunSpec to its RunResult in a world: every item answered, nothing trained."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ablate.benchmarks import load_items
from ablate.result import DIVERGED, DONE, Cost, RunResult, Score
from ablate.spec import UNADAPTED, Part, RunSpec
from ablate.streams import numpy_stream
from ablate.worlds.registry import find_world
from ablate.worlds.world import (
    Streams,
    World,
    acting,
    adapter_parameters,
    extra_parameters,
    stream,
)


def execute(specs: Sequence[RunSpec], folder: Path | None = None) -> list[RunResult]:
    """The outcomes of runs, each in the world that its spec names; ``folder`` stays as it is.

    Raises:
        AblateError: a spec without a world, or of one that is not known.
    """
    return [outcome(find_world(spec.world), spec) for spec in specs]


def outcome(world: World, spec: RunSpec) -> RunResult:
    """What becomes of a run: diverged, or done with all items of its benchmarks answered."""
    streams = world.streams(spec)
    diverged = world.diverges(spec, streams)
    scores = () if diverged else (answer(world, spec, streams, part) for part in spec.benchmarks)
    return RunResult(
        key=spec.key,
        outcome=DIVERGED if diverged else DONE,
        reason=f"synthetic: loss nan at step {spec.hp.steps // 2}" if diverged else "",
        scores=tuple(scores),
        cost=cost(spec, streams),
        losses=() if spec.adapter == UNADAPTED else (2.0, 1.0, 0.7),
        environment={"world": world.key},
    )


def answer(world: World, spec: RunSpec, streams: Streams, part: Part) -> Score:
    """A run's answers to the items of a part.

    An item has a difficulty, its percentile among equals, and is answered rightly where that lies
    below the run's accuracy. Some items are dealt another percentile by the pair, some by the run.
    All percentiles are uniform, so that the expected share of right answers is the accuracy.
    """
    n = len(load_items(part.source, part.split))
    noise = world.planted.noise
    p = world.accuracy(spec, part)
    if spec.adapter != UNADAPTED:
        p += world.luck(streams, part.benchmark) / 100
    percentile = difficulties(world.key, part.digest, n).copy()
    for of, share in ((streams.pair, noise.pair_items), (streams.own, noise.own_items)):
        rng = stream(of, f"items {part.digest}")
        redrawn = rng.random(n) < share
        percentile[redrawn] = rng.random(n)[redrawn]
    margin = 6.0 * (p - percentile)
    return Score(
        part.benchmark,
        part.digest,
        percentile < p,
        (-np.logaddexp(0.0, -margin)).astype(np.float32),
    )


@functools.lru_cache(maxsize=64)
def difficulties(world: str, digest: str, n: int) -> np.ndarray:
    """The percentile of each item's difficulty, (n,), evenly spread over 0 to 1."""
    order = numpy_stream({"world": world}, f"difficulties {digest}").permutation(n)
    values = (order + 0.5) / n
    values.flags.writeable = False
    return values


def cost(spec: RunSpec, streams: Streams) -> Cost:
    """What the run would have cost: made up, yet plausible for a tiny backbone."""
    block, layers = acting(spec), spec.backbone.n_layers
    extra = block or spec.matched
    scatter = float(stream(streams.own, "seconds").lognormal(0.0, 0.1))
    work = 0.002 * spec.hp.steps * layers * (1.0 + 0.3 * (block is not None))
    trained = spec.adapter != UNADAPTED
    return Cost(
        train_seconds=work * scatter if trained else 0.0,
        eval_seconds=0.1 * layers * len(spec.benchmarks) * scatter,
        peak_mb=600.0,
        adapter_parameters=adapter_parameters(spec, spec.backbone)
        + (extra_parameters(extra) if extra and block is None else 0),
        block_parameters=extra_parameters(block) if block else 0,
    )
