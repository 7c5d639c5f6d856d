"""The paired analysis of a table: contrasts in cells and averaged over cells, as two families."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stats.bootstrap import bootstrap_t
from stats.contrast import Contrast
from stats.effect import effect_size
from stats.errors import StatsError
from stats.family_tests import family_tests
from stats.paired import check_level
from stats.prepare import Limits, Prepared, Room, broken_runs, check_limits, each_test
from stats.record import seed_of, versions
from stats.result import Comparison, Effect, Family
from stats.signflip import N_RESAMPLES, check_resolution
from stats.table import Key, PairedTable
from stats.verdict import decide, pairs_needed


def compare(
    table: PairedTable,
    *,
    cells: Sequence[Contrast],
    primary: Sequence[Contrast],
    average_over: Sequence[Key] | None = None,
    limits: Limits | None = None,
    sesoi: float | None = None,
    alpha: float = 0.05,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> Comparison:
    """Test every ``cells`` contrast in every cell, and every ``primary`` contrast averaged.

    Two families, each corrected over all its tests (see ``family.correct``). Averages go over the
    cells in ``average_over`` (keys in the order of ``table.cell``; None: all cells): benchmarks
    within the pair first, then pairs within a group, then groups; the groups are the columns that
    pairs and cells share, such as the backbone. A contrast skips a cell in which one of its arms
    has no row at all: it was not run there.

    ``sesoi`` and ``limits`` (cell -> chance and maximum) are in reported units, that is in points
    when the table is in percent. A cell whose baseline mean is within 2 x sesoi of a limit has no
    room, and so has an average over such a cell.

    Raises StatsError for unknown arms and cells, two contrasts of one name in a family, values out
    of range, a table in which no contrast has two pairs, and pairs that lack a cell of an average
    (unless the table allows failed runs: then they are broken pairs).
    """
    _check_arguments(sesoi, alpha, confidence_level, n_resamples)
    scores = table.scores()
    check_limits(limits or {}, table)
    per_cell, means = each_test(
        table,
        scores,
        Room(limits or {}, sesoi),
        cells=cells,
        primary=primary,
        average_over=average_over,
    )
    streams = np.random.default_rng(rng).spawn(2)
    families: dict[str, Family] = {}
    effects = []
    for name, tests, stream in zip(("cells", "primary"), (per_cell, means), streams, strict=True):
        done, families[name] = as_family(
            tests,
            table,
            sesoi=sesoi,
            alpha=alpha,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            rng=stream,
        )
        effects.append(done)
    used = {arm for contrast in (*cells, *primary) for arm in contrast.weights}
    return Comparison(
        cells=effects[0],
        primary=effects[1],
        families=families,
        alpha=alpha,
        sesoi=sesoi,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        rng_seed=seed_of(rng),
        broken=broken_runs(scores, table, used),
        versions=versions(),
        units=table.units,
    )


def as_family(
    tests: Sequence[Prepared],
    table: PairedTable,
    *,
    sesoi: float | None,
    alpha: float,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator,
    holm_only: bool = False,
) -> tuple[tuple[Effect, ...], Family]:
    """All tests as one family at ``alpha``, each with its verdict (see ``family.correct``)."""
    flips, boots = rng.spawn(2)
    family = family_tests(
        [test.sample for test in tests],
        alpha=alpha,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        rng=flips,
        holm_only=holm_only,
    )
    out = []
    streams = boots.spawn(len(tests))
    for i, (test, t, stream) in enumerate(zip(tests, family.ts, streams, strict=True)):
        identical, defined = test.sample.is_zero, not math.isnan(family.p_signflip[i])
        critical, p_adjusted = float(family.critical[i]), float(family.p_adjusted[i])
        low, high = t.mean - critical * t.se, t.mean + critical * t.se
        verdict, also = decide(
            delta=t.mean,
            p_adjusted=p_adjusted,
            low=low,
            high=high,
            alpha=alpha,
            sesoi=sesoi,
            undefined=not identical and not defined,
            identical=identical,
            no_room=test.no_room,
        )
        boot = bootstrap_t(
            test.sample, confidence_level=confidence_level, n_resamples=n_resamples, rng=stream
        )
        size = effect_size(test.sample, confidence_level)
        needed = None
        if sesoi is not None and defined:
            needed = pairs_needed(
                t.sd, t.n, sesoi, alpha / family.n_tests, df=t.df, groups=len(test.sample.values)
            )
        out.append(
            Effect(
                name=test.contrast.name,
                group=test.contrast.group,
                cell=None if test.cell is None else dict(zip(table.cell, test.cell, strict=True)),
                arm=", ".join(test.contrast.arms),
                baseline=", ".join(test.contrast.baselines),
                estimand=_estimand(test, table),
                n_pairs=t.n,
                n_broken=test.n_broken,
                mean_baseline=test.mean_baseline,
                mean_arm=test.mean_arm,
                delta=t.mean,
                ci_low=t.ci_low,
                ci_high=t.ci_high,
                t=t.t,
                df=t.df,
                p=t.p,
                p_signflip=float(family.p_signflip[i]),
                p_adjusted=p_adjusted,
                p_adjusted_method=family.method[i],
                simultaneous_low=low,
                simultaneous_high=high,
                boot_low=boot.low,
                boot_high=boot.high,
                dz=size.dz,
                dz_low=size.low,
                dz_high=size.high,
                sd=t.sd,
                verdict=verdict,
                also=also,
                no_room=test.no_room,
                pairs_needed=needed,
            )
        )
    methods = tuple(sorted({name for name in family.method if name}))
    return tuple(out), Family(family.n_tests, methods, family.n_flips, family.exact)


def _estimand(test: Prepared, table: PairedTable) -> str:
    what = f"mean over pairs ({', '.join(table.pair)}) of {test.contrast.name}"
    what += f" minus {', '.join(test.contrast.baselines)}"
    if test.cell is not None:
        return f"{what}, in this cell, at its fixed items and hyperparameters"
    groups = ", ".join(table.groups)
    then = f", then over {groups} with equal weights" if groups else ""
    return f"{what}, averaged over these cells within the pair{then}"


def _check_arguments(
    sesoi: float | None, alpha: float, confidence_level: float, n_resamples: int
) -> None:
    check_level(alpha, "alpha")
    check_level(confidence_level)
    if sesoi is not None and not (0 < sesoi < math.inf):
        raise StatsError(
            f"{sesoi} is not a positive number",
            place="sesoi",
            value=sesoi,
            hint="the smallest difference that matters, in the units of the report",
        )
    check_resolution(n_resamples, alpha)
