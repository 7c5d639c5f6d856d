"""What an adapter is to an experiment, and the registry of those that studies may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.backbones import read_config
from ablate.errors import AblateError, nearest
from ablate.spec import Backbone, Hp

if TYPE_CHECKING:
    from peft import PeftConfig

Builder = Callable[[Hp, Sequence[str]], "PeftConfig"]
RankedBuilder = Callable[[Hp, Sequence[str], Mapping[str, int]], "PeftConfig"]
Misfit = Callable[[Hp, Mapping[str, Any]], str]
"""(hp, content of a backbone's config.json) -> why the adapter cannot be put on it, or ""."""


@dataclass(frozen=True)
class Adapter:
    """A registered adapter: its recipe version enters the identity of runs.

    ``build`` makes PEFT's configuration; None where there is no adapter and all weights of the
    backbone train. ``ranked`` builds it with another rank for some modules (by full name), the
    scaling of each kept; None for an adapter without ranks. ``rank`` says what ``train.rank`` is to
    it, "" where it plays no part. ``trainable_below`` is talan's (``talan.config.canonical``): True
    where something that trains feeds the first decoder layer, so that no gradient scale is inert;
    None for an adapter inside the layers. ``starts_as_backbone`` tells that before training the
    adapted model computes what the backbone does. ``misfit`` says why a backbone cannot take it.
    """

    name: str
    recipe: int
    build: Builder | None
    help: str
    ranked: RankedBuilder | None = None
    rank: str = "rank of the update"
    trainable_below: bool | None = None
    starts_as_backbone: bool = True
    misfit: Misfit | None = None


ADAPTERS: dict[str, Adapter] = {}


def register_adapter(
    name: str,
    *,
    recipe: int,
    help: str,
    ranked: RankedBuilder | None = None,
    rank: str = "rank of the update",
    trainable_below: bool | None = None,
    starts_as_backbone: bool = True,
    misfit: Misfit | None = None,
) -> Callable[[Builder], Builder]:
    """Add an adapter: a function of (hp, target modules) that returns a PEFT configuration.

    It is called with the global generators seeded from the pair's ``adapter`` stream, so whatever
    it draws from them is shared by the arms of the pair.

    Args:
        name: how studies name it.
        recipe: raise it when the builder's result changes, so that old runs are not reused.
        help: one line for people.
        ranked: see :class:`Adapter`, as for the others; the control ``matched`` needs it.
        rank: what ``train.rank`` is to it.
        trainable_below: True where what trains feeds the first decoder layer.
        starts_as_backbone: False where its start changes what the model computes.
        misfit: why a backbone cannot take it.
    """

    def add(build: Builder) -> Builder:
        ADAPTERS[name] = Adapter(
            name, recipe, build, help, ranked, rank, trainable_below, starts_as_backbone, misfit
        )
        return build

    return add


def find_adapter(name: str, place: str = "adapters") -> Adapter:
    """The adapter ``name``, or an error naming the nearest one."""
    if name not in ADAPTERS:
        raise AblateError(
            f"unknown adapter {name!r}", place=place, value=name, hint=nearest(name, ADAPTERS)
        )
    return ADAPTERS[name]


def refuse_unfit(names: Sequence[str], backbones: Sequence[Backbone], hp: Hp) -> None:
    """Refuse an adapter that a backbone cannot take, before anything is run (without torch).

    Raises:
        AblateError: naming adapter and backbone, and why; an adapter that is not known.
    """
    for name in names:
        adapter = find_adapter(name)
        if adapter.misfit is None:
            continue
        for backbone in backbones:
            reason = adapter.misfit(hp, read_config(Path(backbone.source)))
            if reason:
                raise AblateError(
                    f"{name} cannot be put on {backbone.name}: {reason}",
                    place="adapters",
                    value=name,
                    hint="leave one of the two out",
                )
