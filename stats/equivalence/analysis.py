"""Equivalence in a table: TOST of every contrast in every cell and averaged, with verdicts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from stats.compare import compare
from stats.contrast import Contrast
from stats.equivalence.regions import regions
from stats.equivalence.result import Equivalence, EquivalenceTest
from stats.equivalence.tost import tost
from stats.errors import StatsError
from stats.family import holm
from stats.planning.checks import check_margins, check_rates
from stats.planning.tost_power import pairs_needed_for_equivalence
from stats.prepare import Limits, Prepared, Room, each_test
from stats.result import Effect
from stats.signflip import N_RESAMPLES
from stats.table import Key, PairedTable
from stats.verdict import bounds, decide, pairs_needed


def equivalence(
    table: PairedTable,
    *,
    cells: Sequence[Contrast],
    primary: Sequence[Contrast],
    margin: float | tuple[float, float],
    average_over: Sequence[Key] | None = None,
    limits: Limits | None = None,
    alpha: float = 0.05,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> Equivalence:
    """Test every ``cells`` contrast in every cell, and every ``primary`` one averaged, for
    equivalence within ``margin``: one positive number for both sides, or (below 0, above 0).

    TOST p-values are adjusted by Holm over each of the two families, whose members are those of
    ``compare``. The verdict follows the order of precedence of ``verdict.decide``: differences by
    ``compare``'s adjusted p and simultaneous interval, equivalence by the adjusted TOST p. The
    differences and the equivalences of a family are two families of tests, each held to alpha.
    Tests without spread stay in the family with p = 1; identical arms leave it. "No room" counts
    the larger side of the margin. The other arguments and errors are those of ``compare``.

    Raises StatsError too for a margin that is not positive or does not hold 0 inside.
    """
    low, high = checked_margin(margin)
    check_rates(alpha)
    outer, inner = max(-low, high), min(-low, high)
    outcome = compare(
        table,
        cells=cells,
        primary=primary,
        average_over=average_over,
        limits=limits,
        sesoi=outer,
        alpha=alpha,
        confidence_level=1 - 2 * alpha,
        n_resamples=n_resamples,
        rng=rng,
    )
    tests = each_test(
        table,
        table.scores(),
        Room(limits or {}, outer),
        cells=cells,
        primary=primary,
        average_over=average_over,
    )
    done = {
        name: _family(prepared, outcome.effects(name), low, high, inner, alpha)
        for name, prepared in zip(("cells", "primary"), tests, strict=True)
    }
    return Equivalence(
        estimand="mean over pairs of each contrast, in each cell and averaged over cells",
        method=(
            f"two one-sided paired t tests at {alpha:g}, adjusted by Holm over each family; "
            "differences by max-T or Holm as in the paired comparison"
        ),
        cells=done["cells"],
        primary=done["primary"],
        families=outcome.families,
        margin_low=low,
        margin_high=high,
        alpha=alpha,
        confidence_level=1 - 2 * alpha,
        n_resamples=n_resamples,
        rng_seed=outcome.rng_seed,
        broken=outcome.broken,
        versions=outcome.versions,
        units=outcome.units,
    )


def checked_margin(margin: float | tuple[float, float]) -> tuple[float, float]:
    """The bounds of a margin, which must hold 0 between them; StatsError otherwise."""
    low, high = bounds(margin)
    if isinstance(margin, tuple):
        check_margins(low, high)
    if not (low < 0 < high and math.isfinite(high - low)):
        shown = f"{low:g} to {high:g}" if isinstance(margin, tuple) else f"{margin:g}"
        raise StatsError(
            f"{shown} does not hold 0 inside" if isinstance(margin, tuple)
            else f"{shown} is not a positive number",
            place="margin",
            value=margin,
            hint="the largest difference that does not matter, in the units of the report",
        )  # fmt: skip
    return low, high


def _family(
    prepared: list[Prepared],
    effects: tuple[Effect, ...],
    low: float,
    high: float,
    inner: float,
    alpha: float,
) -> tuple[EquivalenceTest, ...]:
    """The family's tests; those of identical arms are outside."""
    tests = [tost(test.sample, low, high, alpha=alpha) for test in prepared]
    inside = [i for i, test in enumerate(prepared) if not test.sample.is_zero]
    adjusted = np.full(len(tests), math.nan)
    adjusted[inside] = holm([tests[i].p for i in inside])
    out = []
    for test, effect, two, p in zip(prepared, effects, tests, adjusted.tolist(), strict=True):
        defined, groups = not math.isnan(two.p), len(test.sample.values)
        verdict, also = decide(
            delta=effect.delta,
            p_adjusted=effect.p_adjusted,
            low=effect.simultaneous_low,
            high=effect.simultaneous_high,
            alpha=alpha,
            sesoi=(low, high),
            undefined=not defined and not test.sample.is_zero,
            identical=test.sample.is_zero,
            no_room=test.no_room,
            p_equivalent=p,
        )
        share = alpha / max(1, len(inside))
        difference = equivalent = None
        if defined:
            difference = pairs_needed(two.sd, two.n, inner, share, df=two.df, groups=groups)
            equivalent = pairs_needed_for_equivalence(
                two.sd, two.df, low, high, share, groups=groups
            )
        out.append(
            EquivalenceTest(
                dataclasses.replace(effect, verdict=verdict, also=also, pairs_needed=difference),
                two,
                regions(test.sample, low, high, alpha=alpha),
                p,
                equivalent,
            )
        )
    return tuple(out)
