"""The noise floor of single runs: how large a difference must be, and how far occasions shift.

Leaderboards and method comparisons often hold one run per entry, measured anew now and then. The
repeats tell how far a run strays when nothing about the entry was changed:

    score = occasion + entry + residual,   entry random, occasion fixed

The residual is what a run of an entry strays on an occasion beyond what all entries share. Two
single runs on one occasion differ by sqrt(2) sigma of noise, so that a difference below
t sqrt(2) sigma (one comparison chosen beforehand) or q sigma (all pairs of entries; Tukey's
studentised range q) is no evidence of a difference between entries. This is the repeatability
limit of ISO 5725-6 with an estimated sigma. With one run per entry and occasion, the residual holds
both noise and what an entry gains or loses of its own on an occasion: for a claim that is to
outlast its occasion both are noise.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

from stats.errors import StatsError
from stats.family import holm
from stats.mixed.fit import LmmFit, lmm
from stats.mixed.profile import profile_sigma
from stats.paired import check_level, t_quantile
from stats.record import seed_of, versions
from stats.repeatability.check import check_floor
from stats.repeatability.grid import RunGrid
from stats.repeatability.result import (
    Apart,
    EntryRepeat,
    NoiseFloor,
    OccasionShift,
    Overlap,
    Ranking,
    Sensitivity,
)
from stats.repeatability.within import Deletion, Within, deletions, least_squares
from stats.sample import ROUNDING

if TYPE_CHECKING:
    import pandas as pd

MIN_SHARED = 3
"""Entries that two occasions must share to be compared by them."""
N_RESAMPLES = 4000


def noise_floor(
    frame: pd.DataFrame,
    *,
    entry: str,
    occasion: str,
    score: str,
    percent: bool = False,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> NoiseFloor:
    """The noise floor of a table with one run per entry and occasion.

    ``entry`` names the column of what is compared, ``occasion`` that of when it was measured,
    ``score`` the scores; ``percent``: they are fractions, reported x 100. Fitted is the largest
    part of the table that shared entries and occasions hold together (``RunGrid.parts``); what is
    apart from it is listed. ``floor`` uses t on the df of the two-way layout with entries as fixed,
    runs - entries - occasions + 1, which the residual variance keeps when entries are random and
    differ by much more than runs do. It holds for two further runs; for two runs of this very table
    it is an approximation, as they are in sigma too. ``rng`` serves the intervals of ``check``.

    Raises StatsError for what ``RunGrid.from_frame`` raises, a table in which no entry ran twice or
    that leaves no degree of freedom, and runs that repeat exactly.
    """
    check_level(confidence_level)
    whole = RunGrid.from_frame(frame, entry=entry, occasion=occasion, score=score, percent=percent)
    part = whole.parts()
    grid = whole.subset(part == _densest(whole, part))
    apart = tuple(_apart(whole.subset(part == k)) for k in _others(whole, part))
    within = least_squares(grid)
    _check_spread(grid, within)
    fit = fitted(grid)
    sigma, df = fit.sigma, within.df
    low, high = profile_sigma(fit, float(special.chdtri(1, 1 - confidence_level)))
    per_sigma = t_quantile(0.5 + confidence_level / 2, df) * math.sqrt(2)
    floor = per_sigma * sigma
    floor_all = studentised_range(len(whole.entries), df, confidence_level) * sigma
    deleted = deletions(grid)
    occasions = _shifts(fit, grid, confidence_level)
    entries = _entries(grid, deleted, occasions)
    worst = tuple(e.entry for e in entries if e.p_adjusted <= 1 - confidence_level)
    f_test = fit.anova().tests[0]
    reliability = _reliability(fit, confidence_level)
    residuals = fit.residuals()
    return NoiseFloor(
        estimand=(
            f"by how much two single runs of one {occasion} differ when their {entry} makes no "
            f"difference; and the mean shift of each {occasion} against the first"
        ),
        method=(
            f"REML mixed model, {occasion} fixed, {entry} random; floor = t(df) sqrt(2) sigma "
            f"(chosen beforehand) and the studentised range q x sigma (all pairs), df = {df} = "
            f"runs - {entry} - {occasion} + 1; sigma and reliability with profile intervals; "
            "shifts by Dunnett's test on Kenward-Roger degrees of freedom"
        ),
        entry=entry,
        occasion=occasion,
        score=score,
        units=grid.units,
        formula=fit.formula,
        n=grid.n,
        n_entries=len(whole.entries),
        n_fitted=len(grid.entries),
        n_repeated=int((grid.runs_of_entry > 1).sum()),
        n_occasions=len(grid.occasions),
        sigma=sigma,
        sigma_low=low,
        sigma_high=high,
        sigma_within=within.sd,
        df=df,
        floor=floor,
        floor_low=per_sigma * low,
        floor_high=per_sigma * high,
        floor_all=floor_all,
        entry_sd=float(fit.components[0].sd[0]),
        reliability=reliability[0],
        reliability_low=reliability[1],
        reliability_high=reliability[2],
        shift_f=f_test.F,
        shift_num_df=f_test.num_df,
        shift_den_df=f_test.den_df,
        shift_p=f_test.p,
        reference=grid.occasions[0],
        occasions=occasions,
        entries=entries,
        worst=worst,
        rankings=_rankings(grid, floor, floor_all),
        overlaps=_overlaps(grid, worst),
        check=check_floor(
            grid, deleted, residuals["residual"].to_numpy(), confidence_level=confidence_level,
            n_resamples=n_resamples, rng=rng,
        ),
        sensitivity=_sensitivity(grid, entries, worst, confidence_level),
        apart=apart,
        notes=(*fit.notes, *_no_room(grid, entries, occasions)),
        confidence_level=confidence_level,
        rng_seed=seed_of(rng),
        versions=versions(),
        residuals=grid.frame().assign(residual=residuals["residual"].to_numpy()),
        fit=fit,
    )  # fmt: skip


@lru_cache(maxsize=64)
def studentised_range(count: int, df: int, confidence_level: float) -> float:
    """Tukey's q: the quantile of the range of ``count`` normal values over an estimated SD."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(confidence_level, count, df))


def fitted(grid: RunGrid) -> LmmFit:
    """The mixed model ``score ~ occasion + (1 | entry)`` by REML."""
    names = [_quoted(name) for name in (grid.score, grid.occasion, grid.entry)]
    return lmm(
        f"{names[0]} ~ {names[1]} + (1 | {names[2]})",
        grid.frame(),
        factors=[grid.entry, grid.occasion],
    )


def _densest(grid: RunGrid, part: np.ndarray) -> int:
    """The part with most repeats: runs less entries; the one with most runs among equals."""
    repeats = [
        np.count_nonzero(part == k) - np.unique(grid.at_entry[part == k]).size
        for k in range(int(part.max()) + 1)
    ]
    return int(np.argmax(repeats))


def _others(grid: RunGrid, part: np.ndarray) -> list[int]:
    kept = _densest(grid, part)
    return [k for k in range(int(part.max()) + 1) if k != kept]


def _apart(grid: RunGrid) -> Apart:
    return Apart(grid.entries, grid.occasions, grid.n)


def _check_spread(grid: RunGrid, within: Within) -> None:
    if not (grid.runs_of_entry > 1).any():
        raise StatsError(
            f"no {grid.entry} ran on two {grid.occasion}s, so that nothing repeats",
            place="table",
            hint="a noise floor needs repeated runs of the same entry",
        )
    if within.df < 1:
        raise StatsError(
            f"{grid.n} runs of {len(grid.entries)} {grid.entry}s on {len(grid.occasions)} "
            f"{grid.occasion}s leave no degree of freedom for noise",
            place="table",
            value=within.df,
            hint=f"run more {grid.entry}s on the same {grid.occasion}s",
        )
    if within.sd <= ROUNDING**0.5 * float(np.abs(grid.values).max(initial=0.0)):
        raise StatsError(
            "the runs repeat exactly, up to a common shift, so that there is no noise to measure",
            place=f"column '{grid.score}'",
            hint="were scores copied from one occasion to the next?",
        )


def _reliability(fit: LmmFit, level: float) -> tuple[float, float, float]:
    """The intraclass correlation lambda / (1 + lambda), lambda = entry variance / sigma^2.

    Its interval holds the lambda at which the profiled criterion rises by less than the chi-squared
    quantile.
    """
    rise = float(special.chdtri(1, 1 - level))
    criterion, theta = fit.criterion, fit.optimum.theta
    unit = 1.0 / float(fit.criterion.moments.z_scales[0][0])
    best, at = float(fit.optimum.value), abs(float(theta[0]))

    def excess(value: float) -> float:
        return criterion.value(np.array([value])) - best - rise

    def icc(value: float) -> float:
        return (value * unit) ** 2 / (1 + (value * unit) ** 2)

    high = max(at, 1e-3) * 2
    while excess(high) < 0 and high < 1e8:
        high *= 2
    upper = float(optimize.brentq(excess, at, high)) if high < 1e8 else math.inf
    lower = float(optimize.brentq(excess, 0.0, at)) if at > 0 and excess(0.0) > 0 else 0.0
    return icc(at), icc(lower), icc(upper) if math.isfinite(upper) else 1.0


def _shifts(fit: LmmFit, grid: RunGrid, level: float) -> tuple[OccasionShift, ...]:
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


def _entries(
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


def _no_room(
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


def _rankings(grid: RunGrid, floor: float, floor_all: float) -> tuple[Ranking, ...]:
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


def _overlaps(grid: RunGrid, worst: tuple[str, ...]) -> tuple[Overlap, ...]:
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


def _sensitivity(
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
    some = grid.subset(kept[grid.at_entry])
    part = some.parts()
    some = some.subset(part == _densest(some, part))
    within = least_squares(some)
    if within.df < 1 or not within.rss > 0 or len(some.occasions) < 2:
        return None
    fit = fitted(some)
    floor = t_quantile(0.5 + level / 2, within.df) * math.sqrt(2) * fit.sigma
    between = float(fit.components[0].covariance[0, 0])
    return Sensitivity(
        name, len(some.entries), some.n, fit.sigma, floor, between / (between + fit.sigma**2)
    )


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
