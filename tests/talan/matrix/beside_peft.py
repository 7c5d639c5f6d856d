"""PEFT's own operations on its adapter, with a block attached: each does what it does without."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from peft import get_peft_model, get_peft_model_state_dict

import talan
from tests.talan.cases import adapter_config, awaken, backbone, generator
from tests.talan.matrix.registry import behaviour
from tests.talan.matrix.structure import outputs, same_bits
from tests.talan.matrix.subjects import Spec, Subject, build, close, padded, stir


def twins(spec: Spec) -> tuple[Subject, Subject]:
    """The same model twice, with and without a block."""
    return build(spec), build(spec, attach=False)


def beside(subject: Subject, plain: Subject) -> None:
    """Assert that the adapter computes what it does without the block, which still acts."""
    with subject.handle.disabled():
        bypassed = outputs(subject)
    same_bits(bypassed, outputs(plain))
    assert (outputs(subject) - bypassed).abs().max() > 1e-3


def another(spec: Spec, *subjects: Subject, name: str = "other") -> None:
    """Add a second adapter to each model, equal in all."""
    for subject in subjects:
        with torch.random.fork_rng():
            torch.manual_seed(9)
            subject.model.add_adapter(name, adapter_config(spec.backbone, spec.adapter))
        subject.model.set_adapter(name)
        stir(subject.model, seed=77)
        subject.model.set_adapter("default")


@behaviour
def adapter_names(spec: Spec) -> None:
    """Adapters named like the block, or like parts of its name, keep their own state."""
    name = "talan"
    another(spec, build(spec), name="more")
    config = adapter_config(spec.backbone, spec.adapter)
    states = []
    for with_block in (True, False):
        model = get_peft_model(backbone(spec.backbone, layers=2), config, adapter_name=name)
        model.add_adapter("talan_default", config)
        if with_block:
            handle = talan.attach(model, talan.TalanConfig(), generator=generator())
            awaken(handle)
            size = {n: p.shape for n, p in handle.named_parameters()}
            model.set_adapter("talan_default")
            model.set_adapter(name)
            assert {n: p.shape for n, p in handle.named_parameters()} == size
            adapter = {id(each) for each in talan.trainable_parameters(handle)["adapter"]}
            assert adapter.isdisjoint(map(id, handle.parameters()))
        states.append(get_peft_model_state_dict(model, adapter_name=name))
    assert list(states[0]) == list(states[1])


@behaviour
def switching_adapters(spec: Spec) -> None:
    """Adding and switching adapters, whose parameters the scope then tells apart."""
    subject, plain = twins(spec)
    another(spec, subject, plain)
    beside(subject, plain)
    first = outputs(subject)
    for each in (subject, plain):
        each.model.set_adapter("other")
    beside(subject, plain)
    assert not torch.equal(outputs(subject), first)
    active = talan.trainable_parameters(subject.handle)["adapter"]
    names = {id(p): n for n, p in subject.model.named_parameters()}
    assert active
    # PEFT lets the prompts of all adapters train, whichever is active.
    assert subject.prompt_learning or all("other" in names[id(each)] for each in active)
    for each in (subject, plain):
        each.model.set_adapter("default")
    same_bits(outputs(subject), first)


@behaviour
def deleting_adapters(spec: Spec) -> None:
    """Deleting an inactive and an active adapter; an unknown one is refused."""
    subject, plain = twins(spec)
    another(spec, subject, plain)
    first = outputs(subject)
    for each in (subject, plain):
        with pytest.raises((KeyError, ValueError)):
            each.model.delete_adapter("unknown")
        each.model.delete_adapter("other")
    beside(subject, plain)
    same_bits(outputs(subject), first)
    another(spec, subject, plain, name="third")
    for each in (subject, plain):
        each.model.delete_adapter("default")
        each.model.set_adapter("third")
    beside(subject, plain)
    assert talan.trainable_parameters(subject.handle)["block"]


@behaviour
def merging(spec: Spec) -> None:
    """The adapter's part is merged and taken out again; the block stays beside it."""
    subject, plain = twins(spec)
    before = outputs(subject)
    plain.model.merge_adapter(safe_merge=True)
    state = {name: each.clone() for name, each in subject.handle.state_dict().items()}
    subject.model.merge_adapter(safe_merge=True)
    close(outputs(subject), before)
    beside(subject, plain)
    for each in (subject, plain):
        each.model.unmerge_adapter()
    close(outputs(subject), before)
    beside(subject, plain)
    assert all(torch.equal(each, state[n]) for n, each in subject.handle.state_dict().items())


@behaviour
def merging_for_good(spec: Spec) -> None:
    """After `merge_and_unload` the block still acts on the bare backbone, until it is detached."""
    subject, plain = twins(spec)
    before = outputs(subject)
    bare = dataclasses.replace(spec, adapter="none")
    wanted = Subject(bare, plain.model.merge_and_unload(), None)
    merged = Subject(bare, subject.model.merge_and_unload(), subject.handle)
    close(outputs(merged), before)
    beside(merged, wanted)
    assert talan.handles(merged.model)["default"] is subject.handle
    subject.handle.detach()
    same_bits(outputs(Subject(bare, merged.model, None)), outputs(wanted))
    assert list(merged.model.state_dict()) == list(wanted.model.state_dict())


@behaviour
def unloading(spec: Spec) -> None:
    """After `unload` the block acts on the backbone alone, and detaching gives that back."""
    subject = build(spec)
    bare = dataclasses.replace(spec, adapter="none")
    wanted = build(bare, attach=False)
    unloaded = Subject(bare, subject.model.unload(), subject.handle)
    beside(unloaded, wanted)
    subject.handle.detach()
    same_bits(outputs(Subject(bare, unloaded.model, None)), outputs(wanted))
    assert list(unloaded.model.state_dict()) == list(wanted.model.state_dict())


@behaviour
def mixed_batches(spec: Spec) -> None:
    """An adapter per row (`adapter_names`), one block for all."""
    subject = build(spec)
    another(spec, subject)
    ids, mask = padded()
    names = ["default", "other", "__base__"]
    with torch.no_grad():
        mixed = subject.logits(ids, mask, adapter_names=names)
        for row, name in enumerate(names[:2]):
            subject.model.set_adapter(name)
            close(mixed[row], subject.logits(ids, mask)[row])
        with subject.model.disable_adapter():
            close(mixed[2], subject.logits(ids, mask)[2])
        subject.model.set_adapter("default")
        generated = subject.model.generate(
            input_ids=ids, attention_mask=mask, adapter_names=names, max_new_tokens=3,
            do_sample=False,
        )  # fmt: skip
        for row, name in enumerate(names[:2]):
            subject.model.set_adapter(name)
            alone = subject.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=3, do_sample=False
            )
            assert torch.equal(generated[row], alone[row])


@behaviour
def chosen_layers(spec: Spec) -> None:
    """An adapter in some layers only, below the block or above it."""
    known = build(spec).model.peft_config["default"]
    for layer in (0, 1):
        config = type(known)(
            target_modules=known.target_modules, layers_to_transform=[layer], task_type="CAUSAL_LM"
        )
        model = get_peft_model(backbone(spec.backbone, layers=2), config)
        stir(model)
        handle = talan.attach(model, talan.TalanConfig(insertion=1), generator=generator())
        awaken(handle)
        subject = Subject(spec, model.train(), handle)
        found = subject.gradients(*padded("right"))
        adapter = {name for name in found if "talan." not in name}
        assert adapter
        assert all(f".{layer}." in name for name in adapter if "vera_A" not in name)
        assert all(found[name].abs().sum() > 0 for name in found)
