"""One training run: an adapter, with or without the block, on a mix of benchmarks.

Each step trains on equal shares of the benchmarks of the mix. The order of rows comes from the
pair's ``data`` stream, the adapter's initialisation and its dropout from streams of their own, and
the block's initialisation from the pair's ``block`` stream.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ablate.adapters import find_adapter
from ablate.errors import AblateError
from ablate.evaluate import IGNORED, Batch, Encoded, block_inputs, collate, token_logits
from ablate.matching import matched_adapter
from ablate.spec import UNADAPTED, Block, RunSpec
from ablate.streams import numpy_stream, stream_seed, torch_stream
from talan.config import TalanConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

    from talan import Handle

BLOW_UP = 10.0
"""A loss above this many times ln(vocabulary), ten times worse than guessing, is a divergence."""


@dataclass(frozen=True)
class Adapted:
    """A backbone with its adapter and, perhaps, the attached block; parameters by role."""

    model: torch.nn.Module
    handle: Handle | None
    adapter: list[torch.nn.Parameter]
    block: list[torch.nn.Parameter]


@dataclass(frozen=True)
class Trained:
    """How a training ended: ``reason`` is empty unless it diverged; losses in nats per token."""

    reason: str
    losses: tuple[float, ...] = field(default=())


def adapt(spec: RunSpec, model: torch.nn.Module, targets: Sequence[str]) -> Adapted:
    """Put the run's adapter and block on ``model`` (changed in place).

    Under full fine-tuning there is no adapter: the parameters of its role are the backbone's own.
    The adapter draws from the pair's ``adapter`` stream whatever the arm, so the arms of a pair
    start from bit-identical adapter tensors. The global generators are left as they were.
    """
    if spec.adapter == UNADAPTED:
        model.requires_grad_(False)
        return Adapted(model, None, [], [])
    peft_model = adapter_model(spec, model, targets)
    if spec.block is None:
        return Adapted(peft_model, None, trainable(peft_model), [])
    import talan

    handle = talan.attach(
        peft_model, talan_config(spec.block), generator=torch_stream(spec.pair(), "block")
    )
    groups = talan.trainable_parameters(handle)
    return Adapted(peft_model, handle, groups["adapter"], groups["block"])


def adapter_model(spec: RunSpec, model: torch.nn.Module, targets: Sequence[str]) -> Any:
    """The PEFT model of the run's adapter, drawn from the pair's ``adapter`` stream (or, for the
    control ``reseed``, from another one of the pair); under full fine-tuning ``model`` itself."""
    from peft import get_peft_model

    adapter = find_adapter(spec.adapter)
    stream = "adapter/reseed" if spec.reseed else "adapter"

    def draw() -> None:
        torch.manual_seed(stream_seed(spec.pair(), stream))

    with torch.random.fork_rng(devices=[]):
        if spec.matched is None:
            if adapter.build is None:
                return model.requires_grad_(True)
            draw()
            return get_peft_model(model, adapter.build(spec.hp, targets))
        if adapter.ranked is None:
            raise AblateError(
                f"{spec.adapter} has no ranks to raise", place="controls", value=spec.adapter
            )
        return matched_adapter(
            model,
            functools.partial(adapter.ranked, spec.hp, targets, {}),
            functools.partial(adapter.ranked, spec.hp, targets),
            talan_config(spec.matched),
            draw,
        )


def talan_config(block: Block) -> TalanConfig:
    """The configuration that a run's block is attached with."""
    return TalanConfig(
        insertion=block.site,
        memory=block.memory,
        mixer=block.mixer,
        writeback=block.writeback,
        scope=block.scope,
        gradient_scale=block.gradient_scale,
        conditioning=block.conditioning,
        width=block.width,
        control=block.control,
    )


def trainable(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters of ``model`` that require a gradient."""
    return [p for p in model.parameters() if p.requires_grad]


def batches(
    spec: RunSpec, mix: Sequence[Sequence[Encoded]], pad: int
) -> Iterator[tuple[Batch, ...]]:
    """The run's ``hp.steps`` batches, the same for every arm of the pair.

    A batch holds equal shares of the benchmarks (the first ones get the remainder), as groups of
    rows of like length. Rows are drawn without replacement until a benchmark's items are used up,
    then reshuffled.
    """
    rng = numpy_stream(spec.pair(), "data")
    decks: list[list[int]] = [[] for _ in mix]
    whole, remainder = divmod(spec.hp.batch, len(mix))
    for _ in range(spec.hp.steps):
        rows = []
        for which, items in enumerate(mix):
            for _ in range(whole + (which < remainder)):
                if not decks[which]:
                    decks[which] = rng.permutation(len(items)).tolist()
                rows.append(items[decks[which].pop()])
        # Under this control a row takes the memory of the next one, so none can be alone.
        lends = spec.block is not None and spec.block.control == "shuffled"
        yield tuple(collate(group, pad) for group in like_lengths(rows, 2 if lends else 1))


def like_lengths(rows: Sequence[Encoded], at_least: int = 1) -> list[list[Encoded]]:
    """Rows in order of length, in groups in which none is over twice as long as another.

    A forward pass over a group then pads less than it computes, whatever the mix of benchmarks.
    A group of fewer than ``at_least`` rows is joined by the next; the last joins the one before.
    """
    groups: list[list[Encoded]] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if not groups or len(row.ids) > 2 * len(groups[-1][0].ids):
            groups.append([])
        groups[-1].append(row)
    large: list[list[Encoded]] = []
    for group in groups:
        if large and len(large[-1]) < at_least:
            large[-1] += group
        else:
            large.append(group)
    if len(large) > 1 and len(large[-1]) < at_least:
        last = large.pop()
        large[-1] += last
    return large


def train(
    spec: RunSpec,
    adapted: Adapted,
    mix: Sequence[Sequence[Encoded]],
    pad: int,
    accelerator: Accelerator,
) -> Trained:
    """Train ``adapted`` in place: AdamW, linear decay to zero, answer-only loss.

    Adapter and block are clipped separately, so that a large gradient of one does not shrink the
    step of the other. Ends early, as diverged, at a loss or gradient that is not finite or a loss
    above ``BLOW_UP`` x ln(vocabulary).
    """
    hp = spec.hp
    groups: list[dict[str, Any]] = [{"params": adapted.adapter, "lr": hp.lr}]
    if adapted.block:
        assert spec.block is not None
        groups.append({"params": adapted.block, "lr": hp.lr * spec.block.lr_multiplier})
    groups = [group for group in groups if group["params"]]
    if not groups:
        return Trained("")
    optimizer = torch.optim.AdamW(groups, weight_decay=hp.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / hp.steps)
    model, optimizer, schedule = accelerator.prepare(adapted.model, optimizer, schedule)
    limit = BLOW_UP * math.log(model_vocabulary(adapted.model))
    losses: list[float] = []
    model.train()
    with torch.random.fork_rng(devices=[]):
        for step, data in enumerate(batches(spec, mix, pad)):
            torch.manual_seed(stream_seed(spec.pair(), f"dropout/{step}"))
            loss = answer_loss(model, data, adapted.handle, accelerator.device)
            value = float(loss.detach())
            losses.append(value)
            if not math.isfinite(value) or value > limit:
                return Trained(f"loss {value:.3g} at step {step}", tuple(losses))
            accelerator.backward(loss)
            for group in groups:
                norm = float(torch.nn.utils.clip_grad_norm_(group["params"], hp.clip))
                if not math.isfinite(norm):
                    return Trained(f"gradient norm {norm:.3g} at step {step}", tuple(losses))
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return Trained("", tuple(losses))


def answer_loss(
    model: torch.nn.Module, groups: Sequence[Batch], handle: Handle | None, device: torch.device
) -> torch.Tensor:
    """Mean cross-entropy over the answer tokens of all groups of a batch, in nats per token."""
    total = torch.zeros((), device=device)
    count = 0
    for data in groups:
        with block_inputs(handle, data, (), None):
            logits = token_logits(model, data, device)
        target = data.labels[:, 1:].to(device)
        where = target != IGNORED
        total = total + torch.nn.functional.cross_entropy(
            logits[:, :-1][where].float(), target[where], reduction="sum"
        )
        count += int(where.sum())
    return total / count


def model_vocabulary(model: torch.nn.Module) -> int:
    """The number of tokens that the model's head can predict."""
    config: Any = model.config
    return int(config.vocab_size)


def count(parameters: Sequence[torch.nn.Parameter]) -> int:
    """Number of scalars in ``parameters``."""
    return int(np.sum([p.numel() for p in parameters], dtype=np.int64))
