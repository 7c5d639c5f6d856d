"""Attaching, bypassing, copying and removing: the model around the block stays what it was."""

from __future__ import annotations

import copy
import dataclasses

import torch
from peft import get_peft_model_state_dict

import talan
from tests.talan.cases import awaken, bits, generator
from tests.talan.matrix.registry import behaviour
from tests.talan.matrix.subjects import Spec, Subject, build, padded, shared


def outputs(subject: Subject) -> torch.Tensor:
    ids, mask = padded()
    with torch.no_grad(), subject.context():
        return subject.logits(ids, mask)


def same_bits(found: torch.Tensor, wanted: torch.Tensor) -> None:
    assert torch.equal(bits(found), bits(wanted))


@behaviour
def a_no_op_at_the_start(spec: Spec) -> None:
    """Attaching changes no bit of the logits and no key of the adapter's or the model's state."""
    plain, started = build(spec, attach=False), build(spec, attach=False)
    handle = talan.attach(started.model, shared(spec).handle.config, generator=generator())
    subject = Subject(spec, started.model, handle)
    same_bits(outputs(subject), outputs(plain))
    keys, wanted = list(subject.model.state_dict()), plain.model.state_dict()
    assert [key for key in keys if not key.startswith("talan.default.")] == list(wanted)
    assert len(keys) == len(wanted) + len(handle.state_dict())
    if subject.peft:
        adapter = get_peft_model_state_dict(subject.model)
        alone = get_peft_model_state_dict(plain.model)
        assert list(adapter) == list(alone)
        assert all(torch.equal(adapter[key], alone[key]) for key in alone)


@behaviour
def detaching(spec: Spec) -> None:
    """The model computes, trains and is named bit for bit as if nothing had been there."""
    plain, subject = build(spec, attach=False), build(spec)
    ids, mask = padded("right")
    written = outputs(subject)
    subject.gradients(ids, mask)
    subject.handle.detach()
    after = Subject(spec, subject.model, None)
    wanted = outputs(plain)
    assert not torch.equal(written, wanted)
    same_bits(outputs(after), wanted)
    assert list(after.model.state_dict()) == list(plain.model.state_dict())
    for subject_part, plain_part in zip(
        after.model.named_parameters(), plain.model.named_parameters(), strict=True
    ):
        assert subject_part[0] == plain_part[0]
        assert subject_part[1].requires_grad == plain_part[1].requires_grad
    for module in after.model.modules():
        hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
        assert not any(getattr(hook, "__module__", "").startswith("talan") for hook in hooks)


@behaviour
def disabling(spec: Spec) -> None:
    """Bypassed, the block leaves not a bit, and afterwards everything is as before."""
    subject, plain = build(spec), build(spec, attach=False)
    before = outputs(subject)
    flags = {n: p.requires_grad for n, p in subject.model.named_parameters()}
    with subject.handle.disabled():
        same_bits(outputs(subject), outputs(plain))
    with subject.handle.disabled(adapter=True):
        none = dataclasses.replace(spec, adapter="none")
        base, bare = Subject(none, subject.model, None), build(none, attach=False)
        same_bits(outputs(base), outputs(bare))
    same_bits(outputs(subject), before)
    assert {n: p.requires_grad for n, p in subject.model.named_parameters()} == flags


@behaviour
def copying_the_model(spec: Spec) -> None:
    """A deep copy computes the same, with a block and a handle of its own."""
    subject = build(spec)
    before = outputs(subject)
    twin = Subject(spec, copy.deepcopy(subject.model), None)
    twin._handle = talan.handles(twin.model)["default"]
    assert twin.handle.block is twin.model.talan.default
    assert twin.handle.block is not subject.handle.block
    assert twin.handle.model is twin.model
    same_bits(outputs(twin), before)
    with torch.no_grad():
        twin.handle.block.projection.out.zero_()
    assert not torch.equal(outputs(twin), before)
    same_bits(outputs(subject), before)
    twin.handle.detach()
    same_bits(outputs(subject), before)


@behaviour
def two_side_paths(spec: Spec) -> None:
    """Of two named side paths only the active one acts and trains."""
    subject = build(spec)
    first = subject.handle
    one = outputs(subject)
    second = talan.attach(
        subject.model, talan.TalanConfig(memory=4), name="second", generator=generator(9)
    )
    awaken(second)
    other = Subject(spec, subject.model, second)
    two = outputs(other)
    assert not torch.equal(one, two)
    assert not any(each.requires_grad for each in first.parameters())
    first.activate()
    same_bits(outputs(subject), one)
    assert not any(each.requires_grad for each in second.parameters())
    assert all(each.requires_grad for each in first.parameters())
    second.activate()
    first.detach()
    same_bits(outputs(other), two)
    assert set(talan.handles(subject.model)) == {"second"}
    second.detach()


@behaviour
def representation(spec: Spec) -> None:
    """`repr` works, and shows the block."""
    subject = shared(spec)
    assert "Block(" in repr(subject.model)
    assert "(talan)" in repr(subject.model)
    assert repr(subject.handle)


@behaviour
def state_dict(spec: Spec) -> None:
    """The state of the whole model, block and all, moves to another one."""
    subject, other = build(spec), build(spec, awake=False)
    other.model.load_state_dict(subject.model.state_dict(), strict=True)
    same_bits(outputs(other), outputs(subject))
