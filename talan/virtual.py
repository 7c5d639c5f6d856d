"""The virtual tokens that PEFT's prompt learning puts before those of the user."""

from __future__ import annotations

from typing import Any

from torch import nn


def prompt_length(model: nn.Module) -> int:
    """Virtual tokens in the stream (prompt tuning), which belong to every prompt."""
    return _virtual_tokens(model, cached=False)


def prefix_length(model: nn.Module) -> int:
    """Virtual tokens that are keys and values in the cache only (prefix tuning)."""
    return _virtual_tokens(model, cached=True)


def _virtual_tokens(model: nn.Module, *, cached: bool) -> int:
    known: Any = getattr(model, "peft_config", None)
    active: Any = getattr(model, "active_adapter", None)
    # Also set on a bare model into which layers were injected: a method there, not a name.
    if not isinstance(known, dict) or not isinstance(active, str):
        return 0
    config: Any = known.get(active)
    if not getattr(config, "is_prompt_learning", False):
        return 0
    if getattr(model, "_adapters_disabled", False):
        return 0
    is_prefix = str(getattr(config.peft_type, "value", config.peft_type)) == "PREFIX_TUNING"
    return int(config.num_virtual_tokens) if is_prefix == cached else 0
