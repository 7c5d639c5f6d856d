"""Models with an awake block, and ragged prompts."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

import talan
from talan.probe import Prompts
from tests.talan.cases import VOCABULARY, adapted, attached, generator

LENGTHS = (5, 9, 7)
FEW = {"n_random": 2}


def padded(rows, width: int | None = None, side: str = "right", lengths=None) -> Prompts:
    width = max(len(row) for row in rows) if width is None else width
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[i, where], mask[i, where] = row, 1
    return Prompts(ids, mask, None if lengths is None else torch.tensor(lengths))


def ragged(seed: int, lengths=LENGTHS) -> list[torch.Tensor]:
    draw = generator(seed)
    return [torch.randint(VOCABULARY, (length,), generator=draw) for length in lengths]


def benchmarks(**how) -> dict[str, Prompts]:
    return {"sums": padded(ragged(1), **how), "recall": padded(ragged(2, (8, 4, 6)), **how)}


def trained(model=None, **how):
    """A backbone whose adapter does something, as after training."""
    model = adapted(train=False, **how) if model is None else model
    draw = generator(13)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("lora_B", "vera_lambda_b", "ia3_")):
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=draw))
    return model


@contextmanager
def side_path(config: talan.TalanConfig | None = None, model=None, **how):
    with attached(
        trained() if model is None else model, config or talan.TalanConfig(), **how
    ) as it:
        yield it


def by_key(result) -> dict:
    return {tuple(record.values())[:-1]: record["value"] for record in result.records()}


def close(first, second, tolerance=2e-4):
    first, second = by_key(first), by_key(second)
    assert first.keys() == second.keys()
    for key, value in first.items():
        same = pytest.approx(value, rel=tolerance, abs=1e-6, nan_ok=True)
        assert second[key] == same, key
