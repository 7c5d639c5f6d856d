"""From a table and a formula to the matrices of a mixed model, with the name of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError, nearest
from stats.mixed.columns import as_numbers, complete_rows, label, typed
from stats.mixed.expressions import (
    FUNCTIONS,
    INTERCEPT,
    Term,
    coded,
    declared_factor,
    matrix,
    names_in,
    readable,
    response_of,
    standing,
    terms_of,
)
from stats.mixed.formula import MixedFormula, RandomTerm

if TYPE_CHECKING:
    import pandas as pd

CONTRASTS = ("treatment", "sum")


@dataclass(frozen=True)
class RandomBlock:
    """A random term made ready: n rows fall into m levels, with k covariates each.

    ``index`` (n,) is the level of each row, ``z`` (n, k) its covariates, ``names`` (k) theirs,
    ``levels`` (m) the labels.
    """

    term: RandomTerm
    names: tuple[str, ...]
    levels: tuple[str, ...]
    index: np.ndarray = field(repr=False)
    z: np.ndarray = field(repr=False)

    @property
    def m(self) -> int:
        """Number of levels."""
        return len(self.levels)

    @property
    def k(self) -> int:
        """Number of covariates."""
        return len(self.names)


@dataclass(frozen=True)
class FixedTerm:
    """A term of the fixed part: its name, the columns of X it owns, what it is the product of.

    ``factors`` are expressions (``arm``, ``log(x)``), ``variables`` the table's columns in them.
    """

    name: str
    columns: slice
    factors: tuple[str, ...]
    variables: tuple[str, ...]


@dataclass(frozen=True)
class ModelDesign:
    """Response y (n,), fixed X (n, p) with column names and terms, and the random blocks.

    ``kept`` are the rows of the table that were used, ``frame`` the columns used. ``x_all`` (n,
    p_all) has all columns, also the ``aliased`` ones that are not in X because the columns before
    them determine them; ``independent`` (p,) are the places in it of those of X.
    """

    formula: MixedFormula
    contrasts: str
    y: np.ndarray = field(repr=False)
    x: np.ndarray = field(repr=False)
    names: tuple[str, ...]
    terms: tuple[FixedTerm, ...]
    blocks: tuple[RandomBlock, ...] = field(repr=False)
    factors: Mapping[str, tuple[str, ...]]
    frame: pd.DataFrame = field(repr=False)
    kept: np.ndarray = field(repr=False)
    aliased: tuple[str, ...] = ()
    x_all: np.ndarray = field(repr=False, default_factory=lambda: np.empty((0, 0)))
    independent: np.ndarray = field(repr=False, default_factory=lambda: np.empty(0, dtype=int))
    spec: Any = field(repr=False, default=None)

    @property
    def variables(self) -> tuple[str, ...]:
        """The table's columns in the fixed part."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.variables))

    def rows(self, frame: pd.DataFrame) -> np.ndarray:
        """The fixed design (rows, p_all) of other rows, coded as the model's; aliased included."""
        made = self.spec.get_model_matrix(standing(frame), context=dict(FUNCTIONS))
        return np.asarray(made, dtype=float)


def build(
    formula: MixedFormula,
    data: pd.DataFrame,
    *,
    contrasts: str = "treatment",
    factors: Sequence[str] = (),
    missing: str = "raise",
    aliased: str = "raise",
) -> ModelDesign:
    """Code a table's columns for a formula.

    Text, boolean and categorical columns are factors, and so are the ones named in ``factors`` or
    written ``C(column)``; levels are in natural order (a2 before a10) or in the order of a
    categorical. ``C(column, contr.treatment('b'))`` sets a factor's own contrasts. ``missing``
    "drop" leaves out rows that lack a value in a used column. ``aliased`` "drop" leaves out
    columns of X that the ones before them determine.

    Raises StatsError for unknown columns and functions (with the nearest name), values that are
    missing, infinite or text where numbers are needed, a factor with one level, a group with as
    many levels as rows, aliased columns, and random terms that the fixed effects or another random
    term determine (their variances would be anything).
    """
    for value, known, place in (
        (contrasts, CONTRASTS, "contrasts"),
        (missing, ("raise", "drop"), "missing"),
        (aliased, ("raise", "drop"), "aliased"),
    ):
        if value not in known:
            raise StatsError(
                f"'{value}' is not known", place=place, value=value, hint=nearest(value, known)
            )
    if len(data) == 0:
        raise StatsError("the table holds no rows", place="table")
    columns = [str(name) for name in data.columns]
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise StatsError(f"column '{twice}' appears twice", place="table", value=twice)
    response = response_of(formula, columns)
    fixed = terms_of(formula.fixed, formula, columns)
    random = [terms_of(term.covariates, formula, columns) for term in formula.random]
    pieces = {
        piece for term in [response, *fixed, *(t for ts in random for t in ts)] for piece in term
    }
    covariates = set().union(*(names_in(piece, formula) for piece in pieces))
    used = covariates | {group for term in formula.random for group in term.groups}
    declared = {name for piece in pieces if (name := declared_factor(piece)) is not None}
    for name, place in (
        *((name, f"formula '{formula.text}'") for name in sorted(used)),
        *((name, "factors") for name in factors),
    ):
        if name not in columns:
            raise StatsError(
                f"there is no column '{name}'", place=place, value=name, hint=nearest(name, columns)
            )
    frame, kept = complete_rows(data, used, missing)
    frame, levels = typed(frame, {*factors, *declared}, covariates, kept)
    y = _response(response, formula, frame, kept)
    x, spec = matrix(coded(fixed, levels, contrasts), frame, formula)
    names = tuple(readable(str(name)) for name in spec.column_names)
    terms = tuple(
        FixedTerm(
            INTERCEPT if str(term) == "1" else readable(str(term)),
            where,
            tuple(readable(factor) for factor in factors_of),
            tuple(sorted({name for factor in factors_of for name in names_in(factor, formula)})),
        )
        for term, where in spec.term_slices.items()
        if (factors_of := [str(f.expr) for f in term.factors if str(f) != "1"]) is not None
    )
    if x.shape[1] == 0:
        raise StatsError(
            "the fixed part is empty", place=f"formula '{formula.text}'", hint="keep the intercept"
        )
    dependent = _aliased(x)
    if dependent and aliased == "raise":
        raise StatsError(
            f"the fixed effects {', '.join(names[i] for i in dependent)} are determined by the "
            "columns before them",
            place=f"formula '{formula.text}'",
            value=[names[i] for i in dependent],
            hint="leave the aliased terms out, or drop them with aliased='drop'",
        )
    independent = np.array([i for i in range(x.shape[1]) if i not in dependent], dtype=int)
    blocks = tuple(
        _block(term, covariates_of, frame, levels, contrasts, formula)
        for term, covariates_of in zip(formula.random, random, strict=True)
    )
    _check_size(y, independent.size, blocks, formula)
    _check_told_apart(x[:, independent], blocks)
    return ModelDesign(
        formula=formula,
        contrasts=contrasts,
        y=y,
        x=x[:, independent],
        names=tuple(names[i] for i in independent),
        terms=terms,
        blocks=blocks,
        factors=levels,
        frame=frame,
        kept=kept,
        aliased=tuple(names[i] for i in dependent),
        x_all=x,
        independent=independent,
        spec=spec,
    )


def recoded(design: ModelDesign, contrasts: str) -> np.ndarray:
    """The fixed design (n, p_all) with every factor under other contrasts, columns in order."""
    terms = terms_of(design.formula.fixed, design.formula, design.frame.columns)
    text = coded(terms, design.factors, contrasts, anew=True)
    x, _ = matrix(text, design.frame, design.formula)
    return x


def _response(
    term: Term, formula: MixedFormula, frame: pd.DataFrame, kept: np.ndarray
) -> np.ndarray:
    place = f"response '{formula.response}'"
    for name in names_in(term[0], formula):
        as_numbers(frame, name, kept)
    y, _ = matrix(f"0 + {term[0]}", frame, formula)
    if y.shape[1] != 1:
        raise StatsError(
            f"a response is one column, not {y.shape[1]}", place=place, value=y.shape[1]
        )
    if np.ptp(y[:, 0]) == 0:
        raise StatsError(
            f"all {len(y)} values are the same, so that no variance can be estimated", place=place,
            value=float(y[0, 0]),
        )  # fmt: skip
    return y[:, 0].copy()


def _aliased(x: np.ndarray) -> list[int]:
    """Columns that the ones before them determine (Gram-Schmidt with a relative tolerance)."""
    out: list[int] = []
    basis = np.empty((x.shape[0], 0))
    for i in range(x.shape[1]):
        column = x[:, i]
        size = float(np.linalg.norm(column))
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        left = float(np.linalg.norm(rest))
        if size == 0 or left <= 1e-8 * size:
            out.append(i)
        else:
            basis = np.column_stack([basis, rest / left])
    return out


def _block(
    term: RandomTerm,
    covariates: Sequence[Term],
    frame: pd.DataFrame,
    levels: Mapping[str, tuple[str, ...]],
    contrasts: str,
    formula: MixedFormula,
) -> RandomBlock:
    codes = np.zeros(len(frame), dtype=np.int64)
    parts: list[tuple[np.ndarray, list[str]]] = []
    for name in term.groups:
        column = frame[name]
        if column.dtype == "category":
            own, values = column.cat.codes.to_numpy(), list(column.cat.categories)
        else:
            distinct, own = np.unique(column.to_numpy(), return_inverse=True)
            values = [label(value) for value in distinct.tolist()]
        parts.append((own, values))
        codes = codes * len(values) + own
    _, first, index = np.unique(codes, return_index=True, return_inverse=True)
    labels = tuple(":".join(values[own[row]] for own, values in parts) for row in first.tolist())
    if list(covariates) == [("1",)]:
        z = np.ones((len(frame), 1))
        names: tuple[str, ...] = (INTERCEPT,)
    else:
        z, spec = matrix(coded(covariates, levels, contrasts), frame, formula)
        names = tuple(readable(str(name)) for name in spec.column_names)
    if z.shape[1] == 0:
        raise StatsError(
            f"the random term {term} has no covariate", place=f"formula '{formula.text}'",
            value=str(term), hint="write (1 | group)",
        )  # fmt: skip
    return RandomBlock(term, names, labels, index.astype(np.int64), z)


def _check_size(
    y: np.ndarray, p: int, blocks: Sequence[RandomBlock], formula: MixedFormula
) -> None:
    n = y.size
    if n <= p:
        raise StatsError(
            f"{n} rows cannot estimate {p} fixed effects and a variance",
            place=f"formula '{formula.text}'",
            value=n,
        )
    for block in blocks:
        if block.m < 2:
            raise StatsError(
                f"the grouping factor has one level only, '{block.levels[0]}'",
                place=f"random term {block.term}",
                value=block.levels[0],
                hint="a variance over levels needs two levels, and five to be worth much",
            )
        if block.m * block.k >= n:
            raise StatsError(
                f"{block.m} levels x {block.k} covariates are no fewer than the {n} rows, so that "
                "they cannot be told from the residual",
                place=f"random term {block.term}",
                value=block.m,
                hint="group by fewer columns",
            )


def _check_told_apart(x: np.ndarray, blocks: Sequence[RandomBlock]) -> None:
    """Refuse a variance that the likelihood does not depend on, or only together with another."""
    q, _ = np.linalg.qr(x)
    for i, block in enumerate(blocks):
        for c, name in enumerate(block.names):
            z = block.z[:, c]
            sums = np.zeros((block.m, q.shape[1]))
            np.add.at(sums, block.index, q * z[:, None])
            size = float((z**2).sum())
            if size > 0 and size - float((sums**2).sum()) <= 1e-10 * size:
                raise StatsError(
                    f"the fixed effects determine '{name}' in every level, so that nothing is left "
                    "to estimate its variance from",
                    place=f"random term {block.term}",
                    value=name,
                    hint="take the group out of the fixed or of the random part",
                )
        for other in blocks[:i]:
            both = np.column_stack([block.z, other.z])
            if _same_levels(block, other) and np.linalg.matrix_rank(both) < both.shape[1]:
                raise StatsError(
                    f"it varies over the same levels as {other.term}, so that their variances "
                    "cannot be told apart",
                    place=f"random term {block.term}",
                    value=str(block.term),
                    hint="keep one of them; a factor over groups is (1 | group:factor)",
                )


def _same_levels(one: RandomBlock, other: RandomBlock) -> bool:
    if one.m != other.m:
        return False
    return bool(np.unique(one.index * other.m + other.index).size == one.m)
