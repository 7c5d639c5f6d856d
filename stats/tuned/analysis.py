"""Tuned against tuned: the comparison of confirmed winners, and how far they shrank."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stats.columns import labels, natural, numbers, refuse_duplicates, require
from stats.errors import StatsError, nearest
from stats.paired import PairedT, paired_t
from stats.record import seed_of
from stats.replication.average import Average, population, these_cells
from stats.sample import Sample
from stats.signflip import N_RESAMPLES
from stats.tuned.result import DIFFERENCE, Effort, Shrinkage, Tuned

if TYPE_CHECKING:
    import pandas as pd

SELECTED, FRESH, TEST = "selected", "validation", "test"
"""Stages of a winner: the score it was chosen by, then fresh seeds on validation and test items."""

STAGES = (SELECTED, FRESH, TEST)

Unit = tuple[str, str]
"""A search and a backbone."""


def tuned_versus_tuned(
    confirmed: pd.DataFrame,
    selected: pd.DataFrame,
    *,
    arm: str,
    baseline: str,
    efforts: Sequence[Effort] = (),
    percent: bool = False,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> Tuned:
    """Compare the winners of two arms' searches on fresh seeds, and show the shrinkage.

    ``confirmed`` has one row per arm, search, backbone, seed, benchmark and split ("validation" or
    "test") in columns of these names, and a ``score`` (NaN where the run failed: its pair is left
    out and counted). ``selected`` has one row per arm, search and backbone: the score (mean over
    the trial's seeds and the benchmarks, on validation items) by which the winner was chosen. A
    ``search`` is one whole search of both arms; searches must not share seeds, or the t over them
    would miss what the seeds have in common.

    With d the difference of a pair (search r, backbone b, seed s), averaged over benchmarks first:
    the conditional comparison is the mean over r and b of the means over s, with Satterthwaite's
    degrees of freedom; the other is Student's t over the means of the R searches, R - 1 degrees of
    freedom (the ideal estimator of Bouthillier et al. 2021, MLSys 3). The fall of a winner's score
    from selection is estimated over searches where there are several; for one search the selected
    score is taken as the number it is, and the interval is that of its fresh mean.

    Raises StatsError for unknown arms, missing or duplicate rows, and splits of other names.
    """
    scale = 100.0 if percent else 1.0
    table = _confirmed(confirmed, arm, baseline) * scale
    chosen = _selected(selected, arm, baseline, table) * scale
    complete = table.notna().all(axis=1)
    kept = table[complete]
    size = float(np.nanmax(np.abs(table.to_numpy()), initial=0.0))
    units = "points" if percent else "score units"

    def within(values: pd.Series, search: str = "") -> Sample:
        groups = _groups(values, table).items()
        own = [group for unit, group in groups if search in ("", unit[0])]
        return Sample.of(own, magnitude=size)

    def over(values: pd.Series) -> list[list[float]]:
        return _by_search(_groups(values, table))

    searches = _ordered(table.index.get_level_values("search"))
    several = len(searches) > 1
    gain = kept[TEST, arm] - kept[TEST, baseline]
    what = (
        f"mean of {arm} minus {baseline}, each at its tuned setting, on fresh seeds and test items"
    )
    conditional = dataclasses.replace(
        these_cells(
            within(gain), confidence_level=confidence_level, n_resamples=n_resamples, rng=rng,
            unit="search and backbone", units=units,
        ),
        estimand=f"{what}, for the settings that were chosen",
    )  # fmt: skip
    over_searches = dataclasses.replace(
        population(
            Sample.of(over(gain), magnitude=size), confidence_level=confidence_level,
            n_resamples=n_resamples, rng=rng, unit="search", units=units,
        ),
        n_pairs=len(gain),
        estimand=f"{what}, over searches like these",
    )  # fmt: skip

    def fall(values: pd.Series) -> PairedT:
        # one group of as many means as there are searches; a search without a mean leaves none
        means = [mean for found in over(values) for mean in found]
        whole = means if len(means) == len(searches) else []
        sample = Sample.of([whole], magnitude=size) if several else within(values)
        return paired_t(sample, confidence_level=confidence_level)

    def shrinkage(who: str) -> Shrinkage:
        before, fresh, test = (_stage(stage, who, kept, chosen, arm, baseline) for stage in STAGES)
        return Shrinkage(
            who,
            selected=_mean(before, table),
            fresh=_mean(fresh, table),
            test=_mean(test, table),
            by_seeds=fall(fresh - before),
            by_items=fall(test - fresh),
            total=fall(test - before),
        )

    return Tuned(
        estimand=(over_searches if several else conditional).estimand,
        method=(over_searches if several else conditional).method,
        arm=arm,
        baseline=baseline,
        units=units,
        n_searches=len(searches),
        n_pairs=int(complete.sum()),
        n_broken=int((~complete).sum()),
        conditional=conditional,
        over_searches=over_searches,
        by_search=tuple(
            (name, paired_t(within(gain, name), confidence_level=confidence_level))
            for name in searches
        ),
        sd_tuning=_sd_tuning(over_searches, conditional, len(searches)),
        shrinkage=tuple(shrinkage(who) for who in (baseline, arm, DIFFERENCE)),
        efforts=tuple(efforts),
        rng_seed=seed_of(rng),
    )


def _confirmed(frame: pd.DataFrame, arm: str, baseline: str) -> pd.DataFrame:
    """Mean over benchmarks: rows (search, backbone, seed), columns (split, arm); NaN if broken."""
    import pandas as pd

    keys = ("arm", "search", "backbone", "seed", "benchmark", "split")
    clean = _clean(frame, keys, "allow")
    _check_arms(clean, arm, baseline, "confirmed")
    for split in (FRESH, TEST):
        if split not in set(clean["split"]):
            raise StatsError(
                f"no winner was scored on {split} items",
                place="confirmed: split",
                value=split,
                hint=nearest(split, sorted(set(clean["split"]))),
            )
    clean = clean[clean["arm"].isin([arm, baseline]) & clean["split"].isin([FRESH, TEST])]
    wide = clean.pivot(
        index=["search", "backbone", "seed"], columns=["split", "arm", "benchmark"], values="score"
    ).sort_index(axis="columns")
    # a benchmark that lacks a score breaks the pair: a mean over the others estimates another thing
    means = {
        (split, name): wide[split, name].mean(axis=1, skipna=False)
        for split in (FRESH, TEST)
        for name in (arm, baseline)
    }
    return pd.DataFrame(means)


def _selected(frame: pd.DataFrame, arm: str, baseline: str, table: pd.DataFrame) -> pd.DataFrame:
    """The score each winner was chosen by: rows (search, backbone), a column per arm."""
    clean = _clean(frame, ("arm", "search", "backbone"), "a winner has a score")
    _check_arms(clean, arm, baseline, "selected")
    wide = clean.pivot(index=["search", "backbone"], columns="arm", values="score")
    wanted = table.index.droplevel("seed").unique()
    wide = wide.reindex(wanted)[[arm, baseline]]
    lacking = wide.index[wide.isna().any(axis=1)]
    if len(lacking):
        search, backbone = lacking[0]
        raise StatsError(
            f"the winner of search {search} has no selected score on {backbone}",
            place="selected",
            value=(search, backbone),
            hint="one row per arm, search and backbone",
        )
    return wide


def _clean(frame: pd.DataFrame, keys: tuple[str, ...], missing: str) -> pd.DataFrame:
    import pandas as pd

    roles = {key: (key,) for key in keys}
    require(frame, {**roles, "score": ("score",)}, exclusive=(*keys, "score"))
    clean = pd.DataFrame({key: labels(frame[key], key) for key in keys})
    clean["score"] = numbers(frame["score"], "score", missing=missing)
    refuse_duplicates(clean, list(keys), f"one row per {', '.join(keys)}")
    return clean


def _check_arms(clean: pd.DataFrame, arm: str, baseline: str, place: str) -> None:
    known = list(dict.fromkeys(clean["arm"]))
    for name in (arm, baseline):
        if name not in known:
            raise StatsError(
                f"there is no arm '{name}'", place=place, value=name, hint=nearest(name, known)
            )
    if arm == baseline:
        raise StatsError(f"arm '{arm}' cannot be compared with itself", place=place, value=arm)


def _stage(
    stage: str, who: str, kept: pd.DataFrame, chosen: pd.DataFrame, arm: str, baseline: str
) -> pd.Series:
    """The scores of an arm, or their difference, at a stage: one per search, backbone, seed."""

    def of(name: str) -> pd.Series:
        if stage != SELECTED:
            return kept[stage, name]
        return chosen[name].reindex(kept.index.droplevel("seed")).set_axis(kept.index)

    return of(arm) - of(baseline) if who == DIFFERENCE else of(who)


def _groups(values: pd.Series, table: pd.DataFrame) -> dict[Unit, np.ndarray]:
    """The values of each search and backbone of the table, in natural order; empty where none."""
    units = sorted({(search, backbone) for search, backbone, _ in table.index}, key=natural)
    index = values.index
    where = list(zip(index.get_level_values(0), index.get_level_values(1), strict=True))
    return {
        unit: values.to_numpy(dtype=float)[[i for i, u in enumerate(where) if u == unit]]
        for unit in units
    }


def _by_search(groups: dict[Unit, np.ndarray]) -> list[list[float]]:
    """The mean over backbones of each search, one list each; empty where a backbone is empty."""
    means: dict[str, list[float]] = {}
    for (search, _), group in groups.items():
        means.setdefault(search, []).append(float(group.mean()) if group.size else math.nan)
    return [[] if np.isnan(found).any() else [float(np.mean(found))] for found in means.values()]


def _mean(values: pd.Series, table: pd.DataFrame) -> float:
    """The mean over searches and backbones of the means over seeds; NaN where one is empty."""
    groups = _groups(values, table).values()
    return float(np.mean([group.mean() if group.size else math.nan for group in groups]))


def _ordered(names: Sequence[str]) -> list[str]:
    return [name for (name,) in sorted({(name,) for name in names}, key=natural)]


def _sd_tuning(over: Average, within: Average, n_searches: int) -> float:
    """The root of the variance between searches less that of a search's mean by seeds.

    ``within.se`` is that of the mean over R searches, so that R se^2 is the mean noise of one.
    """
    if math.isnan(over.sd) or math.isnan(within.se):
        return math.nan
    return math.sqrt(max(0.0, over.sd**2 - n_searches * within.se**2))
