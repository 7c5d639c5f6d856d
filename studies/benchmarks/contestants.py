"""Backbones of realistic shape with LoRA, without and with TALAN, and the tasks they are timed at.

The two models of a pair share every tensor of backbone and adapter, so that they fit into memory
together and differ in the block and its hooks alone.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, DynamicCache, Qwen3Config

import talan

RANK = 16
"""The rank of the matched LoRA, on all linear layers of the decoder."""

Task = Callable[[], object]


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder of Qwen3's architecture."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    tied: bool
    head_dim: int = 128
    vocabulary: int = 151_936

    def config(self) -> Qwen3Config:
        """The configuration from which transformers builds such a decoder."""
        return Qwen3Config(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=self.head_dim,
            intermediate_size=self.intermediate,
            tie_word_embeddings=self.tied,
            max_position_embeddings=40_960,
        )

    def linear_sizes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of the linear maps of one layer."""
        d, m = self.hidden, self.intermediate
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return [(d, queries), (d, keys), (d, keys), (queries, d), (d, m), (d, m), (m, d)]

    def backbone_parameters(self) -> int:
        """Linear maps, two norms of the stream and two of the heads per layer, embeddings."""
        layer = sum(a * b for a, b in self.linear_sizes()) + 2 * self.hidden + 2 * self.head_dim
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * layer + self.hidden + embeddings

    def lora_parameters(self) -> int:
        """rank x (inputs + outputs), summed over the linear maps."""
        return self.layers * RANK * sum(a + b for a, b in self.linear_sizes())

    def block_parameters(self, config: talan.TalanConfig) -> int:
        """The parameters of the block, which is small enough to be built."""
        block = talan.Block(config, self.hidden, torch.Generator().manual_seed(0))
        return sum(each.numel() for each in block.parameters())


SHAPES: dict[str, Shape] = {
    "tiny": Shape(64, 4, 4, 2, 96, tied=True, head_dim=16, vocabulary=512),
    "qwen3-0.6b": Shape(1024, 28, 16, 8, 3072, tied=True),
    "qwen3-1.7b": Shape(2048, 28, 16, 8, 6144, tied=True),
    "qwen3-4b": Shape(2560, 36, 32, 8, 9728, tied=True),
    "qwen3-8b": Shape(4096, 36, 32, 8, 12_288, tied=False),
    "qwen3-14b": Shape(5120, 40, 40, 8, 17_408, tied=False),
    "qwen3-32b": Shape(5120, 64, 64, 8, 25_600, tied=False),
}


@dataclass(frozen=True)
class Pair:
    """`plain` has LoRA and nothing else; `attached` has the same tensors and a block."""

    plain: nn.Module
    attached: nn.Module
    handle: talan.Handle
    shape: Shape
    device: torch.device
    dtype: torch.dtype

    @property
    def models(self) -> dict[str, nn.Module]:
        """The two, by the names of their columns."""
        return {"plain": self.plain, "talan": self.attached}

    def given(self, batch: int, length: int) -> dict[str, Tensor]:
        """Random token ids and a mask that hides none."""
        draw = torch.Generator().manual_seed(batch * length)
        ids = torch.randint(self.shape.vocabulary, (batch, length), generator=draw).to(self.device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def stream(self, batch: int, length: int) -> Tensor:
        """A random residual stream (B, T, d)."""
        size = (batch, length, self.shape.hidden)
        return torch.randn(size, device=self.device, dtype=self.dtype)

    def on_each(self, run: Callable[[nn.Module], object]) -> dict[str, Task]:
        """`run` on either model, and on the attached one with its block bypassed."""
        return {
            "plain": lambda: run(self.plain),
            "talan": lambda: run(self.attached),
            "bypassed": self._bypassing(lambda: run(self.attached)),
        }

    def _bypassing(self, task: Task) -> Task:
        def bypassed() -> object:
            with self.handle.disabled():
                return task()

        return bypassed

    def prefills(self, batch: int, length: int) -> dict[str, Task]:
        """A pass of the decoder stack over a whole prompt, which fills a cache.

        The head is left out: of the last token alone it costs next to nothing, but in half
        precision on a CPU torch copies all of a frozen head's weights first, which takes longer
        than the stack and would hide any cost of the block.
        """
        given, stream = self.given(batch, length), self.stream(batch, length)
        call = talan.Call(valid=given["attention_mask"].bool())
        return {
            **self.on_each(lambda model: stack_of(model)(**given, use_cache=True)),
            "block alone": lambda: self.handle.block(stream, call),
        }

    def decoding_steps(self, batch: int, context: int) -> dict[str, Task]:
        """One more token on a cache that holds `context` tokens at first and grows.

        Each contestant has its own cache. The caller decides on the gradient mode.
        """
        prompt, follow = self.given(batch, context), self.given(batch, 1)["input_ids"]
        mask = torch.ones(batch, context + 4096, dtype=torch.long, device=self.device)

        def steps(model: nn.Module) -> Task:
            cache = DynamicCache(config=self.shape.config())
            model(**prompt, past_key_values=cache, logits_to_keep=1)

            def step() -> object:
                seen = cache.get_seq_length() + 1
                return model(input_ids=follow, past_key_values=cache, attention_mask=mask[:, :seen])

            return step

        with self.handle.disabled():
            skipping = steps(self.attached)
        stream = self.stream(batch, context)
        past = self.handle.block.write(stream, talan.Call()).state
        call = talan.Call(valid=torch.ones_like(follow, dtype=torch.bool), past=past)
        return {
            "plain": steps(self.plain),
            "talan": steps(self.attached),
            "bypassed": self._bypassing(skipping),
            "block alone": lambda: self.handle.block(stream[:, :1], call),
        }

    def generations(self, context: int, new: int) -> dict[str, Task]:
        """Greedy ``generate`` with a static cache, which transformers compiles on a GPU."""
        given = self.given(1, context)
        settings: dict[str, Any] = {
            "max_new_tokens": new,
            "min_new_tokens": new,
            "do_sample": False,
            "cache_implementation": "static",
            "pad_token_id": 0,
        }
        tasks = self.on_each(lambda model: model.generate(**given, **settings))  # type: ignore[operator]
        del tasks["bypassed"]  # it would be compiled for itself
        return tasks

    @contextmanager
    def training(self, *, checkpointing: bool) -> Iterator[None]:
        """Both models in training mode; in evaluation mode afterwards."""
        for model in self.models.values():
            model.train()
            if checkpointing:
                _enable_checkpointing(model)
        try:
            yield
        finally:
            for model in self.models.values():
                model.eval()
                if checkpointing:
                    _disable_checkpointing(model)


class TrainingStep:
    """Forward, backward and AdamW over all that trains in a model; gradients are gone after it.

    The optimiser's state is there from the start, as it is in every step but the first.
    """

    def __init__(self, model: nn.Module, given: dict[str, Tensor]) -> None:
        self.model = model
        self.given = {**given, "labels": given["input_ids"], "use_cache": False}
        trainable = [each for each in model.parameters() if each.requires_grad]
        self.optimiser = torch.optim.AdamW(trainable, lr=1e-6)
        for each in trainable:
            each.grad = torch.zeros_like(each)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def __call__(self) -> None:
        """Take one step."""
        self.model(**self.given).loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def state(self) -> list[Tensor]:
        """What the optimiser keeps."""
        return [each for kept in self.optimiser.state.values() for each in kept.values()]


def build(
    shape: Shape,
    config: talan.TalanConfig,
    device: torch.device,
    dtype: torch.dtype,
    *,
    cast_adapter: bool = True,
) -> Pair:
    """A pair of models on `device`, with random weights everywhere.

    `cast_adapter` keeps LoRA in float32 over a half-precision backbone, as PEFT does by default.
    Neither LoRA nor the block is left at its zero start: arithmetic on zeros can be faster.
    """
    torch.manual_seed(0)
    lora = LoraConfig(
        r=RANK,
        lora_alpha=2 * RANK,
        target_modules="all-linear",
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    with device:
        model = AutoModelForCausalLM.from_config(shape.config(), dtype=dtype)
        plain = get_peft_model(model, lora, autocast_adapter_dtype=cast_adapter).eval()
    attached = twin(plain)
    handle = talan.attach(attached, config, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = handle.block.projection.out
        out.copy_(1e-3 * torch.randn(out.shape, generator=torch.Generator().manual_seed(2)))
    return Pair(plain, attached, handle, shape, device, dtype)


def twin(model: nn.Module) -> nn.Module:
    """A copy of the modules of `model` around the very same parameters and buffers."""
    shared: dict[int, Any] = {id(each): each for each in model.parameters()}
    shared.update({id(each): each for each in model.buffers()})
    return copy.deepcopy(model, shared)


def stack_of(model: Any) -> nn.Module:
    """The module that runs the layers, between the adapter's wrapper and the head."""
    stack: nn.Module = model.get_base_model().model
    return stack


def configuration(settings: list[str]) -> talan.TalanConfig:
    """The default configuration with `field=value` settings applied; `TalanError` for bad ones.

    Refused are also those that a plain forward pass cannot run, or that would freeze the adapter
    which the baseline shares.
    """
    changed: dict[str, Any] = {}
    known = [each.name for each in dataclasses.fields(talan.TalanConfig)]
    for setting in settings:
        name, found, value = setting.partition("=")
        if name not in known or not found:
            raise talan.TalanError(
                f"{setting!r} is no setting of the block",
                place="--talan",
                value=setting,
                hint=f"give field=value, where the fields are {', '.join(known)}",
            )
        if name in talan.AXES:
            changed[name] = talan.AXES[name].parse(value)
        else:
            changed[name] = int(value) if name == "width" and value.isdigit() else value
    config = talan.TalanConfig(**changed)
    for name, refused in (("conditioning", "prompt"), ("control", "shuffled"), ("scope", "side")):
        if getattr(config, name) == refused:
            raise talan.TalanError(
                f"{name}={refused} is not measured here",
                place="--talan",
                value=refused,
                hint="its cost is that of the default, less the adapter's training under side",
            )
    return config


def _enable_checkpointing(model: Any) -> None:
    kwargs = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # the name from transformers 5.2x on
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=kwargs)
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=kwargs)


def _disable_checkpointing(model: Any) -> None:
    if hasattr(model, "activation_checkpointing_disable"):
        model.activation_checkpointing_disable()
    else:
        model.gradient_checkpointing_disable()
