"""What the behaviours are checked on: a tiny backbone, an adapter and a block, all awake."""

from __future__ import annotations

import functools
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import talan
from tests.talan.cases import (
    CASES,
    VIRTUAL,
    VOCABULARY,
    adapted,
    awaken,
    backbone,
    generator,
)

# Never part of a prompt: generation takes such tokens for padding where it is given no mask.
PAD = VOCABULARY - 1
LENGTHS = (12, 7, 10)
# Prompts that leave every row an answer.
PROMPTS = (6, 4, 5)
NEW = 6


@dataclass(frozen=True)
class Spec:
    """A backbone, an adapter and the name of a block's configuration in `cases.CASES`.

    Without `block` the model has none: so it can be seen whether a refusal is PEFT's own.
    """

    backbone: str = "qwen3"
    adapter: str = "lora"
    case: str = "default"
    layers: int = 2
    block: bool = True


class Subject:
    """A model with a block, and how it is called whatever its adapter and configuration are."""

    def __init__(self, spec: Spec, model: nn.Module, handle: talan.Handle | None) -> None:
        self.spec = spec
        self.model: Any = model
        self._handle = handle
        self._bank: Any = None
        # Tokens before those of the user in the stream, whose logits come first.
        self.virtual = VIRTUAL if spec.adapter == "prompt" else 0

    @property
    def handle(self) -> talan.Handle:
        """The handle of the block; `LookupError` where there is none."""
        if self._handle is None:
            raise LookupError("this subject has no block")
        return self._handle

    @property
    def prompt_learning(self) -> bool:
        return self.spec.adapter in ("prefix", "prompt")

    @property
    def peft(self) -> bool:
        return self.spec.adapter not in ("none", "full")

    def outer(self, logits: Tensor) -> Tensor:
        """The logits (B, T, V) at the tokens of the user."""
        return logits[:, self.virtual :]

    def logits(self, ids: Tensor | None = None, mask: Tensor | None = None, **given: Any) -> Tensor:
        """Logits (B, T, V) of one uncached pass, at the positions that generation would use."""
        if mask is not None and self.spec.adapter != "prompt" and "position_ids" not in given:
            given["position_ids"] = positions(mask)
        if self.spec.adapter != "prefix":
            given["use_cache"] = False
        return self.outer(self.model(input_ids=ids, attention_mask=mask, **given).logits)

    @contextmanager
    def context(self, rows: tuple[int, ...] = (0, 1, 2), prompt: tuple[int, ...] = LENGTHS):
        """What conditioning and control need to be told of the rows."""
        with ExitStack() as stack:
            if self._handle is not None and self.handle.config.conditioning == "prompt":
                stack.enter_context(self.handle.prompt([prompt[row] for row in rows]))
            donors = self.donors(rows)
            if donors is not None:
                stack.enter_context(self.handle.donor(donors))
            yield

    def donors(self, rows: tuple[int, ...] = (0, 1, 2)) -> talan.Donors | None:
        """The donors of rows, where the control needs them: not in training."""
        if self._handle is None or self.handle.config.control != "shuffled":
            return None
        if self.handle.block.training:
            return None
        if self._bank is None:
            self._bank = self.handle.collect_donors(*padded(lengths=(9, 14, 11), seed=50))
        return self._bank.select(torch.tensor(rows))

    def loss(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss on all valid tokens."""
        labels = ids if mask is None else torch.where(mask.bool(), ids, -100)
        cached = {} if self.spec.adapter == "prefix" else {"use_cache": False}
        return self.model(input_ids=ids, attention_mask=mask, labels=labels, **cached).loss

    def gradients(self, ids: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """The gradient of the loss at each parameter that has one, by name."""
        self.model.zero_grad(set_to_none=True)
        with self.context(prompt=PROMPTS):
            self.loss(ids, mask).backward()
        return {n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None}


def build(
    spec: Spec,
    *,
    awake: bool = True,
    train: bool = False,
    attach: bool = True,
    dtype: torch.dtype = torch.float32,
    model: nn.Module | None = None,
) -> Subject:
    """A subject of its own; `awake` gives adapter and block an effect."""
    inner = backbone(spec.backbone, dtype, layers=spec.layers) if model is None else model
    never_ends(inner)
    whole = adapted(spec.backbone, kind=spec.adapter, train=train, model=inner)
    if awake and spec.adapter not in ("none", "full"):
        stir(whole)
    handle = None
    if attach and spec.block:
        handle = talan.attach(whole, CASES[spec.case], generator=generator())
        if awake:
            awaken(handle)
        if train and handle.config.control == "shuffled":
            handle.block.train()
    return Subject(spec, whole, handle)


def stir(model: nn.Module, seed: int = 8) -> None:
    """Give an adapter an effect: whatever trains is moved."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "talan." not in name:
                noise = torch.randn(parameter.shape, generator=generator(seed + parameter.numel()))
                parameter += 0.1 * noise.to(parameter.dtype)


@functools.cache
def shared(spec: Spec) -> Subject:
    """The subject of a spec, for behaviours that leave it as they found it."""
    subject = build(spec)
    if not spec.block:
        return subject
    ids, mask = padded()
    with torch.no_grad(), subject.context():
        written = subject.logits(ids, mask)
        with subject.handle.disabled():
            plain = subject.logits(ids, mask)
    assert (written - plain)[mask.bool()].abs().max() > 1e-3, "a block without an effect"
    return subject


def never_ends(model: Any) -> None:
    """Let every generation run to its full length."""
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = PAD


def rows(lengths: tuple[int, ...] = LENGTHS, seed: int = 11) -> list[Tensor]:
    """Token sequences of the given lengths, without the padding token and 0."""
    source = generator(seed)
    return [torch.randint(1, PAD, (length,), generator=source) for length in lengths]


def padded(
    side: str = "left", lengths: tuple[int, ...] = LENGTHS, seed: int = 11, more: int = 0
) -> tuple[Tensor, Tensor]:
    """Ragged rows in one batch: token ids and mask (B, T), `more` of padding beyond the longest."""
    length = max(lengths) + more
    ids = torch.full((len(lengths), length), PAD)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows(lengths, seed)):
        there = slice(length - len(row), None) if side == "left" else slice(0, len(row))
        ids[index, there], mask[index, there] = row, 1
    return ids, mask


def positions(mask: Tensor) -> Tensor:
    """The positions that generation gives to the tokens of a mask (B, T)."""
    return (mask.long().cumsum(1) - 1).clamp(min=0)


def longer(mask: Tensor, count: int) -> Tensor:
    """The mask after `count` more valid tokens."""
    return torch.nn.functional.pad(mask, (0, count), value=1)


def close(found: Tensor, wanted: Tensor, tolerance: float = 1e-5) -> None:
    """Equal within `tolerance`, absolutely."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance)
