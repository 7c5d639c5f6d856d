"""Train with transformers' `Trainer`, or one derived from it, and keep block and adapter together.

`TalanTrainerMixin` does all of it. `TalanCallback` is for trainers whose class cannot be changed;
`trainer.save_model()` tells a callback nothing, so there `talan.save(trainer.model, folder)` saves
the final model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from talan.attachment import active_handle
from talan.checkpoint.folder import save
from talan.checkpoint.restore import restore
from talan.errors import TalanError


class TalanTrainerMixin:
    """Put before a trainer class: `class MyTrainer(TalanTrainerMixin, Trainer)`.

    The scope is applied before the optimiser is made. Checkpoints and `save_model()` write what
    `talan.save` writes: PEFT's files or the whole model, with the blocks beside them; of a frozen
    backbone the blocks alone. `resume_from_checkpoint` and `load_best_model_at_end` restore
    adapter and block with the checks of `talan.load`.

    `TalanError` if no side path is attached when the optimiser is made, if an optimiser given to
    the trainer lacks parameters of the block, if a checkpoint does not fit, and for training that
    shards the parameters (FSDP, DeepSpeed), whose checkpoints this cannot write.
    """

    model: nn.Module
    state: TrainerState

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the scope, then make the optimiser."""
        if getattr(self, "is_fsdp_enabled", False) or getattr(self, "is_deepspeed_enabled", False):
            raise TalanError(
                "checkpoints of sharded training cannot hold a side path",
                place="Trainer",
                hint="train on one device or with DistributedDataParallel",
            )
        active_handle(self.model).apply_scope()
        optimizer = super().create_optimizer(*args, **kwargs)  # type: ignore[misc]
        check_optimizer(self.model, optimizer)
        return optimizer

    def _save(self, *args: Any, **kwargs: Any) -> None:
        with _saving_all_of(self.model):
            super()._save(*args, **kwargs)  # type: ignore[misc]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        restore(self.model, resume_from_checkpoint)

    def _load_best_model(self) -> None:
        restore(self.model, str(self.state.best_model_checkpoint))


class TalanCallback(TrainerCallback):
    """Add blocks to the checkpoints of a trainer, and restore them: `callbacks=[TalanCallback()]`.

    The scope is applied when the trainer is made. After each checkpoint its folder is completed to
    what `talan.save` writes; when training resumes, and when the best model has been loaded, the
    blocks are restored. `resumed_from` is needed if a run resumes from a folder other than its
    output folder.

    `TalanError` if no side path is attached, if the optimiser lacks parameters of the block, or if
    a checkpoint does not fit the model.
    """

    def __init__(self, resumed_from: str | os.PathLike[str] | None = None) -> None:
        self.resumed_from = resumed_from

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Apply the scope."""
        active_handle(given["model"]).apply_scope()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Check the optimiser, and restore the blocks of a run that is resumed."""
        check_optimizer(given["model"], given["optimizer"])
        if state.global_step:
            restore(given["model"], self.resumed_from or _checkpoint_folder(args, state))

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Complete the checkpoint that was just written."""
        if args.should_save:
            save(given["model"], _checkpoint_folder(args, state))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Restore the blocks of the best model, if the trainer has loaded it."""
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            restore(given["model"], state.best_model_checkpoint)


def check_optimizer(model: nn.Module, optimizer: Any) -> None:
    """`TalanError` if parameters of the active block train and `optimizer` does not have them."""
    handle = active_handle(model)
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    lacking = [
        name
        for name, each in handle.named_parameters()
        if each.requires_grad and id(each) not in held
    ]
    if lacking:
        raise TalanError(
            f"the optimiser lacks {len(lacking)} parameters of the block, such as {lacking[0]}",
            place="Trainer",
            value=lacking,
            hint="attach the block before the optimiser is made",
        )


@contextmanager
def _saving_all_of(model: nn.Module) -> Iterator[None]:
    """Within the context, `model.save_pretrained` writes what `talan.save` writes."""

    def write(folder: str, is_main_process: bool = True, **_: Any) -> None:
        del model.__dict__["save_pretrained"]  # which `save` itself calls
        if is_main_process:
            save(model, folder)

    model.__dict__["save_pretrained"] = write
    try:
        yield
    finally:
        model.__dict__.pop("save_pretrained", None)


def _checkpoint_folder(args: TrainingArguments, state: TrainerState) -> Path:
    folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
    if not folder.is_dir():
        raise TalanError(
            f"{folder} is no folder, so this run was resumed or is saved elsewhere",
            place="TalanCallback",
            value=str(folder),
            hint="give TalanCallback(resumed_from=folder), or use TalanTrainerMixin",
        )
    return folder
