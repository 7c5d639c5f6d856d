"""The adapters that arms compare: unmodified PEFT configurations, and full fine-tuning.

``registry`` says what an adapter is; each other module registers some of one kind.
"""

from ablate.adapters.low_rank import dora, lora, rslora
from ablate.adapters.registry import (
    ADAPTERS,
    Adapter,
    Builder,
    RankedBuilder,
    find_adapter,
    refuse_unfit,
    register_adapter,
)
from ablate.adapters.vectors import ia3, vera
from ablate.adapters.virtual import prefix, prompt
from ablate.adapters.whole import FULL

__all__ = [
    "ADAPTERS",
    "FULL",
    "Adapter",
    "Builder",
    "RankedBuilder",
    "dora",
    "find_adapter",
    "ia3",
    "lora",
    "prefix",
    "prompt",
    "refuse_unfit",
    "register_adapter",
    "rslora",
    "vera",
]
