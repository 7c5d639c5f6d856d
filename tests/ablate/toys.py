"""A toy backbone and a toy benchmark: everything real, nothing that takes time."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import torch

from ablate.parse import Source, read_overrides
from ablate.study import Study, load_study
from studies.tokenizer import VOCABULARY_SIZE, build_tokenizer


@dataclass(frozen=True)
class Toys:
    """Paths of a backbone of three thin layers and of a benchmark of two-letter words."""

    backbone: Path
    benchmark: Path

    def settings(self, **more: str) -> list[str]:
        """``key=value`` arguments of a study on the toys, small enough for tests."""
        settings = {
            "axes": "memory",
            "levels.memory": "1,2",
            "backbones": str(self.backbone),
            "benchmarks": str(self.benchmark),
            "train.mix": str(self.benchmark),
            "train.steps": "2",
            "train.batch": "4",
            "train.rank": "2",
            "block.width": "4",
            "seeds": "2",
            "name": "toy",
        }
        settings |= {key.replace("__", "."): value for key, value in more.items()}
        if settings["axes"] == "none":
            del settings["levels.memory"]  # without effect, so that the command line refuses it
        return [f"{key}={value}" for key, value in settings.items()]

    def study(self, **more: str) -> Study:
        """The study of :meth:`settings`, validated."""
        source: Source = read_overrides(self.settings(**more))
        return load_study(source)


def make_toys(folder: Path) -> Toys:
    """Write the toys below ``folder``."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    backbone, benchmark = folder / "toy-backbone", folder / "pairs.jsonl"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=VOCABULARY_SIZE,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=3,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=8,
                tie_word_embeddings=True,
                max_position_embeddings=64,
            )
        )
    model.save_pretrained(backbone)
    build_tokenizer().save_pretrained(backbone)
    rng = random.Random(0)
    lines = []
    for i in range(80):
        split = "train" if i < 40 else "validation" if i < 50 else "test"
        word = "".join(rng.sample("abcdefgh", 2 + i % 3))
        lines.append({"id": f"{i}", "split": split, "prompt": f"{i} {word}>", "answer": word[:2]})
    benchmark.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return Toys(backbone, benchmark)
