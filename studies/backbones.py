"""The recipe of the embedded backbones.

python -m studies.backbones build [NAME ...]    train and save them (needs the extra `recipes`)
python -m studies.backbones check [NAME ...]    print what they can do before adaptation
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel

from ablate.backbones import BACKBONES, embedded_folder, load, resolve
from ablate.benchmarks import MAIN
from ablate.errors import AblateError, nearest
from studies.competence import competence
from studies.forms import PRETRAINING_FORMS
from studies.pretraining import Progress, Recipe, pretrain
from studies.tokenizer import build_tokenizer

RECIPES = {name: Recipe() for name in BACKBONES}

_FORMS = (*PRETRAINING_FORMS, "target")


def build(name: str, recipe: Recipe, folder: Path) -> None:
    """Pre-train one backbone and save it (weights in fp16) with its tokenizer into a folder."""
    model = pretrain(name, recipe, _reporter(name))
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    print(f"{name}: saved in {folder}", flush=True)


def _reporter(name: str) -> Callable[[Progress, PreTrainedModel], None]:
    """Prints a line every 100 steps, with the competence on validation items every 500."""

    def report(progress: Progress, model: PreTrainedModel) -> None:
        if progress.step % 100 and progress.step != progress.steps:
            return
        line = (
            f"{name}: step {progress.step}/{progress.steps}, {progress.seconds:.0f} s, "
            f"{progress.seconds_left / 60:.1f} min left, "
            f"loss {progress.short_loss:.3f} {progress.table_loss:.3f}, "
            f"tables up to {progress.longest_table}"
        )
        print(line, flush=True)
        if progress.step % 500 == 0:
            model.eval()
            print(f"{name}: {_competence_text(competence(model, ['validation']))}", flush=True)
            model.train()

    return report


def check(names: Sequence[str]) -> None:
    """Print parameters, size and competence on validation and test items, as a Markdown table."""
    print("plain/worded/target form, share of held-out items answered exactly\n")
    print("| backbone | layers | parameters | weights, kB | " + " | ".join(MAIN) + " |")
    print("|" + "---|" * (4 + len(MAIN)))
    for name in names:
        backbone = resolve(name)
        model, _ = load(backbone)
        size = (Path(backbone.source) / "model.safetensors").stat().st_size
        cells = _competence_cells(competence(model, ["validation", "test"]))
        numbers = [backbone.n_layers, f"{model.num_parameters():,}", f"{size / 1000:.0f}"]
        print(f"| {name} | " + " | ".join(map(str, [*numbers, *cells])) + " |", flush=True)


def _competence_cells(shares: dict[tuple[str, str], float]) -> list[str]:
    return ["/".join(f"{shares[skill, form]:.2f}" for form in _FORMS) for skill in MAIN]


def _competence_text(shares: dict[tuple[str, str], float]) -> str:
    cells = _competence_cells(shares)
    return ", ".join(f"{skill} {cell}" for skill, cell in zip(MAIN, cells, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.backbones",
        description="Build the embedded backbones, or print what they can do.",
        epilog="example: python -m studies.backbones build llama-tiny --seed 1 --folder again",
    )
    parser.add_argument("action", choices=["build", "check"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {' '.join(BACKBONES)}")
    parser.add_argument("--steps", type=int, help="optimiser steps (default: the recipe's)")
    parser.add_argument("--seed", type=int, help="of initialisation and data (default: 0)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    parser.add_argument("--folder", type=Path, help="where to save NAME (default: as shipped)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    names = options.names or list(BACKBONES)
    try:
        for name in names:
            if name not in BACKBONES:
                raise AblateError(f"unknown backbone {name!r}", hint=nearest(name, BACKBONES))
        if options.action == "check":
            check(names)
            return 0
        for name in names:
            given = {"steps": options.steps, "seed": options.seed}
            recipe = replace(RECIPES[name], **{k: v for k, v in given.items() if v is not None})
            folder = options.folder / name if options.folder else embedded_folder(name)
            build(name, recipe, folder)
    except AblateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
