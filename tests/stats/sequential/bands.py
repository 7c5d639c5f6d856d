"""The binomial band that simulated rates are held against."""

from __future__ import annotations

import numpy as np
import scipy.stats


def band(rate: float, repeats: int) -> tuple[float, float]:
    """The central 99.9 % of the share of ``repeats`` at a true ``rate``."""
    low, high = scipy.stats.binom.interval(0.999, repeats, rate)
    return low / repeats, high / repeats


def t_paths(d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard errors (repeats, n) of growing samples d (repeats, n); NaN at n = 1."""
    n = np.arange(1, d.shape[1] + 1)
    total, square = np.cumsum(d, axis=1), np.cumsum(d * d, axis=1)
    mean = total / n
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.sqrt((square - n * mean * mean) / (n - 1) / n)
    return mean, se
