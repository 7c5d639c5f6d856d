"""The rows of a noise floor: shifts, entries, rankings, overlaps of occasions, sensitivity."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from stats.family import holm
from stats.mixed.fit import LmmFit
from stats.paired import t_quantile
from stats.repeatability.grid import RunGrid
from stats.repeatability.model import fitted
from stats.repeatability.result import (
    EntryRepeat,
    OccasionShift,
    Overlap,
    Ranking,
    Sensitivity,
)
from stats.repeatability.within import Deletion, least_squares

MIN_SHARED = 3
"""Entries that two occasions must share to be compared by them."""


def shifts(fit: LmmFit, grid: RunGrid, level: float) -> tuple[OccasionShift, ...]:
    """Every occasion's marginal mean minus the first's, adjusted by Dunnett."""
    first = grid.occasions[0]
    present = grid.present
    runs = present.sum(axis=0)
    shared = (present & present[:, :1]).sum(axis=0)
    rows = fit.emm(grid.occasion).dunnett(first, confidence_level=level).to_dict("records")
    by_name = {row["term"]: row for row in rows}
    out = [
        OccasionShift(
            first, int(runs[0]), int(runs[0]), 0.0, math.nan, math.nan, math.nan, math.nan,
            math.nan, math.nan,
        )
    ]  # fmt: skip
    for j, name in enumerate(grid.occasions[1:], start=1):
        row = by_name[f"{name} - {first}"]
        out.append(
            OccasionShift(
                name, int(runs[j]), int(shared[j]), row["estimate"], row["se"], row["df"],
                row["p"], row["p_adjusted"], row["simultaneous_low"], row["simultaneous_high"],
            )
        )  # fmt: skip
    return tuple(out)


def entries(
    grid: RunGrid, deleted: list[Deletion], occasions: tuple[OccasionShift, ...]
) -> tuple[EntryRepeat, ...]:
    """Entries with several runs, the one that repeats worst first."""
    shift = np.array([o.shift for o in occasions])
    adjusted = np.bincount(
        grid.at_entry, weights=grid.values - shift[grid.at_occasion]
    ) / np.maximum(grid.runs_of_entry, 1)
    p = np.array([d.p for d in deleted])
    tested = ~np.isnan(p)
    fixed = np.full(p.size, math.nan)
    if tested.any():
        fixed[tested] = holm(p[tested])
    rows = [
        EntryRepeat(
            grid.entries[d.entry], d.runs, float(adjusted[d.entry]), d.sd, d.f, d.df, d.df_rest,
            d.p, float(q),
        )
        for d, q in zip(deleted, fixed, strict=True)
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda r: (math.isnan(r.p), r.p, -r.sd)))


def no_room(
    grid: RunGrid, entries: tuple[EntryRepeat, ...], occasions: tuple[OccasionShift, ...]
) -> list[str]:
    """What to say of entries so close to 0 or 100 points that a common shift cannot show there."""
    largest = max(abs(o.shift) for o in occasions)
    if grid.units != "points" or largest == 0:
        return []
    close = [e.entry for e in entries if min(e.adjusted, 100 - e.adjusted) < largest]
    if not close:
        return []
    return [
        f"{', '.join(close)}: within {largest:.2g} points of 0 or 100, where a shift that is the "
        f"same for all cannot show; the model takes it for noise of the other sign."
    ]


def rankings(grid: RunGrid, floor: float, floor_all: float) -> tuple[Ranking, ...]:
    """What the floors leave of the ranking on each occasion with two runs or more."""
    out = []
    for j, name in enumerate(grid.occasions):
        runs = np.flatnonzero(grid.at_occasion == j)
        if runs.size < 2:
            continue
        order = runs[np.argsort(-grid.values[runs], kind="stable")]
        scores = grid.values[order]
        gaps = scores[:, None] - scores[None, :]
        above = gaps[np.triu_indices(scores.size, 1)]
        out.append(
            Ranking(
                name, int(runs.size), int(runs.size - 1), int((-np.diff(scores) < floor).sum()),
                int(above.size), int((above >= floor).sum()), int((above >= floor_all).sum()),
                grid.entries[grid.at_entry[order[0]]], int((scores[0] - scores < floor_all).sum()),
            )
        )  # fmt: skip
    return tuple(out)


def overlaps(grid: RunGrid, worst: tuple[str, ...]) -> tuple[Overlap, ...]:
    """Every two occasions that share ``MIN_SHARED`` entries, compared by them."""
    from scipy.stats import rankdata

    scores = grid.matrix(grid.values)
    steady = ~np.isin(grid.entries, worst)
    out = []
    for j, k in combinations(range(len(grid.occasions)), 2):
        both = np.isfinite(scores[:, j]) & np.isfinite(scores[:, k])
        if both.sum() < MIN_SHARED:
            continue
        x, y = scores[both, j], scores[both, k]
        d = y - x
        a, b = rankdata(x), rankdata(y)
        rank = float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else math.nan
        out.append(
            Overlap(
                grid.occasions[j], grid.occasions[k], int(both.sum()), float(d.mean()),
                _repeat_sd(d), _repeat_sd(d[steady[both]]), rank,
            )
        )  # fmt: skip
    return tuple(out)


def _repeat_sd(differences: np.ndarray) -> float:
    return float(differences.std(ddof=1)) / math.sqrt(2) if differences.size > 1 else math.nan


def sensitivity(
    grid: RunGrid, entries: tuple[EntryRepeat, ...], worst: tuple[str, ...], level: float
) -> tuple[Sensitivity, ...]:
    """All entries, without the worst, the upper and the lower half by score."""
    means = np.bincount(grid.at_entry, weights=grid.values) / grid.runs_of_entry
    middle = float(np.median(means))
    dropped = worst or ((entries[0].entry,) if entries else ())
    choices = [
        ("all", np.ones(len(grid.entries), dtype=bool)),
        (f"without {', '.join(dropped)}", ~np.isin(grid.entries, dropped)),
        (f"upper half by mean score (from {middle:.4g})", means >= middle),
        (f"lower half by mean score (below {middle:.4g})", means < middle),
    ]
    out = []
    for name, kept in choices:
        row = _once(grid, kept, name, level)
        if row is not None:
            out.append(row)
    return tuple(out)


def _once(grid: RunGrid, kept: np.ndarray, name: str, level: float) -> Sensitivity | None:
    """The floor on some of the entries; None where they leave nothing to estimate it from."""
    if not kept.any():
        return None
    some, _ = grid.subset(kept[grid.at_entry]).split()
    within = least_squares(some)
    if within.df < 1 or not within.rss > 0 or len(some.occasions) < 2:
        return None
    fit = fitted(some)
    floor = t_quantile(0.5 + level / 2, within.df) * math.sqrt(2) * fit.sigma
    between = float(fit.components[0].covariance[0, 0])
    return Sensitivity(
        name, len(some.entries), some.n, fit.sigma, floor, between / (between + fit.sigma**2)
    )
