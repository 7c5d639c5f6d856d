"""Nominal levels for t tests at a few looks, so that small samples spend what was planned.

The joint law of the t statistics of growing samples is not that of Brownian motion: held against
normal-theory levels, they spend up to a tenth more than alpha when the first look comes early.
Under the null the statistics are free of the scale, so that their law can be simulated once for
given looks, from block sums and block variances alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

N_PATHS = 1 << 20
_SEED = 20_250


@lru_cache(maxsize=64)
def t_levels(
    looks: tuple[int, ...], spent: tuple[float, ...], two_sided: bool
) -> tuple[float, ...]:
    """The level of the t test at each look that spends ``spent`` (cumulative) up to each look.

    The first level is exact. The others are quantiles over 2^20 simulated null paths of normal
    differences, those not yet stopped, from a fixed seed: the total is off by .0002 (one standard
    error at alpha = .05). A look whose share is below one path has level 0.
    """
    t = _null_paths(looks)
    size = np.abs(t) if two_sided else t
    sides = 2.0 if two_sided else 1.0
    levels = [spent[0]]
    going = size[0] < _critical(spent[0], sides, looks[0] - 1)
    stopped = spent[0]  # of all paths; the first share is known exactly
    for k in range(1, len(looks)):
        left = np.sort(size[k][going])[::-1]
        count = round((spent[k] - stopped) * N_PATHS)
        if count < 1:
            levels.append(0.0)
            continue
        critical = float(left[count - 1])
        levels.append(sides * float(special.stdtr(looks[k] - 1, -critical)))
        going &= size[k] < critical
        stopped += count / N_PATHS
    return tuple(levels)


def _critical(level: float, sides: float, df: int) -> float:
    return -float(special.stdtrit(df, level / sides)) if level > 0 else np.inf


def _null_paths(looks: tuple[int, ...]) -> np.ndarray:
    """t statistics (looks, N_PATHS) of growing samples of standard normal differences."""
    generator = np.random.default_rng(_SEED)
    total, square, seen = np.zeros(N_PATHS), np.zeros(N_PATHS), 0
    out = []
    for n in looks:
        block = n - seen
        step = np.sqrt(block) * generator.standard_normal(N_PATHS)
        total += step
        square += step * step / block
        if block > 1:
            square += generator.chisquare(block - 1, N_PATHS)
        seen = n
        mean = total / n
        out.append(mean / np.sqrt((square - n * mean * mean) / (n - 1) / n))
    return np.array(out)
