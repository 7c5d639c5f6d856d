"""The five embedded backbones: small relatives of the hosts that adapters are tried on."""

from typing import Any

from transformers import LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config, Qwen3MoeConfig

from studies.tokenizer import EOS, PAD, VOCABULARY, VOCABULARY_SIZE

_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY_SIZE,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "pad_token_id": VOCABULARY[PAD],
    "eos_token_id": VOCABULARY[EOS],
    "bos_token_id": None,
}

# Without a norm on queries and keys, the two attention layers that look a key up form late or never
# at this size. Sharper initial attention, a rotary base in proportion to the length, and keys of
# their own for all heads bring tables of 6 to 8 pairs, where 3 were the end before; recall of 16
# is still not reached.
_WITHOUT_QUERY_NORM: dict[str, Any] = _COMMON | {
    "num_key_value_heads": 4,
    "initializer_range": 0.1,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
    "intermediate_size": 192,
    "num_hidden_layers": 4,
}


def configuration(name: str) -> PreTrainedConfig:
    """The transformers configuration of an embedded backbone (KeyError for an unknown name)."""
    return {
        "qwen3-deep": lambda: Qwen3Config(
            **_COMMON, head_dim=16, intermediate_size=128, num_hidden_layers=8
        ),
        "qwen3-tiny": lambda: Qwen3Config(
            **_COMMON, head_dim=16, intermediate_size=192, num_hidden_layers=4
        ),
        "qwen2-tiny": lambda: Qwen2Config(**_WITHOUT_QUERY_NORM),
        "qwen3-moe-tiny": lambda: Qwen3MoeConfig(
            **_COMMON,
            intermediate_size=192,
            moe_intermediate_size=96,
            num_hidden_layers=4,
            num_experts=4,
            num_experts_per_tok=2,
            norm_topk_prob=True,
        ),
        "llama-tiny": lambda: LlamaConfig(**_WITHOUT_QUERY_NORM, head_dim=16),
    }[name]()
