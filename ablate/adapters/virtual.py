"""Adapters that put virtual tokens before the text: prompt, prefix.

The weights of the backbone stay as they are. Virtual tokens take positions like any others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ablate.adapters.registry import register_adapter
from ablate.spec import Hp

if TYPE_CHECKING:
    from peft import PeftConfig


def _no_position_left(hp: Hp, config: Mapping[str, Any]) -> str:
    """Why so many virtual tokens leave no position for text, or ""."""
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and hp.rank >= positions:
        return f"{hp.rank} virtual tokens (train.rank) fill its {positions} positions"
    return ""


@register_adapter(
    "prompt",
    recipe=1,
    help="trained embeddings of virtual tokens before the text; no alpha, dropout; train.lr=1e-1",
    rank="number of virtual tokens",
    trainable_below=True,
    starts_as_backbone=False,
    misfit=_no_position_left,
)
def prompt(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """Prompt tuning (Lester et al. 2021).

    The virtual tokens start as embeddings of random words of the vocabulary, which that paper
    found better than random numbers (its section 3.2).
    """
    from peft import PromptTuningConfig, PromptTuningInit

    return PromptTuningConfig(
        num_virtual_tokens=hp.rank,
        prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
        task_type="CAUSAL_LM",
    )


@register_adapter(
    "prefix",
    recipe=1,
    help="trained keys and values of virtual tokens, per layer; no alpha, dropout; train.lr=1e-1",
    rank="number of virtual tokens",
    starts_as_backbone=False,
    misfit=_no_position_left,
)
def prefix(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """Prefix tuning (Li and Liang 2021), without a network that computes the prefix."""
    from peft import PrefixTuningConfig

    return PrefixTuningConfig(num_virtual_tokens=hp.rank, task_type="CAUSAL_LM")
