"""The pre-training of an embedded backbone: a fixed number of steps from one seed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedModel

from studies.architectures import configuration
from studies.stream import IGNORE, Batch, Stream


@dataclass(frozen=True)
class Recipe:
    """What determines the weights of a backbone, apart from its architecture.

    Attributes:
        steps: optimiser steps; the learning rates rise over the first `warmup` of them and fall
            linearly to zero over the last `decay` share.
        seed: of initialisation and stream.
        matrix_lr: of Muon, for the matrices of the decoder layers. At this size words were
            reversed after 200 steps with it; AdamW for all needed over 600.
        other_lr: of AdamW, for embeddings, norms, biases and stacked experts.
        table_weight: factor on the loss of recall.
        balance: factor on the load-balancing loss of a mixture of experts.
    """

    steps: int = 3000
    seed: int = 0
    matrix_lr: float = 0.02
    other_lr: float = 3e-3
    weight_decay: float = 0.01
    warmup: int = 100
    decay: float = 0.4
    table_weight: float = 2.0
    balance: float = 0.01


@dataclass(frozen=True)
class Progress:
    """Where a pre-training stands: steps done, seconds, losses, longest table of the curriculum."""

    step: int
    steps: int
    seconds: float
    short_loss: float
    table_loss: float
    longest_table: int

    @property
    def seconds_left(self) -> float:
        """Expected seconds to the end, at the mean speed so far."""
        return self.seconds / self.step * (self.steps - self.step)


def pretrain(
    name: str, recipe: Recipe, report: Callable[[Progress, PreTrainedModel], None]
) -> PreTrainedModel:
    """Train the backbone `name` from scratch and return it in evaluation mode (fp32).

    `report` is called after every step, with the model as it stands.
    """
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = AutoModelForCausalLM.from_config(configuration(name)).train()
    stream = Stream(recipe.seed)
    optimizers = _optimizers(model, recipe)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe))
        for optimizer in optimizers
    ]
    start = time.monotonic()
    for step in range(1, recipe.steps + 1):
        short_loss, _ = _backward(model, stream.short_batch(), 1.0, recipe)
        table_loss, right = _backward(model, stream.table_batch(), recipe.table_weight, recipe)
        stream.curriculum.learn(right)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        seconds = time.monotonic() - start
        longest = stream.curriculum.longest
        report(Progress(step, recipe.steps, seconds, short_loss, table_loss, longest), model)
    return model.eval()


def _rate(step: int, recipe: Recipe) -> float:
    """The factor on the learning rates at a step counted from 0."""
    left = (recipe.steps - step) / (recipe.decay * recipe.steps)
    return min(1.0, (step + 1) / recipe.warmup, left)


def _optimizers(model: PreTrainedModel, recipe: Recipe) -> list[torch.optim.Optimizer]:
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim == 2 and ".layers." in name
        (matrices if is_matrix else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=recipe.matrix_lr, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(others, lr=recipe.other_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _backward(
    model: PreTrainedModel, batch: Batch, weight: float, recipe: Recipe
) -> tuple[float, float]:
    """Add a batch's gradient; return its mean loss in nats and the share of right tokens."""
    routed = {"output_router_logits": True} if hasattr(model.config, "num_experts") else {}
    output = model(input_ids=batch.ids, use_cache=False, **routed)
    scored = batch.expected != IGNORE
    logits, expected = output.logits[scored], batch.expected[scored]
    loss = functional.cross_entropy(logits, expected)
    total = loss + recipe.balance * output.aux_loss if routed else loss
    (weight * total).backward()
    return loss.item(), (logits.argmax(-1) == expected).float().mean().item()
