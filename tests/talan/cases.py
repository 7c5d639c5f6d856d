"""Tiny random backbones, the configurations that are tried one at a time, and helpers."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptTuningConfig,
    VeraConfig,
    get_peft_model,
)
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

import talan
from talan.axes import AXES

VOCABULARY = 40
WIDTH = 32
LAYERS = 4
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
# Shorter than the sequences of the tests, so that it hides something.
WINDOW = 8
ARCHITECTURES = ("qwen3", "qwen2", "llama", "qwen3-moe")
BACKBONES = (*ARCHITECTURES, "mistral", "gemma2", "gemma3", "phi", "gpt2", "gpt-neox")
ADAPTERS = ("lora", "dora", "rslora", "vera", "ia3", "prefix", "prompt", "none", "full")
VIRTUAL = 3


def backbone(
    architecture: str = "qwen3",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    layers: int = LAYERS,
):
    sizes = {**SIZES, "num_hidden_layers": layers}
    heads = {**sizes, "num_key_value_heads": 2}
    build = {
        "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=16)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**sizes)),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**sizes)),
        "qwen3-moe": lambda: Qwen3MoeForCausalLM(
            Qwen3MoeConfig(
                **sizes, head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24
            )
        ),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**sizes, sliding_window=WINDOW)),
        "gemma2": lambda: Gemma2ForCausalLM(
            Gemma2Config(**sizes, head_dim=16, sliding_window=WINDOW)
        ),
        "gemma3": lambda: Gemma3ForCausalLM(
            Gemma3TextConfig(
                **sizes,
                head_dim=16,
                sliding_window=WINDOW,
                layer_types=(["sliding_attention", "full_attention"] * layers)[:layers],
            )
        ),
        "phi": lambda: PhiForCausalLM(PhiConfig(**heads)),
        "gpt2": lambda: GPT2LMHeadModel(
            GPT2Config(
                vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=layers, n_head=2, n_inner=48,
                n_positions=64, bos_token_id=0, eos_token_id=0,
                attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
            )
        ),
        "gpt-neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**heads)),
    }[architecture]  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().to(dtype).eval()


# The projections of attention, of which `ia3` scales keys and values, and the way out of the MLP.
_LLAMA_STYLE = (["q_proj", "k_proj", "v_proj", "o_proj"], ["k_proj", "v_proj"], "down_proj")
_TARGETS = {
    "phi": (["q_proj", "k_proj", "v_proj", "dense"], ["k_proj", "v_proj"], "fc2"),
    "gpt2": (["c_attn", "attn.c_proj"], ["c_attn"], "mlp.c_proj"),
    "gpt-neox": (["query_key_value", "dense"], ["query_key_value"], "dense_4h_to_h"),
    # PEFT cannot scale fused experts, and adapts them by other means than linear layers.
    "qwen3-moe": (_LLAMA_STYLE[0], _LLAMA_STYLE[1], None),
}


def adapter_config(architecture: str, kind: str = "lora", dropout: float = 0.0) -> PeftConfig:
    """The unmodified PEFT configuration of an adapter on a backbone."""
    attention, scaled, mlp = _TARGETS.get(architecture, _LLAMA_STYLE)
    transposed = {"fan_in_fan_out": True} if architecture == "gpt2" else {}  # GPT-2 uses Conv1D
    task = {"task_type": "CAUSAL_LM"}
    if kind in ("lora", "dora", "rslora"):
        return LoraConfig(
            r=4,
            lora_alpha=8,
            lora_dropout=dropout,
            target_modules=attention,
            use_dora=kind == "dora",
            use_rslora=kind == "rslora",
            **task,
            **transposed,
        )
    if kind == "vera":
        return VeraConfig(r=4, target_modules=attention, vera_dropout=dropout, **task, **transposed)
    if kind == "ia3":
        feedforward = [] if mlp is None else [mlp]
        return IA3Config(
            target_modules=scaled + feedforward,
            feedforward_modules=feedforward,
            **task,
            **transposed,
        )
    if kind == "prefix":
        return PrefixTuningConfig(num_virtual_tokens=VIRTUAL, **task)
    return PromptTuningConfig(num_virtual_tokens=VIRTUAL, **task)


def adapted(
    architecture: str = "qwen3",
    *,
    kind: str = "lora",
    dropout: float = 0.0,
    train: bool = True,
    model=None,
):
    """A backbone with an adapter; `none` freezes it and `full` trains all of it."""
    model = backbone(architecture) if model is None else model
    if kind in ("none", "full"):
        return model.requires_grad_(kind == "full").train(train)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return get_peft_model(model, adapter_config(architecture, kind, dropout)).train(train)


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokens(batch: int, length: int, seed: int = 11) -> torch.Tensor:
    return torch.randint(VOCABULARY, (batch, length), generator=generator(seed))


def one_at_a_time() -> dict[str, talan.TalanConfig]:
    """The default, then every other level of every axis alone, conditioning and controls."""
    cases = {"default": talan.TalanConfig()}
    for name, axis in AXES.items():
        for level in axis.levels[1:]:
            cases[f"{name}={axis.text(level)}"] = talan.TalanConfig(**{name: level})
    cases["insertion=2"] = talan.TalanConfig(insertion=2)
    cases["insertion=0.6"] = talan.TalanConfig(insertion=0.6)
    cases["memory=3"] = talan.TalanConfig(memory=3)
    cases["conditioning=prompt"] = talan.TalanConfig(conditioning="prompt")
    for control in ("static", "shuffled", "random"):
        cases[f"control={control}"] = talan.TalanConfig(control=control)
        cases[f"prompt, control={control}"] = talan.TalanConfig(
            conditioning="prompt", control=control
        )
    return cases


CASES = one_at_a_time()


def awaken(handle: talan.Handle, size: float = 1.0) -> None:
    """Give the block a visible effect: a random W_out, and an open gate for `random`."""
    with torch.no_grad():
        out = handle.block.projection.out
        out.copy_(size * torch.randn(out.shape, generator=generator(5)))
        if handle.block.projection.scale is not None:
            handle.block.projection.scale.fill_(0.7)


@contextmanager
def attached(model, config: talan.TalanConfig, *, awake: bool = True, seed: int = 3):
    """Attach for the length of the context; `shuffled` takes the next row, as in training."""
    handle = talan.attach(model, config, generator=generator(seed))
    handle.block.train(config.control == "shuffled")
    if awake:
        awaken(handle)
    try:
        yield handle
    finally:
        handle.detach()


def prompt_of(handle: talan.Handle, rows: int, length: int):
    """The prompt context that the conditioning needs, or none."""
    if handle.config.conditioning == "prompt":
        return handle.prompt([length] * rows)
    return nullcontext()


def bits(values: torch.Tensor) -> torch.Tensor:
    return values.view({4: torch.int32, 2: torch.int16}[values.element_size()])
