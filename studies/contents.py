"""What the embedded questions are about, before they are written down in a surface form.

A *content* is one question without its wording: a sum, an equation, a word to reverse, a table
with a key to look up. Splits are decided here, by a hash of the content, so that a held-out content
is held out in every surface form, in pre-training as well as in adaptation.
"""

import functools
import hashlib
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

SKILLS = ("arithmetic", "algebra", "code", "recall")

# reasoning-gym draws item i from Random(seed + i): neighbouring seeds share nearly all items.
SEED_SPACING = 10_000_019

KEYS = string.ascii_lowercase
DIGITS = string.digits


@dataclass(frozen=True)
class Content:
    """One question without its wording.

    `parts` holds the pieces a form is written from, `answer` the expected answer, and `key` the
    text whose hash decides the split.
    """

    skill: str
    parts: tuple[str, ...]
    answer: str
    key: str


def split_of(skill: str, key: str) -> str:
    """The split ("train", "validation" or "test") that owns a content, by the hash of its key."""
    digest = hashlib.blake2b(f"{skill}|{key}".encode(), digest_size=8).digest()
    bucket = int.from_bytes(digest, "big") % 100
    if bucket < 18:
        return "test"
    return "validation" if bucket < 36 else "train"


def _reasoning_gym(name: str, stream: int, size: int, **settings: object) -> Iterator[dict]:
    """Raw items of a reasoning-gym data set; `stream` picks a seed range of its own."""
    import reasoning_gym

    dataset = reasoning_gym.create_dataset(
        name, seed=SEED_SPACING * (1 + stream), size=size, **settings
    )
    return (dataset[index] for index in range(size))


def _arithmetic() -> Iterator[Content]:
    """Sums and differences of two numbers below 100 whose result is not negative."""
    items = _reasoning_gym(
        "chain_sum", 0, 60_000, min_terms=2, max_terms=2, min_digits=1, max_digits=2
    )
    for item in items:
        left, operator, right = item["metadata"]["expression"].split()
        if int(item["answer"]) < 0:
            continue
        # a sum and its commuted twin are one content: the answer of one gives away the other
        low, high = sorted((int(left), int(right)))
        key = f"{low}+{high}" if operator == "+" else f"{left}-{right}"
        yield Content("arithmetic", (left, operator, right), item["answer"], key)


def _algebra() -> Iterator[Content]:
    """Linear equations in one unknown, values from 1 to 12, without negative numbers."""
    items = _reasoning_gym(
        "simple_equations",
        1,
        24_000,
        min_terms=1,
        max_terms=2,
        min_value=1,
        max_value=12,
        operators_weights=[0.5, 0.5, 0.0],
    )
    for item in items:
        metadata = item["metadata"]
        equation = re.sub(rf"\b{metadata['variable']}\b", "x", metadata["equation"])
        left, right = equation.replace("*", "").replace(" ", "").split("=")
        if "-" in right or left == "x":
            continue
        yield Content("algebra", (left, right), item["answer"], f"{left}={right}")


def _code() -> Iterator[Content]:
    """English words of three to six letters, to be reversed."""
    items = _reasoning_gym("spell_backward", 2, 24_000, min_word_len=3, max_word_len=6)
    for item in items:
        word = item["metadata"]["word"].lower()
        if word.isascii() and word.isalpha():
            yield Content("code", (word,), word[::-1], word)


_SOURCES: dict[str, Callable[[], Iterator[Content]]] = {
    "arithmetic": _arithmetic,
    "algebra": _algebra,
    "code": _code,
}


@functools.cache
def _distinct(skill: str) -> tuple[Content, ...]:
    return tuple({content.parts: content for content in _SOURCES[skill]()}.values())


def contents(skill: str, split: str) -> tuple[Content, ...]:
    """All distinct contents of a finite skill (not recall) in one split, in order of drawing."""
    return tuple(c for c in _distinct(skill) if split_of(skill, c.key) == split)


def draw_word(rng: np.random.Generator) -> Content:
    """A random string of three to six letters that is no held-out word.

    Pre-training reverses such strings beside real words, because a few thousand words alone are
    learned by heart.
    """
    while True:
        word = "".join(KEYS[i] for i in rng.integers(0, len(KEYS), size=rng.integers(3, 7)))
        if split_of("code", word) == "train":
            return Content("code", (word,), word[::-1], word)


def draw_table(rng: np.random.Generator, n_pairs: int, split: str) -> tuple[tuple[str, str], ...]:
    """Random (letter, digit) pairs with distinct letters, belonging to one split.

    The split is decided by the hash of the whole table, so a held-out table is never seen in
    training, whichever key is asked for.
    """
    while True:
        letters = rng.permutation(len(KEYS))[:n_pairs]
        digits = rng.integers(0, len(DIGITS), size=n_pairs)
        table = tuple((KEYS[i], DIGITS[j]) for i, j in zip(letters, digits, strict=True))
        if split_of("recall", table_key(table)) == split:
            return table


def table_key(table: tuple[tuple[str, str], ...]) -> str:
    """The text that identifies a table, in every surface form."""
    return ",".join(key + value for key, value in table)
