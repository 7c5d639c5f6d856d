"""How many parameters there are, and how many train."""

from __future__ import annotations

import pytest
from peft import LoraConfig, get_peft_model

import talan
from talan.errors import TalanError
from tests.talan.cases import ADAPTERS, adapted, adapter_config, backbone, generator

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

BACKBONE = sum(each.numel() for each in backbone().parameters())


def attached_to(model, **given):
    return talan.attach(model, talan.TalanConfig(**given), generator=generator())


@pytest.mark.parametrize("kind", ADAPTERS)
def test_parts_add_up(kind):
    model = adapted(kind=kind)
    before = sum(each.numel() for each in model.parameters() if each.requires_grad)
    handle = attached_to(model)
    counts = talan.count_parameters(model)
    assert counts.backbone.total == BACKBONE
    block = sum(each.numel() for each in handle.parameters())
    assert (counts.block.total, counts.block.trainable) == (block, block)
    everything = sum(each.numel() for each in model.parameters())
    assert counts.adapter.total == everything - BACKBONE - block
    assert counts.trainable == before + block
    assert counts.backbone.trainable == (BACKBONE if kind == "full" else 0)
    assert (counts.adapter.total > 0) == (kind not in ("none", "full"))


def test_copies_of_layers_that_train_belong_to_the_adapter():
    config = adapter_config("qwen3")
    config.modules_to_save = ["norm", "embed_tokens"]
    model = get_peft_model(backbone(), config)
    counts = talan.count_parameters(model)
    assert counts.backbone.total == BACKBONE
    assert counts.adapter.trainable == counts.trainable > 0
    assert (counts.active, counts.side_paths, counts.block.total) == (None, (), 0)


@pytest.mark.parametrize("scope", ["readout", "side", "adapter"])
def test_scopes_show(scope):
    model = adapted()
    handle = attached_to(model, scope=scope)
    groups = talan.trainable_parameters(handle)
    counts = talan.count_parameters(model)
    assert counts.block.trainable == sum(each.numel() for each in groups["block"])
    assert counts.adapter.trainable == sum(each.numel() for each in groups["adapter"])
    assert counts.adapter.total > 0


def test_what_is_printed(capsys):
    model = get_peft_model(backbone(), LoraConfig(r=1, target_modules=["q_proj"]))
    talan.print_trainable(model)
    first = attached_to(model)
    talan.attach(model, talan.TalanConfig(memory=4), name="b", generator=generator())
    talan.print_trainable(model)
    first.activate()
    first.freeze()
    talan.print_trainable(model)
    first.detach()
    talan.print_trainable(model)
    talan.print_trainable(attached_to(adapted(kind="full")).model)
    assert capsys.readouterr().out.splitlines() == [
        "parameters: adapter 256 (0.760%, trains), backbone 33,696 (frozen)",
        "trainable: 256 of 33,952 (0.754%); no side path",
        "parameters: adapter 256 (0.760%, trains), block 3,554 (10.547%, 1,489 train), "
        "backbone 33,696 (frozen)",
        "trainable: 1,745 of 37,506 (4.653%); side path b active (of default, b)",
        "parameters: adapter 256 (0.760%, trains), block 3,554 (10.547%, frozen), "
        "backbone 33,696 (frozen)",
        "trainable: 256 of 37,506 (0.683%); side path default active (of default, b)",
        "parameters: adapter 256 (0.760%, trains), block 1,489 (4.419%, frozen), "
        "backbone 33,696 (frozen)",
        "trainable: 256 of 35,441 (0.722%); side paths b, none active",
        "parameters: block 2,065 (6.128%, trains), backbone 33,696 (trains)",
        "trainable: 35,761 of 35,761 (100.000%); side path default active",
    ]


def test_what_is_no_decoder():
    with pytest.raises(TalanError, match="no config"):
        talan.print_trainable(backbone().lm_head)
