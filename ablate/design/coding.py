"""Design points as columns of a linear model, 0 where an axis does nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stats.factorial.coding import Coded
from talan.axes import AXES, Level

Acting = Sequence[Mapping[str, Level | None]]
"""For each point the acting level of each axis, None where it is inert."""

REASONS = {
    ("gradient_scale", "insertion"): "nothing trainable lies below the site",
    ("gradient_scale", "scope"): "the adapter is frozen",
}
"""Why the first axis does nothing at some level of the second, for people; that it does nothing is
found from the blocks, not from here."""


@dataclass(frozen=True)
class Coding:
    """Effects coding of points: +1 at a level, -1 at the reference level, 0 elsewhere and where
    the axis is inert, so that a column of two balanced levels sums to zero where it acts.

    ``levels`` are those of each axis that act somewhere, the reference first (fewer than two: the
    axis does nothing and has no column).
    """

    acting: Acting
    levels: Mapping[str, tuple[Level, ...]]

    @classmethod
    def of(cls, acting: Acting, levels: Mapping[str, Sequence[Level]]) -> Coding:
        """The coding of points whose acting levels are known; ``levels`` gives their order."""
        found = {axis: {point[axis] for point in acting} for axis in levels}
        return cls(
            acting, {axis: tuple(x for x in levels[axis] if x in found[axis]) for axis in levels}
        )

    @property
    def mains(self) -> list[str]:
        """The axes that do something."""
        return [axis for axis, levels in self.levels.items() if len(levels) > 1]

    def at(self, axis: str, level: Level | None) -> np.ndarray:
        """Where ``level`` of ``axis`` acts, True or False for each point; None: where it is inert.

        Shape (points,).
        """
        return np.array([point[axis] == level for point in self.acting])

    def acts(self, term: str) -> np.ndarray:
        """Where the axis, or both axes, of a term do anything. Shape (points,)."""
        return np.all([~self.at(axis, None) for axis in term.split(":")], axis=0)

    def columns(self, term: str) -> Coded:
        """The columns of an axis, or the products of those of several. Shape (points, c)."""
        names = [""]
        columns = np.ones((len(self.acting), 1))
        for axis in term.split(":"):
            reference, *others = self.levels[axis]
            own = [self.at(axis, x) * 1.0 - self.at(axis, reference) for x in others]
            labels = [f"[{AXES[axis].text(x)}]" if len(others) > 1 else "" for x in others]
            names = [f"{a}:{axis}{b}".removeprefix(":") for a in names for b in labels]
            columns = np.stack([a * b for a in columns.T for b in own], axis=1)
        return Coded(term, tuple(names), columns)

    def corners(self, term: str, levels: tuple[Level, Level]) -> list[np.ndarray]:
        """Where both axes of an interaction act, at (reference, reference), (reference, other),
        (other, reference) and (other, other) of ``levels``; shape (points,) each."""
        a, b = term.split(":")
        both = self.acts(term)
        return [
            both & self.at(a, x) & self.at(b, y)
            for x in (self.levels[a][0], levels[0])
            for y in (self.levels[b][0], levels[1])
        ]

    def why_not(self, term: str) -> str:
        """Why no choice of points could tell a term, "" if one could; to be asked of all points."""
        axes = term.split(":")
        for axis in axes:
            if axis not in self.mains:
                return f"{axis} does nothing at any point: its levels are the same mechanism"
        if len(axes) == 1:
            return ""
        a, b = axes
        if any(
            all(corner.any() for corner in self.corners(term, (x, y)))
            for x in self.levels[a][1:]
            for y in self.levels[b][1:]
        ):
            return ""
        for axis, other in ((a, b), (b, a)):
            for level in self.levels[other]:
                if not (self.acts(axis) & self.at(other, level)).any():
                    reason = REASONS.get((axis, other), "the blocks are the same")
                    return (
                        f"it is {axis} itself: with {other}={AXES[other].text(level)} {reason}, "
                        f"so that {axis} does nothing there"
                    )
        return f"{a} and {b} never act together at two levels each"
