"""Adapters that train vectors inside linear layers: vera, ia3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.adapters.registry import register_adapter
from ablate.errors import AblateError
from ablate.spec import Hp

if TYPE_CHECKING:
    from peft import PeftConfig

KEYS_AND_VALUES = ("k_proj", "v_proj")
FEED_FORWARD = ("down_proj",)
"""What (IA)^3 scales, among the linear layers of a backbone: of a mixture of experts, whose fused
experts are no linear layers, the keys and values alone."""


@register_adapter(
    "vera",
    recipe=1,
    help="two trained vectors around frozen random projections; no alpha; train.lr=5e-2 or more",
    rank="width of the random projections (they are frozen: a larger one costs few parameters)",
)
def vera(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """VeRA (Kopiczko et al. 2024).

    PEFT draws the projections from a generator of its own, seeded by a number; that number is drawn
    from the pair's stream, so that pairs have projections of their own and arms of a pair the same.
    """
    import torch
    from peft import VeraConfig

    return VeraConfig(
        r=hp.rank,
        vera_dropout=hp.dropout,
        target_modules=list(targets),
        projection_prng_key=int(torch.randint(2**31, ())),
        task_type="CAUSAL_LM",
    )


@register_adapter(
    "ia3",
    recipe=1,
    help="trained scales of keys, values, MLP activations; no rank, alpha, dropout; train.lr=2e-2",
    rank="",
)
def ia3(hp: Hp, targets: Sequence[str]) -> PeftConfig:
    """(IA)^3 (Liu et al. 2022). All scales start at 1, so arms and seeds start alike."""
    from peft import IA3Config

    attention = [name for name in targets if name in KEYS_AND_VALUES]
    if not attention:
        raise AblateError(
            "ia3 scales k_proj and v_proj, and the backbone adapts neither",
            place="adapters",
            value="ia3",
            hint=f"its layers are {', '.join(targets)}",
        )
    feed_forward = [name for name in targets if name in FEED_FORWARD]
    return IA3Config(
        target_modules=attention + feed_forward,
        feedforward_modules=feed_forward,
        task_type="CAUSAL_LM",
    )
