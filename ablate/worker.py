"""The pure function behind every run: RunSpec in, RunResult out.

It opens neither the ledger nor MLflow nor Optuna; all it writes is the checkpoint of a run with a
block, where it is told a folder for it. A worker process keeps what runs share (the encoded items,
the backbone's files) in memory between calls.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import platform
import re
import resource
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import talan
from ablate import backbones, checkpoints
from ablate.benchmarks import load_items
from ablate.evaluate import Encoded, encode, make_bank, score_items
from ablate.result import DIVERGED, DONE, Cost, RunResult, Score
from ablate.spec import UNADAPTED, Backbone, RunSpec
from ablate.train import Adapted, adapt, count, train

EVAL_BATCH = 64
"""Items per forward pass when scoring; small batches stay in the processor's cache."""

PEAK_RESET, PROCESS_STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
"""Linux's (see proc(5)): writing 5 to the first resets the peak that the second tells as VmHWM."""

ENVIRONMENT_PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy")


def execute(specs: Sequence[RunSpec], folder: Path | None = None) -> list[RunResult]:
    """Train and score runs that share backbone and tensor shapes, in order.

    Args:
        specs: the runs.
        folder: where the checkpoints of runs with a block are kept; None keeps none.

    Raises:
        MemoryError, torch.OutOfMemoryError: the machine's, not the run's, failure; retried by the
            driver, like any other exception.
    """
    quiet()
    return [execute_one(spec, folder) for spec in specs]


def execute_one(spec: RunSpec, folder: Path | None = None) -> RunResult:
    """Train and score one run. Divergence is an outcome, not an exception."""
    accelerator = make_accelerator(spec.device, spec.precision)
    reset_peak(accelerator.device)
    model, tokenizer = backbones.load(spec.backbone)
    pad = pad_token(tokenizer)
    adapted = adapt(spec, model, backbones.adapter_targets(spec.backbone))
    cost: dict[str, Any] = {
        "adapter_parameters": count(adapted.adapter),
        "block_parameters": count(adapted.block),
    }
    started = time.perf_counter()
    losses: tuple[float, ...] = ()
    reason = ""
    adapted.model.to(accelerator.device)
    if spec.adapter != UNADAPTED:
        mix = [encoded(spec.backbone, part.source, "train") for part in spec.mix]
        trained = train(spec, adapted, mix, pad, accelerator)
        losses, reason = trained.losses, trained.reason
    cost["train_seconds"] = time.perf_counter() - started
    if folder is not None and checkpoints.is_kept(spec) and not reason:
        # before the adapter is folded into the weights
        checkpoints.keep(folder, spec.key, functools.partial(talan.save, adapted.model))
    started = time.perf_counter()
    if not reason:
        fold_adapter(adapted.model)
    scores = [] if reason else score(spec, adapted, pad, accelerator)
    if scores and not all(s.loglik_is_finite() for s in scores):
        scores, reason = [], "log-likelihoods are not finite at evaluation"
    cost["eval_seconds"] = time.perf_counter() - started
    cost["peak_mb"] = peak_mb(accelerator.device)
    return RunResult(
        key=spec.key,
        outcome=DIVERGED if reason else DONE,
        reason=reason,
        scores=tuple(scores),
        cost=Cost(**cost),
        losses=losses,
        environment=environment(),
    )


def score(spec: RunSpec, adapted: Adapted, pad: int, accelerator: Any) -> list[Score]:
    """Score the model on the items of every part of the run, each on its split."""
    scores = []
    model, handle, device = adapted.model, adapted.handle, accelerator.device
    with accelerator.autocast():
        bank = None
        if handle is not None and handle.config.control == "shuffled":
            mix = [encoded(spec.backbone, part.source, "train") for part in spec.mix]
            bank = make_bank(handle, mix, pad, device)
        for part in spec.benchmarks:
            rows = encoded(spec.backbone, part.source, part.split)
            correct, loglik = score_items(model, rows, pad, device, EVAL_BATCH, handle, bank)
            scores.append(Score(part.benchmark, part.digest, correct, loglik))
    return scores


def fold_adapter(model: torch.nn.Module) -> None:
    """Add the adapter's update into the weights, where they are fp32; scoring is a third faster.

    On weights of lower precision the sum would be rounded, so they are left alone; virtual tokens
    are no update of weights.
    """
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTuner

    if not isinstance(model, PeftModel) or not isinstance(model.base_model, BaseTuner):
        return
    if all(p.dtype == torch.float32 for p in model.parameters()):
        model.merge_adapter()


def pad_token(tokenizer: Any) -> int:
    """The token that fills rows up; any will do, for it is masked."""
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


@functools.lru_cache(maxsize=64)
def encoded(backbone: Backbone, source: str, split: str) -> list[Encoded]:
    """The items of a benchmark split as token ids of a backbone's tokenizer."""
    _, tokenizer = backbones.load(backbone)
    return encode(tokenizer, load_items(source, split))


@functools.lru_cache(maxsize=1)
def make_accelerator(device: str, precision: str) -> Any:
    """The accelerator for a device class and precision; its process-wide state is made anew."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    return Accelerator(cpu=device == "cpu", mixed_precision="bf16" if precision == "bf16" else "no")


@functools.cache
def quiet() -> None:
    """Keep bars and advice of libraries out of the workers' log."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def environment() -> dict[str, str]:
    """Versions and platform that could change the last bits of a result."""
    versions = {name: importlib.metadata.version(name) for name in ENVIRONMENT_PACKAGES}
    return versions | {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def reset_peak(device: torch.device) -> None:
    """Let the peak of this process's memory begin anew, so that a run is not charged with those
    before it; where the system cannot do that, the peak is that of the process so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        PEAK_RESET.write_text("5", encoding="ascii")


def peak_mb(device: torch.device) -> float:
    """Peak memory since ``reset_peak``, in MB: torch's on a GPU, else what is resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if PROCESS_STATUS.exists():
        status = PROCESS_STATUS.read_text(encoding="ascii")
        found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
        if found:
            return int(found[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
