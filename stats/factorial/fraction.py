"""Two-level fractions 2^(k-p): their runs, defining relation and resolution."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stats.columns import labels
from stats.errors import StatsError, nearest
from stats.factorial.coding import Levels, factor_levels
from stats.record import Record

if TYPE_CHECKING:
    import pandas as pd

_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")


@dataclass(frozen=True)
class Fraction(Record):
    """A regular two-level design of ``n_runs`` design points.

    ``relation`` are the words of the defining relation, "A:B:C:D:E:F" or "-A:B:C": products of
    factors that are +1 (-1) in every run. ``resolution`` is the length of the shortest word, None
    for a full factorial. ``design`` has one column per factor, one row per run.
    """

    factors: tuple[str, ...]
    generators: tuple[str, ...]
    relation: tuple[str, ...]
    resolution: int | None
    n_runs: int
    estimand: str
    method: str
    design: pd.DataFrame = field(repr=False, compare=False)

    def table(self) -> pd.DataFrame:
        """The design: one row per run, one column per factor."""
        return self.design

    def summary(self) -> str:
        """The design and what it confounds as text, at most 100 columns wide."""
        from stats.layout import frame_lines, wrap

        words = ", ".join(self.relation) or "none (full factorial)"
        lines = [
            f"{self.n_runs} runs, {len(self.factors)} factors, {resolution_text(self.resolution)}",
            *wrap(f"Constant words: {words}", hanging="  "),
            *wrap(self.method),
            "",
            *frame_lines(self.design),
        ]
        return "\n".join(lines) + "\n"


def fraction(
    factors: Sequence[str] | Mapping[str, tuple[object, object]],
    generators: Sequence[str] = (),
) -> Fraction:
    """The fraction of a two-level factorial that the generators pick out.

    ``factors`` are names, with levels -1 and 1, or map names to their (low, high) levels. A
    generator sets a factor to a product of others: "F=ABCDE" where names are single letters,
    "scope=insertion:memory:mixer" in general, "E=-ABC" for the opposite fraction. Runs are in
    standard order of the factors that are not generated (Box, Hunter and Hunter 2005, Statistics
    for Experimenters, chapter 6).

    Raises StatsError for unknown or repeated names, a generator that uses a generated factor, and
    generators that confound factors with each other or with the mean (resolution below III).
    """
    import pandas as pd

    levels = dict(factors) if isinstance(factors, Mapping) else {n: (-1, 1) for n in factors}
    names = tuple(levels)
    if not names or (not isinstance(factors, Mapping) and len(names) != len(factors)):
        raise StatsError("the factors must be distinct names", place="factors", value=names)
    for name, pair in levels.items():
        if len(pair) != 2 or pair[0] == pair[1]:
            raise StatsError(
                f"{pair} are not two levels", place=f"factor '{name}'", value=pair,
                hint="give (low, high)",
            )  # fmt: skip
    parsed = {}
    for text in generators:
        target, sign, word = _generator(text, names)
        if target in parsed:
            raise StatsError(f"'{target}' is generated twice", place="generators", value=text)
        parsed[target] = (sign, word)
    for target, (_, word) in parsed.items():
        for name in word:
            if name in parsed:
                raise StatsError(
                    f"the generator of '{target}' uses '{name}', which is generated itself",
                    place="generators",
                    value=target,
                    hint="write every generator in the basic factors",
                )
    basic = [name for name in names if name not in parsed]
    signs = np.array(list(itertools.product([-1, 1], repeat=len(basic))))[:, ::-1]
    column = {name: signs[:, i] for i, name in enumerate(basic)}
    for target, (sign, word) in parsed.items():
        column[target] = sign * np.prod([column[name] for name in word], axis=0)
    coded = np.column_stack([column[name] for name in names])
    relation = relation_of(coded, names)
    resolution = shortest(relation)
    if resolution is not None and resolution < 3:
        short = min(relation, key=lambda word: word.count(":"))
        raise StatsError(
            f"the product {short} is constant, so that factors are the same or opposite",
            place="generators",
            value=tuple(generators),
            hint="generate factors from products of two or more others",
        )
    design = pd.DataFrame(
        {name: [levels[name][int(s > 0)] for s in column[name]] for name in names}
    )
    return Fraction(
        factors=names,
        generators=tuple(generators),
        relation=relation,
        resolution=resolution,
        n_runs=len(design),
        estimand="Effects of the factors, each confounded with its products with the words.",
        method=_meaning(resolution),
        design=design,
    )


def defining_relation(design: pd.DataFrame, levels: Levels | None = None) -> tuple[str, ...]:
    """The words of a regular two-level design, one column per factor, rows in any order.

    The first level (see ``coding.factor_levels``) counts as -1. A design is regular when its
    distinct rows form a group under products of columns, each repeated equally often; the words
    are then the null space over the field of two elements. Empty for a full factorial. Raises
    StatsError for factors that do not have two levels, and for a design that is not regular.
    """
    names = tuple(str(name) for name in design.columns)
    coded = np.empty((len(design), len(names)), dtype=int)
    for i, name in enumerate(names):
        order = factor_levels(design, name, levels)
        if len(order) != 2:
            raise StatsError(
                f"it has {len(order)} levels, not two", place=f"factor '{name}'", value=order
            )
        coded[:, i] = [2 * order.index(value) - 1 for value in labels(design[name], name)]
    return relation_of(coded, names)


def resolution(design: pd.DataFrame, levels: Levels | None = None) -> int | None:
    """The length of the shortest word of a regular two-level design; None for a full factorial.

    Resolution III: factors are confounded with two-factor interactions; IV: two-factor interactions
    with each other; V and more: all of them are apart. Raises as ``defining_relation`` does.
    """
    return shortest(defining_relation(design, levels))


def resolution_text(value: int | None) -> str:
    """The words "resolution IV", or that the design is a full factorial."""
    return "full factorial" if value is None else f"resolution {_ROMAN[value]}"


def _meaning(value: int | None) -> str:
    if value is None:
        return "Full factorial: no effect is confounded with another."
    if value == 3:
        return "Main effects are confounded with two-factor interactions."
    if value == 4:
        return (
            "Main effects are clear of two-factor interactions, which are confounded among "
            "themselves."
        )
    return "Main effects and two-factor interactions are clear of each other."


def _generator(text: str, names: tuple[str, ...]) -> tuple[str, int, tuple[str, ...]]:
    """The factor, sign and product of "F=-ABC" or "scope=insertion:memory"."""
    target, equals, product = (part.strip() for part in text.partition("="))
    sign = -1 if product.startswith("-") else 1
    product = product.removeprefix("-").removeprefix("+").strip()
    word = tuple(part.strip() for part in product.split(":"))
    if len(word) == 1 and word[0] not in names:
        word = tuple(product)
    for name in (target, *word):
        if name not in names:
            raise StatsError(
                f"'{name}' is not a factor", place=f"generator '{text}'", value=name,
                hint=nearest(name, names),
            )  # fmt: skip
    if not equals or not word or len(set(word)) != len(word) or target in word:
        raise StatsError(
            "a generator sets a factor to a product of distinct others",
            place=f"generator '{text}'",
            value=text,
            hint='e.g. "F=ABCDE"',
        )
    return target, sign, word


def relation_of(coded: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
    """The constant words of rows of -1 and 1 (runs, factors), shortest first.

    Raises StatsError when the distinct rows are no regular fraction.
    """
    points, repeats = np.unique(coded, axis=0, return_counts=True)
    bits = (points != points[0]).astype(np.uint8)
    basis, pivots = _reduced(bits)
    if len(points) != 2 ** len(basis) or len(set(repeats.tolist())) != 1:
        raise StatsError(
            f"{len(points)} distinct design points are not a regular two-level fraction",
            place="design",
            value=len(points),
            hint="the alias table needs no regular design",
        )
    free = [i for i in range(len(names)) if i not in pivots]
    null = []
    for column in free:
        word = np.zeros(len(names), dtype=np.uint8)
        word[column] = 1
        for row, pivot in zip(basis, pivots, strict=True):
            word[pivot] = row[column]
        null.append(word)
    words = []
    for chosen in itertools.product([0, 1], repeat=len(null)):
        if any(chosen):
            taken = [n for n, c in zip(null, chosen, strict=True) if c]
            words.append(np.flatnonzero(np.bitwise_xor.reduce(taken, axis=0)))
    words.sort(key=lambda word: (len(word), word.tolist()))
    signs = ["-" if points[0][word].prod() < 0 else "" for word in words]
    return tuple(s + ":".join(names[i] for i in w) for s, w in zip(signs, words, strict=True))


def _reduced(bits: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
    """Reduced row echelon form over the field of two elements: rows and their pivots."""
    rows: list[np.ndarray] = []
    pivots: list[int] = []
    for bit in bits:
        row = bit.copy()
        for other, pivot in zip(rows, pivots, strict=True):
            if row[pivot]:
                row ^= other
        if row.any():
            pivot = int(row.argmax())
            rows = [other ^ row if other[pivot] else other for other in rows]
            rows.append(row)
            pivots.append(pivot)
    return rows, pivots


def shortest(relation: Sequence[str]) -> int | None:
    """The length of the shortest word, which is the resolution; None where there is none."""
    return min((word.count(":") + 1 for word in relation), default=None)
