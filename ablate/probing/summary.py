"""What the probes of one arm on one backbone say over seeds: means with t intervals.

A number of a seed is first averaged over random draws and, where it says so, over benchmarks; the
seeds are what varies. Intervals are those of Student's t on the mean over seeds, 95 %, unadjusted.
Sizes and ratios (``LOGARITHMIC``) are averaged as logarithms, over benchmarks and over seeds: their
means are geometric, and no interval reaches below 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.paired import paired_t

if TYPE_CHECKING:
    import pandas as pd

BLOCK, STATIC, SHUFFLED, RANDOM = "block", "static", "shuffled", "random"
VARIANTS = (BLOCK, STATIC, SHUFFLED, RANDOM)
LAYER_MEASURES = ("rel_diff", "update_ratio", "cosine_tokens", "cosine_mean")
"""Measures that are drawn over layers."""

LOGARITHMIC = frozenset(
    {
        "rel_diff", "rel_diff_tokens", "update_ratio", "amplification", "amplification_over_random",
        "kl", "curve_deviation", "curve_deviation_relative",
    }
)  # fmt: skip
"""Measures that are sizes or ratios."""

HEIGHT = "exp(mean over l = k..L of log(rel_diff of v[l] / rel_diff of the block[l]))"
SHAPE_DISTANCE = (
    "exp(max over l = k..L of |log(a[l] / b[l]) - mean over l of log(a[l] / b[l])|) - 1, "
    "a and b two curves of rel_diff: by how much they differ at worst once their heights are made "
    "equal"
)
"""How curves are compared here; both definitions are chosen."""


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with the ends of its interval; NaN where seeds are too few or all equal.

    ``n`` counts the seeds in which the number is defined.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def has_interval(self) -> bool:
        """Whether the seeds vary and are at least two."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Growth:
    """How often the curve of rel_diff rises from its site to the last layer."""

    curves: int
    monotone: int
    """Curves (a seed's on a benchmark) that rise at every layer."""


@dataclass(frozen=True)
class Summary:
    """The probes of an arm on a backbone.

    ``curves[measure][variant][benchmark]`` has a Mean per layer 0..L; the benchmark "" is the
    average over benchmarks. ``numbers[measure][variant][benchmark]`` has the measures without a
    layer. ``compared`` are differences paired within the seed, by name. ``silent_before`` tells
    whether rel_diff is exactly 0 at every layer before the site in every seed, and ``starts``
    whether it is above 0 at the site.
    """

    arm: str
    label: str
    backbone: str
    seeds: tuple[int, ...]
    site: int
    layers: int
    benchmarks: tuple[str, ...]
    curves: Mapping[str, Mapping[str, Mapping[str, tuple[Mean, ...]]]]
    numbers: Mapping[str, Mapping[str, Mapping[str, Mean]]]
    compared: Mapping[str, Mean]
    growth: Growth
    silent_before: bool
    starts: bool

    def number(self, measure: str, variant: str = BLOCK, benchmark: str = "") -> Mean:
        """A measure without a layer; undefined (n = 0) where it was not measured."""
        nothing = Mean(math.nan, math.nan, math.nan, 0)
        return self.numbers.get(measure, {}).get(variant, {}).get(benchmark, nothing)

    def curve(self, measure: str, variant: str = BLOCK, benchmark: str = "") -> tuple[Mean, ...]:
        """A measure over layers 0..L; empty where it was not measured."""
        return self.curves.get(measure, {}).get(variant, {}).get(benchmark, ())

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that were measured, the block first."""
        return tuple(name for name in VARIANTS if self.curve("rel_diff", name))


def over_seeds(values: Iterable[float]) -> Mean:
    """Mean and t interval of one number per seed; seeds in which it is not defined are left out."""
    defined = np.array([value for value in values if math.isfinite(value)])
    if not defined.size:
        return Mean(math.nan, math.nan, math.nan, 0)
    t = paired_t(defined)
    return Mean(t.mean, t.ci_low, t.ci_high, t.n)


def ratio_over_seeds(values: Iterable[float]) -> Mean:
    """The same for sizes and ratios: geometric mean, with the interval of the mean logarithm.

    A size that is 0 in every seed has the mean 0; one that is 0 in some has none there.
    """
    defined = [value for value in values if math.isfinite(value)]
    if defined and not any(defined):
        return Mean(0.0, math.nan, math.nan, len(defined))
    logs = over_seeds(math.log(value) for value in defined if value > 0)
    return Mean(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high), logs.n)


def _mean_of(measure: str) -> Callable[[Iterable[float]], Mean]:
    return ratio_over_seeds if measure in LOGARITHMIC else over_seeds


def _within_seed(measure: str, values: np.ndarray) -> np.ndarray:
    """The mean over benchmarks, the first axis, of what is defined; NaN where nothing is."""
    defined = np.isfinite(values)
    count = defined.sum(axis=0)
    logarithmic = measure in LOGARITHMIC
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.where(defined, np.log(values) if logarithmic else values, 0.0).sum(axis=0)
        mean: np.ndarray = np.exp(sums / count) if logarithmic else sums / count
    return mean


def summarise(frame: pd.DataFrame, label: str) -> Summary:
    """Summarise the rows of one arm on one backbone (see ``ablate.probing.table``)."""
    benchmarks = tuple(dict.fromkeys(name for name in frame["benchmark"] if name))
    site, layers = int(frame["site"].iloc[0]), int(frame["layers"].iloc[0])
    names = ["measure", "variant", "benchmark", "other", "layer", "run_key"]
    values = frame.groupby(names, dropna=False, sort=False)["value"].mean()
    by_seed = values.reset_index()
    rel = {variant: values for variant, (_, values) in _layered(by_seed, "rel_diff").items()}
    numbers = _numbers(by_seed)
    return Summary(
        arm=str(frame["arm"].iloc[0]),
        label=label,
        backbone=str(frame["backbone"].iloc[0]),
        seeds=tuple(sorted(frame.drop_duplicates("run_key")["seed"].astype(int))),
        site=site,
        layers=layers,
        benchmarks=benchmarks,
        curves=_curves(by_seed),
        numbers=numbers,
        compared=_compared(by_seed, rel, site),
        growth=_growth(rel, site),
        silent_before=not np.nan_to_num(rel[BLOCK][:, :, :site]).any(),
        starts=not (rel[BLOCK][:, :, site] <= 0).any(),
    )


def _curves(by_seed: pd.DataFrame) -> dict[str, dict[str, dict[str, tuple[Mean, ...]]]]:
    found: dict[str, dict[str, dict[str, tuple[Mean, ...]]]] = {}
    for measure in LAYER_MEASURES:
        for variant, (benchmarks, values) in _layered(by_seed, measure).items():
            mine = {
                name: _per_layer(measure, of) for name, of in zip(benchmarks, values, strict=True)
            }
            mine[""] = _per_layer(measure, _within_seed(measure, values))
            found.setdefault(measure, {})[variant] = mine
    return found


def _per_layer(measure: str, values: np.ndarray) -> tuple[Mean, ...]:
    """A Mean for each layer of values (runs, layers + 1)."""
    return tuple(_mean_of(measure)(column) for column in values.T)


def _numbers(by_seed: pd.DataFrame) -> dict[str, dict[str, dict[str, Mean]]]:
    """Measures of a benchmark or of the block; "" averages over benchmarks within the seed."""
    found: dict[str, dict[str, dict[str, Mean]]] = {}
    rows = by_seed[by_seed["layer"].isna()]
    for (measure, variant), group in rows.groupby(["measure", "variant"], sort=False):
        name, over = str(measure), _mean_of(str(measure))
        grid = group.pivot(index=["benchmark", "other"], columns="run_key", values="value")
        values = grid.to_numpy(dtype=float)
        mine = {"": over(_within_seed(name, values))}
        if (group["other"] != "").all():
            worst = np.min if name == "curve_correlation" else np.max
            mine["worst"] = over(worst(values, axis=0))
        else:
            mine |= {str(at[0]): over(of) for at, of in zip(grid.index, values, strict=True)}
        found.setdefault(name, {})[str(variant)] = mine
    return found


def _layered(by_seed: pd.DataFrame, measure: str) -> dict[str, tuple[list[str], np.ndarray]]:
    """A measure of each variant: benchmarks, and values (benchmarks, runs, layers + 1).

    NaN where it was not measured or is not defined.
    """
    import pandas as pd

    rows = by_seed[by_seed["measure"] == measure]
    benchmarks, runs = list(rows["benchmark"].unique()), sorted(rows["run_key"].unique())
    whole = pd.MultiIndex.from_product([benchmarks, runs])
    arrays = {}
    for variant, group in rows.groupby("variant", sort=False):
        grid = group.pivot(index=["benchmark", "run_key"], columns="layer", values="value")
        values = grid.reindex(whole).sort_index(axis=1).to_numpy(dtype=float)
        shape = (len(benchmarks), len(runs), values.shape[1])
        arrays[str(variant)] = (benchmarks, values.reshape(shape))
    return arrays


def _growth(rel: Mapping[str, np.ndarray], site: int) -> Growth:
    steps = np.diff(rel[BLOCK][:, :, site:], axis=2)
    defined = np.isfinite(steps).all(axis=2)
    return Growth(int(defined.sum()), int((steps > 0).all(axis=2).sum()))


def _compared(by_seed: pd.DataFrame, rel: Mapping[str, np.ndarray], site: int) -> dict[str, Mean]:
    """Comparisons paired within the seed, averaged over benchmarks or pairs of them as logarithms.

    ``growth over V``: the block's amplification over that of variant V. ``height of V``: see
    ``HEIGHT``. ``shape to V``: the ``SHAPE_DISTANCE`` of the block's curve and V's on a benchmark,
    ``shape between benchmarks`` that of the block's curves on two, and ``shape to V over between
    benchmarks`` their ratio. ``stability minus V``: the block's mean correlation over pairs of
    benchmarks less V's.
    """
    found = {}
    block = rel[BLOCK][:, :, site:]
    amplification = _amplification(by_seed)
    correlation = _correlation(by_seed, BLOCK)
    first, second = np.triu_indices(len(block), k=1)
    between = _shape_distance(block[first], block[second])
    found["shape between benchmarks"] = ratio_over_seeds(between)
    for variant in (name for name in rel if name != BLOCK):
        other = rel[variant][:, :, site:]
        growth = _geometric_mean(np.exp(_log_ratio(amplification[BLOCK], amplification[variant])))
        found[f"growth over {variant}"] = ratio_over_seeds(growth)
        found[f"height of {variant}"] = ratio_over_seeds(
            _geometric_mean(np.exp(_log_ratio(other, block).mean(axis=2)))
        )
        distance = _shape_distance(block, other)
        found[f"shape to {variant}"] = ratio_over_seeds(distance)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = distance / between
        found[f"shape to {variant} over between benchmarks"] = ratio_over_seeds(ratio)
        theirs = _correlation(by_seed, variant)
        if len(theirs) == len(correlation):
            found[f"stability minus {variant}"] = over_seeds(correlation - theirs)
    return found


def _log_ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: np.ndarray = np.log(a / b)
    return ratio


def _shape_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``SHAPE_DISTANCE`` of curves (pairs, seeds, layers), one geometric mean per seed."""
    ratio = _log_ratio(a, b)
    worst = np.abs(ratio - ratio.mean(axis=2, keepdims=True)).max(axis=2)
    return _geometric_mean(np.expm1(worst))


def _geometric_mean(values: np.ndarray) -> np.ndarray:
    """Over the first axis; NaN where there is nothing."""
    if not len(values):
        return np.full(values.shape[1], math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: np.ndarray = np.exp(np.log(values).mean(axis=0))
    return mean


def _amplification(by_seed: pd.DataFrame) -> dict[str, np.ndarray]:
    """Amplification of each variant, (benchmarks, seeds)."""
    rows = by_seed[by_seed["measure"] == "amplification"]
    return {
        str(variant): group.pivot(index="benchmark", columns="run_key", values="value")
        .sort_index()
        .sort_index(axis=1)
        .to_numpy(dtype=float)
        for variant, group in rows.groupby("variant", sort=False)
    }


def _correlation(by_seed: pd.DataFrame, variant: str) -> np.ndarray:
    """The mean correlation over pairs of benchmarks, one per seed in order of the seeds."""
    rows = by_seed[by_seed["measure"] == "curve_correlation"]
    mine = rows[rows["variant"] == variant]
    return mine.groupby("run_key")["value"].mean().sort_index().to_numpy(dtype=float)
