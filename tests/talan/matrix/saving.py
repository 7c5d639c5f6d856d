"""Checkpoints: what is saved, and that a model loaded from it is the one that was saved."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import talan
from tests.talan.cases import backbone
from tests.talan.matrix.beside_peft import another
from tests.talan.matrix.registry import behaviour
from tests.talan.matrix.structure import outputs, same_bits
from tests.talan.matrix.subjects import Spec, Subject, build, never_ends, stir

OWN_FILES = {"talan_config.json", "talan.safetensors", "talan_manifest.json"}


def base_of(spec: Spec) -> Any:
    """The backbone that a subject of `spec` is built on, afresh."""
    model = backbone(spec.backbone, layers=spec.layers)
    never_ends(model)
    return model


def trained(spec: Spec) -> Subject:
    """A subject whose weights are not those that building it again gives."""
    subject = build(spec)
    if spec.adapter == "full":
        stir(subject.model)
    return subject


@contextmanager
def saved(subject: Subject) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        talan.save(subject.model, folder)
        yield Path(folder)


def loaded(subject: Subject, model: Any, folder: Path, **given: Any) -> Subject:
    handle = talan.load(model, folder, **given)
    never_ends(handle.model)
    return Subject(subject.spec, handle.model, handle)


def tensors(subject: Subject) -> dict[str, torch.Tensor]:
    """The whole state that a checkpoint restores."""
    return {name: each.detach() for name, each in subject.model.state_dict().items()}


def same_tensors(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name


@behaviour
def saving_and_loading(spec: Spec) -> None:
    """Everything comes back bit for bit: all tensors, the logits, the configuration."""
    subject = trained(spec)
    with saved(subject) as folder:
        again = loaded(subject, base_of(spec), folder)
    same_tensors(tensors(again), tensors(subject))
    same_bits(outputs(again), outputs(subject))
    assert again.handle.config == subject.handle.config


@behaviour
def files_of_a_checkpoint(spec: Spec) -> None:
    """PEFT's files are what PEFT alone writes; ours lie beside them; nothing is pickled."""
    subject, plain = trained(spec), build(spec, attach=False)
    with saved(subject) as folder, tempfile.TemporaryDirectory() as other:
        files = {each.name for each in folder.iterdir()}
        assert files >= OWN_FILES
        assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in files)
        if subject.peft:
            plain.model.save_pretrained(other)
            for wanted in Path(other).iterdir():
                assert (folder / wanted.name).read_bytes() == wanted.read_bytes()
            assert files == OWN_FILES | {each.name for each in Path(other).iterdir()}
            assert "model.safetensors" not in files
        written = load_file(folder / "talan.safetensors")
        assert len(written) == len(subject.handle.state_dict())
        assert json.loads((folder / "talan_manifest.json").read_text())


@behaviour
def peft_reads_its_part(spec: Spec) -> None:
    """PEFT alone, with and without `low_cpu_mem_usage` and `config=`, finds its own adapter."""
    subject, plain = trained(spec), build(spec, attach=False)
    with saved(subject) as folder:
        for given in (
            {},
            {"low_cpu_mem_usage": True},
            {"config": PeftConfig.from_pretrained(str(folder))},
        ):
            alone = PeftModel.from_pretrained(base_of(spec), str(folder), **given)
            same_bits(outputs(Subject(spec, alone, None)), outputs(plain))


@behaviour
def loading_beside_an_adapter(spec: Spec) -> None:
    """The side path is added to a `PeftModel` that PEFT has loaded from the same folder."""
    subject = trained(spec)
    with saved(subject) as folder:
        alone = PeftModel.from_pretrained(base_of(spec), str(folder), low_cpu_mem_usage=True)
        again = loaded(subject, alone, folder)
    assert again.model is alone
    same_bits(outputs(again), outputs(subject))


@behaviour
def several_adapters_saved(spec: Spec) -> None:
    """All adapters are saved and loaded, and the active one is active again."""
    subject = trained(spec)
    another(spec, subject)
    subject.model.set_adapter("other")
    wanted = outputs(subject)
    with saved(subject) as folder:
        again = loaded(subject, base_of(spec), folder)
        assert set(again.model.peft_config) == {"default", "other"}
        assert again.model.active_adapter == "other"
        same_bits(outputs(again), wanted)
    again.model.set_adapter("default")
    subject.model.set_adapter("default")
    same_bits(outputs(again), outputs(subject))


@behaviour
def loading_by_folder(spec: Spec) -> None:
    """The base comes from a saved folder, placed by `low_cpu_mem_usage` and `device_map`."""
    subject = trained(spec)
    with tempfile.TemporaryDirectory() as base, saved(subject) as folder:
        base_of(spec).save_pretrained(base)
        again = loaded(subject, base, folder)
        same_bits(outputs(again), outputs(subject))
        placed = AutoModelForCausalLM.from_pretrained(base, device_map={"": "cpu"})
        never_ends(placed)
        same_bits(outputs(loaded(subject, placed, folder)), outputs(subject))


@behaviour
def training_goes_on(spec: Spec) -> None:
    """Loaded for inference nothing trains; loaded to train on, what trained before does."""
    subject = build(spec, train=True)
    flags = {name: each.requires_grad for name, each in subject.model.named_parameters()}
    with saved(subject) as folder:
        frozen = loaded(subject, base_of(spec), folder)
        assert not any(each.requires_grad for each in frozen.model.parameters())
        again = loaded(subject, base_of(spec), folder, trainable=True)
    assert {n: p.requires_grad for n, p in again.model.named_parameters()} == flags


@behaviour
def another_backbone(spec: Spec) -> None:
    """It is refused by one sentence and left as it was."""
    subject = trained(spec)
    other = dataclasses.replace(spec, backbone="llama" if spec.backbone == "qwen3" else "qwen3")
    with saved(subject) as folder:
        model = base_of(other)
        before = outputs(Subject(dataclasses.replace(other, adapter="none"), model, None))
        with pytest.raises(talan.TalanError) as caught:
            talan.load(model, folder)
        assert "\n" not in str(caught.value)
    same_bits(outputs(Subject(dataclasses.replace(other, adapter="none"), model, None)), before)
    assert not talan.handles(model)


@behaviour
def adapter_keys(spec: Spec) -> None:
    """The adapter's state has the keys that it has without a block, before and after loading."""
    subject, plain = trained(spec), build(spec, attach=False)
    wanted = get_peft_model_state_dict(plain.model)
    with saved(subject) as folder:
        again = loaded(subject, base_of(spec), folder)
    for each in (subject, again):
        found = get_peft_model_state_dict(each.model)
        assert list(found) == list(wanted)
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
