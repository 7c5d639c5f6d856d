"""TALAN from start to end: attach, train, save, load in a fresh process, generate.

    python docs/walkthrough.py

Run it from the project's folder; it needs no network and takes some seconds on one core. It ends
with an error if the fresh process generates other tokens than this one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

import talan
from ablate.backbones import embedded_folder, load_tokenizer

warnings.filterwarnings("ignore", category=FutureWarning)  # between PEFT and transformers
logging.disable_progress_bar()

BACKBONE = embedded_folder("qwen3-tiny")  # or any folder or hub id of a causal language model
TOKENIZER = load_tokenizer(BACKBONE)
LETTERS = "abcd"
LENGTH = 9


def backbone() -> PreTrainedModel:
    """The frozen backbone, in float32."""
    return AutoModelForCausalLM.from_pretrained(
        BACKBONE, dtype=torch.float32, use_safetensors=True, local_files_only=True
    )


def questions(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Which letter does `bacbbdcba=` hold most often? The prompts and their answers.

    The answer depends on all of the prompt, which is what a memory of the sequence is for.
    """
    generator = torch.Generator().manual_seed(seed)
    prompts, answers = [], []
    while len(prompts) < count:
        drawn = torch.randint(len(LETTERS), (LENGTH,), generator=generator)
        first, second = torch.bincount(drawn, minlength=len(LETTERS)).sort(descending=True)[0][:2]
        if first > second:
            prompts.append("".join(LETTERS[index] for index in drawn) + "=")
            answers.append(LETTERS[int(drawn.mode().values)])
    return prompts, answers


def encode(texts: list[str]) -> Tensor:
    """Token ids (B, T) of texts of equal length."""
    return TOKENIZER(texts, return_tensors="pt").input_ids


def generate(model: torch.nn.Module, prompts: list[str]) -> list[list[int]]:
    """Two tokens per prompt, greedily, with the key-value cache."""
    ids = encode(prompts)
    made = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=2,
        do_sample=False,
        use_cache=True,
    )
    return made[:, ids.shape[1] :].tolist()


def correct(made: list[list[int]], answers: list[str]) -> int:
    """How many of the generated texts are the answer."""
    return sum(
        TOKENIZER.decode(tokens, skip_special_tokens=True) == answer
        for tokens, answer in zip(made, answers, strict=True)
    )


def train(handle: talan.Handle, steps: int = 60) -> None:
    """Adapter and block learn together, each at its own rate and clipped by its own norm."""
    groups = talan.trainable_parameters(handle)
    rates = {"adapter": 2e-3, "block": 3e-2}
    optimizer = torch.optim.AdamW(
        [{"params": groups[name], "lr": rate} for name, rate in rates.items()]
    )
    handle.model.train()
    for step in range(steps):
        prompts, answers = questions(32, seed=step)
        ids = encode([p + a + TOKENIZER.eos_token for p, a in zip(prompts, answers, strict=True)])
        labels = ids.clone()
        labels[:, : LENGTH + 1] = -100  # the loss is taken over the answer alone
        loss = handle.model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        for parameters in groups.values():
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step:3d}  loss {loss.item():.3f}")
    handle.model.eval()


def main() -> None:
    """Train and save; a fresh process loads; both generate."""
    torch.manual_seed(0)
    prompts, answers = questions(64, seed=10_000)

    lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(backbone(), lora)
    handle = talan.attach(model, talan.TalanConfig(insertion="middle", memory=4))
    talan.print_trainable(model)
    train(handle)

    here = generate(model, prompts)
    with handle.disabled():
        without = generate(model, prompts)
    print(
        f"correct: {correct(here, answers)} of {len(prompts)}; "
        f"with the block disabled {correct(without, answers)}"
    )

    with tempfile.TemporaryDirectory() as folder:
        talan.save(model, folder)
        print("saved:", ", ".join(sorted(path.name for path in Path(folder).iterdir())))
        fresh = subprocess.run(
            [sys.executable, __file__, "--load", folder], check=True, stdout=subprocess.PIPE
        )
    there = json.loads(fresh.stdout)

    if there != here:
        sys.exit("the fresh process generated other tokens")
    print("a fresh process generated the same tokens")
    if without == here:
        sys.exit("the block changed nothing")
    print("with the block disabled, the tokens differ")


def load(folder: str) -> None:
    """What the fresh process does: load onto the backbone, generate, print the tokens."""
    handle = talan.load(backbone(), folder)
    prompts, _ = questions(64, seed=10_000)
    print(json.dumps(generate(handle.model, prompts)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", metavar="FOLDER", help="load from FOLDER and print tokens")
    chosen = parser.parse_args()
    if chosen.load:
        load(chosen.load)
    else:
        main()
