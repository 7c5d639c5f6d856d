"""A world: the accuracy that a run is to have, and the luck it is dealt."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ablate.benchmarks import benchmark
from ablate.spec import UNADAPTED, Backbone, Block, Part, RunSpec, content_key
from ablate.streams import numpy_stream
from ablate.worlds.levels import code
from ablate.worlds.planted import Planted

UNADAPTED_LOSS = 25.0
"""Points by which the unadapted backbone lies below its adapters; retention is not adapted to."""

BASE = (40.0, 60.0)
"""Range of an adapter's accuracy over cells, in points: far from both ends of the scale."""

ADAPTER_SD = 1.0
REFERENCE_LR = math.log10(5e-3)
LIMITS = (0.01, 0.99)
BLOCK_ADAPTS = 0.5
"""The share of the adaptation that a block alone reaches (scope side)."""


@dataclass(frozen=True)
class Streams:
    """Names of random streams: those that the arms of a pair share, and those of the run alone."""

    pair: str
    own: str


@dataclass(frozen=True)
class World:
    """One world. ``key`` is its identity (``null:7/1``); ``planted`` what is true in it."""

    key: str
    planted: Planted

    @property
    def kind(self) -> str:
        """The kind of the world."""
        return self.key.partition(":")[0]

    def accuracy(self, spec: RunSpec, part: Part, *, population: bool = False) -> float:
        """The expected share of right answers of a run, 0 to 1, over all luck.

        ``population`` leaves out what is peculiar to this backbone and cell of the mechanism's
        gain, which has mean zero over the population of backbones.
        """
        points = self._base(spec.backbone.digest, part.benchmark)
        if not benchmark(part.source).main:
            points += self._unlearned(spec)
        elif spec.adapter == UNADAPTED:
            points -= UNADAPTED_LOSS
        else:
            points += self._adapter(spec.adapter) + self._tuned(spec)
            points += self.gain(spec, part, population=population)
            if spec.block is not None and spec.block.scope == "side":
                points -= (1 - BLOCK_ADAPTS) * UNADAPTED_LOSS
        low, high = LIMITS
        return min(max(points / 100, low), high)

    def gain(self, spec: RunSpec, part: Part, *, population: bool = False) -> float:
        """What the block, or the parameters in its place, add to the adapter, in points."""
        planted, block = self.planted, acting(spec)
        extra = block or spec.matched
        points = planted.parameters * extra_parameters(extra) / 1000 if extra else 0.0
        if block is None:
            return points
        points += planted.perturbation
        if block.control is None:
            points += planted.mechanism + self._axes(block, spec.backbone.n_layers)
            points += planted.interplay * (math.log10(spec.hp.lr) - REFERENCE_LR)
            if not population:
                points += self._peculiar(spec.backbone.digest, part.benchmark)
        return points

    def luck(self, streams: Streams, name: str) -> float:
        """The pair's and the run's own deviation from ``accuracy`` on a benchmark, in points."""
        noise = self.planted.noise
        return (
            noise.pair * _normal(streams.pair, "level")
            + noise.pair_cell * _normal(streams.pair, f"benchmark {name}")
            + noise.own * _normal(streams.own, "level")
            + noise.own_cell * _normal(streams.own, f"benchmark {name}")
        )

    def diverges(self, spec: RunSpec, streams: Streams) -> bool:
        """Whether the run's loss blows up: an accident, or the mechanism's with bad luck."""
        planted, block = self.planted, acting(spec)
        if spec.adapter == UNADAPTED:
            return False
        if planted.accidents and stream(streams.own, "accident").random() < planted.accidents:
            return True
        if block is None or block.control is not None:
            return False
        return float(special.ndtr(_normal(streams.own, "level"))) < planted.diverging

    def streams(self, spec: RunSpec) -> Streams:
        """What a run's luck is drawn from; a block that never acts has its baseline's luck."""
        if spec.block is not None and acting(spec) is None:
            spec = dataclasses.replace(spec, block=None)
        return Streams(
            content_key({"world": self.key, "pair": spec.pair()}),
            content_key({"world": self.key, "run": spec.key}),
        )

    def _base(self, backbone: str, name: str) -> float:
        return BASE[0] + (BASE[1] - BASE[0]) * self._fixed("uniform", f"cell {backbone} {name}")

    def _adapter(self, adapter: str) -> float:
        return ADAPTER_SD * self._fixed("normal", f"adapter {adapter}")

    def _peculiar(self, backbone: str, name: str) -> float:
        planted = self.planted
        points = 0.0
        if planted.by_backbone:
            points += planted.by_backbone * self._fixed("normal", f"gain {backbone}")
        if planted.by_cell:
            points += planted.by_cell * self._fixed("normal", f"gain {backbone} {name}")
        return points

    def _fixed(self, law: str, name: str) -> float:
        return _fixed(self.key, law, name)

    def _tuned(self, spec: RunSpec) -> float:
        """The main effect of hyperparameters: smooth, the same for all arms but for the optimum."""
        hp, planted, block = spec.hp, self.planted, acting(spec)
        has_mechanism = block is not None and block.control is None
        best = planted.optimum + (planted.shift if has_mechanism else 0.0)
        return (
            -planted.curvature * (math.log10(hp.lr) - best) ** 2
            + 1.5 * math.tanh(math.log2(hp.rank / 8) / 2)
            + 2.0 * math.tanh(math.log2(hp.steps / 40) / 2)
            + 0.5 * math.tanh(math.log2(hp.batch / 16) / 2)
            - 0.2 * math.log2(hp.alpha / 16) ** 2
            - 10.0 * hp.dropout**2
            - 5.0 * hp.weight_decay**2
        )

    def _axes(self, block: Block, n_layers: int) -> float:
        planted = self.planted
        points = sum(
            size * (code(axis, block, n_layers) - 0.5) for axis, size in planted.axes.items()
        )
        for (first, second), size in planted.interactions.items():
            a, b = (code(axis, block, n_layers) - 0.5 for axis in (first, second))
            points += size * a * b
        return points

    def _unlearned(self, spec: RunSpec) -> float:
        block = acting(spec)
        return self.planted.retention if block is not None and block.control is None else 0.0


def acting(spec: RunSpec) -> Block | None:
    """The block of a run, or None where it has none or stays a no-op (scope adapter)."""
    return None if spec.block is None or spec.block.scope == "adapter" else spec.block


def extra_parameters(block: Block) -> int:
    """A nominal count of a block's trainable parameters, for a stream of 64 channels."""
    return 3 * 64 * block.width + block.memory * block.width + block.width**2


def adapter_parameters(spec: RunSpec, backbone: Backbone) -> int:
    """A nominal count of an adapter's parameters: seven projections of 64 x 64 in each layer."""
    return 0 if spec.adapter == UNADAPTED else 7 * 2 * 64 * spec.hp.rank * backbone.n_layers


@functools.lru_cache(maxsize=4096)
def _fixed(world: str, law: str, name: str) -> float:
    stream = numpy_stream({"world": world}, name)
    return float(stream.random() if law == "uniform" else stream.standard_normal())


@functools.lru_cache(maxsize=4096)
def _normal(of: str, name: str) -> float:
    return float(stream(of, name).standard_normal())


def stream(of: str, name: str) -> np.random.Generator:
    """The stream ``name`` of a pair or a run (see :class:`Streams`)."""
    return numpy_stream({"of": of}, name)
