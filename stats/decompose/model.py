"""The mixed model behind a decomposition, chosen from the design and never from the scores.

Every factor enters with its interaction with the arm: backbone, benchmark, their combination (the
cell) and the hp draw. A factor with fewer than five levels is fixed, for a variance over so few is
not estimable; pairs and runs are random. Terms that would split the rows alike are one term, and
the note says which two things the design cannot tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stats.decompose.roles import Results
from stats.errors import StatsError
from stats.mixed.fit import FEW_LEVELS

RESIDUAL = "residual"


@dataclass(frozen=True)
class Term:
    """A source of variation: its factors, its name for people, and whether it is fixed.

    ``between`` marks differences between cells that are there before any arm is compared.
    """

    factors: tuple[str, ...]
    name: str
    fixed: bool
    between: bool = False

    def __str__(self) -> str:
        joined = ":".join(_quoted(factor) for factor in self.factors)
        return joined if self.fixed else f"(1 | {joined})"


@dataclass(frozen=True)
class Model:
    """The chosen terms, in the order of a report, and notes on what cannot be told apart."""

    terms: tuple[Term, ...]
    formula: str
    residual: str
    notes: tuple[str, ...]


def choose(results: Results) -> Model:
    """The default model of a results table.

    Raises StatsError where there is an hp column and no draw has two replicate seeds: the interplay
    of mechanism and hyperparameters would be confounded with seeds.
    """
    r = results
    wanted: list[Term] = [Term((r.arm,), "mechanism", True)]
    backbone = r.backbone if r.varies(r.backbone) else ""
    benchmark = r.benchmark if r.varies(r.benchmark) else ""
    hp = r.hp if r.varies(r.hp) else ""
    for factor, name in ((backbone, "backbone"), (benchmark, "benchmark"), (hp, "hp draw")):
        if factor:
            fixed = r.count(factor) < FEW_LEVELS
            wanted.append(Term((factor,), name, fixed, between=name != "hp draw"))
            wanted.append(Term((factor, r.arm), f"mechanism x {name}", fixed))
    if backbone and benchmark:
        fixed = r.count(backbone, benchmark) < FEW_LEVELS
        wanted.append(Term((backbone, benchmark), "cell", fixed, between=True))
        wanted.append(Term((backbone, benchmark, r.arm), "mechanism x cell", fixed))
    pair = tuple(name for name in r.pair if r.varies(name))
    if hp and r.count(*pair) == r.count(*(n for n in pair if n not in r.seed)):
        raise StatsError(
            "no hp draw has two replicate seeds, so that the interplay of mechanism and "
            "hyperparameters is confounded with seed noise",
            place=f"column '{hp}'",
            hint="train two seeds or more for each draw, or leave hp out",
        )
    if pair:
        wanted.append(Term(pair, "seed", False))
        wanted.append(Term((*pair, r.arm), "mechanism x seed (run)", False))
    terms, notes, residual = _told_apart(r, wanted)
    if not any(not term.fixed for term in terms):
        notes.append("No random term could be told from the residual: ordinary least squares.")
    texts = [str(term) for term in terms if term.fixed]
    texts += [str(term) for term in terms if not term.fixed]
    return Model(
        tuple(terms), f"{_quoted(r.score)} ~ {' + '.join(texts)}", residual,
        tuple(notes),
    )  # fmt: skip


def _told_apart(r: Results, wanted: list[Term]) -> tuple[list[Term], list[str], str]:
    """Terms that split the rows differently; one with a level per row is the residual."""
    kept: list[Term] = []
    seen: dict[bytes, Term] = {}
    notes: list[str] = []
    alike: list[str] = []
    for term in wanted:
        split = _partition(r, term.factors)
        if split.max() + 1 == len(r.frame):
            alike.append(term.name)
            continue
        key = split.tobytes()
        if key in seen:
            notes.append(
                f"'{term.name}' and '{seen[key].name}' split the rows alike: the design cannot "
                "tell them apart."
            )
            continue
        seen[key] = term
        kept.append(term)
    return kept, notes, " + ".join([*alike, RESIDUAL]) if alike else RESIDUAL


def _partition(r: Results, factors: tuple[str, ...]) -> np.ndarray:
    """The level of each row, numbered in order of appearance."""
    import pandas as pd

    groups = r.frame.groupby(list(factors), sort=False).ngroup().to_numpy()
    return np.asarray(pd.factorize(groups)[0])


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
