"""Attach a block to a decoder by forward hooks, and the handle that controls it.

Layers are never wrapped or replaced: PEFT would silently skip a wrapped layer. Hooks are put
first, so that whatever else listens to a layer (hidden states, probes) sees the written stream.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from talan.axes import resolve_insertion
from talan.block import Block
from talan.config import TalanConfig
from talan.controls import Donors
from talan.decoder import Decoder, find_decoder
from talan.errors import TalanError

CHILD = "talan"


def attach(model: nn.Module, config: TalanConfig, *, generator: torch.Generator) -> Handle:
    """Put a block on `model` and return its handle; logits stay bit-identical until it trains.

    `model` is any Hugging Face decoder or a PEFT model around one. The block becomes its child
    module `talan`, so any trainer finds the parameters, on the device of the layer it is
    attached to. They are drawn from `generator` alone: the global random state is not touched.
    `TalanError` if a block is attached already, or no decoder layers can be found.
    """
    if any(name.rpartition(".")[2] == CHILD for name, _ in model.named_modules()):
        raise TalanError(
            "a block is attached to this model already",
            place="attach",
            hint="call handle.detach() first",
        )
    decoder = find_decoder(model)
    site = resolve_insertion(config.insertion, len(decoder.layers))
    block = Block(config, decoder.hidden_size, generator)
    block.to(next(decoder.layers[site].parameters()).device)
    block.train(model.training)
    model.add_module(CHILD, block)
    return Handle(model, block, decoder, site)


class Handle:
    """The attached block: its parameters, and the contexts that say how it acts.

    `block` is the module, `site` the index of the decoder layer whose input stream it writes.
    """

    def __init__(self, model: nn.Module, block: Block, decoder: Decoder, site: int) -> None:
        self.block = block
        self.site = site
        self._model = model
        self._signature = inspect.signature(decoder.stack.forward)
        self._valid: Tensor | None = None
        self._prompt: Tensor | None = None
        self._donors: Donors | None = None
        self._bypassed = False
        self._captured: list[Tensor] | None = None
        stack, layers = decoder.stack, decoder.layers
        self._hooks = [
            stack.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True),
            stack.register_forward_hook(self._leave, prepend=True, always_call=True),
        ]
        # The output of the layer before, not the input of the layer at the site: transformers
        # records hidden states from outputs (and the first from the input of layer 0).
        if site == 0:
            hook = layers[0].register_forward_pre_hook(
                self._write_input, prepend=True, with_kwargs=True
            )
        else:
            hook = layers[site - 1].register_forward_hook(self._write_output, prepend=True)
        self._hooks.append(hook)

    @property
    def config(self) -> TalanConfig:
        """The configuration of the block."""
        return self.block.config

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of the block."""
        return self.block.parameters()

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters of the block with their names inside it."""
        return self.block.named_parameters()

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors of the block by name, those of its frozen parts included."""
        return self.block.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor], strict: bool = True) -> None:
        """Load what `state_dict` gave; with `strict`, any missing or unexpected key is an error."""
        expected = set(self.block.state_dict())
        missing, unexpected = sorted(expected - set(state)), sorted(set(state) - expected)
        if strict and (missing or unexpected):
            raise TalanError(
                f"missing keys {missing}, unexpected keys {unexpected}",
                place="load_state_dict",
                hint="the block must be attached with the configuration it was saved with",
            )
        self.block.load_state_dict(state, strict=False)

    def detach(self) -> None:
        """Remove block and hooks; the model computes what it did before, bit for bit."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if getattr(self._model, CHILD, None) is self.block:
            delattr(self._model, CHILD)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Bypass the block inside the context; whether parameters train is left as it is."""
        before, self._bypassed = self._bypassed, True
        try:
            yield
        finally:
            self._bypassed = before

    @contextmanager
    def prompt(self, lengths: Tensor | Sequence[int]) -> Iterator[None]:
        """Say how many valid tokens of each row are its prompt, for conditioning `prompt`."""
        counts = torch.as_tensor(lengths)
        if counts.ndim != 1 or counts.is_floating_point() or bool((counts < 1).any()):
            raise TalanError(
                f"{counts.tolist()!r} are no prompt lengths",
                place="prompt",
                value=lengths,
                hint="give one integer >= 1 per row",
            )
        before, self._prompt = self._prompt, counts
        try:
            yield
        finally:
            self._prompt = before

    @contextmanager
    def donor(self, donors: Donors) -> Iterator[None]:
        """Lend the memory of `donors` (one per row of the batch) under the control `shuffled`."""
        before, self._donors = self._donors, donors
        try:
            yield
        finally:
            self._donors = before

    def collect_donors(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Donors:
        """Run the model on sequences (N, T), without gradients, and keep their stream at the site.

        What is kept belongs to the present weights: collect again after training on. The model
        runs in the mode it is in; call `model.eval()` before, or dropout enters the memory.
        """
        self._captured = []
        try:
            with torch.no_grad(), self.disabled():
                self._model(input_ids=input_ids, attention_mask=attention_mask)
            stream = self._captured[0]
        finally:
            self._captured = None
        valid = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return Donors(stream, valid.bool())

    def _enter(self, stack: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = self._signature.bind_partial(*args, **kwargs).arguments
        given = {**given, **given.get("kwargs", {})}
        cache, mask = given.get("past_key_values"), given.get("attention_mask")
        positions = given.get("position_ids")
        self._valid = None
        if self._bypassed:
            return
        if cache is not None and cache.get_seq_length() > 0:
            raise TalanError(
                "decoding from a key-value cache would forget the memory",
                place="attach",
                hint="call the model or generate() with use_cache=False",
            )
        if mask is not None:
            if not isinstance(mask, Tensor) or mask.ndim != 2:
                raise TalanError(
                    "the attention mask must be 2-D, one entry per token",
                    place="attention_mask",
                    value=getattr(mask, "shape", type(mask).__name__),
                    hint="give a mask of shape (batch, tokens), or none",
                )
            self._valid = mask.bool()
        elif positions is not None and bool((positions.diff(dim=-1) != 1).any()):
            raise TalanError(
                "several sequences packed in one row would share one memory",
                place="position_ids",
                hint="give one sequence per row, with an attention mask",
            )

    def _leave(self, stack: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._valid = None

    def _write(self, stream: Tensor) -> Tensor:
        if self._captured is not None:
            self._captured.append(stream.detach())
        if self._bypassed:
            return stream
        for place, rows in (
            ("prompt", None if self._prompt is None else len(self._prompt)),
            ("donor", None if self._donors is None else len(self._donors.valid)),
        ):
            if rows is not None and rows != len(stream):
                raise TalanError(
                    f"{rows} entries for a batch of {len(stream)} rows",
                    place=place,
                    value=rows,
                    hint="give one per row",
                )
        device = stream.device
        valid = None if self._valid is None else self._valid.to(device)
        prompt = None if self._prompt is None else self._prompt.to(device)
        written: Tensor = self.block(stream, valid, prompt, self._donors)
        return written

    def _write_input(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (self._write(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self._write(kwargs["hidden_states"])}

    def _write_output(self, layer: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (self._write(output[0]), *output[1:])
        return self._write(output)
