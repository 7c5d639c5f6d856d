"""torch.compile of the whole model in one graph (the `eager` backend: no code is generated)."""

from __future__ import annotations

import dataclasses

import torch
from torch._dynamo.utils import counters
from transformers import StaticCache

from tests.talan.matrix.registry import behaviour
from tests.talan.matrix.subjects import Spec, Subject, close, padded, rows, shared


def shallow(spec: Spec) -> Subject:
    """Tracing takes a second per layer: only the levels, not adapters and backbones, take two."""
    if spec.case == "default":
        spec = dataclasses.replace(spec, case="insertion=embedding", layers=1)
    if spec.backbone != "qwen3":  # on which the adapters are tried
        spec = dataclasses.replace(spec, adapter="none")
    return shared(spec)


@behaviour
def compiling(spec: Spec) -> None:
    """A pass without a cache, with padding, is one graph."""
    subject = shallow(spec)
    ids, mask = padded()
    torch._dynamo.reset()
    with torch.no_grad(), subject.context():
        wanted = subject.logits(ids, mask)
        eager = subject.model
        subject.model = torch.compile(eager, backend="eager", fullgraph=True)
        try:
            found = subject.logits(ids, mask)
        finally:
            subject.model = eager
    close(found[mask.bool()], wanted[mask.bool()])


@behaviour
def compiled_decoding(spec: Spec) -> None:
    """Steps with a static cache that was filled eagerly are one graph, compiled once."""
    subject = shallow(spec)
    model = subject.model
    ids = torch.stack(rows((13, 13, 13)))
    torch._dynamo.reset()
    counters.clear()
    with torch.no_grad(), subject.context(prompt=(9, 9, 9)):
        wanted = subject.logits(ids)
        cache = StaticCache(config=model.config, max_cache_len=16)
        out = model(input_ids=ids[:, :9], past_key_values=cache, use_cache=True)
        close(out.logits, wanted[:, :9])
        step = torch.compile(model, backend="eager", fullgraph=True)
        for t in range(9, 13):
            out = step(
                input_ids=ids[:, t : t + 1], past_key_values=cache, use_cache=True,
                position_ids=torch.full((3, 1), t),
            )  # fmt: skip
            close(out.logits[:, 0], wanted[:, t])
    assert counters["stats"]["unique_graphs"] == 1
