"""Saving and loading: everything comes back bit for bit."""

from __future__ import annotations

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

import talan
from talan.checkpoint.manifest import CONFIG, MANIFEST, TENSORS
from talan.checkpoint.restore import restore
from talan.errors import TalanError
from tests.talan.cases import ADAPTERS, CASES, adapter_config, awaken, backbone, generator
from tests.talan.checkpoint.saved import IDS, OURS, logits, trained

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:Position ids")

BESIDE = {"full": {"config.json", "generation_config.json", "model.safetensors"}, "none": set()}
PEFTS = {"README.md", "adapter_config.json", "adapter_model.safetensors"}


def same_state(first, second) -> bool:
    return list(first) == list(second) and all(torch.equal(first[k], second[k]) for k in first)


# --- round trips ---


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_loaded_model_is_the_saved_one_bit_for_bit(kind, tmp_path):
    handle = trained(kind)
    expected = logits(handle.model)
    assert talan.save(handle.model, tmp_path / "saved") == tmp_path / "saved"
    files = {each.name for each in (tmp_path / "saved").iterdir()}
    assert files == OURS | BESIDE.get(kind, PEFTS)
    with handle.disabled():
        assert not torch.equal(logits(handle.model), expected)

    other = backbone(seed=1 if kind == "full" else 0)
    loaded = talan.load(other, tmp_path / "saved")
    assert torch.equal(logits(loaded.model), expected)
    assert loaded.config == handle.config
    assert same_state(loaded.state_dict(), handle.state_dict())
    assert isinstance(loaded.model, PeftModel) == (kind not in ("none", "full"))
    given = {"input_ids": IDS, "max_new_tokens": 6, "do_sample": False}
    assert torch.equal(loaded.model.generate(**given), handle.model.generate(**given))


@pytest.mark.parametrize("name", [name for name in CASES if "=" in name])
def test_every_level_comes_back(name, tmp_path):
    handle = trained("none", CASES[name])
    talan.save(handle.model, tmp_path)
    loaded = talan.load(backbone(), tmp_path)
    assert loaded.config == CASES[name]
    assert same_state(loaded.state_dict(), handle.state_dict())


def test_it_is_loaded_from_folders_too(tmp_path):
    backbone().save_pretrained(tmp_path / "base")
    for kind in ("lora", "full"):
        handle = trained(kind)
        talan.save(handle.model, tmp_path / kind)
        loaded = talan.load(tmp_path / ("base" if kind == "lora" else kind), tmp_path / kind)
        assert torch.equal(logits(loaded.model), logits(handle.model))
    # A whole model that was loaded is saved whole again, although nothing of it trains.
    talan.save(loaded.model, tmp_path / "again")
    again = talan.load(tmp_path / "again", tmp_path / "again")
    assert torch.equal(logits(again.model), logits(handle.model))


def test_tied_embeddings_and_fused_experts_are_saved_whole(tmp_path):
    for architecture in ("gpt2", "qwen3-moe"):
        handle = trained("full", architecture=architecture)
        talan.save(handle.model, tmp_path / architecture)
        loaded = talan.load(backbone(architecture, seed=1), tmp_path / architecture)
        assert torch.equal(logits(loaded.model), logits(handle.model))


def test_two_side_paths(tmp_path):
    handle = trained()
    second = talan.attach(
        handle.model, talan.TalanConfig(memory=4, insertion=2), name="b", generator=generator()
    )
    awaken(second, 2.0)
    second.block.eval()
    expected = {"b": logits(handle.model)}
    handle.activate()
    expected["default"] = logits(handle.model)

    talan.save(handle.model, tmp_path / "both")
    loaded = talan.load(backbone(), tmp_path / "both")
    assert loaded.name == "default"
    assert set(talan.handles(loaded.model)) == {"default", "b"}
    assert torch.equal(logits(loaded.model), expected["default"])
    talan.handles(loaded.model)["b"].activate()
    assert torch.equal(logits(loaded.model), expected["b"])
    assert not any(each.requires_grad for each in loaded.model.parameters())

    # One of them, from the folder of both; then the other beside it.
    only = talan.load(backbone(), tmp_path / "both", name="b")
    assert list(talan.handles(only.model)) == ["b"]
    assert torch.equal(logits(only.model), expected["b"])
    beside = talan.load(only.model, tmp_path / "both", name="default")
    assert beside.active
    assert torch.equal(logits(beside.model), expected["default"])

    # A folder of one, under another name.
    talan.save(handle.model, tmp_path / "one", name="b")
    renamed = talan.load(backbone(), tmp_path / "one", name="c")
    assert renamed.name == "c"
    assert torch.equal(logits(renamed.model), expected["b"])


def test_several_adapters(tmp_path):
    handle = trained()
    handle.model.add_adapter("other", LoraConfig(r=2, target_modules=["q_proj"]))
    handle.model.set_adapter("other")
    with torch.no_grad():
        for name, each in handle.model.named_parameters():
            if "lora_B.other" in name:
                each.add_(0.1)
    talan.save(handle.model, tmp_path)
    loaded = talan.load(backbone(), tmp_path)
    assert loaded.model.active_adapter == "other"
    assert torch.equal(logits(loaded.model), logits(handle.model))
    for model in (loaded.model, handle.model):
        model.set_adapter("default")
    assert torch.equal(logits(loaded.model), logits(handle.model))


# --- what is written ---


@pytest.mark.parametrize("kind", [kind for kind in ADAPTERS if kind != "none"])
def test_files_beside_ours_are_those_of_save_pretrained_alone(kind, tmp_path):
    handle = trained(kind)
    talan.save(handle.model, tmp_path / "with")
    handle.detach()
    handle.model.save_pretrained(str(tmp_path / "without"))
    names = sorted(each.name for each in (tmp_path / "without").iterdir())
    assert set(names) == BESIDE.get(kind, PEFTS)
    for name in names:
        ours, theirs = ((tmp_path / where / name).read_bytes() for where in ("with", "without"))
        assert ours == theirs


def test_biases_of_the_block_are_none_of_the_adapters(tmp_path):
    for bias in ("all", "lora_only"):
        model = backbone("qwen2")
        config = adapter_config("qwen2")
        config.bias = bias
        plain = set(_keys_saved(model, config, tmp_path / f"plain-{bias}", attached=False))
        ours = set(_keys_saved(backbone("qwen2"), config, tmp_path / bias, attached=True))
        assert ours == plain


def _keys_saved(model, config, folder, *, attached):
    model = get_peft_model(model, config)
    if attached:
        talan.attach(model, talan.TalanConfig(), generator=generator())
        talan.save(model, folder)
    else:
        model.save_pretrained(str(folder))
    return load_file(folder / "adapter_model.safetensors")


def test_the_manifest_tells_versions_base_model_and_hashes(tmp_path):
    content = json.loads((talan.save(trained().model, tmp_path) / MANIFEST).read_text())
    assert content["format"] == 1
    assert set(content["versions"]) == {"torch", "transformers", "peft"}
    assert content["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert content["base"]["name"] == "Qwen3ForCausalLM"
    assert (content["base"]["n_layers"], content["base"]["hidden_size"]) == (4, 32)
    assert content["recipes"] == {"default": talan.recipes(talan.TalanConfig())}
    wanted = {"adapter_config.json", "adapter_model.safetensors", CONFIG, TENSORS}
    assert set(content["files"]) == wanted


def test_saving_again_replaces_the_checkpoint_and_nothing_else(tmp_path):
    talan.save(trained("full").model, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    handle = trained("lora")
    talan.save(handle.model, tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == OURS | PEFTS | {"notes.txt"}
    assert torch.equal(logits(talan.load(backbone(), tmp_path).model), logits(handle.model))


def test_a_model_card_that_people_edit_stays_and_breaks_nothing(tmp_path):
    handle = trained()
    talan.save(handle.model, tmp_path)
    card = tmp_path / "README.md"
    card.write_text(card.read_text() + "\nMeasured on nothing yet.\n")
    talan.load(backbone(), tmp_path)
    talan.save(handle.model, tmp_path)
    assert "Measured on nothing yet." in card.read_text()


# The order: model card, adapter_config.json, adapter, block, talan_config.json, manifest.
@pytest.mark.parametrize(
    ("former", "stop"), [(False, 0), (False, 5), (True, 2), (True, 3), (True, 4), (True, 5)]
)
def test_an_interrupted_save_never_loads_as_something_else(former, stop, tmp_path, monkeypatch):
    first = trained()
    expected = logits(first.model)
    if former:
        talan.save(first.model, tmp_path)
    with torch.no_grad():
        for each in first.model.parameters():
            each.add_(0.01 if each.requires_grad else 0)
    moves, move = 0, type(tmp_path).replace

    def interrupted(self, target):
        nonlocal moves
        moves += 1
        if moves > stop:
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(type(tmp_path), "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        talan.save(first.model, tmp_path)
    monkeypatch.undo()
    if former and stop <= 2:  # model card and adapter_config.json were replaced by their like
        assert torch.equal(logits(talan.load(backbone(), tmp_path).model), expected)
    else:
        with pytest.raises(TalanError, match="manifest"):
            talan.load(backbone(), tmp_path)
    talan.save(first.model, tmp_path)
    assert torch.equal(logits(talan.load(backbone(), tmp_path).model), logits(first.model))


# --- what trains after loading ---


@pytest.mark.parametrize("kind", ["lora", "none", "full"])
def test_trainable(kind, tmp_path):
    handle = trained(kind)
    talan.save(handle.model, tmp_path)
    frozen = talan.load(backbone().train(), tmp_path)
    assert not any(each.requires_grad for each in frozen.model.parameters())
    assert not any(module.training for module in frozen.model.modules())
    # A forward pass in training mode applies the scope: the block stays frozen all the same.
    frozen.model.train()
    frozen.model(IDS)
    assert not any(each.requires_grad for each in frozen.model.parameters())

    going_on = talan.load(backbone().train(), tmp_path, trainable=True)
    assert all(module.training for module in going_on.model.modules())
    trains = {name for name, each in going_on.model.named_parameters() if each.requires_grad}
    assert trains == {name for name, each in handle.model.named_parameters() if each.requires_grad}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_model_that_has_all_parts_is_restored(kind, tmp_path):
    handle = trained(kind)
    expected = logits(handle.model)
    talan.save(handle.model, tmp_path)
    flags = [each.requires_grad for each in handle.model.parameters()]
    with torch.no_grad():
        for each in handle.model.parameters():
            each.add_(0.1 if each.requires_grad else 0)
    assert not torch.equal(logits(handle.model), expected)
    handle.model.train()
    restore(handle.model, tmp_path)
    assert handle.model.training
    assert [each.requires_grad for each in handle.model.parameters()] == flags
    assert torch.equal(logits(handle.model.eval()), expected)


def test_a_prompt_that_is_computed_cannot_be_restored(tmp_path):
    config = adapter_config("qwen3", "prefix")
    config.prefix_projection, config.encoder_hidden_size = True, 8
    model = get_peft_model(backbone(), config)
    awaken(talan.attach(model, talan.TalanConfig(), generator=generator()))
    talan.save(model.eval(), tmp_path)
    assert torch.equal(logits(talan.load(backbone(), tmp_path).model), logits(model))
    with pytest.raises(TalanError, match="not the network behind it"):
        restore(model, tmp_path)


def test_loading_moves_no_global_random_state(tmp_path):
    talan.save(trained("none").model, tmp_path)
    model = backbone()
    before = torch.get_rng_state()
    talan.load(model, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
