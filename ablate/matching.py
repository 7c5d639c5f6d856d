"""The control ``matched``: an adapter with as many trainable parameters as adapter and block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from torch import Tensor, nn

    from talan import TalanConfig


def raised_ranks(costs: Mapping[str, int], rank: int, missing: int) -> dict[str, int]:
    """The ranks of the modules whose rank is raised, by name.

    Of all ways to add whole ranks, one with the smallest number of parameters that is not below
    ``missing`` (an unbounded knapsack, solved exactly); ranks of equal cost are spread evenly over
    their modules, first ones first.

    Args:
        costs: parameters that one more rank of each module has.
        rank: the rank that all of them have.
        missing: parameters to add.
    """
    if missing <= 0:
        return {}
    prices = sorted(set(costs.values()))
    reach = missing + prices[-1]
    last: list[int | None] = [None] * (reach + 1)
    last[0] = 0
    for total in range(1, reach + 1):
        for price in reversed(prices):
            if price <= total and last[total - price] is not None:
                last[total] = price
                break
    left = next(total for total in range(missing, reach + 1) if last[total] is not None)
    extra = dict.fromkeys(prices, 0)
    while left:
        step = last[left]
        assert step is not None
        extra[step] += 1
        left -= step
    ranks: dict[str, int] = {}
    for price, count in extra.items():
        modules = [name for name, cost in costs.items() if cost == price]
        whole, rest = divmod(count, len(modules))
        for i, name in enumerate(modules):
            more = whole + (i < rest)
            if more:
                ranks[name] = rank + more
    return ranks


def matched_adapter(
    model: nn.Module,
    plain: Callable[[], PeftConfig],
    ranked: Callable[[Mapping[str, int]], PeftConfig],
    block: TalanConfig,
    draw: Callable[[], None],
) -> PeftModel:
    """The PEFT model whose adapter has at least the parameters of adapter and block.

    Every scaling is kept, and the rows of A that the baseline also has are bit-identical to its
    own: only the additional rows and B's (zero) columns are new.

    Args:
        model: the backbone.
        plain: makes the baseline's configuration.
        ranked: the same with these ranks for these modules.
        block: whose trainable parameters are to be matched.
        draw: seeds the global generator as for the baseline.
    """
    import torch
    from peft import get_peft_model
    from peft.tuners.lora import LoraLayer

    import talan

    draw()
    baseline: Any = get_peft_model(model, plain())
    layers: dict[str, Any] = {
        name.removeprefix("base_model.model."): module
        for name, module in baseline.named_modules()
        if isinstance(module, LoraLayer)
    }
    active = baseline.active_adapter
    rows: dict[str, Tensor] = {n: m.lora_A[active].weight.detach() for n, m in layers.items()}
    costs = {name: module.in_features + module.out_features for name, module in layers.items()}
    rank = int(baseline.active_peft_config.r)
    handle = talan.attach(baseline, block, generator=torch.Generator().manual_seed(0))
    missing = sum(p.numel() for p in talan.trainable_parameters(handle)["block"])
    handle.detach()
    bare = baseline.unload()
    draw()
    made: Any = get_peft_model(bare, ranked(raised_ranks(costs, rank, missing)))
    with torch.no_grad():
        for name, own in rows.items():
            layer: Any = made.get_submodule(f"base_model.model.{name}")
            layer.lora_A[active].weight[: len(own)] = own
    return made
