"""The slots, who reads them and how far the gate is open, computed again from the stream.

The block is a function of the stream at its site, so what it read in a forward pass is had from
the stream that entered it, with the block bypassed, and nothing has to be kept on the handle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from talan.block import Block, Call
from talan.controls import Donors, ranks
from talan.memory import TokenMemory
from talan.probe.definitions import defines
from talan.probe.prompts import Prompts
from talan.writeback import Gate


@dataclass(frozen=True)
class Usage:
    """What a block made of the prompts of one benchmark.

    `slots` (M, r) is the mean over the pooled tokens of each prompt and then over prompts.
    `attention` (M,) is the readers' mean attention, `spread` the mean entropy of one reader's and
    `focus` the mean normalised entropy of compress, NaN where nothing is compressed.
    """

    slots: Tensor
    attention: Tensor
    spread: float
    focus: float


def usage(block: Block, prompts: Prompts, streams: Donors, lent: Donors | None, rows: int) -> Usage:
    """Run the block on the stream at its site (`streams`, one per prompt), `rows` at a time.

    `lent` are the donors that control `shuffled` needs.
    """
    slots, attention, spread, focus = [], [], [], []
    prompts = prompts.to(streams.stream.device)
    for batch in prompts.batches(rows):
        chosen, at_site = prompts.select(batch), streams.select(batch)
        pooled = _padded(chosen.pooled(block.config.conditioning), at_site)
        prompt = chosen.counts + at_site.valid.shape[1] - chosen.ids.shape[1]
        donors = None if lent is None else lent.select(batch)
        call = Call(valid=at_site.valid, prompt=prompt, donors=donors)
        made = block.write(at_site.stream, call)
        weights = block.reader.weights(made.tokens, block.mixer(made.slots))[pooled].double()
        slots.append(_of_prompts(made.slots, pooled))
        attention.append(weights)
        spread.append(entropy(weights))
        focus.append(_focus(block, made.tokens, at_site.valid, prompt))
    return Usage(
        torch.cat(slots).mean(0),
        torch.cat(attention).mean(0),
        float(torch.cat(spread).mean()),
        float(torch.cat(focus).nanmean()),
    )


def entropy(weights: Tensor) -> Tensor:
    """H of distributions (..., n) in nats, with 0 log 0 = 0."""
    return torch.special.entr(weights).sum(-1)


@defines("slot_usage_entropy")
def slot_usage_entropy(used: Usage) -> float:
    """Of one benchmark."""
    return _normalised(float(entropy(used.attention)), len(used.attention))


@defines("slot_attention_entropy")
def slot_attention_entropy(used: Usage) -> float:
    """Of one benchmark."""
    return _normalised(used.spread, len(used.attention))


@defines("compress_entropy")
def compress_entropy(used: Usage) -> float:
    """Of one benchmark."""
    return used.focus


@defines("gate")
def gate(block: Block) -> float:
    """Of the block."""
    rule = block.writeback
    return float(torch.tanh(rule.gate.detach())) if isinstance(rule, Gate) else math.nan


@defines("scale")
def scale(block: Block) -> float:
    """Of the block."""
    value = block.projection.scale
    return math.nan if value is None else float(value.detach())


def _normalised(value: float, count: int) -> float:
    return value / math.log(count) if count > 1 else math.nan


def _padded(pooled: Tensor, streams: Donors) -> Tensor:
    """The mask of pooled tokens, with no virtual token of PEFT's prompt tuning among them."""
    return F.pad(pooled, (streams.valid.shape[1] - pooled.shape[1], 0), value=False)


def _of_prompts(slots: Tensor, pooled: Tensor) -> Tensor:
    """The mean slots of each prompt (B, M, r), float64, of slots as `Written` has them."""
    if slots.ndim < 4:
        return slots.double().expand(len(pooled), *slots.shape[-2:])
    share = pooled.double() / pooled.sum(1, keepdim=True)
    return torch.einsum("btmr,bt->bmr", slots.double(), share)


def _focus(block: Block, tokens: Tensor, valid: Tensor, prompt: Tensor) -> Tensor:
    """Normalised entropy of compress at the last prompt token, mean over slots, (B,)."""
    if not isinstance(block.memory, TokenMemory):
        return tokens.new_full((len(tokens),), torch.nan)
    visible = valid & (ranks(valid) < prompt[:, None])
    weights = block.memory.scores(tokens, visible).double().softmax(1)
    count = visible.sum(1)
    # One token has log 1 = 0: such a prompt has no entropy to normalise.
    room = torch.where(count > 1, count.double().log(), torch.nan)
    return entropy(weights.transpose(1, 2)).mean(1) / room
