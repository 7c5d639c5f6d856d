"""The pure function behind every probe: RunSpec and checkpoint in, Probed out.

It runs in a worker process and, like a training, opens neither the ledger nor MLflow.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch

import talan
from ablate import backbones, checkpoints
from ablate.errors import AblateError
from ablate.probing.prompts import N_PROMPTS, prompts_digest
from ablate.probing.result import Probed
from ablate.recipes import PROBE_RECIPE
from ablate.spec import Backbone, Part, RunSpec
from ablate.streams import torch_stream
from ablate.worker import encoded, make_accelerator, pad_token, quiet
from talan.probe import Prompts, probe

N_RANDOM = 8
"""Random directions of equal size per benchmark."""


def execute(specs: Sequence[RunSpec], folder: Path | None) -> list[Probed]:
    """Probe trained runs from their checkpoints in ``folder``, in order."""
    quiet()
    return [probe_one(spec, folder) for spec in specs]


def probe_one(spec: RunSpec, folder: Path | None) -> Probed:
    """Probe one run on the prompts of its benchmarks.

    Raises:
        AblateError: the run has no checkpoint in ``folder``.
        TalanError: the checkpoint is damaged, or made for another backbone.
    """
    place = None if folder is None else checkpoints.find(folder, spec.key)
    if place is None:
        raise AblateError(
            f"run {spec.key[:8]} has no checkpoint", place=str(folder), value=spec.key
        )
    started = time.perf_counter()
    accelerator = make_accelerator(spec.device, spec.precision)
    model, tokenizer = backbones.load(spec.backbone)
    handle = talan.load(model, place)
    handle.model.to(accelerator.device)
    with accelerator.autocast():
        measured = probe(
            handle,
            {
                part.benchmark: prompts_of(spec.backbone, part, pad_token(tokenizer))
                for part in spec.benchmarks
            },
            n_random=N_RANDOM,
            generator=torch_stream(spec.pair(), "probe"),
        )
    return Probed(
        key=spec.key,
        recipe=PROBE_RECIPE,
        prompts=prompts_digest(spec.benchmarks),
        measured=measured,
        seconds=time.perf_counter() - started,
    )


def prompts_of(backbone: Backbone, part: Part, pad: int) -> Prompts:
    """The first test prompts of a benchmark without their answers, padded on the right."""
    rows = [row.ids[: row.n_prompt] for row in encoded(backbone, part.source, "test")[:N_PROMPTS]]
    ids = torch.full((len(rows), max(map(len, rows))), pad)
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = True
    return Prompts(ids, mask)
