"""The recipe of the embedded benchmark items: `python -m studies.items build`.

It writes `ablate/benchmarks/items/NAME.jsonl`, byte for byte the same each time. It needs
reasoning-gym (the extra `recipes`); using the items does not.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import ablate.benchmarks
from studies.contents import SEED_SPACING, SKILLS, contents, draw_table
from studies.forms import (
    PRETRAINING_FORMS,
    TARGET_FORMS,
    pairs_for,
    prompt,
    table_question,
    table_text,
)

SIZES = {"train": 2000, "validation": 500, "test": 500}

# characters, so tokens, of a table: far more than a memory of 16 slots can hold one by one
TABLE_LENGTH = 48

Question = tuple[str, str]


def questions(
    skill: str, split: str, forms: Sequence[str], size: int, stream: int
) -> list[Question]:
    """Distinct (prompt, answer) pairs of one skill and split, written in each form in turn.

    Args:
        skill: one of SKILLS.
        split: the split that owns the contents.
        forms: surface forms, taken in turn.
        size: how many.
        stream: picks a range of random numbers of its own.
    """
    split_index = list(SIZES).index(split)
    rng = np.random.default_rng([SEED_SPACING, SKILLS.index(skill), split_index, stream])
    if skill == "recall":
        return [_recall(rng, split, forms[i % len(forms)]) for i in range(size)]
    pool = contents(skill, split)
    chosen = [pool[i] for i in rng.permutation(len(pool))[:size]]
    if len(chosen) < size:
        raise ValueError(f"{skill} has only {len(chosen)} {split} contents, {size} are needed")
    return [(prompt(c, forms[i % len(forms)]), c.answer) for i, c in enumerate(chosen)]


def _recall(rng: np.random.Generator, split: str, form: str) -> Question:
    table = draw_table(rng, pairs_for(TABLE_LENGTH, form), split)
    key, value = table[rng.integers(len(table))]
    return table_text(table, form) + table_question(key, form), value


def benchmark_lines(name: str) -> str:
    """The JSONL text of one embedded benchmark, one item per line, split by split."""
    lines: list[str] = []
    for split, size in SIZES.items():
        for group, (text, answer) in _rows(name, split, size):
            item = {
                "id": f"{group}-{len(lines):04d}",
                "split": split,
                "prompt": text,
                "answer": answer,
            }
            lines.append(json.dumps(item, separators=(",", ":")))
    return "\n".join(lines) + "\n"


def _rows(name: str, split: str, size: int) -> list[tuple[str, Question]]:
    """The questions of a split, each with the start of its id, which names skill and form."""
    if name != "retention":
        rows = enumerate(questions(name, split, TARGET_FORMS, size, 0))
        return [(f"{name}-{split}-{TARGET_FORMS[i % len(TARGET_FORMS)]}", q) for i, q in rows]
    forms, each = PRETRAINING_FORMS, size // len(SKILLS)
    return [
        (f"retention-{split}-{skill}-{forms[i % len(forms)]}", question)
        for skill in SKILLS
        for i, question in enumerate(questions(skill, split, forms, each, 1))
    ]


def build(folder: Path) -> None:
    """Write the items of every embedded benchmark into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*SKILLS, "retention"):
        path = folder / f"{name}.jsonl"
        path.write_text(benchmark_lines(name), encoding="utf-8")
        print(f"{path}: {sum(SIZES.values())} items")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.items",
        description="Build the items of the embedded benchmarks.",
        epilog="example: python -m studies.items build --folder items-again",
    )
    parser.add_argument("action", choices=["build"])
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(ablate.benchmarks.__file__).parent / "items",
        help="where to write (default: where they are shipped)",
    )
    options = parser.parse_args(arguments)
    build(options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
