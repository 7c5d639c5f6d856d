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


def configuration(name: str) -> PreTrainedConfig:
    """The transformers configuration of an embedded backbone (KeyError for an unknown name)."""
    return {
        "qwen3-deep": lambda: Qwen3Config(
            **_COMMON, head_dim=16, intermediate_size=128, num_hidden_layers=8
        ),
        "qwen3-tiny": lambda: Qwen3Config(
            **_COMMON, head_dim=16, intermediate_size=192, num_hidden_layers=4
        ),
        "qwen2-tiny": lambda: Qwen2Config(**_COMMON, intermediate_size=192, num_hidden_layers=4),
        "qwen3-moe-tiny": lambda: Qwen3MoeConfig(
            **_COMMON,
            intermediate_size=192,
            moe_intermediate_size=96,
            num_hidden_layers=4,
            num_experts=4,
            num_experts_per_tok=2,
            norm_topk_prob=True,
        ),
        "llama-tiny": lambda: LlamaConfig(
            **_COMMON, head_dim=16, intermediate_size=192, num_hidden_layers=4
        ),
    }[name]()


def scaffold(name: str) -> PreTrainedConfig:
    """The same shape as `name`, of an architecture that normalises queries and keys."""
    shape = configuration(name)
    return Qwen3Config(
        **_COMMON,
        head_dim=shape.hidden_size // shape.num_attention_heads,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_hidden_layers,
    )
