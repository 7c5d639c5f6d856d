"""The registry of benchmarks, and the reading of their items.

Importing this costs no torch: a plan, a help page and an error message must come at once.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError, nearest

SPLITS = ("train", "validation", "test")
_FIELDS = ("id", "split", "prompt", "answer")


@dataclass(frozen=True)
class Item:
    """One question with its one right answer, both as text."""

    id: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class Benchmark:
    """A set of items in disjoint train, validation and test splits.

    Attributes:
        name: how studies and tables call it.
        title: what it asks, in one line.
        path: the JSONL file of its items, one object per line: id, split, prompt, answer.
        chance: the share of the most frequent answer among the test items, in [0, 1].
        main: whether its cells count in the average over main cells.
        recipe: version of the recipe behind the items; raised when their meaning changes.
    """

    name: str
    title: str
    path: Path
    chance: float
    main: bool = True
    recipe: int = 1


BENCHMARKS: dict[str, Benchmark] = {}
"""The benchmarks known by name. A plugin adds its own through :func:`register`."""


def register(benchmark: Benchmark) -> Benchmark:
    """Make a benchmark known by its name; AblateError if another one has that name."""
    known = BENCHMARKS.get(benchmark.name)
    if known is not None and known != benchmark:
        raise AblateError(
            f"benchmark {benchmark.name!r} is registered twice",
            place="benchmarks",
            value=benchmark.name,
            hint="give one of them another name",
        )
    BENCHMARKS[benchmark.name] = benchmark
    return benchmark


def benchmark(name: str) -> Benchmark:
    """The benchmark of a registered name, or of a user's file or folder.

    A user's benchmark is a JSONL file, or a folder that holds `items.jsonl`. Its name is the file's
    stem (the folder's name), its chance is measured on its test items.

    Raises:
        AblateError: neither a known name nor an existing path, or a file that cannot be read.
    """
    if name in BENCHMARKS:
        return BENCHMARKS[name]
    path = Path(name)
    if path.is_dir():
        path = path / "items.jsonl"
    if path.is_file():
        own = path.parent.name if path.name == "items.jsonl" else path.stem
        chance = majority_share(_read(path, path.stat().st_mtime_ns)["test"])
        return Benchmark(name=own or path.stem, title=f"items of {name}", path=path, chance=chance)
    raise AblateError(
        f"unknown benchmark {name!r}",
        place="benchmarks",
        value=name,
        hint=nearest(name, BENCHMARKS) + "; or the path of a JSONL file",
    )


def load_items(name: str, split: str) -> tuple[Item, ...]:
    """The items of one split, in the order of the file.

    Args:
        name: a registered benchmark, or the path of a JSONL file or of a folder with `items.jsonl`.
        split: "train", "validation" or "test".

    Raises:
        AblateError: unknown benchmark or split, a malformed file, or a split without items.
    """
    if split not in SPLITS:
        raise AblateError(
            f"unknown split {split!r}", place=name, value=split, hint=nearest(split, SPLITS)
        )
    path = benchmark(name).path
    items = _read(path, path.stat().st_mtime_ns)[split]
    if not items:
        raise AblateError(
            f"no item has the split {split!r}",
            place=str(path),
            value=split,
            hint=f"every item needs a split field, one of {', '.join(SPLITS)}",
        )
    return items


def digest(name: str, split: str) -> str:
    """A 128-bit BLAKE2b hash of the items of a split, in hexadecimal.

    It depends on ids, prompts, answers and their order, not on the benchmark's name or place.
    """
    return _digest(load_items(name, split))


@functools.lru_cache(maxsize=64)
def _digest(items: tuple[Item, ...]) -> str:
    """The digest of items; a plan asks for the same ones for every arm."""
    state = hashlib.blake2b(digest_size=16)
    for item in items:
        state.update(json.dumps([item.id, item.prompt, item.answer]).encode() + b"\n")
    return state.hexdigest()


def majority_share(items: tuple[Item, ...]) -> float:
    """The share of the most frequent answer, in [0, 1]: the score of always answering the same."""
    if not items:
        return 0.0
    return Counter(item.answer for item in items).most_common(1)[0][1] / len(items)


@functools.cache
def _read(path: Path, modified: int) -> dict[str, tuple[Item, ...]]:
    """All items of a file by split; `modified` (nanoseconds) makes a changed file a new entry."""
    splits: dict[str, list[Item]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AblateError(
            f"the items cannot be read ({error})", place=str(path), hint="give a UTF-8 JSONL file"
        ) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            split, item = _parse(line, f"{path}: line {number}")
            if item.id in seen:
                raise AblateError(
                    f"the id {item.id!r} occurs twice",
                    place=f"{path}: line {number}",
                    value=item.id,
                    hint="give every item an id of its own",
                )
            seen.add(item.id)
            splits[split].append(item)
    return {split: tuple(items) for split, items in splits.items()}


def _parse(line: str, place: str) -> tuple[str, Item]:
    """The split and the item of one line of a JSONL file."""
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise AblateError(
            f"not a JSON object ({error.msg})", place=place, hint="write one object per line"
        ) from error
    if not isinstance(fields, dict):
        raise AblateError("not a JSON object", place=place, hint="write one object per line")
    for name in _FIELDS:
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise AblateError(
                f"the field {name!r} is missing or not a text",
                place=place,
                value=fields.get(name),
                hint=f"every item needs the texts {', '.join(_FIELDS)}",
            )
    if fields["split"] not in SPLITS:
        raise AblateError(
            f"unknown split {fields['split']!r}",
            place=place,
            value=fields["split"],
            hint=nearest(fields["split"], SPLITS),
        )
    return fields["split"], Item(fields["id"], fields["prompt"], fields["answer"])
