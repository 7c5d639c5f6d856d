"""The effects of a factorial as contrasts of arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.design.coding import Coding
from stats.contrast import Contrast
from talan.axes import AXES

_NONE = 1e-12

ArmsAt = Sequence[Sequence[str]]
"""For each point the arms that stand for it, one for each adapter."""


@dataclass(frozen=True)
class PointEffect:
    """An effect as weights of points (shape (points,), they sum to zero); ``term`` is its axis, or
    the two of an interaction."""

    name: str
    term: str
    weights: np.ndarray


def by_means(rows: Coding, interactions: Sequence[str]) -> list[PointEffect]:
    """Main effects and interactions of a complete crossing, as differences of means of points.

    A main effect is the mean at a level less the mean at the reference, over the points where the
    axis acts; an interaction half the difference of the differences, over the points where both do.
    """
    found = []
    for axis in rows.mains:
        reference = _mean(rows.at(axis, rows.levels[axis][0]))
        for i, level in enumerate(rows.levels[axis][1:], 1):
            found.append(_main(rows, axis, i, _mean(rows.at(axis, level)) - reference))
    for term in interactions:
        a, b = term.split(":")
        for x in rows.levels[a][1:]:
            for y in rows.levels[b][1:]:
                corners = rows.corners(term, (x, y))
                if not all(corner.any() for corner in corners):
                    continue
                first, second, third, fourth = (_mean(corner) for corner in corners)
                two_levels = len(rows.levels[a]) == len(rows.levels[b]) == 2
                at = f" ({AXES[a].text(x)}, {AXES[b].text(y)})"
                found.append(
                    PointEffect(
                        term if two_levels else term + at,
                        term,
                        (fourth - second - third + first) / 2,
                    )
                )
    return found


def by_least_squares(rows: Coding, terms: Sequence[str]) -> list[PointEffect]:
    """The same effects where points are not balanced: their least-squares estimates.

    Each is free of the other ``terms``; in an orthogonal design they are the differences of means.
    The columns must be independent, and axes that interact must have two levels.
    """
    columns = [rows.columns(term) for term in terms]
    x = np.column_stack([np.ones(len(rows.acting)), *(term.columns for term in columns)])
    estimates = np.linalg.pinv(x)[1:]
    found = []
    for term in columns:
        own, estimates = np.split(estimates, [len(term.names)])
        if ":" in term.term:
            found.append(PointEffect(term.term, term.term, 2 * own[0]))
            continue
        for i, each in enumerate(own, 1):
            # A level's effect less the reference's, which is minus the sum of all the others.
            found.append(_main(rows, term.term, i, each + own.sum(axis=0)))
    return found


def as_contrasts(effects: Sequence[PointEffect], arms_at: ArmsAt) -> tuple[Contrast, ...]:
    """Contrasts of the arms that ``arms_at`` names for each point: several share its weight.

    Weights of an arm that cancel are left out, and effects of which nothing is left.
    """
    found = []
    for effect in effects:
        summed: dict[str, float] = {}
        for i, weight in enumerate(effect.weights):
            names = arms_at[i]
            for arm in names:
                summed[arm] = summed.get(arm, 0.0) + float(weight) / len(names)
        kept = {arm: weight for arm, weight in summed.items() if abs(weight) > _NONE}
        if kept:
            found.append(Contrast(effect.name, kept, effect.term))
    return tuple(found)


def variance_factor(contrast: Contrast, n_arms: int, levels: Sequence[int]) -> float:
    """The variance of an effect over that in an orthogonal design of as many arms in which its axes
    act everywhere (independent arms of equal variance).

    ``levels`` counts the levels of its axes: the least variance is sum(w^2) = 2 L / n for two of L
    levels, and La Lb / n for half a difference of differences.
    """
    least = 2 * levels[0] if len(levels) == 1 else levels[0] * levels[1]
    return sum(weight**2 for weight in contrast.weights.values()) * n_arms / least


def _main(rows: Coding, axis: str, i: int, weights: np.ndarray) -> PointEffect:
    text, levels = AXES[axis].text, rows.levels[axis]
    return PointEffect(f"{axis}: {text(levels[i])} vs {text(levels[0])}", axis, weights)


def _mean(chosen: np.ndarray) -> np.ndarray:
    return chosen / chosen.sum()
