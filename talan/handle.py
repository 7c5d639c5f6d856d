"""The handle of an attached block: its parameters, and the contexts that say how it acts."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from talan.attachment import SidePaths, release
from talan.block import Block, Call, Written
from talan.config import TalanConfig
from talan.controls import Donors
from talan.decoder import Decoder
from talan.errors import TalanError
from talan.reading import Reading, read
from talan.scope import Trainability
from talan.state import MemoryState, remember, states_of
from talan.virtual import prefix_length, prompt_length

Substitution = Callable[[Tensor, Tensor], Tensor]
"""(stream (B, T, d) float32, change (B, T, d)) -> the change to add instead."""


class Handle:
    """An attached block, from `talan.attach`.

    `model` is the object it hangs on, `block` the module, `site` the index of the decoder layer
    whose input stream it writes, `name` its name among the side paths of the model.
    """

    def __init__(
        self,
        model: nn.Module,
        block: Block,
        name: str,
        decoder: Decoder,
        site: int,
        paths: SidePaths,
    ) -> None:
        self.model = model
        self.block = block
        self.name = name
        self.site = site
        self.decoder = decoder
        self._paths = paths
        self._names = tuple(inspect.signature(decoder.stack.forward).parameters)
        self._trainability = Trainability(model, block)
        self._reading: Reading | None = None
        self._written: tuple[Written, Tensor | None] | None = None
        self._prompt: Tensor | None = None
        self._donors: Donors | None = None
        self._slots: Tensor | None = None
        self._substitution: Substitution | None = None
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

    @property
    def active(self) -> bool:
        """Whether this is the side path that acts."""
        return self._paths.active == self.name

    def activate(self) -> None:
        """Make this the side path that acts and trains; the others of the model do neither."""
        for other in self._paths.handles.values():
            other.block.requires_grad_(False)
        self._paths.active = self.name
        self.apply_scope()

    def apply_scope(self) -> None:
        """Set `requires_grad` of block and adapter to what the scope of the block says.

        Attaching does this, and so does every forward pass in training, because PEFT unfreezes
        adapters whenever their state changes. Call it before an optimiser is built from the
        parameters that train, if an adapter came or changed after the block.
        """
        self._trainability.apply()

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
        own = self.block.state_dict()
        missing, unexpected = sorted(set(own) - set(state)), sorted(set(state) - set(own))
        if strict and (missing or unexpected):
            raise TalanError(
                f"missing keys {missing}, unexpected keys {unexpected}",
                place="load_state_dict",
                hint="the block must be attached with the configuration it was saved with",
            )
        for key in sorted(set(own) & set(state)):
            if own[key].shape != state[key].shape:
                raise TalanError(
                    f"{key} has shape {tuple(state[key].shape)}, the block has "
                    f"{tuple(own[key].shape)}",
                    place="load_state_dict",
                    value=tuple(state[key].shape),
                    hint="the block must be attached with the configuration it was saved with",
                )
        self.block.load_state_dict(state, strict=False)

    def detach(self) -> None:
        """Remove block and hooks; the model computes what it did before, bit for bit.

        What the scope has frozen or unfrozen of the adapter gets back its `requires_grad`.
        """
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self.active:
            self._trainability.undo()
        release(self, self.decoder, self._paths)

    @contextmanager
    def disabled(self, *, adapter: bool = False) -> Iterator[None]:
        """Bypass the block inside the context, and with `adapter` PEFT's adapter as well.

        Which parameters train is afterwards as it was before; PEFT alone would unfreeze them.
        """
        disable = getattr(self.model, "disable_adapter", None) if adapter else None
        flags = {each: each.requires_grad for each in self.model.parameters()} if disable else {}
        before, self._bypassed = self._bypassed, True
        try:
            with disable() if disable is not None else contextlib.nullcontext():
                yield
        finally:
            self._bypassed = before
            for parameter, flag in flags.items():
                parameter.requires_grad_(flag)

    @contextmanager
    def prompt(self, lengths: Tensor | Sequence[int]) -> Iterator[None]:
        """Say how many valid tokens of each row are its prompt, for conditioning `prompt`.

        `lengths` (B,), or (B, S) for rows that pack up to S sequences. A batch of a multiple of B
        rows outside training is taken to hold each row that many times in a row, as generation
        expands it for beams.
        """
        counts = torch.as_tensor(lengths)
        if counts.ndim not in (1, 2) or counts.is_floating_point() or bool((counts < 1).any()):
            raise TalanError(
                f"{counts.tolist()!r} are no prompt lengths",
                place="prompt",
                value=lengths,
                hint="give one integer >= 1 per row",
            )
        with self._setting("_prompt", counts):
            yield

    @contextmanager
    def donor(self, donors: Donors) -> Iterator[None]:
        """Use the memory of `donors`, one per row of the batch, instead of each row's own.

        The control `shuffled` needs it in evaluation; for other blocks it is a substitution.
        """
        if self.config.control == "static":
            raise TalanError("a static memory takes no donors", place="donor", value="static")
        with self._setting("_donors", donors):
            yield

    @contextmanager
    def constant_slots(self, slots: Tensor) -> Iterator[None]:
        """Let every token read `slots` (M, r), whatever the sequence: a substitution."""
        wanted = (self.config.memory, self.config.width)
        if tuple(slots.shape) != wanted:
            raise TalanError(
                f"slots of shape {tuple(slots.shape)} for a block of {wanted}",
                place="constant_slots",
                value=tuple(slots.shape),
                hint="give M x r numbers",
            )
        with self._setting("_slots", slots):
            yield

    @contextmanager
    def substituted(self, substitution: Substitution) -> Iterator[None]:
        """Add `substitution(stream, change)` instead of the block's change: a substitution."""
        with self._setting("_substitution", substitution):
            yield

    @contextmanager
    def _setting(self, name: str, value: Any) -> Iterator[None]:
        before = getattr(self, name)
        setattr(self, name, value)
        try:
            yield
        finally:
            setattr(self, name, before)

    def collect_donors(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Donors:
        """Run the model on sequences (N, T), without gradients, and keep their stream at the site.

        What is kept belongs to the present weights: collect again after training on. The model
        runs in the mode it is in; call `model.eval()` before, or dropout enters the memory.
        """
        self._captured = []
        try:
            with torch.no_grad(), self.disabled():
                self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
            stream = self._captured[0]
        finally:
            self._captured = None
        valid = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        virtual = stream.shape[1] - valid.shape[1]  # of PEFT's prompt tuning
        return Donors(stream, nn.functional.pad(valid.bool(), (virtual, 0), value=True))

    def _acts(self) -> bool:
        return self.active and not self._bypassed

    def _enter(self, stack: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._reading = self._written = None
        if not self._acts():
            return
        self._reading = read({**dict(zip(self._names, args, strict=False)), **kwargs})
        if torch.compiler.is_compiling():
            return
        self._check_past(self._reading)
        if self.block.training and torch.is_grad_enabled():
            self._trainability.apply()

    def _check_past(self, reading: Reading) -> None:
        """Refuse a cache whose tokens the memory has not seen."""
        state = states_of(reading.cache).get(self.name)
        if isinstance(reading.past, int) or state is None:
            known = prefix_length(self.model) if state is None else state.start + state.length
            if int(reading.past) not in (0, known):
                raise TalanError(
                    f"the cache holds {int(reading.past)} tokens, of which the block has seen "
                    f"{known if state is not None else 0}",
                    place="past_key_values",
                    value=int(reading.past),
                    hint="fill and continue a cache with the block in the same state",
                )

    def _past(self, reading: Reading) -> MemoryState | None:
        state = states_of(reading.cache).get(self.name)
        empty = isinstance(reading.past, int) and reading.past == 0
        return None if empty else state

    def _leave(self, stack: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        reading, written = self._reading, self._written
        self._reading = self._written = None
        if reading is None or written is None:
            return
        kv_cache = getattr(output, "past_key_values", None)
        if kv_cache is None and isinstance(output, tuple):
            kv_cache = next((each for each in output if hasattr(each, "get_seq_length")), None)
        if kv_cache is None or (reading.cache is None and torch.compiler.is_compiling()):
            return
        made, valid = written
        if made.state.length == made.tokens.shape[1] and isinstance(reading.past, int):
            made.state.start = reading.past
        remember(kv_cache, self.name, made.state, made.tokens, valid)

    def _write(self, stream: Tensor) -> Tensor:
        if self._captured is not None:
            self._captured.append(stream.detach())
        reading = self._reading
        if reading is None:
            return stream
        call = self._call(stream, reading)
        made = self._compute(stream, call)
        self._written = (made, call.valid)
        change = made.change
        if self._substitution is not None:
            change = self._substitution(stream.float(), change)
        return stream + change.to(stream.dtype)

    def _compute(self, stream: Tensor, call: Call) -> Written:
        """The block's work, recomputed in the backward pass where the layers' is."""
        layer = self.decoder.layers[self.site]
        if (
            getattr(layer, "gradient_checkpointing", False)
            and self.block.training
            and torch.is_grad_enabled()
        ):
            made: Written = checkpoint(self.block.write, stream, call, use_reentrant=False)
            return made
        return self.block.write(stream, call)

    def _call(self, stream: Tensor, reading: Reading) -> Call:
        rows, length = stream.shape[:2]
        past = self._past(reading)
        valid = reading.valid(length)
        segments = reading.segments
        if segments is not None and segments.shape[0] != rows:
            segments = segments.expand(rows, -1)
        donors = self._donors
        if donors is not None and len(donors) != rows:
            donors = donors.select(self._expanded("donor", torch.arange(len(donors)), rows))
        device = stream.device
        return Call(
            valid=None if valid is None else valid.to(device),
            segments=None if segments is None else segments.to(device),
            prompt=self._prompt_of(rows, past, device),
            past=past,
            donors=donors,
            slots=self._slots,
        )

    def _prompt_of(
        self, rows: int, past: MemoryState | None, device: torch.device
    ) -> Tensor | None:
        """Prompt lengths of the rows: those of the cache, else those of the context."""
        if self._prompt is None:
            return None if past is None else past.prompt
        given = self._expanded("prompt", self._prompt, rows).to(device)
        given = given + prompt_length(self.model)
        if past is None or past.prompt is None:
            return given
        if not torch.compiler.is_compiling() and not torch.equal(given, past.prompt):
            raise TalanError(
                "the prompt of a cached sequence cannot change",
                place="prompt",
                value=self._prompt.tolist(),
                hint=f"the cache was filled with prompts of {past.prompt.tolist()} tokens",
            )
        return past.prompt

    def _expanded(self, place: str, values: Tensor, rows: int) -> Tensor:
        """One value per row, where generation has repeated the rows for its beams."""
        if len(values) == rows:
            return values
        if rows % len(values) or self.block.training:
            raise TalanError(
                f"{len(values)} entries for a batch of {rows} rows",
                place=place,
                value=len(values),
                hint="give one per row",
            )
        return values.repeat_interleave(rows // len(values), dim=0)

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
