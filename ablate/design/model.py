"""Which terms the points of a design can tell apart: the rank check, and the refusal of others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ablate.design.coding import Coding
from ablate.errors import AblateError
from stats.factorial.coding import Coded

_LEFT = 1e-7  # of a column's length: what is left below is rounding

MORE = "ask for fewer terms, a higher fraction.resolution or more fraction.points"

NotEstimable = tuple[tuple[str, str], ...]
"""Terms that are left out, each with the reason."""


def two_factor(axes: Sequence[str]) -> list[str]:
    """All interactions of two of ``axes``."""
    return [":".join(two) for two in itertools.combinations(axes, 2)]


def choose_terms(
    rows: Coding,
    axes: Sequence[str],
    impossible: Mapping[str, str],
    interactions: Sequence[str] | None,
    complete: bool,
) -> tuple[list[str], NotEstimable]:
    """The terms that a design estimates, and those it cannot, with the alias.

    Args:
        rows: the design's points.
        axes: the varied axes.
        impossible: terms that no choice of points could tell, with the reason.
        interactions: those that were asked for; None: all that can be told from the main effects
            and from each other.
        complete: the points are all combinations of levels, which confound nothing else.

    Raises:
        AblateError: a term that was asked for, or a main effect, cannot be estimated.
    """
    no = dict(impossible)
    mains = [axis for axis in axes if axis not in no]
    possible = [term for term in two_factor(axes) if term not in no]
    columns = {term: rows.columns(term) for term in (*mains, *possible)}

    def aliases(term: str, beside: Sequence[str]) -> list[str]:
        if complete:
            return []
        return _made_of(columns[term], [columns[other] for other in beside if other != term])

    told = []
    if interactions is None:
        for term in possible:
            found = aliases(term, [*mains, *possible])
            if found:
                no[term] = _aliased(found)
            else:
                told.append(term)
    else:
        for term in interactions:
            if term in no:
                raise _refusal(term, no[term], "leave it out, or choose other levels")
            twins = [x for x in possible if x not in interactions and aliases(term, [x])]
            if found := aliases(term, [*mains, *interactions]) or twins:
                raise _refusal(term, _aliased(found), MORE)
            told.append(term)
    for axis in mains:
        if found := aliases(axis, [*mains, *told]):
            raise _refusal(axis, _aliased(found), MORE)
    return [*mains, *told], tuple(no.items())


def rank_of(columns: Sequence[Coded]) -> tuple[int, int]:
    """The rank of the mean and the columns of all terms, and how many columns that are."""
    x = np.column_stack([np.ones(len(columns[0].columns)), *(term.columns for term in columns)])
    return int(np.linalg.matrix_rank(x)), x.shape[1]


def inflation(columns: Sequence[Coded]) -> dict[str, float]:
    """The variance inflation of each term by its correlation with the others, 1 where there is
    none.

    The generalised factor det R_own det R_rest / det R to the power 1 / columns, which for one
    column is 1 / (1 - R^2) (Fox and Monette 1992, Journal of the American Statistical Association
    87: 178-183). The columns must be independent.
    """
    widths = [len(term.names) for term in columns]
    x = np.column_stack([term.columns for term in columns])
    correlation = np.atleast_2d(np.corrcoef(x, rowvar=False))
    owner = np.repeat(np.arange(len(columns)), widths)
    whole = np.linalg.slogdet(correlation)[1]
    found = {}
    for i, (term, width) in enumerate(zip(columns, widths, strict=True)):
        parts = [np.linalg.slogdet(correlation[np.ix_(j, j)])[1] for j in (owner == i, owner != i)]
        found[term.term] = float(np.exp((sum(parts) - whole) / width))
    return found


def correlations(columns: Sequence[Coded]) -> tuple[tuple[str, str, float], ...]:
    """Pairs of terms of one column each that are correlated, the strongest first."""
    single = [term for term in columns if len(term.names) == 1]
    found = []
    for a, b in itertools.combinations(single, 2):
        r = float(np.corrcoef(a.columns[:, 0], b.columns[:, 0])[0, 1])
        if abs(r) > _LEFT:
            found.append((a.term, b.term, r))
    return tuple(sorted(found, key=lambda each: -abs(each[2])))


def _made_of(term: Coded, others: Sequence[Coded]) -> list[str]:
    """The terms of ``others`` whose columns, with the mean, make up a column of ``term``; empty
    where every column has a part of its own."""
    x = np.column_stack([np.ones(len(term.columns)), *(other.columns for other in others)])
    owner = ["the mean", *(other.term for other in others for _ in other.names)]
    weights = np.linalg.lstsq(x, term.columns, rcond=None)[0]
    left = np.linalg.norm(term.columns - x @ weights, axis=0)
    made = left <= _LEFT * np.linalg.norm(term.columns, axis=0)
    if not made.any():
        return []
    used = np.abs(weights[:, made]).max(axis=1) > _LEFT
    found = dict.fromkeys(name for name, take in zip(owner, used, strict=True) if take)
    return list(found) or ["nothing (it is 0 throughout)"]


def _aliased(terms: Sequence[str]) -> str:
    return f"it is aliased with {', '.join(terms)}"


def _refusal(term: str, why: str, hint: str) -> AblateError:
    return AblateError(
        f"the design cannot estimate {term}: {why}",
        place="fraction.terms",
        value=term,
        hint=hint,
    )
