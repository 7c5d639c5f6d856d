"""The adapters that arms compare, as a registry of builders of unmodified PEFT configurations."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.errors import AblateError, nearest
from ablate.spec import Hp

if TYPE_CHECKING:
    from peft import PeftConfig

Builder = Callable[[Hp, Sequence[str]], "PeftConfig"]
RankedBuilder = Callable[[Hp, Sequence[str], Mapping[str, int]], "PeftConfig"]


@dataclass(frozen=True)
class Adapter:
    """A registered adapter: its recipe version enters the identity of runs.

    ``ranked`` builds it with another rank for some modules (by full name), the scaling of each
    kept; None for an adapter without ranks.
    """

    name: str
    recipe: int
    build: Builder
    help: str
    ranked: RankedBuilder | None = None


ADAPTERS: dict[str, Adapter] = {}


def register_adapter(
    name: str, *, recipe: int, help: str, ranked: RankedBuilder | None = None
) -> Callable[[Builder], Builder]:
    """Add an adapter: a function of (hp, target modules) that returns a PEFT configuration.

    Args:
        name: how studies name it.
        recipe: raise it when the builder's result changes, so that old runs are not reused.
        help: one line for people.
        ranked: see :class:`Adapter`; the control ``matched`` needs it.
    """

    def add(build: Builder) -> Builder:
        ADAPTERS[name] = Adapter(name, recipe, build, help, ranked)
        return build

    return add


def find_adapter(name: str, place: str = "adapters") -> Adapter:
    """The adapter ``name``, or an error naming the nearest one."""
    if name not in ADAPTERS:
        raise AblateError(
            f"unknown adapter {name!r}", place=place, value=name, hint=nearest(name, ADAPTERS)
        )
    return ADAPTERS[name]


def _lora(
    hp: Hp,
    targets: Sequence[str],
    ranks: Mapping[str, int] | None = None,
    *,
    dora: bool = False,
    rslora: bool = False,
) -> PeftConfig:
    from peft import LoraConfig

    ranks = ranks or {}
    power = 0.5 if rslora else 1.0  # of the rank, by which alpha is divided
    return LoraConfig(
        r=hp.rank,
        lora_alpha=hp.alpha,  # type: ignore[arg-type]  # PEFT takes floats, its hint says int
        lora_dropout=hp.dropout,
        target_modules=list(targets),
        use_dora=dora,
        use_rslora=rslora,
        task_type="CAUSAL_LM",
        rank_pattern={re.escape(name): rank for name, rank in ranks.items()},
        alpha_pattern={
            re.escape(name): hp.alpha * (rank / hp.rank) ** power for name, rank in ranks.items()
        },
    )


@register_adapter("lora", recipe=1, help="low-rank update B A scaled by alpha / rank", ranked=_lora)
def lora(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """LoRA (Hu et al. 2021)."""
    return _lora(hp, targets)


@register_adapter(
    "dora",
    recipe=1,
    help="LoRA on the direction, with a trained magnitude",
    ranked=functools.partial(_lora, dora=True),
)
def dora(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """DoRA (Liu et al. 2024)."""
    return _lora(hp, targets, dora=True)


@register_adapter(
    "rslora",
    recipe=1,
    help="LoRA scaled by alpha / sqrt(rank)",
    ranked=functools.partial(_lora, rslora=True),
)
def rslora(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """Rank-stabilised LoRA (Kalajdzievski 2023)."""
    return _lora(hp, targets, rslora=True)
