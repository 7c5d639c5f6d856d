"""Marginal means of a factorial as differences to the baseline, which stands outside it.

Paired with the baseline, the noise of the pair (data order, adapter initialisation) cancels in
every mean, so that intervals show what is known of the level, not of the seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stats.contrast import Contrast
from stats.errors import StatsError
from stats.paired import check_level, paired_t
from stats.prepare import Prepared, Room, each_test
from stats.record import Record, versions
from stats.table import Key, PairedTable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LevelContrast:
    """A marginal mean as a contrast: ``levels`` gives the level of each factor of ``term``."""

    term: str
    levels: tuple[str, ...]
    contrast: Contrast


@dataclass(frozen=True)
class LevelMean:
    """A marginal mean minus the baseline, in one cell or averaged over cells (``cell`` None).

    ``delta``, ``se`` and the t interval ``ci_*`` are in reported units; the interval is that of
    this mean alone. NaN where there are fewer than two pairs, or no spread.
    """

    term: str
    levels: tuple[str, ...]
    cell: dict[str, str] | None
    n_pairs: int
    n_broken: int
    delta: float
    se: float
    df: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class LevelMeans(Record):
    """Marginal means, averaged over cells (``overall``) and in each cell (``per_cell``)."""

    estimand: str
    method: str
    overall: tuple[LevelMean, ...]
    per_cell: tuple[LevelMean, ...]
    confidence_level: float
    versions: dict[str, str]
    units: str

    def of(self, term: str) -> tuple[LevelMean, ...]:
        """The means of a term ("mixer", "mixer:scope"), averaged over cells."""
        return tuple(mean for mean in self.overall if mean.term == term)

    def table(self) -> pd.DataFrame:
        """One row per mean, the cell's columns spread before the others; nothing is rounded."""
        import pandas as pd

        rows = []
        for mean in (*self.overall, *self.per_cell):
            row = {k: v for k, v in vars(mean).items() if k not in ("cell", "levels")}
            rows.append({"levels": ", ".join(mean.levels), **(mean.cell or {}), **row})
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The means averaged over cells as text for a terminal, at most 100 columns wide."""
        from stats.layout import columns, wrap

        head = ("term", "level", "pairs", "difference", "low", "high")
        rows = [
            (m.term, ", ".join(m.levels), m.n_pairs, m.delta, m.ci_low, m.ci_high)
            for m in self.overall
        ]
        return "\n".join([*columns(head, rows), *wrap(self.method)]) + "\n"


def level_contrasts(
    acting: Mapping[str, Mapping[str, str | None]],
    levels: Mapping[str, Sequence[str]],
    baseline: Mapping[str, float] | str,
    mains: Mapping[tuple[str, str], Contrast],
    interactions: Mapping[tuple[str, str], Contrast],
) -> tuple[LevelContrast, ...]:
    """Marginal means as contrasts to the baseline, consistent with the effects that are tested.

    ``acting`` gives each arm's level of each axis, None where the axis does nothing; ``levels``
    the order of an axis's levels, the reference first. ``mains`` has the contrast of a level
    against the reference by (axis, level), ``interactions`` half the difference of differences by
    pair of axes, for which means of the combinations are wanted. ``baseline`` is an arm, or the
    shares (sum 1) of several.

    A mean is the plain mean of the arms at the level; in an orthogonal design it is the
    least-squares mean, and plain means differ by just the effects. In other designs they do not,
    because points at the level differ in the other axes too: then the plain means are moved,
    around their common centre, until they differ by the effect that is tested (those of two axes
    of two levels each: by the interaction). Levels and combinations that no arm has are left out.

    Raises StatsError for shares that do not sum to 1.
    """
    shares = {baseline: 1.0} if isinstance(baseline, str) else dict(baseline)
    if not math.isclose(math.fsum(shares.values()), 1.0, rel_tol=1e-9):
        raise StatsError(
            "the baselines' shares do not sum to 1", place="baseline", value=dict(shares)
        )
    out = []

    def add(term: str, at: tuple[str, ...], weights: Mapping[str, float]) -> None:
        factors = zip(term.split(":"), at, strict=True)
        name = ", ".join(f"{axis} {level}" for axis, level in factors)
        out.append(LevelContrast(term, at, Contrast(name, _sum((1, weights), (-1, shares)), term)))

    for axis, order in levels.items():
        means = {level: _plain(acting, {axis: level}) for level in order}
        means = {level: mean for level, mean in means.items() if mean}
        reference, *others = means or [""]
        effects = {level: mains[axis, level].weights for level in others if (axis, level) in mains}
        moved = len(effects) == len(others)
        for level, mean in means.items():
            if moved:  # the centre, and the effect less the mean effect
                share = 1 / len(means)
                centre = _sum(*((share, other) for other in means.values()))
                lessened = _sum(*((-share, effect) for effect in effects.values()))
                own = effects.get(level, {}) if level != reference else {}
                mean = _sum((1, centre), (1, own), (1, lessened))
            add(axis, (level,), mean)
    for (a, b), contrast in interactions.items():
        corners = {
            (x, y): _plain(acting, {a: x, b: y}) for x, y in itertools.product(levels[a], levels[b])
        }
        corners = {at: mean for at, mean in corners.items() if mean}
        correction: Mapping[str, float] = {}
        if len(levels[a]) == len(levels[b]) == 2 and len(corners) == 4:
            signs = zip((-0.5, 0.5, 0.5, -0.5), corners.values(), strict=True)
            correction = _sum((1, contrast.weights), *signs)  # tested less plain
        for i, (at, mean) in enumerate(corners.items()):
            sign = 0.5 if i in (0, 3) else -0.5
            add(f"{a}:{b}", at, _sum((1, mean), (sign, correction)))
    return tuple(out)


def _plain(
    acting: Mapping[str, Mapping[str, str | None]], at: Mapping[str, str]
) -> dict[str, float]:
    """Equal weights on the arms at these levels; empty where there is none."""
    chosen = [
        arm for arm, own in acting.items() if all(own[axis] == level for axis, level in at.items())
    ]
    return {arm: 1 / len(chosen) for arm in chosen}


def _sum(*parts: tuple[float, Mapping[str, float]]) -> dict[str, float]:
    """A weighted sum of weights of arms; what is left of those that cancel is rounding."""
    total: dict[str, float] = {}
    for factor, weights in parts:
        for arm, weight in weights.items():
            total[arm] = total.get(arm, 0.0) + factor * weight
    return {arm: weight for arm, weight in total.items() if abs(weight) > 1e-12}


def level_means(
    table: PairedTable,
    contrasts: Sequence[LevelContrast],
    *,
    per_cell: bool = True,
    average_over: Sequence[Key] | None = None,
    confidence_level: float = 0.95,
) -> LevelMeans:
    """Each marginal mean minus the baseline with its t interval, averaged and in each cell.

    The same averages and errors as in ``compare``: within the pair first, then pairs, then groups.
    The intervals describe single means; whether levels differ is for ``two_gates`` to say, and two
    intervals that overlap do not answer it.

    Raises StatsError for unknown arms and cells, and a table without two complete pairs.
    """
    check_level(confidence_level)
    scores = table.scores()
    every = [item.contrast for item in contrasts]
    cells, means = each_test(
        table,
        scores,
        Room({}, None),
        cells=every if per_cell else (),
        primary=every,
        average_over=average_over,
    )
    known = {item.contrast.name: item for item in contrasts}

    def mean(test: Prepared) -> LevelMean:
        item, t = known[test.contrast.name], paired_t(test.sample, "two-sided", confidence_level)
        cell = None if test.cell is None else dict(zip(table.cell, test.cell, strict=True))
        return LevelMean(
            item.term, item.levels, cell, t.n, test.n_broken, t.mean, t.se, t.df, t.ci_low,
            t.ci_high,
        )  # fmt: skip

    return LevelMeans(
        estimand="Mean of the design points at a level, or at a combination of two, minus the "
        "baseline.",
        method=f"Marginal means as contrasts within the pair; t intervals at "
        f"{confidence_level:.0%}, each for itself (not adjusted).",
        overall=tuple(mean(test) for test in means),
        per_cell=tuple(mean(test) for test in cells),
        confidence_level=confidence_level,
        versions=versions(),
        units=table.units,
    )
