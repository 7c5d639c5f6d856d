"""The adapters that arms compare, as a registry of builders of unmodified PEFT configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.errors import AblateError, nearest
from ablate.spec import Hp

if TYPE_CHECKING:
    from peft import PeftConfig

Builder = Callable[[Hp, Sequence[str]], "PeftConfig"]


@dataclass(frozen=True)
class Adapter:
    """A registered adapter: its recipe version enters the identity of runs."""

    name: str
    recipe: int
    build: Builder
    help: str


ADAPTERS: dict[str, Adapter] = {}


def register_adapter(name: str, *, recipe: int, help: str) -> Callable[[Builder], Builder]:
    """Add an adapter: a function of (hp, target modules) that returns a PEFT configuration.

    Args:
        name: how studies name it.
        recipe: raise it when the builder's result changes, so that old runs are not reused.
        help: one line for people.
    """

    def add(build: Builder) -> Builder:
        ADAPTERS[name] = Adapter(name, recipe, build, help)
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
    hp: Hp, targets: Sequence[str], *, dora: bool = False, rslora: bool = False
) -> PeftConfig:
    from peft import LoraConfig

    return LoraConfig(
        r=hp.rank,
        lora_alpha=hp.alpha,  # type: ignore[arg-type]  # PEFT takes floats, its hint says int
        lora_dropout=hp.dropout,
        target_modules=list(targets),
        use_dora=dora,
        use_rslora=rslora,
        task_type="CAUSAL_LM",
    )


@register_adapter("lora", recipe=1, help="low-rank update B A scaled by alpha / rank")
def lora(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """LoRA (Hu et al. 2021)."""
    return _lora(hp, targets)


@register_adapter("dora", recipe=1, help="LoRA on the direction, with a trained magnitude")
def dora(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """DoRA (Liu et al. 2024)."""
    return _lora(hp, targets, dora=True)


@register_adapter("rslora", recipe=1, help="LoRA scaled by alpha / sqrt(rank)")
def rslora(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """Rank-stabilised LoRA (Kalajdzievski 2023)."""
    return _lora(hp, targets, rslora=True)
