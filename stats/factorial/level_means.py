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

import numpy as np

from stats.contrast import Contrast
from stats.errors import StatsError
from stats.factorial.coding import Levels, code, factor_levels
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
    design: pd.DataFrame,
    terms: Sequence[str],
    baseline: Mapping[str, float] | str,
    levels: Levels | None = None,
) -> tuple[LevelContrast, ...]:
    """Marginal means of every term as contrasts to the baseline, for ``level_means``.

    ``design`` has a column per factor and a row per design point; its index names the arms (an arm
    that stands for several points occurs several times). ``terms`` is the model, mains and
    interactions ("mixer", "mixer:scope"). A mean is the model's prediction at the levels, averaged
    over the other factors with equal weights (``predictions``). An interaction's means are those
    of each combination of levels.

    Raises StatsError for what ``coding.code`` refuses and shares that do not sum to 1.
    """
    model = code(design, terms, levels)
    x = np.column_stack([np.ones(len(design)), *(term.columns for term in model)])
    ends = np.cumsum([1, *(len(term.names) for term in model)])
    at = {term.term: slice(a, b) for term, a, b in zip(model, ends, ends[1:], strict=False)}
    order = {name: factor_levels(design, name, levels) for name in design.columns}
    rows: dict[tuple[str, tuple[str, ...]], np.ndarray] = {}
    for term in model:
        factors = term.term.split(":")
        for chosen in itertools.product(*(order[factor] for factor in factors)):
            row = np.zeros(x.shape[1])
            row[0] = 1.0
            here = dict(zip(factors, chosen, strict=True))
            for other in model:
                parts = other.term.split(":")
                if set(parts) <= set(factors):
                    value = np.ones(1)
                    for part in parts:
                        value = np.outer(value, _coded(order[part], here[part])).ravel()
                    row[at[other.term]] = value
            rows[term.term, chosen] = row
    return predictions(x, [str(arm) for arm in design.index], rows, baseline)


def predictions(
    x: np.ndarray,
    arms: Sequence[str],
    rows: Mapping[tuple[str, tuple[str, ...]], np.ndarray],
    baseline: Mapping[str, float] | str,
) -> tuple[LevelContrast, ...]:
    """A linear model's predictions by least squares, as contrasts to the baseline.

    ``x`` (points, c) is the model's matrix, the mean's column of ones first, and ``arms`` names
    the arm of each point. ``rows`` gives, by term and levels, the row (c,) at which to predict; in
    an orthogonal design the prediction at a level is the plain mean of the points there.
    ``baseline`` is an arm, or the shares (sum 1) of several. Predictions that the points cannot
    estimate are left out.

    Raises StatsError for shares that do not sum to 1.
    """
    shares = {baseline: 1.0} if isinstance(baseline, str) else dict(baseline)
    if not math.isclose(math.fsum(shares.values()), 1.0, rel_tol=1e-9):
        raise StatsError(
            "the baselines' shares do not sum to 1", place="baseline", value=dict(shares)
        )
    inverse = np.linalg.pinv(x)
    spanned = inverse @ x  # a row a is estimable where a = a @ spanned
    out = []
    for (term, levels), row in rows.items():
        if not np.allclose(row @ spanned, row, atol=1e-8):
            continue
        weights: dict[str, float] = {}
        for arm, weight in zip(arms, row @ inverse, strict=True):
            weights[arm] = weights.get(arm, 0.0) + float(weight)
        weights = {arm: weight for arm, weight in weights.items() if abs(weight) > 1e-12}
        for arm, share in shares.items():
            weights[arm] = weights.get(arm, 0.0) - share
        factors = zip(term.split(":"), levels, strict=True)
        name = ", ".join(f"{factor} {level}" for factor, level in factors)
        out.append(LevelContrast(term, levels, Contrast(name, weights, term)))
    return tuple(out)


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
        method=f"Least-squares marginal means as contrasts within the pair; t intervals at "
        f"{confidence_level:.0%}, each for itself (not adjusted).",
        overall=tuple(mean(test) for test in means),
        per_cell=tuple(mean(test) for test in cells),
        confidence_level=confidence_level,
        versions=versions(),
        units=table.units,
    )


def _coded(order: Sequence[str], level: str) -> np.ndarray:
    """A level's row of effects coding: -1 everywhere at the first level, else one 1."""
    row = np.array([float(level == other) for other in order[1:]])
    return row if level != order[0] else row - 1.0
