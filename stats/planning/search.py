"""Searches that plans share: the smallest number of pairs, the smallest size of an effect."""

from __future__ import annotations

import math
from collections.abc import Callable

from stats.errors import StatsError

MOST_PAIRS = 10**15


def fewest_pairs(enough: Callable[[int], bool], groups: int = 1) -> int:
    """The fewest pairs that are enough, spread evenly over ``groups``: a multiple of it.

    ``enough`` takes pairs per group (2 or more) and must stay true once it is. Raises StatsError
    when ``MOST_PAIRS`` per group are not.
    """
    high = 2
    while not enough(high):
        if high >= MOST_PAIRS:
            raise StatsError(
                f"even {high} pairs are too few",
                place="pairs needed",
                value=high,
                hint="look for a larger effect, or take a less noisy measure",
            )
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle > 1 and enough(middle) else (middle, high)
    return high * groups


def smallest_size(power_at: Callable[[float], float], power: float, start: float) -> float:
    """The smallest size at which an increasing ``power_at`` reaches ``power``; bisection.

    ``start`` is any positive guess. Relative error below 1e-12. NaN where no size reaches it.
    """
    low, high = 0.0, start
    while not power_at(high) >= power:
        low, high = high, 2 * high
        if not math.isfinite(high):
            return math.nan
    for _ in range(200):
        middle = (low + high) / 2
        if power_at(middle) >= power:
            high = middle
        else:
            low = middle
        if high - low <= 1e-13 * high:
            break
    return high
