"""Models that are away from their start, to be saved, and what is compared after loading."""

from __future__ import annotations

import torch

import talan
from talan.checkpoint.manifest import CONFIG, MANIFEST, TENSORS
from tests.talan.cases import adapted, awaken, generator, tokens

IDS = tokens(2, 9)
OURS = {CONFIG, TENSORS, MANIFEST}


def trained(kind: str = "lora", config: talan.TalanConfig | None = None, architecture="qwen3"):
    """A model whose adapter, or whole backbone, and block are away from their start."""
    model = adapted(architecture, kind=kind, train=False)
    with torch.no_grad():
        for index, each in enumerate(model.parameters()):
            if each.requires_grad:
                each.add_(0.05 * torch.randn(each.shape, generator=generator(index)))
    handle = talan.attach(model, config or talan.TalanConfig(), generator=generator())
    handle.block.eval()
    awaken(handle)
    return handle


def logits(model):
    with torch.no_grad():
        return model(IDS).logits
