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
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from stats.errors import StatsError
from stats.mixed.profile import profile_sigma
from stats.paired import check_level, t_quantile
from stats.record import seed_of, versions
from stats.repeatability import tables
from stats.repeatability.check import check_floor
from stats.repeatability.grid import RunGrid
from stats.repeatability.model import fitted, reliability
from stats.repeatability.result import Apart, NoiseFloor
from stats.repeatability.within import Within, deletions, least_squares
from stats.sample import ROUNDING

if TYPE_CHECKING:
    import pandas as pd

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
    ``score`` the scores; ``percent``: they are fractions, reported x 100. Fitted is the part of the
    table with most repeats that shared entries and occasions hold together (``RunGrid.split``);
    what is apart from it is listed. ``floor`` uses t on the df of the two-way layout with entries
    as fixed, runs - entries - occasions + 1, which the residual variance keeps when entries are
    random and differ by much more than runs do. It holds for two further runs; for two runs of this
    very table it is an approximation, as they are in sigma too. ``rng`` serves the intervals of
    ``check``.

    Raises StatsError for what ``RunGrid.from_frame`` raises, a table in which no entry ran twice or
    that leaves no degree of freedom, and runs that repeat exactly.
    """
    check_level(confidence_level)
    whole = RunGrid.from_frame(frame, entry=entry, occasion=occasion, score=score, percent=percent)
    grid, others = whole.split()
    within = least_squares(grid)
    _check_spread(grid, within)
    fit = fitted(grid)
    sigma, df = fit.sigma, within.df
    low, high = profile_sigma(fit, float(special.chdtri(1, 1 - confidence_level)))
    per_sigma = t_quantile(0.5 + confidence_level / 2, df) * math.sqrt(2)
    floor = per_sigma * sigma
    floor_all = studentised_range(len(whole.entries), df, confidence_level) * sigma
    deleted = deletions(grid)
    occasions = tables.shifts(fit, grid, confidence_level)
    entries = tables.entries(grid, deleted, occasions)
    worst = tuple(e.entry for e in entries if e.p_adjusted <= 1 - confidence_level)
    f_test = fit.anova().tests[0]
    icc = reliability(fit, confidence_level)
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
        reliability=icc[0],
        reliability_low=icc[1],
        reliability_high=icc[2],
        shift_f=f_test.F,
        shift_num_df=f_test.num_df,
        shift_den_df=f_test.den_df,
        shift_p=f_test.p,
        reference=grid.occasions[0],
        occasions=occasions,
        entries=entries,
        worst=worst,
        rankings=tables.rankings(grid, floor, floor_all),
        overlaps=tables.overlaps(grid, worst),
        check=check_floor(
            grid, deleted, residuals["residual"].to_numpy(), confidence_level=confidence_level,
            n_resamples=n_resamples, rng=rng,
        ),
        sensitivity=tables.sensitivity(grid, entries, worst, confidence_level),
        apart=tuple(Apart(part.entries, part.occasions, part.n) for part in others),
        notes=(*fit.notes, *tables.no_room(grid, entries, occasions)),
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
