"""The handle of an attached block: its parameters, and the contexts that say how it acts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from talan.attachment import SidePaths, hang_on, release
from talan.block import Block
from talan.config import TalanConfig
from talan.controls import Donors
from talan.decoder import Decoder
from talan.errors import TalanError
from talan.hooks import Hooks, Settings, Substitution
from talan.scope import Trainability


class Handle:
    """An attached block, from `talan.attach`.

    `model` is the object it hangs on, `block` the module, `site` the index of the decoder layer
    whose input stream it writes, `name` its name among the side paths of the model. `settings` is
    what its contexts have said.
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
        self.paths = paths
        self._trainability = Trainability(model, block)
        self.settings = Settings()
        self._hooks = Hooks(self)

    @property
    def config(self) -> TalanConfig:
        """The configuration of the block."""
        return self.block.config

    @property
    def active(self) -> bool:
        """Whether this is the side path that acts."""
        return self.paths.active == self.name

    def activate(self) -> None:
        """Make this the side path that acts and trains; the others of the model do neither."""
        for other in self.paths.handles.values():
            other.block.requires_grad_(False)
        self.paths.active = self.name
        self.apply_scope()

    def hang_on(self, model: nn.Module) -> None:
        """Hang this and the other side paths on another object around the same decoder.

        PEFT's `merge_and_unload` and `unload` give back an inner model: the blocks go on acting on
        it, but an optimiser built from it finds them only after this. `TalanError` if `model` is
        another decoder.
        """
        hang_on(model, self)

    def moved(self, model: nn.Module) -> None:
        """Take note of the object that the side paths hang on now."""
        self.model = model
        self._trainability.model = model

    def apply_scope(self) -> None:
        """Set `requires_grad` of block and adapter to what the scope of the block says.

        Attaching does this, and so does every forward pass in training, because PEFT unfreezes
        adapters whenever their state changes. Call it before an optimiser is built from the
        parameters that train, if an adapter came or changed after the block.
        """
        if self.active:
            self._trainability.apply()
        else:
            self.block.requires_grad_(False)

    def freeze(self, frozen: bool = True) -> None:
        """Freeze the block for inference, whatever its scope says; False undoes that.

        What trains beside the block is left alone.
        """
        self._trainability.trainable = not frozen
        self.apply_scope()

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

    def compile(self, **options: Any) -> None:
        """Compile the block's arithmetic with `torch.compile(**options)` from the next call on.

        For decoders that are not compiled as a whole: the block then costs a few kernels instead
        of some dozens. Results may differ in rounding.
        """
        self._hooks.options = options

    def detach(self) -> None:
        """Remove block and hooks; the model computes what it did before, bit for bit.

        What the scope has frozen or unfrozen of the adapter gets back its `requires_grad`.
        """
        self._hooks.remove()
        if self.active:
            self._trainability.undo()
        release(self, self.decoder, self.paths)

    @contextmanager
    def disabled(self, *, adapter: bool = False) -> Iterator[None]:
        """Bypass the block inside the context, and with `adapter` PEFT's adapter as well.

        Which parameters train is afterwards as it was before; PEFT alone would unfreeze them.
        """
        disable = self._disable_adapter() if adapter else None
        flags = {each: each.requires_grad for each in self.model.parameters()} if disable else {}
        bypassed = self._setting("bypassed", True)
        try:
            with bypassed, disable() if disable is not None else contextlib.nullcontext():
                yield
        finally:
            for parameter, flag in flags.items():
                parameter.requires_grad_(flag)

    def _disable_adapter(self) -> Callable[[], AbstractContextManager[Any]] | None:
        """PEFT's context that bypasses its adapter; None for a model without one."""
        found: Any = getattr(self.model, "disable_adapter", None)
        if found is None and any(isinstance(m, BaseTunerLayer) for m in self.model.modules()):
            raise TalanError(
                f"the adapter was put around {type(self.model).__name__} after the block",
                place="disabled",
                value=type(self.model).__name__,
                hint="attach the block to the PeftModel",
            )
        disable: Callable[[], AbstractContextManager[Any]] | None = found
        return disable

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
        with self._setting("prompt", counts):
            yield

    @contextmanager
    def donor(self, donors: Donors) -> Iterator[None]:
        """Use the memory of `donors`, one per row of the batch, instead of each row's own.

        The control `shuffled` needs it in evaluation; for other blocks it is a substitution.
        """
        if self.config.control == "static":
            raise TalanError("a static memory takes no donors", place="donor", value="static")
        with self._setting("donors", donors):
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
        with self._setting("slots", slots):
            yield

    @contextmanager
    def substituted(self, substitution: Substitution) -> Iterator[None]:
        """Add `substitution(stream, change)` instead of the block's change: a substitution."""
        with self._setting("substitution", substitution):
            yield

    @contextmanager
    def _setting(self, name: str, value: Any) -> Iterator[None]:
        before = getattr(self.settings, name)
        setattr(self.settings, name, value)
        try:
            yield
        finally:
            setattr(self.settings, name, before)

    def collect_donors(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Donors:
        """Run the model on sequences (N, T), without gradients, and keep their stream at the site.

        What is kept belongs to the present weights: collect again after training on. The model
        runs in the mode it is in; call `model.eval()` before, or dropout enters the memory.
        """
        captured: list[Tensor] = []
        with torch.no_grad(), self.disabled(), self._setting("captured", captured):
            self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        stream = captured[0]
        valid = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        virtual = stream.shape[1] - valid.shape[1]  # of PEFT's prompt tuning
        return Donors(stream, nn.functional.pad(valid.bool(), (virtual, 0), value=True))
