"""A run, and its identity.

A run is a pure function of its :class:`RunSpec`. Its ``key`` is a hash of everything that
determines the trained weights and nothing else: which benchmarks are *scored*, where files lie and
which package versions are installed do not enter (versions are recorded as environment). A run
without the block has no block fields, so every study that needs that baseline shares it, and a run
of the unadapted backbone has no training fields at all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

IDENTITY_VERSION = 1
"""Raised whenever the meaning of an identity field changes; old runs are then not reused."""

UNADAPTED = "unadapted"
"""The adapter name of a backbone that is scored as it is."""


@dataclass(frozen=True)
class Backbone:
    """A backbone as a run needs it: name for people, where to load it from, digest for identity."""

    name: str
    source: str
    digest: str
    n_layers: int


@dataclass(frozen=True)
class Part:
    """A benchmark split: its name for people, the digest of its items, where to load it from.

    ``split`` is the one that a run is scored on, ``train`` for a part of the mix; what identifies
    items is their digest.
    """

    benchmark: str
    digest: str
    source: str
    split: str = "test"


@dataclass(frozen=True)
class Hp:
    """Hyperparameters shared by all arms. ``clip`` bounds the gradient norm of adapter and block,
    each on its own; ``lr`` decays linearly to zero."""

    steps: int
    batch: int
    lr: float
    rank: int
    alpha: float
    dropout: float
    weight_decay: float
    clip: float


@dataclass(frozen=True)
class Block:
    """The mechanism's part of a run: the axis levels in canonical form plus its own settings.

    ``site`` is the resolved decoder layer, so that two level names of one layer are one run.
    """

    site: int
    memory: int
    mixer: str
    writeback: str
    scope: str
    gradient_scale: float
    conditioning: str
    width: int
    lr_multiplier: float
    control: str | None = None
    recipes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class RunSpec:
    """One training (or the scoring of an unadapted backbone), with the benchmarks to score.

    Two controls are adapters without a block: ``matched`` names the block whose parameters the
    adapter gets as additional ranks, ``reseed`` draws the adapter from another stream of the pair.
    ``world`` names a synthetic world (``ablate.worlds``) in which nothing is trained.
    """

    backbone: Backbone
    adapter: str
    adapter_recipe: int
    train_recipe: int
    hp: Hp
    mix: tuple[Part, ...]
    block: Block | None
    seed: int
    device: str
    precision: str
    benchmarks: tuple[Part, ...] = field(default=())
    matched: Block | None = None
    reseed: bool = False
    world: str = ""

    def identity(self) -> dict[str, Any]:
        """What determines the result, as JSON-able data."""
        same: dict[str, Any] = {
            "version": IDENTITY_VERSION,
            "backbone": self.backbone.digest,
            "adapter": self.adapter,
            "device": self.device,
            "precision": self.precision,
        }
        if self.world:
            same["world"] = self.world
        if self.adapter == UNADAPTED:
            return same
        same |= {
            "recipes": [self.adapter_recipe, self.train_recipe],
            "hp": asdict(self.hp),
            "mix": [part.digest for part in self.mix],
            "seed": self.seed,
        }
        if self.block is not None:
            same["block"] = asdict(self.block)
        if self.matched is not None:
            same["matched"] = asdict(self.matched)
        if self.reseed:
            same["reseed"] = True
        return same

    @property
    def key(self) -> str:
        """The content key: 32 hexadecimal digits of BLAKE2b over the canonical identity."""
        return content_key(self.identity())

    def pair(self) -> dict[str, Any]:
        """What the runs of one pair share; every random stream is keyed by it."""
        shared: dict[str, Any] = {
            "backbone": self.backbone.digest,
            "hp": asdict(self.hp),
            "mix": [part.digest for part in self.mix],
            "seed": self.seed,
        }
        return shared | ({"world": self.world} if self.world else {})

    def to_json(self) -> str:
        """One line of JSON, read back by :meth:`from_json`."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """The inverse of :meth:`to_json`."""
        data = json.loads(text)
        return cls(
            **data
            | {
                "backbone": Backbone(**data["backbone"]),
                "hp": Hp(**data["hp"]),
                "mix": tuple(Part(**part) for part in data["mix"]),
                "benchmarks": tuple(Part(**part) for part in data["benchmarks"]),
                "block": _block(data["block"]),
                "matched": _block(data.get("matched")),
            }
        )


def _block(data: dict[str, Any] | None) -> Block | None:
    if data is None:
        return None
    return Block(**data | {"recipes": tuple(map(tuple, data["recipes"]))})


def canonical_json(data: Any) -> str:
    """JSON with sorted keys and no spaces: equal data, equal text."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(data: Any) -> str:
    """A 128-bit BLAKE2b hash of the canonical JSON of ``data``, in hexadecimal."""
    return hashlib.blake2b(canonical_json(data).encode(), digest_size=16).hexdigest()
