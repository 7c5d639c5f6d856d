"""The forward hooks through which a block reads and writes the stream of its decoder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from talan.block import Call, Written
from talan.controls import Donors
from talan.errors import TalanError
from talan.reading import Reading, read
from talan.state import MemoryState, carries, remember, states_of
from talan.virtual import prefix_length, prompt_length

if TYPE_CHECKING:
    from talan.handle import Handle

Substitution = Callable[[Tensor, Tensor], Tensor]
"""(stream (B, T, d) float32, change (B, T, d)) -> the change to add instead."""


@dataclass
class Settings:
    """What the contexts of a handle have said; the hooks act on it.

    `captured` collects the stream at the site, also while the block is bypassed.
    """

    bypassed: bool = False
    prompt: Tensor | None = None
    donors: Donors | None = None
    slots: Tensor | None = None
    substitution: Substitution | None = None
    captured: list[Tensor] | None = None


class Hooks:
    """The registered hooks of a handle.

    Everything about a call is read, and every mistake in it found, before the first layer runs: a
    call that fails later would leave its cache half filled. With `options`, the block's arithmetic
    is compiled by `torch.compile` when it is first needed.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._call: Call | None = None
        self._cache: Any = None
        self._past_length: int | Tensor = 0
        self._written: Written | None = None
        self.options: dict[str, Any] | None = None
        self._compiled: Callable[[Tensor, Call], Written] | None = None
        stack, layers = handle.decoder.stack, handle.decoder.layers
        self._names = tuple(inspect.signature(stack.forward).parameters)
        self._registered = [
            stack.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True),
            stack.register_forward_hook(self._leave, prepend=True, always_call=True),
        ]
        # The output of the layer before, not the input of the layer at the site: transformers
        # records hidden states from outputs (and the first from the input of layer 0).
        if handle.site == 0:
            hook = layers[0].register_forward_pre_hook(
                self._write_input, prepend=True, with_kwargs=True
            )
        else:
            hook = layers[handle.site - 1].register_forward_hook(self._write_output, prepend=True)
        self._registered.append(hook)

    def remove(self) -> None:
        """Take the hooks off."""
        for hook in self._registered:
            hook.remove()
        self._registered = []

    def _enter(self, stack: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        handle, settings = self._handle, self._handle.settings
        self._call = self._written = None
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        if settings.bypassed or not handle.active:
            self._miss(given.get("past_key_values"))
            return
        reading = read(given)
        self._check_past(reading)
        compiling = torch.compiler.is_compiling()
        if not compiling and handle.block.training and torch.is_grad_enabled():
            handle.apply_scope()
        self._call = self._make_call(*_shape(given), reading)
        self._cache, self._past_length = reading.cache, reading.past

    def _miss(self, kv_cache: Any) -> None:
        """Note that tokens enter a cache unseen, where its length would not tell."""
        state = states_of(kv_cache).get(self._handle.name)
        if state is not None and kv_cache.is_compileable:
            state.missed = True

    def _check_past(self, reading: Reading) -> None:
        """Refuse a cache whose tokens the memory has not seen."""
        state = states_of(reading.cache).get(self._handle.name)
        if reading.cache is None:
            return
        if state is not None and state.missed:
            raise TalanError(
                "the cache went on while the block was bypassed",
                place="past_key_values",
                value=type(reading.cache).__name__,
                hint="fill and continue a cache with the block in the same state",
            )
        if state is not None and (reading.cache.is_compileable or torch.compiler.is_compiling()):
            return  # its length is on the device, or would bind a graph to one length
        known = 0 if state is None else state.start + state.length
        allowed = prefix_length(self._handle.model) if state is None else known
        if int(reading.past) not in (0, allowed):
            raise TalanError(
                f"the cache holds {int(reading.past)} tokens, of which the block has seen {known}",
                place="past_key_values",
                value=int(reading.past),
                hint="fill and continue a cache with the block in the same state",
            )

    def _make_call(self, rows: int, length: int, reading: Reading) -> Call:
        handle, settings = self._handle, self._handle.settings
        device = next(handle.parameters()).device
        past = states_of(reading.cache).get(handle.name)
        if isinstance(reading.past, int) and reading.past == 0:
            past = None
        valid, segments, donors = reading.valid(length), reading.segments, settings.donors
        if segments is not None and segments.shape[0] != rows:
            segments = segments.expand(rows, -1)
        if donors is not None and len(donors) != rows:
            each = torch.arange(len(donors))
            donors = donors.select(_expanded("donor", each, rows, handle.block.training))
        call = Call(
            valid=None if valid is None else valid.to(device),
            segments=None if segments is None else segments.to(device),
            prompt=self._prompt_of(rows, past, device),
            past=past,
            donors=donors,
            slots=settings.slots,
        )
        handle.block.check(rows, call)
        return call

    def _prompt_of(
        self, rows: int, past: MemoryState | None, device: torch.device
    ) -> Tensor | None:
        """Prompt lengths of the rows: those of the cache, else those of the context."""
        said = self._handle.settings.prompt
        known = None if past is None else past.prompt
        if said is None or (past is not None and past.given is said):
            return known
        given = _expanded("prompt", said, rows, self._handle.block.training).to(device)
        given = given + prompt_length(self._handle.model)
        if known is None:
            return given
        if not torch.compiler.is_compiling() and not torch.equal(given, known):
            raise TalanError(
                "the prompt of a cached sequence cannot change",
                place="prompt",
                value=said.tolist(),
                hint=f"the cache was filled with prompts of {known.tolist()} tokens",
            )
        return known

    def _leave(self, stack: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        call, made, given = self._call, self._written, self._cache
        self._call = self._written = self._cache = None
        if call is None or made is None:
            return
        kv_cache = getattr(output, "past_key_values", None)
        if kv_cache is None and isinstance(output, tuple):
            kv_cache = next((each for each in output if hasattr(each, "get_seq_length")), None)
        # A cache that is made inside a compiled call (by the model or for PEFT's prefix) cannot be
        # given a memory there; whoever continues it is told.
        inside = given is None or prefix_length(self._handle.model) > 0
        if kv_cache is None or (torch.compiler.is_compiling() and inside and not carries(kv_cache)):
            return
        made.state.given = self._handle.settings.prompt
        if call.past is None and isinstance(self._past_length, int):
            made.state.start = self._past_length
        remember(kv_cache, self._handle.name, made.state, made.tokens, call.valid)

    def _write(self, stream: Tensor) -> Tensor:
        settings = self._handle.settings
        if settings.captured is not None:
            settings.captured.append(stream.detach())
        if self._call is None:
            return stream
        made = self._compute(stream, self._call)
        self._written = made
        change = made.change
        if settings.substitution is not None:
            change = settings.substitution(stream.float(), change)
        return stream + change.to(stream.dtype)

    def __getstate__(self) -> dict[str, Any]:
        """For copies of the model, which compile anew: the compiled code is bound to this block."""
        return {**self.__dict__, "_compiled": None}

    def _work(self, stream: Tensor, call: Call) -> Written:
        write = self._handle.block.write
        if self.options is None or torch.compiler.is_compiling():
            return write(stream, call)
        if self._compiled is None:
            self._compiled = torch.compile(write, **self.options)
        return self._compiled(stream, call)

    def _compute(self, stream: Tensor, call: Call) -> Written:
        """The block's work, recomputed in the backward pass where the layers' is."""
        block, layer = self._handle.block, self._handle.decoder.layers[self._handle.site]
        recompute = getattr(layer, "gradient_checkpointing", False) and block.training
        if recompute and torch.is_grad_enabled():
            made: Written = checkpoint(self._work, stream, call, use_reentrant=False)
            return made
        return self._work(stream, call)

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


def _shape(given: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and new tokens of a decoder's forward pass."""
    for name in ("input_ids", "inputs_embeds", "hidden_states"):
        inputs = given.get(name)
        if isinstance(inputs, Tensor) and inputs.ndim >= 2:
            return inputs.shape[0], inputs.shape[1]
    raise TalanError(
        "the decoder was given no tokens of shape (batch, tokens)",
        place="forward",
        value=sorted(given),
        hint="give input_ids or inputs_embeds",
    )


def _expanded(place: str, values: Tensor, rows: int, training: bool) -> Tensor:
    """One value per row, where generation has repeated the rows for its beams."""
    if len(values) == rows:
        return values
    if rows % len(values) or training:
        raise TalanError(
            f"{len(values)} entries for a batch of {rows} rows",
            place=place,
            value=len(values),
            hint="give one per row",
        )
    return values.repeat_interleave(rows // len(values), dim=0)
