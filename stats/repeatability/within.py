"""Least squares of runs on entries and occasions, and what happens without one of the entries.

Entries are swept out (each run less its entry's mean), which leaves a system as large as the number
of occasions. Without entry i the sums lose that entry's part, so that every deletion costs one
small eigendecomposition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy import special

from stats.repeatability.grid import RunGrid


@dataclass(frozen=True)
class Deletion:
    """One entry judged by all others.

    ``f`` is the block-deletion F on ``df`` and ``df_rest`` degrees of freedom, ``sd`` the standard
    deviation of the entry's runs about its own mean once the others' shift of occasions is taken
    off, ``sd_rest`` the residual SD of the others. ``differences`` are those of each two of its
    runs, so adjusted and scaled to the variance of two runs (see ``deletions``). NaN and empty
    where the others say nothing about the occasions between its runs.
    """

    entry: int
    runs: int
    df: int
    df_rest: int
    sd: float
    sd_rest: float
    f: float
    p: float
    differences: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Within:
    """The two-way least squares fit: residual sum of squares, degrees of freedom, shifts.

    ``shifts`` (occasions,) have mean zero in each connected part.
    """

    rss: float
    df: int
    shifts: np.ndarray = field(repr=False)

    @property
    def sd(self) -> float:
        """The residual standard deviation; NaN without degrees of freedom."""
        return math.sqrt(self.rss / self.df) if self.df > 0 else math.nan


@dataclass(frozen=True)
class _Sums:
    """Within-entry sums: Laplacian (o, o), right side (o,), total, degrees of freedom."""

    laplacian: np.ndarray
    right: np.ndarray
    total: float
    free: int

    def __sub__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.laplacian - other.laplacian,
            self.right - other.right,
            self.total - other.total,
            self.free - other.free,
        )

    def solve(self) -> tuple[Within, np.ndarray]:
        """The fit and the generalised inverse of the Laplacian."""
        values, vectors = np.linalg.eigh(self.laplacian)
        kept = values > 1e-9 * max(float(values[-1]), 1e-300) if self.free else values > np.inf
        inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
        shifts = inverse @ self.right
        rss = max(self.total - float(self.right @ shifts), 0.0)
        return Within(rss, self.free - int(kept.sum()), shifts), inverse


def least_squares(grid: RunGrid) -> Within:
    """Runs on entries and occasions, both as fixed effects."""
    return _all(grid).solve()[0]


def deletions(grid: RunGrid) -> list[Deletion]:
    """Every entry with two or more runs, judged by all others.

    With RSS and df of the two-way fit and RSS_i, df_i of the fit without entry i,

        F_i = (RSS - RSS_i) / (df - df_i) / (RSS_i / df_i)

    is exactly F under normal errors of one variance: the test of a block of outliers, or of a shift
    in variance (Cook and Weisberg 1982, Residuals and Influence in Regression, section 2.2.2).
    The difference of two runs j, k of the entry, less the others' shift between their occasions,
    has the variance sigma^2 (2 + v), v that of the estimated shift in units of sigma^2; it is
    divided by sqrt(1 + v / 2), so that it compares with a threshold for two runs on one occasion.
    """
    whole = _all(grid)
    full, _ = whole.solve()
    out = []
    for i in np.flatnonzero(grid.runs_of_entry > 1):
        mine = grid.at_entry == i
        own = _sums(grid.at_occasion[mine], grid.values[mine], len(grid.occasions))
        rest = whole - own
        without, inverse = rest.solve()
        df = full.df - without.df
        f = p = sd = math.nan
        if df > 0:
            sd = math.sqrt(max(full.rss - without.rss, 0.0) / df)
            if without.df > 0 and without.rss > 0:
                f = sd**2 / (without.rss / without.df)
                p = float(special.fdtrc(df, without.df, f))
        differences = _differences(grid, mine, rest.laplacian, without.shifts, inverse)
        out.append(
            Deletion(int(i), int(mine.sum()), df, without.df, sd, without.sd, f, p, differences)
        )
    return out


def _differences(
    grid: RunGrid,
    mine: np.ndarray,
    laplacian: np.ndarray,
    shifts: np.ndarray,
    inverse: np.ndarray,
) -> np.ndarray:
    from scipy.sparse.csgraph import connected_components

    _, part = connected_components(np.abs(laplacian) > 1e-9, directed=False)
    out = []
    for a, b in combinations(np.flatnonzero(mine), 2):
        j, k = grid.at_occasion[a], grid.at_occasion[b]
        if part[j] != part[k]:
            continue
        v = inverse[j, j] + inverse[k, k] - 2 * inverse[j, k]
        raw = grid.values[a] - grid.values[b] - (shifts[j] - shifts[k])
        out.append(raw / math.sqrt(1 + v / 2))
    return np.array(out)


def _all(grid: RunGrid) -> _Sums:
    count = len(grid.occasions)
    k = grid.runs_of_entry
    z = grid.present.astype(float)
    mean = np.bincount(grid.at_entry, weights=grid.values) / k
    centred = grid.values - mean[grid.at_entry]
    laplacian = np.diag(z.sum(axis=0)) - (z / k[:, None]).T @ z
    right = np.bincount(grid.at_occasion, weights=centred, minlength=count)
    return _Sums(laplacian, right, float(centred @ centred), int((k - 1).sum()))


def _sums(occasions: np.ndarray, values: np.ndarray, count: int) -> _Sums:
    z = np.zeros(count)
    z[occasions] = 1.0
    centred = values - values.mean()
    right = np.zeros(count)
    right[occasions] = centred
    laplacian = np.diag(z) - np.outer(z, z) / occasions.size
    return _Sums(laplacian, right, float(centred @ centred), occasions.size - 1)
