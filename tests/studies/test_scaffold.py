"""Folding the norms of queries and keys into their projections."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from studies.architectures import configuration, scaffold
from studies.scaffold import without_query_norm


@pytest.mark.parametrize("name", ["qwen2-tiny", "llama-tiny"])
def test_queries_and_keys_keep_gain_and_mean_size_and_all_else_is_kept(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(scaffold(name)).eval()
        for layer in model.model.layers:
            torch.nn.init.uniform_(layer.self_attn.q_norm.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.self_attn.k_norm.weight, 0.5, 1.5)
        ids = torch.randint(3, 98, (8, 20))
        plain = without_query_norm(model, configuration(name), [ids[:3], ids[3:]]).eval()
    assert plain.config.model_type == configuration(name).model_type

    first = model.model.layers[0]
    with torch.no_grad():
        stream = first.input_layernorm(model.model.embed_tokens(ids))
    for kind in ("q", "k"):
        gain = getattr(first.self_attn, f"{kind}_norm").weight
        projection = getattr(plain.model.layers[0].self_attn, f"{kind}_proj")
        with torch.no_grad():
            heads = projection(stream).unflatten(-1, (-1, len(gain)))
            size = (heads / gain).square().mean(-1).sqrt().flatten(0, 1).mean(0)
        torch.testing.assert_close(size, torch.ones_like(size))

    kept, new = model.state_dict(), plain.state_dict()
    for parameter, value in new.items():
        if parameter.endswith("bias"):
            assert not value.any()
        elif not parameter.endswith(("q_proj.weight", "k_proj.weight")):
            assert torch.equal(value, kept[parameter])
