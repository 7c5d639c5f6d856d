"""What cannot be loaded or saved is refused by one sentence, and nothing is changed."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import talan
from talan.checkpoint.manifest import CONFIG, MANIFEST, TENSORS, hashes
from talan.errors import TalanError
from tests.talan.cases import adapted, backbone, generator
from tests.talan.checkpoint.saved import logits, trained

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def lora(tmp_path_factory):
    """The folder of a LoRA model with a block, to be copied before it is damaged."""
    folder = tmp_path_factory.mktemp("saved") / "lora"
    return talan.save(trained().model, folder)


@pytest.fixture
def damaged(lora, tmp_path):
    return shutil.copytree(lora, tmp_path / "damaged")


def reseal(folder, **changes):
    """Make the hashes of the manifest fit the files again, and change other entries."""
    content = json.loads((folder / MANIFEST).read_text())
    files = {name: digest for name, digest in hashes(folder).items() if name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps({**content, "files": files, **changes}))


def refused(model, folder, match, **given):
    """Loading fails by one sentence that matches, and the model is as it was."""
    keys, before = list(model.state_dict()), logits(model)
    flags = [each.requires_grad for each in model.parameters()]
    modes = [module.training for module in model.modules()]
    with pytest.raises(TalanError, match=match) as caught:
        talan.load(model, folder, **given)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 700
    assert list(model.state_dict()) == keys
    assert torch.equal(logits(model), before)
    assert [each.requires_grad for each in model.parameters()] == flags
    assert [module.training for module in model.modules()] == modes
    assert not any("Meta" in str(each.device) for each in model.parameters())


def test_folders_without_a_checkpoint(tmp_path):
    model = backbone()
    refused(model, tmp_path / "absent", "no such folder")
    refused(model, tmp_path, "holds nothing")
    (tmp_path / "a.csv").write_text("")
    refused(model, tmp_path, "holds a.csv")
    adapted().save_pretrained(str(tmp_path / "peft"))
    refused(model, tmp_path / "peft", "a PEFT adapter alone; load it with PeftModel")
    backbone().save_pretrained(str(tmp_path / "base"))
    refused(model, tmp_path / "base", "a model alone; load it with AutoModelForCausalLM")
    talan.save(trained("none").model, tmp_path / "checkpoint-5")
    refused(model, tmp_path, "checkpoints are in checkpoint-5")
    (tmp_path / "checkpoint-5" / MANIFEST).unlink()
    refused(model, tmp_path / "checkpoint-5", "interrupted save")


def test_damaged_files(damaged):
    model = backbone()
    for name in (TENSORS, "adapter_model.safetensors"):
        whole = (damaged / name).read_bytes()
        (damaged / name).unlink()
        refused(model, damaged, f"{name}: the manifest lists this file, and it is missing")
        (damaged / name).write_bytes(whole[: len(whole) // 2])
        refused(model, damaged, f"{name}: the file is truncated or corrupt")
        (damaged / name).write_bytes(b"\xff" * 40)
        refused(model, damaged, f"{name}: the file is truncated or corrupt")
        (damaged / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        refused(model, damaged, f"{name}: the file is not the one that was saved")
        (damaged / name).write_bytes(whole)
    (damaged / "adapter_config.json").write_text("{}")
    refused(model, damaged, "adapter_config.json: the file is not the one")


def test_damaged_manifests(damaged):
    model = backbone()
    whole = (damaged / MANIFEST).read_text()
    for text, match in (
        ("{", "cannot be read"),
        ("[]", "no manifest"),
        ('{"format": 99}', "format 99 is newer than the newest known here, 1; update"),
        ('{"format": 1}', "lacks fields"),
    ):
        (damaged / MANIFEST).write_text(text)
        refused(model, damaged, match)
    (damaged / MANIFEST).write_text(whole)
    reseal(damaged, surprise=1)
    refused(model, damaged, "surprise")


def test_keys_of_the_block(damaged):
    model = backbone()
    whole = load_file(damaged / TENSORS)
    key = "default.projection.out"
    for tensors, match in (
        ({k: v for k, v in whole.items() if k != key}, r"1 missing keys \(projection.out\)"),
        ({**whole, "default.extra": torch.zeros(1)}, r"1 unexpected keys \(extra\)"),
        ({**whole, "stranger.x": torch.zeros(1)}, r"1 unexpected keys \(stranger.x\)"),
        ({**whole, key: whole[key][:-1]}, r"shape \(31, 16\) for projection.out"),
    ):
        save_file(tensors, damaged / TENSORS)
        reseal(damaged)
        refused(model, damaged, match)


def test_keys_of_the_adapter(damaged):
    model, path = backbone(), damaged / "adapter_model.safetensors"
    whole = load_file(path)
    key = next(iter(whole))
    for tensors, match in (
        ({k: v for k, v in whole.items() if k != key}, "1 missing keys"),
        ({**whole, "base_model.model.x.lora_A.weight": torch.zeros(1)}, "1 unexpected keys"),
        ({**whole, key: whole[key][:1].clone()}, "has shape"),
    ):
        save_file(tensors, path)
        reseal(damaged)
        refused(model, damaged, match)


def test_configurations(damaged):
    model = backbone()
    content = json.loads((damaged / CONFIG).read_text())
    for change, match in (
        ({"memroy": 4}, "'memroy' is no field of a configuration; did you mean 'memory'"),
        ({"mixer": "mpl"}, "'mpl' is not a level of this axis; did you mean 'mlp'"),
    ):
        sides = {"default": {**content["side_paths"]["default"], **change}}
        (damaged / CONFIG).write_text(json.dumps({**content, "side_paths": sides}))
        reseal(damaged)
        refused(model, damaged, match)
    (damaged / CONFIG).write_text("[]")
    reseal(damaged)
    refused(model, damaged, "no configuration of side paths")


def test_other_base_models(lora):
    refused(backbone(seed=1), lora, "another base model: the same shape but other weights")
    refused(backbone(layers=6), lora, "4 decoder layers, and this model has 6 decoder layers")
    refused(backbone("llama"), lora, "class Qwen3ForCausalLM, and this model has class Llama")


def test_a_definition_that_has_changed_is_said(damaged):
    reseal(damaged, recipes={"default": {"block": 1, "mixer": 1, "writeback": 1}})
    with pytest.warns(UserWarning, match="definition of block of side path 'default' has changed"):
        talan.load(backbone(), damaged)


def test_names(lora):
    model = backbone()
    talan.attach(model, talan.TalanConfig(), generator=generator())
    refused(model, lora, "a block named 'default' is attached")
    refused(backbone(), lora, "cannot name a side path", name="a.b")
    with pytest.raises(TalanError, match="no block is named 'x'"):
        talan.save(model, lora, name="x")


def test_adapters_that_are_there_already(lora, tmp_path):
    refused(adapted(train=False), lora, "carries an adapter that is not the one of this")
    talan.save(trained("none").model, tmp_path)
    refused(adapted(train=False), tmp_path, "carries an adapter that is not the one of this")
    with pytest.raises(TalanError, match="this folder holds an adapter, and its base model"):
        talan.load(lora, lora)
    with pytest.raises(TalanError, match="no model can be loaded from"):
        talan.load(tmp_path / "absent", lora)


def test_a_prompt_cannot_go_on_training(tmp_path):
    talan.save(trained("prompt").model, tmp_path)
    refused(backbone(), tmp_path, "cannot go on training", trainable=True)


def test_a_stranger_that_would_be_loaded_in_place_of_the_model(tmp_path):
    talan.save(trained("full").model, tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    refused(backbone(), tmp_path, "adapter_config.json does not belong to the checkpoint")


def test_what_cannot_be_saved(tmp_path):
    def fails(model, match):
        with pytest.raises(TalanError, match=match):
            talan.save(model, tmp_path / "new")
        assert not (tmp_path / "new").exists()

    fails(backbone(), "no block is attached")
    handle = trained()
    handle.model.merge_adapter()
    fails(handle.model, "merged")
    handle.model.unmerge_adapter()
    fails(handle.model.base_model.model, "without a PeftModel")
    second = talan.attach(handle.model, talan.TalanConfig(), name="b", generator=generator())
    second.detach()
    fails(handle.model, "no block is named None")
    (tmp_path / "file").write_text("")
    handle.activate()
    with pytest.raises(TalanError, match="this is a file"):
        talan.save(handle.model, tmp_path / "file")
