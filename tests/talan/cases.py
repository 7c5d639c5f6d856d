"""Tiny random backbones, the configurations that are tried one at a time, and helpers."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
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
ARCHITECTURES = ("qwen3", "qwen2", "llama", "qwen3-moe")


def backbone(architecture: str = "qwen3", dtype: torch.dtype = torch.float32, seed: int = 0):
    build = {
        "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=16)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
        "qwen3-moe": lambda: Qwen3MoeForCausalLM(
            Qwen3MoeConfig(
                **SIZES, head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24
            )
        ),
    }[architecture]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().to(dtype).eval()


def adapted(
    architecture: str = "qwen3",
    *,
    kind: str = "lora",
    dropout: float = 0.0,
    train: bool = True,
    model=None,
):
    model = backbone(architecture) if model is None else model
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        lora_dropout=dropout,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        use_dora=kind == "dora",
        use_rslora=kind == "rslora",
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return get_peft_model(model, config).train(train)


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
