"""What a design confounds: the alias table, and the refusal of terms it cannot tell apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.errors import StatsError
from stats.factorial.coding import Coded, Levels, code
from stats.factorial.fraction import resolution, resolution_text
from stats.record import Record

if TYPE_CHECKING:
    import pandas as pd

_NONE = 1e-9  # of a column's length: what is left below is rounding


@dataclass(frozen=True)
class Alias:
    """``term`` is confounded with ``alias``.

    ``bias`` is the largest entry, in size, of the pair's block of the alias matrix. ``share`` is
    the largest squared canonical correlation of the two terms' columns about the mean: 1 where some
    comparison of the one is a comparison of the other. ``kind`` is "full" where that holds for all
    comparisons of the smaller term, else "partial". ``sign`` is that of two single columns that are
    equal or opposite, else 0.
    """

    term: str
    alias: str
    kind: str
    share: float
    bias: float
    sign: int


@dataclass(frozen=True)
class AliasTable(Record):
    """The confounding of estimated ``terms`` with terms left out of the model.

    With X1 the columns of the mean and the estimated terms and X2 those left out, ``matrix`` is the
    alias matrix (X1'X1)^-1 X1'X2: least squares estimates b1 + matrix b2. Its rows are ``columns``,
    its columns ``others``. ``clear`` are estimated terms that no other term biases. ``resolution``
    is that of a regular two-level design, None for any other and for a full factorial.
    """

    estimand: str
    method: str
    terms: tuple[str, ...]
    against: tuple[str, ...]
    aliases: tuple[Alias, ...]
    clear: tuple[str, ...]
    matrix: np.ndarray
    columns: tuple[str, ...]
    others: tuple[str, ...]
    n_runs: int
    resolution: int | None

    def table(self) -> pd.DataFrame:
        """One row per pair of confounded terms; nothing is rounded."""
        import pandas as pd

        rows = [(a.term, a.alias, a.kind, a.share, a.bias, a.sign) for a in self.aliases]
        return pd.DataFrame(rows, columns=["term", "alias", "kind", "share", "bias", "sign"])

    def summary(self) -> str:
        """The confounding as text for a terminal, at most 100 columns wide."""
        from stats.layout import columns, wrap

        head = f"{self.n_runs} runs, {len(self.terms)} terms estimated"
        if self.resolution is not None:
            head += f", {resolution_text(self.resolution)}"
        lines = [head]
        if self.aliases:
            rows = [
                (a.term, f"{'-' if a.sign < 0 else ''}{a.alias}", a.kind, a.share, a.bias)
                for a in self.aliases
            ]
            lines += columns(["estimated", "confounded with", "kind", "share", "bias"], rows)
        if self.clear:
            lines += wrap(f"Clear: {', '.join(self.clear)}", hanging="  ")
        return "\n".join(lines) + "\n"


def alias(
    design: pd.DataFrame,
    terms: Sequence[str],
    against: Sequence[str] | int = 2,
    levels: Levels | None = None,
) -> AliasTable:
    """Which of the terms a model leaves out bias the terms it estimates, in this design.

    ``design`` has one column per factor and one row per run (or design point); factors may have any
    number of levels. ``terms`` are the model's, "mixer" or "mixer:scope". ``against`` are the terms
    left out, or an order: all terms of up to so many factors that the model lacks. ``levels`` gives
    the order of levels, which only signs depend on. Effects coding; Box and Draper 1987, Empirical
    Model-Building and Response Surfaces, section 3.9 (alias matrix).

    Raises StatsError when an estimated term cannot be told apart from others, and for what
    ``coding.code`` refuses.
    """
    if not terms:
        raise StatsError("no terms are asked for", place="terms", hint='e.g. ["mixer", "scope"]')
    model = code(design, terms, levels)
    left_out = code(design, _left_out(design, model, against), levels)
    return alias_of(model, left_out, _resolution(design, levels))


def alias_of(
    model: Sequence[Coded], left_out: Sequence[Coded], resolution: int | None = None
) -> AliasTable:
    """The alias table of columns that are coded already, about the mean.

    For codings that labels cannot give, such as a factor that acts at some design points only and
    is 0 at the others. ``resolution`` is passed on to the table. Raises StatsError when a term of
    the model cannot be told apart from others.
    """
    refuse_aliased(model)
    n_runs = model[0].columns.shape[0]
    mean = np.ones((n_runs, 1))
    x1 = np.column_stack([mean, *(term.columns for term in model)])
    x2 = np.column_stack([np.empty((n_runs, 0)), *(term.columns for term in left_out)])
    matrix = np.linalg.lstsq(x1, x2, rcond=None)[0]
    matrix[np.abs(matrix) < _NONE] = 0.0
    rows, start = [], 1
    for term in model:
        own = slice(start, start + len(term.names))
        start = own.stop
        at = 0
        for other in left_out:
            width = len(other.names)
            block = matrix[own, at : at + width]
            if block.any():
                rows.append(_confounding(term, other, float(np.abs(block).max())))
            at += width
    biased = {row.term for row in rows}
    return AliasTable(
        estimand="Bias of each estimated term by terms that the model leaves out.",
        method="Effects coding; alias matrix (X1'X1)^-1 X1'X2; canonical correlations.",
        terms=tuple(term.term for term in model),
        against=tuple(term.term for term in left_out),
        aliases=tuple(rows),
        clear=tuple(term.term for term in model if term.term not in biased),
        matrix=matrix,
        columns=("mean", *(name for term in model for name in term.names)),
        others=tuple(name for term in left_out for name in term.names),
        n_runs=n_runs,
        resolution=resolution,
    )


def check_estimable(
    design: pd.DataFrame, terms: Sequence[str], levels: Levels | None = None
) -> None:
    """Raise StatsError, with the aliased columns named, unless the design can estimate all terms.

    Terms are estimable together when the columns of the mean and of all of them are independent
    (empty cells of an interaction make them dependent too).
    """
    refuse_aliased(code(design, terms, levels))


def refuse_aliased(model: Sequence[Coded]) -> None:
    """Raise StatsError where a column of a term is a combination of columns before it."""
    runs = model[0].columns.shape[0]
    names: list[str] = ["the mean"]
    basis = np.ones((runs, 1)) / np.sqrt(runs)
    kept = [np.ones(runs)]
    told: list[str] = []
    aliased: list[str] = []
    for term in model:
        for name, column in zip(term.names, term.columns.T, strict=True):
            left = column - basis @ (basis.T @ column)
            left -= basis @ (basis.T @ left)  # twice is enough
            if np.linalg.norm(left) > 1e-7 * np.linalg.norm(column):
                basis = np.column_stack([basis, left / np.linalg.norm(left)])
                kept.append(column)
                names.append(name)
                continue
            weights = np.linalg.lstsq(np.column_stack(kept), column, rcond=None)[0]
            with_ = [n for n, w in zip(names, weights, strict=True) if abs(w) > 1e-7]
            aliased.append(name)
            told.append(f"{name} with {' and '.join(with_)}" if with_ else f"{name} (always 0)")
    if not aliased:
        return
    shown = "; ".join(told[:4]) + (f"; and {len(told) - 4} more" if len(told) > 4 else "")
    raise StatsError(
        f"the design cannot tell apart {shown}",
        place="terms",
        value=tuple(aliased),
        hint=f"of {len(names) + len(aliased)} columns {len(names)} are independent: ask for fewer "
        "terms or run more design points",
    )


def _left_out(
    design: pd.DataFrame, model: Sequence[Coded], against: Sequence[str] | int
) -> list[str]:
    if not isinstance(against, int):
        return list(against)
    if against < 1:
        raise StatsError(
            f"{against} is not an order of terms", place="against", value=against, hint="e.g. 2"
        )
    have = {frozenset(term.term.split(":")) for term in model}
    factors = [str(name) for name in design.columns]
    return [
        ":".join(chosen)
        for order in range(1, against + 1)
        for chosen in itertools.combinations(factors, order)
        if frozenset(chosen) not in have
    ]


def _confounding(term: Coded, other: Coded, bias: float) -> Alias:
    """How strongly two terms are confounded."""
    correlation = np.linalg.svd(_basis(term).T @ _basis(other), compute_uv=False)
    squared = np.clip(correlation**2, 0.0, 1.0)
    squared[squared > 1 - _NONE] = 1.0
    sign = 0
    if len(term.names) == len(other.names) == 1:
        a, b = term.columns[:, 0], other.columns[:, 0]
        sign = 1 if np.allclose(a, b) else -1 if np.allclose(a, -b) else 0
    share, least = (float(squared[0]), float(squared[-1])) if squared.size else (0.0, 0.0)
    return Alias(term.term, other.term, "full" if least == 1 else "partial", share, bias, sign)


def _basis(term: Coded) -> np.ndarray:
    """An orthonormal basis (runs, rank) of the term's columns about their means."""
    left = term.columns - term.columns.mean(axis=0)
    u, s, _ = np.linalg.svd(left, full_matrices=False)
    return np.asarray(u[:, s > 1e-7 * np.linalg.norm(term.columns)])


def _resolution(design: pd.DataFrame, levels: Levels | None) -> int | None:
    try:
        return resolution(design, levels)
    except StatsError:
        return None  # not a regular two-level design: there is no such number
