"""The fingerprint tells base models apart, whatever was put on them."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model

from talan.checkpoint.fingerprint import identify
from tests.talan.cases import ADAPTERS, adapter_config, backbone
from tests.talan.checkpoint.saved import IDS, trained

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def test_the_fingerprint_is_of_the_base_model_alone():
    plain = identify(backbone())
    assert None not in (plain.embedding, plain.norms, plain.matrices)
    for kind in ADAPTERS:
        if kind != "full":
            assert identify(trained(kind).model) == plain
    experts = LoraConfig(r=2, target_parameters=["mlp.experts.gate_up_proj"])
    mixture = get_peft_model(backbone("qwen3-moe"), experts)
    mixture(IDS)  # after which PEFT leaves the parameters in another order
    assert identify(mixture) == identify(backbone("qwen3-moe"))
    half = backbone().to(torch.bfloat16)
    assert identify(half) == plain
    config = adapter_config("qwen3")
    config.modules_to_save = ["embed_tokens", "norm", "q_norm"]
    assert identify(get_peft_model(backbone(), config)) == plain


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ("embedding", "model.embed_tokens.weight"),
        ("norms", "model.layers.3.post_attention_layernorm.weight"),
        ("matrices", "model.layers.2.mlp.down_proj.weight"),
    ],
)
def test_the_fingerprint_sees_other_weights(part, where):
    model = backbone()
    plain = identify(model)
    with torch.no_grad():
        model.get_parameter(where)[..., :1] += 0.5
    other = identify(model)
    assert plain.difference(other) == f"the same shape but other weights ({part})"


def test_what_cannot_be_sampled_is_not_compared():
    plain = identify(backbone())
    with torch.device("meta"):
        empty = type(backbone())(backbone().config)
    assert identify(empty).matrices is None
    assert plain.difference(identify(empty)) is None
    config = adapter_config("qwen3")
    config.init_lora_weights = "pissa"  # takes its part out of the frozen weights
    changed = identify(get_peft_model(backbone(), config))
    assert changed.matrices is None
    assert changed.embedding == plain.embedding
