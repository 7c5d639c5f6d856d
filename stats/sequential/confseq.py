"""Confidence sequences: intervals for the centre of differences that hold after every pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.paired import check_alternative, check_level
from stats.sample import Sample
from stats.sequential.eprocess import (
    EFFECTS,
    check_effects,
    combined,
    constant_so_far,
    log_wealth,
    one_group,
)

_FAR = 1e6  # ranges of the data beyond which an end counts as infinite
_STEPS = 30  # halvings of a bracket
_BLOCK = 400_000  # entries of a shift x pair array that are worked on at once


@dataclass(frozen=True)
class ConfidenceSequence:
    """``low`` and ``high`` (n,) after 1, ..., n pairs, in score units.

    All n intervals hold the centre together with probability ``confidence_level``. Ends are
    infinite while too few pairs could ever exclude anything. NaN: the intersection is empty, which
    happens with probability 1 - confidence_level at most when the differences are symmetric.
    """

    low: np.ndarray
    high: np.ndarray
    confidence_level: float
    alternative: str
    running: bool

    @property
    def n(self) -> int:
        """The number of pairs."""
        return int(self.low.size)


def confidence_sequence(
    d: Sequence[float] | np.ndarray | Sample,
    alternative: str = "two-sided",
    confidence_level: float = 0.95,
    *,
    effects: Sequence[float] = EFFECTS,
    running: bool = True,
) -> ConfidenceSequence:
    """Invert the e-process: the centres m at which the e-process of d - m is below 1 / alpha.

    d (1-D, in order of running) are symmetric about one unknown centre, which is their mean where
    they have one, given the past. The set of m need not be an interval; its hull is given, found on
    a grid of shifts (between the data, and out to a million ranges) and by bisection to a 1e-9th of
    the grid's step. ``running`` intersects the intervals so far, which stays valid because they
    hold together. One-sided where the alternative is. Takes time and memory of order n^2.

    Raises StatsError as ``e_process`` does, and for a level outside (0, 1).
    """
    check_alternative(alternative)
    check_level(confidence_level)
    sample = one_group(d)
    grid = check_effects(effects)
    values = sample.values[0]
    threshold = -math.log(1 - confidence_level)
    low = np.full(values.size, -math.inf)
    high = np.full(values.size, math.inf)
    vary = ~constant_so_far(values, sample.magnitude)
    if vary.any():
        ends = _Inversion(values, alternative, grid, threshold).ends()
        low[vary], high[vary] = ends[0][vary], ends[1][vary]
    if running:
        low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
        empty = low > high
        low[empty] = high[empty] = math.nan
    return ConfidenceSequence(low, high, confidence_level, alternative, running)


def _shifts(d: np.ndarray) -> np.ndarray:
    """Candidate centres in ascending order: in and between the data, and far out on both sides."""
    points = np.unique(d)
    width = points[-1] - points[0]
    between = points[:-1, None] + np.diff(points)[:, None] * np.array([0.0, 0.25, 0.5, 0.75])
    means = np.cumsum(d) / np.arange(1, d.size + 1)
    out = width * np.geomspace(1e-3, _FAR, 100)
    parts = [points[0] - out, between.ravel(), means, points[-1:], points[-1] + out]
    return np.unique(np.concatenate(parts))


@dataclass(frozen=True)
class _Inversion:
    """Which centres the e-process does not reject; ``threshold`` is that of log e."""

    d: np.ndarray
    alternative: str
    effects: tuple[float, ...]
    threshold: float

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Both ends after each pair (n,), rounded outwards; infinite where nothing is excluded.

        The two sides and all n are halved together. Where the grid has no centre that is kept,
        nothing is excluded either.
        """
        n = self.d.size
        shifts = _shifts(self.d)
        kept = self.inside(shifts)
        first, last = kept.argmax(axis=0), shifts.size - 1 - kept[::-1].argmax(axis=0)
        some = kept.any(axis=0)
        lower = np.flatnonzero(some & (first > 0) & (self.alternative != "less"))
        upper = np.flatnonzero(some & (last < shifts.size - 1) & (self.alternative != "greater"))
        at = np.concatenate([lower, upper])
        within = shifts[np.concatenate([first[lower], last[upper]])]
        beyond = shifts[np.concatenate([first[lower] - 1, last[upper] + 1])]
        for _ in range(_STEPS):
            middle = (within + beyond) / 2
            inside = self.inside(middle)[np.arange(at.size), at]
            within, beyond = np.where(inside, middle, within), np.where(inside, beyond, middle)
        low, high = np.full(n, -math.inf), np.full(n, math.inf)
        low[lower], high[upper] = beyond[: lower.size], beyond[lower.size :]
        return low, high

    def inside(self, shifts: np.ndarray) -> np.ndarray:
        """(shifts, n): whether the e-process of d - shift is below the threshold at each pair."""
        block = max(1, _BLOCK // self.d.size)
        out = np.empty((shifts.size, self.d.size), dtype=bool)
        for start in range(0, shifts.size, block):
            shifted = self.d - shifts[start : start + block, None]
            log_e = combined(*log_wealth(shifted, self.effects), self.alternative)
            out[start : start + block] = log_e < self.threshold
        return out
