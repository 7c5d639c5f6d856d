"""From attention with normalised queries and keys to plain attention of the same shape."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel


def without_query_norm(
    model: PreTrainedModel, config: PreTrainedConfig, batches: Sequence[torch.Tensor]
) -> PreTrainedModel:
    """A model of `config` that computes nearly what the Qwen3 `model` does.

    A normalised query is the projection times gain over root mean square. The root mean square
    varies little between tokens; its mean over `batches` (token ids (B, T) each), one number per
    head, is folded into the projection together with the gain. Keys likewise. What else the new
    architecture has (biases) starts at zero.
    """
    means = _mean_root_squares(model, batches)
    weights = model.state_dict()
    folded: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            continue
        layer, _, kind = name.removesuffix("_proj.weight").rpartition(".")
        norm = f"{layer}.{kind}_norm"
        if norm in means:
            gain = weights[f"{norm}.weight"]
            scale = gain / means[norm][:, None]
            weight = weight * scale.flatten()[:, None]
        folded[name] = weight
    plain = AutoModelForCausalLM.from_config(config)
    start = {
        name: torch.zeros_like(parameter) if name.endswith("bias") else parameter
        for name, parameter in plain.state_dict().items()
    }
    plain.load_state_dict(start | folded)
    return plain


@torch.no_grad()
def _mean_root_squares(
    model: PreTrainedModel, batches: Sequence[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """By name of a query or key norm: the mean root mean square of its input, per head."""
    sums: dict[str, list[torch.Tensor]] = {}
    hooks = []
    for name, module in model.named_modules():
        if name.endswith(("q_norm", "k_norm")):

            def record(_: Any, inputs: tuple[torch.Tensor, ...], name: str = name) -> None:
                root = inputs[0].square().mean(dim=-1).sqrt()
                sums.setdefault(name, []).append(root.flatten(0, -2))

            hooks.append(module.register_forward_pre_hook(record))
    for ids in batches:
        model(input_ids=ids, use_cache=False)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(roots).mean(dim=0) for name, roots in sums.items()}
