"""The residual stream at every layer, captured by hooks during one forward pass.

transformers' `output_hidden_states` gives the last state after the final norm, where the size of
a perturbation is another; so the states are taken from the layers themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from talan.decoder import Decoder
from talan.errors import TalanError
from talan.handle import Handle
from talan.probe.prompts import Prompts


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside the context; every module gets its own mode back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def capture(decoder: Decoder, pooled: Tensor | None = None) -> Iterator[dict[int, Tensor]]:
    """Collect the states 0..L of the forward pass that runs inside the context.

    State l < L is the stream that enters decoder layer l, a block's change at that site included;
    state L leaves the last layer, before the final norm. Each is detached and float32: (B, T, d),
    or with `pooled` (B, T) bool the (tokens, d) that it marks among the last T positions, so that
    virtual tokens of PEFT are left out. A later pass, also one that gradient checkpointing
    repeats, replaces what an earlier one left.
    """
    states: dict[int, Tensor] = {}

    def keep(index: int, stream: Tensor) -> None:
        stream = stream.detach()
        if pooled is not None:
            stream = stream[:, -pooled.shape[1] :][pooled.to(stream.device)]
        states[index] = stream.float()

    def entering(index: int) -> Any:
        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            keep(index, args[0] if args else kwargs["hidden_states"])

        return hook

    def leaving(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        keep(len(decoder.layers), output[0] if isinstance(output, tuple) else output)

    hooks = [
        layer.register_forward_pre_hook(entering(index), with_kwargs=True)
        for index, layer in enumerate(decoder.layers)
    ]
    hooks.append(decoder.layers[-1].register_forward_hook(leaving))
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class Pass:
    """One forward pass: `streams` (tokens, d) of the states 0..L, and `logits` (B, V) of the next
    token at the last prompt token, None for a model without a head."""

    streams: list[Tensor]
    logits: Tensor | None


def forward(handle: Handle, prompts: Prompts, pooled: Tensor) -> Pass:
    """Run the model as it stands on a batch of prompts, and keep the streams of `pooled` tokens.

    `TalanError` if a layer did not run.
    """
    n_layers = len(handle.decoder.layers)
    with (
        capture(handle.decoder, pooled) as states,
        _head_at(handle.model, prompts),
        handle.prompt(prompts.counts),
    ):
        output = handle.model(
            input_ids=prompts.ids, attention_mask=prompts.mask.long(), use_cache=False
        )
    missing = [index for index in range(n_layers + 1) if index not in states]
    if missing:
        raise TalanError(
            f"decoder layer {missing[0]} did not run",
            place="probe",
            value=missing,
            hint="the layers given to attach must be those that the model calls one by one",
        )
    logits = getattr(output, "logits", None)
    if logits is not None and logits.shape[1] > 1:
        logits = _at_last(logits, prompts)
    streams = [states[index] for index in range(n_layers + 1)]
    return Pass(streams, None if logits is None else logits[:, 0])


def _at_last(values: Tensor, prompts: Prompts) -> Tensor:
    """The entry (B, 1, ...) of the last prompt token, among values (B, virtual + T, ...)."""
    last = prompts.last() + values.shape[1] - prompts.ids.shape[1]
    rows = torch.arange(len(values), device=values.device)
    return values[rows, last.to(values.device)][:, None]


@contextmanager
def _head_at(model: Any, prompts: Prompts) -> Iterator[None]:
    """Let the head compute logits at the last prompt token only: all of them are large."""
    find = getattr(model, "get_output_embeddings", None)
    head = None if find is None else find()

    def only_last(head: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return (_at_last(args[0], prompts), *args[1:]) if args else None

    hook = None if head is None else head.register_forward_pre_hook(only_last)
    try:
        yield
    finally:
        if hook is not None:
            hook.remove()
