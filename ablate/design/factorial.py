"""The factorial part of a design: its effects as contrasts, and what its points confound."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ablate.design.coding import Coding
from ablate.design.contrasts import (
    ArmsAt,
    as_contrasts,
    by_least_squares,
    by_means,
    variance_factor,
)
from ablate.design.crossing import crossing
from ablate.design.exchange import d_efficiency
from ablate.design.model import (
    NotEstimable,
    choose_terms,
    correlations,
    inflation,
    rank_of,
    two_factor,
)
from ablate.design.sameness import acting_levels
from ablate.errors import AblateError
from stats.contrast import Contrast
from stats.factorial.alias import AliasTable, alias_of
from stats.factorial.coding import Coded
from stats.factorial.fraction import relation_of, shortest
from stats.record import Record
from talan.axes import AXES

if TYPE_CHECKING:
    import pandas as pd

    from ablate.design.arms import Point
    from ablate.design.registry import DesignKind, Layout
    from ablate.design.sameness import Same
    from ablate.study import Study


@dataclass(frozen=True)
class TermFacts:
    """How well a design tells a term.

    ``acts_at``: design points at which its axes do anything. ``inflation``: variance inflation by
    correlation with the other terms (1: none; None for differences of means of a complete
    crossing). ``variance``: the largest variance of its contrasts over that in an orthogonal design
    of as many points in which its axes act everywhere.
    """

    term: str
    acts_at: int
    inflation: float | None
    variance: float


@dataclass(frozen=True)
class Factorial(Record):
    """The main effects and interactions that a design tells, averaged over its adapters.

    ``mains`` are level contrasts against the reference level, grouped by axis; ``interactions`` are
    grouped "a:b" (half the difference of differences). ``terms`` are those that are estimated,
    ``not_estimable`` those that are not, each with the alias. ``pairs`` are the two levels of each
    axis (reference, other) where all have two, else empty; ``levels`` all that the points take.
    ``n_points`` counts the distinct points, ``n_declared`` those before merging; ``n_crossed`` all
    combinations of the levels. ``codes`` has the -1, 0 or +1 of each column of ``code_names`` for
    each arm: 0 where the axis is inert (and, with more than two levels, at a level other than the
    column's and the reference). ``alias`` tells which terms left out would bias the estimates
    (None for a complete crossing). ``generators``, ``relation`` and ``resolution`` are those of a
    regular fraction before merging. ``efficiency`` is det(X'X)^(1/p)/n for two levels, else None.
    ``own_families``: mains and interactions are families beside the study's primary one.
    """

    estimand: str
    method: str
    design: str
    recipe: int
    terms: tuple[str, ...]
    mains: tuple[Contrast, ...]
    interactions: tuple[Contrast, ...]
    levels: Mapping[str, tuple[str, ...]]
    pairs: Mapping[str, tuple[str, str]]
    not_estimable: NotEstimable
    facts: tuple[TermFacts, ...]
    rank: tuple[int, int]
    correlated: tuple[tuple[str, str, float], ...]
    n_points: int
    n_declared: int
    n_crossed: int
    own_families: bool
    code_names: tuple[str, ...]
    codes: Mapping[str, tuple[int, ...]] = field(repr=False)
    alias: AliasTable | None = field(default=None, repr=False)
    generators: tuple[str, ...] = ()
    relation: tuple[str, ...] = ()
    resolution: int | None = None
    efficiency: float | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """The varied axes."""
        return tuple(self.levels)

    @property
    def coding(self) -> pd.DataFrame:
        """The codes: one row per arm with the mechanism, one column per axis of two levels (with
        more, one per level other than the reference)."""
        import pandas as pd

        return pd.DataFrame.from_dict(
            {arm: list(codes) for arm, codes in self.codes.items()},
            orient="index",
            columns=list(self.code_names),
        )

    def table(self) -> pd.DataFrame:
        """One row per term: where it acts and how well it is told."""
        import pandas as pd

        return pd.DataFrame([vars(fact) for fact in self.facts])


def make_factorial(
    study: Study,
    layout: Layout,
    kind: DesignKind,
    same: Same,
    arms_at: ArmsAt,
    n_points: int,
) -> Factorial | None:
    """What a layout tells of axes and of pairs of them; None where it tells simple effects only.

    Args:
        study: names the axes in order.
        layout: the points before merging.
        kind: the design they come from.
        same: what makes points the same mechanism.
        arms_at: for each point the arms that stand for it, one for each adapter.
        n_points: how many distinct points there are.

    Raises:
        AblateError: a term that was asked for cannot be estimated, or levels of an axis are the
            same mechanism at all points of a design that needs them to differ.
    """
    if layout.estimates == "simple":
        return None
    axes = list(layout.levels)
    rows = _coding(layout.points, layout, same)
    everywhere = rows if layout.crossed else _coding(crossing(study, layout.levels), layout, same)
    if layout.own_families or not layout.crossed:
        _refuse_equal_levels(layout, everywhere)
    two_levels = all(len(levels) == 2 for levels in layout.levels.values())
    impossible = {
        term: why for term in (*axes, *two_factor(axes)) if (why := everywhere.why_not(term))
    }
    wanted = () if layout.estimates == "mains" else layout.interactions
    terms, not_estimable = choose_terms(rows, axes, impossible, wanted, layout.crossed)
    if not terms:
        return None
    effects = (
        by_means(rows, [term for term in terms if ":" in term])
        if layout.crossed
        else by_least_squares(rows, terms)
    )
    contrasts = as_contrasts(effects, arms_at)
    columns = [rows.columns(term) for term in terms]
    relation, resolution = _regular(layout)
    x = np.column_stack([np.ones(len(rows.acting)), *(term.columns for term in columns)])
    n_arms = n_points * len(arms_at[0])
    names = [arms[0] for arms in arms_at]
    code_names, codes = _codes(rows, axes)
    return Factorial(
        estimand="Main effects of the axes over the points where they act, and interactions of two",
        method="differences of means" if layout.crossed else "least squares",
        design=kind.name,
        recipe=kind.recipe,
        terms=tuple(terms),
        mains=tuple(each for each in contrasts if ":" not in each.group),
        interactions=tuple(each for each in contrasts if ":" in each.group),
        levels={
            axis: tuple(map(AXES[axis].text, levels)) for axis, levels in layout.levels.items()
        },
        pairs={
            axis: (AXES[axis].text(levels[0]), AXES[axis].text(levels[1]))
            for axis, levels in layout.levels.items()
            if two_levels
        },
        not_estimable=not_estimable,
        facts=_facts(rows, columns, contrasts, names, n_arms, layout.crossed),
        rank=rank_of(columns),
        correlated=correlations(columns),
        n_points=n_points,
        n_declared=len(layout.points),
        n_crossed=int(np.prod([len(levels) for levels in layout.levels.values()])),
        own_families=layout.own_families,
        code_names=code_names,
        codes={arm: row for arms, row in zip(arms_at, codes, strict=True) for arm in arms},
        alias=None if layout.crossed else _alias(rows, columns, axes, impossible, resolution),
        generators=layout.generators,
        relation=relation,
        resolution=resolution,
        efficiency=d_efficiency(x) if two_levels else None,
    )


def _coding(points: Sequence[Point], layout: Layout, same: Same) -> Coding:
    return Coding.of(acting_levels(points, layout.levels, same), layout.levels)


def _refuse_equal_levels(layout: Layout, everywhere: Coding) -> None:
    for axis, levels in layout.levels.items():
        gone = [level for level in levels if level not in everywhere.levels[axis]]
        if gone:
            text = ", ".join(map(AXES[axis].text, levels if len(gone) == len(levels) else gone))
            raise AblateError(
                f"levels {text} of {axis} are the same mechanism as another at every point: "
                "there is nothing to compare",
                place=f"levels.{axis}",
                value=gone,
                hint="choose levels that differ, or leave the axis out",
            )


def _codes(rows: Coding, axes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[int, ...]]]:
    """Column names and the code of each point; an axis that does nothing anywhere has zeros."""
    nothing = np.zeros((len(rows.acting), 1))
    coded = [
        rows.columns(axis) if axis in rows.mains else Coded(axis, (axis,), nothing) for axis in axes
    ]
    codes = np.column_stack([each.columns for each in coded]).astype(int).tolist()
    return tuple(name for each in coded for name in each.names), [tuple(row) for row in codes]


def _facts(
    rows: Coding,
    columns: Sequence[Coded],
    contrasts: Sequence[Contrast],
    point_names: Sequence[str],
    n_arms: int,
    complete: bool,
) -> tuple[TermFacts, ...]:
    inflated = {} if complete else inflation(columns)
    found = []
    for term in [each.term for each in columns]:
        levels = [len(rows.levels[axis]) for axis in term.split(":")]
        acts = {name for name, acts in zip(point_names, rows.acts(term), strict=True) if acts}
        factors = [variance_factor(c, n_arms, levels) for c in contrasts if c.group == term]
        found.append(TermFacts(term, len(acts), inflated.get(term), max(factors, default=math.nan)))
    return tuple(found)


def _regular(layout: Layout) -> tuple[tuple[str, ...], int | None]:
    """Defining relation and resolution of a regular fraction, before merging."""
    if not layout.generators:
        return (), None
    signs = [
        [1 if point[axis] == levels[1] else -1 for axis, levels in layout.levels.items()]
        for point in layout.points
    ]
    relation = relation_of(np.array(signs), tuple(layout.levels))
    return relation, shortest(relation)


def _alias(
    rows: Coding,
    columns: Sequence[Coded],
    axes: Sequence[str],
    impossible: Mapping[str, str],
    resolution: int | None,
) -> AliasTable:
    """Bias by interactions that are left out: of two axes and, among two-level axes, of three."""
    terms = {term.term for term in columns}
    two_levels = all(len(levels) == 2 for levels in rows.levels.values())
    left_out = [
        ":".join(chosen)
        for order in ((2, 3) if two_levels else (2,))
        for chosen in itertools.combinations([axis for axis in axes if axis in rows.mains], order)
        if not any(term in impossible for term in two_factor(chosen))
    ]
    return alias_of(
        columns, [rows.columns(term) for term in left_out if term not in terms], resolution
    )
