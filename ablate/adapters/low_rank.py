"""Adapters that add a low-rank update to linear layers: lora, dora, rslora."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ablate.adapters.registry import register_adapter
from ablate.spec import Hp

if TYPE_CHECKING:
    from peft import PeftConfig


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
