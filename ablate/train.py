"""One training run: an adapter, with or without the block, on a mix of benchmarks.

Each step trains on rows of one benchmark (so that lengths agree and little is padded); the
benchmarks of the mix take turns in shuffled cycles. The order of benchmarks and rows comes from the
pair's ``data`` stream, the adapter's initialisation and its dropout from streams of their own, and
the block's initialisation from the pair's ``block`` stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ablate.adapters import find_adapter
from ablate.evaluate import IGNORED, Batch, Encoded, collate
from ablate.spec import UNADAPTED, RunSpec
from ablate.streams import numpy_stream, stream_seed, torch_stream

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

    The adapter draws from the pair's ``adapter`` stream whatever the arm, so the arms of a pair
    start from bit-identical adapter tensors. The global generators are left as they were.
    """
    from peft import get_peft_model

    if spec.adapter == UNADAPTED:
        model.requires_grad_(False)
        return Adapted(model, None, [], [])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(spec.pair(), "adapter"))
        peft_model: Any = get_peft_model(
            model,
            find_adapter(spec.adapter).build(spec.hp, targets),
        )
    if spec.block is None:
        return Adapted(peft_model, None, trainable(peft_model), [])
    import talan
    from talan.scope import apply_scope, trainable_parameters

    block = spec.block
    handle = talan.attach(
        peft_model,
        talan.TalanConfig(
            insertion=block.site,
            memory=block.memory,
            mixer=block.mixer,
            writeback=block.writeback,
            scope=block.scope,
            gradient_scale=block.gradient_scale,
            conditioning=block.conditioning,
            width=block.width,
            control=block.control,
        ),
        generator=torch_stream(spec.pair(), "block"),
    )
    apply_scope(peft_model, handle)
    groups = trainable_parameters(peft_model, handle)
    return Adapted(peft_model, handle, groups["adapter"], groups["block"])


def trainable(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters of ``model`` that require a gradient."""
    return [p for p in model.parameters() if p.requires_grad]


def batches(spec: RunSpec, mix: Sequence[Sequence[Encoded]], pad: int) -> Iterator[Batch]:
    """The run's ``hp.steps`` batches, one benchmark each, the same for every arm of the pair.

    Rows are drawn without replacement until a benchmark's items are used up, then reshuffled.
    """
    rng = numpy_stream(spec.pair(), "data")
    decks: list[list[int]] = [[] for _ in mix]
    cycle: list[int] = []
    for _ in range(spec.hp.steps):
        if not cycle:
            cycle = rng.permutation(len(mix)).tolist()
        which = cycle.pop()
        deck = decks[which]
        while len(deck) < spec.hp.batch:
            deck[:0] = rng.permutation(len(mix[which])).tolist()
        rows = [mix[which][deck.pop()] for _ in range(spec.hp.batch)]
        yield collate(rows, pad)


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
    model: torch.nn.Module, data: Batch, handle: Handle | None, device: torch.device
) -> torch.Tensor:
    """Mean cross-entropy over the answer tokens of a batch, in nats per token."""
    kwargs = {"input_ids": data.ids.to(device), "attention_mask": data.mask.to(device)}
    if handle is not None and handle.config.conditioning == "prompt":
        with handle.prompt(data.prompt_lengths.to(device)):
            logits = model(**kwargs, use_cache=False).logits
    else:
        logits = model(**kwargs, use_cache=False).logits
    target = data.labels[:, 1:].to(device)
    where = target != IGNORED
    return torch.nn.functional.cross_entropy(logits[:, :-1][where].float(), target[where])


def model_vocabulary(model: torch.nn.Module) -> int:
    """The number of tokens that the model's head can predict."""
    config: Any = model.config
    return int(config.vocab_size)


def count(parameters: Sequence[torch.nn.Parameter]) -> int:
    """Number of scalars in ``parameters``."""
    return int(np.sum([p.numel() for p in parameters], dtype=np.int64))
