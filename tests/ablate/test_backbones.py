"""Backbones: resolving, digests and loading of embedded ones, folders and hub ids."""

import shutil
from pathlib import Path

import pytest
import torch

from ablate.backbones import BACKBONES, adapter_targets, embedded_folder, load, resolve
from ablate.benchmarks import load_items
from ablate.errors import AblateError
from studies.tokenizer import build_tokenizer


@pytest.fixture
def copied(tmp_path):
    """A copy of an embedded backbone in a user's folder."""
    folder = tmp_path / "mine"
    shutil.copytree(embedded_folder("llama-tiny"), folder)
    return folder


@pytest.mark.parametrize("name", BACKBONES)
def test_every_embedded_backbone_loads_small_and_tied(name):
    backbone = resolve(name)
    model, tokenizer = load(backbone)
    assert not model.training
    assert model.dtype == torch.float32
    assert backbone.n_layers == len(model.model.layers)
    assert 100_000 <= model.num_parameters() <= 600_000
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert (Path(backbone.source) / "model.safetensors").stat().st_size < 2_000_000
    ids = tokenizer(load_items("recall", "test")[0].prompt, return_tensors="pt").input_ids
    assert ids.shape[1] >= 48
    with torch.no_grad():
        assert torch.isfinite(model(input_ids=ids).logits).all()


@pytest.mark.parametrize("name", BACKBONES)
def test_adapter_targets_are_linear_layers_of_every_decoder_layer(name):
    backbone = resolve(name)
    model, _ = load(backbone)
    targets = adapter_targets(backbone)
    linear = {n.rpartition(".")[2] for n, m in model.named_modules() if type(m) is torch.nn.Linear}
    assert set(targets) == linear - {"lm_head"}
    assert adapter_targets(model.config.to_dict()) == targets


def test_the_tokenizer_reads_characters_and_gives_them_back():
    _, tokenizer = load(resolve("llama-tiny"))
    text = "".join(chr(code) for code in range(32, 127)) + " what is 3+4?  x"
    ids = tokenizer(text).input_ids
    assert len(ids) == len(text)
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids) == text
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}) == 3
    assert tokenizer("ä").input_ids == [tokenizer.unk_token_id]


@pytest.mark.parametrize("name", BACKBONES)
def test_every_embedded_backbone_reads_the_tokens_it_was_trained_on(name):
    text = 'calc 81 - 23: [x] "?"'
    _, tokenizer = load(resolve(name))
    assert tokenizer(text)["input_ids"] == build_tokenizer()(text)["input_ids"]


def test_a_local_folder_is_the_same_backbone_as_the_embedded_one(copied):
    own, embedded = resolve(str(copied)), resolve("llama-tiny")
    assert (own.digest, own.n_layers) == (embedded.digest, embedded.n_layers)
    assert own.name == "mine"
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        logits = [load(backbone)[0](input_ids=ids).logits for backbone in (own, embedded)]
    assert torch.equal(*logits)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_the_digest_changes_with_any_file_that_is_loaded(copied, name):
    before = resolve(str(copied)).digest
    (copied / "README.md").write_text("not loaded")
    assert resolve(str(copied)).digest == before
    (copied / name).write_text((copied / name).read_text() + "\n")
    assert resolve(str(copied)).digest != before


def test_a_hub_id_is_loaded_from_its_snapshot(copied, monkeypatch):
    asked = []

    def snapshot(name, allow_patterns):
        asked.append((name, "*.safetensors" in allow_patterns))
        return str(copied)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    backbone = resolve("somebody/small")
    assert asked == [("somebody/small", True)]
    assert (backbone.name, backbone.source) == ("somebody/small", str(copied))
    assert load(backbone)[0].num_parameters() > 0


def test_a_hub_id_that_cannot_be_had_is_one_sentence(monkeypatch):
    def refused(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refused)
    with pytest.raises(AblateError, match="not to be had from the hub"):
        resolve("somebody/small")


def test_unknown_names_get_the_nearest_ones():
    with pytest.raises(AblateError, match="did you mean 'llama-tiny'"):
        resolve("lama-tiny")
    with pytest.raises(AblateError, match="no adapter targets are known"):
        adapter_targets({"model_type": "gpt2"})


def test_a_folder_without_weights_or_config_is_refused(copied):
    (copied / "model.safetensors").unlink()
    with pytest.raises(AblateError, match="no weights in safetensors"):
        resolve(str(copied))
    (copied / "config.json").write_text("{}")
    with pytest.raises(AblateError, match="num_hidden_layers"):
        resolve(str(copied))
    (copied / "config.json").unlink()
    with pytest.raises(AblateError, match=r"config\.json cannot be read"):
        resolve(str(copied))
