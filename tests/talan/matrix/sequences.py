"""Padding, batches, packing and causality: what a token may depend on."""

from __future__ import annotations

from contextlib import ExitStack

import torch

from tests.talan.matrix.registry import behaviour
from tests.talan.matrix.subjects import (
    LENGTHS,
    PAD,
    PROMPTS,
    Spec,
    close,
    padded,
    rows,
    shared,
)


@behaviour
def padding_side(spec: Spec) -> None:
    """Ragged rows give the same logits padded on the left, on the right, and alone."""
    subject = shared(spec)
    sides = []
    for side, more in (("left", 0), ("left", 3), ("right", 2)):
        ids, mask = padded(side, more=more)
        with torch.no_grad(), subject.context():
            sides.append((subject.logits(ids, mask), mask.bool()))
    for index, row in enumerate(rows()):
        with torch.no_grad(), subject.context(rows=(index,)):
            alone = subject.logits(row[None])[0]
        for logits, mask in sides:
            close(logits[index][mask[index]], alone)


@behaviour
def right_padding(spec: Spec) -> None:
    """Ragged rows padded on the right, as in training, give the logits of each row alone."""
    subject = shared(spec)
    ids, mask = padded("right", more=2)
    with torch.no_grad(), subject.context():
        logits = subject.logits(ids, mask)
    for index, row in enumerate(rows()):
        with torch.no_grad(), subject.context(rows=(index,)):
            alone = subject.logits(row[None])[0]
        close(logits[index, : len(row)], alone)


@behaviour
def batch_order(spec: Spec) -> None:
    """A row's logits do not depend on the other rows or on its place among them."""
    subject = shared(spec)
    ids, mask = padded()
    order = (2, 0, 1, 0)
    with torch.no_grad():
        with subject.context():
            logits = subject.logits(ids, mask)
        with subject.context(rows=order):
            moved = subject.logits(ids[list(order)], mask[list(order)])
    for place, row in enumerate(order):
        close(moved[place][mask[row].bool()], logits[row][mask[row].bool()])


@behaviour
def packed_rows(spec: Spec) -> None:
    """Sequences in one row, told apart by restarting positions, are as if they were alone."""
    subject = shared(spec)
    pieces = rows()
    ids = torch.cat(pieces)[None]
    restarting = torch.cat([torch.arange(len(piece)) for piece in pieces])[None]
    with torch.no_grad():
        with ExitStack() as stack:
            stack.enter_context(subject.context(rows=(0,)))
            if spec.block and subject.handle.config.conditioning == "prompt":
                stack.enter_context(subject.handle.prompt([PROMPTS]))
            packed = subject.logits(ids, position_ids=restarting)
        for index, part in enumerate(packed[0].split(LENGTHS)):
            with subject.context(rows=(index,), prompt=PROMPTS):
                close(part, subject.logits(pieces[index][None])[0])


@behaviour
def input_embeddings(spec: Spec) -> None:
    """`inputs_embeds` in place of `input_ids`."""
    subject = shared(spec)
    ids, mask = padded()
    with torch.no_grad(), subject.context():
        embeds = subject.model.get_input_embeddings()(ids)
        close(subject.logits(inputs_embeds=embeds, mask=mask), subject.logits(ids, mask), 1e-6)


@behaviour
def causality(spec: Spec) -> None:
    """Tokens from a length on that is no multiple of anything change nothing before it."""
    subject = shared(spec)
    ids = torch.stack(rows((37, 37, 37)))
    with torch.no_grad(), subject.context():
        logits = subject.logits(ids)
        for prefix in (1, 3, 7, 15, 23, 31, 36):
            other = ids.clone()
            other[:, prefix:] = (other[:, prefix:] + 7) % (PAD - 1) + 1
            changed = (subject.logits(other) - logits).abs().amax((0, 2))
            assert changed[:prefix].max() < 1e-6
            assert changed[prefix] > 1e-3


@behaviour
def gradient_causality(spec: Spec) -> None:
    """The gradient of a logit at later embeddings is exactly zero."""
    subject = shared(spec)
    ids = torch.stack(rows((21, 21, 21)))
    embeds = subject.model.get_input_embeddings()(ids).detach().requires_grad_()
    with subject.context():
        logits = subject.logits(inputs_embeds=embeds)
    for t in (0, 4, 17):
        (gradient,) = torch.autograd.grad(logits[:, t].sum(), embeds, retain_graph=True)
        assert (gradient[:, t + 1 :] == 0).all()
        assert (gradient[:, t] != 0).any(-1).all()
