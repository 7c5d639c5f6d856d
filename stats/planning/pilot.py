"""What a pilot study tells a plan: spreads and correlations, never the differences it found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from stats.contrast import Contrast
from stats.layout import columns, wrap
from stats.paired import check_level
from stats.planning.spread import upper_sd
from stats.prepare import Prepared, Room, each_test, in_cell
from stats.record import Record
from stats.sample import estimate
from stats.table import Key, PairedTable, Scores
from stats.wording import number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Spread(Record):
    """The spread of one contrast's paired differences, in one cell or averaged (``cell`` None).

    ``sd`` in the pilot's units with ``df`` degrees of freedom (averages: the root of the groups'
    mean variance, Satterthwaite's df), ``sd_upper`` its one-sided upper limit; ``groups`` of pairs.
    ``sd`` is 0 where differences do not vary and NaN with fewer than two pairs in a group; there is
    nothing to plan with in either case. ``identical``: every difference is zero, so that the
    contrast leaves its family.
    """

    name: str
    cell: dict[str, str] | None
    n_pairs: int
    groups: int
    sd: float
    sd_upper: float
    df: float
    identical: bool

    @property
    def usable(self) -> bool:
        """Whether a plan can rest on it."""
        return self.sd > 0


@dataclass(frozen=True)
class Pilot(Record):
    """The spreads of a pilot's contrasts, and how differences move together.

    ``cell_correlation`` is the mean correlation, over pairs, of a contrast's differences in two
    cells that share pairs (benchmarks of one training); ``contrast_correlation`` that of two
    contrasts' differences in one cell (they share the baseline's runs). Each is the plain mean over
    ``n_cell_correlations`` and ``n_contrast_correlations`` estimates from 3 pairs or more, NaN
    without any. ``sd_upper`` of each spread is at ``confidence_level``.
    """

    estimand: str
    method: str
    cells: tuple[Spread, ...]
    primary: tuple[Spread, ...]
    cell_correlation: float
    n_cell_correlations: int
    contrast_correlation: float
    n_contrast_correlations: int
    confidence_level: float
    units: str

    def table(self) -> pd.DataFrame:
        """One row per spread, averages first; nothing is rounded."""
        import pandas as pd

        rows = []
        for family, spreads in (("primary", self.primary), ("cells", self.cells)):
            for s in spreads:
                rows.append(
                    {"family": family, "name": s.name, **(s.cell or {})}
                    | {"n_pairs": s.n_pairs, "sd": s.sd, "df": s.df, "sd_upper": s.sd_upper}
                )
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The spreads as text, at most 100 columns wide."""
        rows = [
            (place(s), s.name, s.n_pairs, s.sd, s.sd_upper) for s in (*self.primary, *self.cells)
        ]
        head = ("", "contrast", "pairs", "sd", f"upper {self.confidence_level:.0%}")
        notes = [
            f"sd: of paired differences, in {self.units}. Plans take the upper limit: a pilot's sd "
            "is as often too small as too large.",
            f"Mean correlation between cells of a pair: {number(self.cell_correlation)}; between "
            f"contrasts in a cell: {number(self.contrast_correlation)}.",
        ]
        lines = [*columns(head, rows), "", *(line for note in notes for line in wrap(note))]
        return "\n".join(lines) + "\n"


def place(spread: Spread) -> str:
    """Where a spread belongs, for tables."""
    if spread.cell is None:
        return "average"
    return "/".join(spread.cell.values()) or "all"


def pilot(
    table: PairedTable,
    *,
    cells: Sequence[Contrast],
    primary: Sequence[Contrast] = (),
    average_over: Sequence[Key] | None = None,
    confidence_level: float = 0.8,
) -> Pilot:
    """The spreads that a plan needs, from a table of paired runs.

    Cells, averages and broken pairs are those of ``compare``. The upper limits are
    ``spread.upper_sd``'s. The observed differences are not returned, so that no plan can count on
    them: power at an observed effect only repeats its p-value (Hoenig and Heisey 2001, The
    American Statistician 55, 19-24). Seeds of the pilot must not be used again in the study that
    confirms. Raises StatsError as ``compare`` does.
    """
    check_level(confidence_level)
    scores = table.scores()
    room = Room({}, None)
    tests, means = each_test(
        table, scores, room, cells=cells, primary=primary, average_over=average_over
    )
    within = _between_cells(table, scores, cells, room)
    across = _between_contrasts(tests)
    return Pilot(
        estimand="standard deviation over pairs of each contrast's paired differences",
        method=(
            "sample standard deviations; upper limits by the chi-squared distribution "
            "(normal differences); plain means of Pearson correlations"
        ),
        cells=tuple(_spread(test, table, confidence_level) for test in tests),
        primary=tuple(_spread(test, table, confidence_level) for test in means),
        cell_correlation=float(np.mean(within)) if within else math.nan,
        n_cell_correlations=len(within),
        contrast_correlation=float(np.mean(across)) if across else math.nan,
        n_contrast_correlations=len(across),
        confidence_level=confidence_level,
        units=table.units,
    )


def _spread(test: Prepared, table: PairedTable, confidence_level: float) -> Spread:
    e = estimate(test.sample)
    cell = None if test.cell is None else dict(zip(table.cell, test.cell, strict=True))
    upper = upper_sd(e.sd, e.df, confidence_level) if e.sd > 0 else e.sd
    return Spread(test.contrast.name, cell, e.n, e.groups, e.sd, upper, e.df, test.sample.is_zero)


def _between_cells(
    table: PairedTable, scores: Scores, contrasts: Sequence[Contrast], room: Room
) -> list[float]:
    """Correlations of a contrast's differences between the cells of a group."""
    out = []
    for contrast in contrasts:
        by_group: dict[Key, list[Prepared]] = {}
        for c in range(len(scores.cells)):
            test = in_cell(contrast, c, scores, room)
            if test is not None:
                by_group.setdefault(table.group_of(scores.cells[c], table.cell), []).append(test)
        for tests in by_group.values():
            out += [_correlation(a, b) for a, b in combinations(tests, 2)]
    return [r for r in out if not math.isnan(r)]


def _between_contrasts(tests: Sequence[Prepared]) -> list[float]:
    """Correlations of two contrasts' differences in one cell."""
    by_cell: dict[Key | None, list[Prepared]] = {}
    for test in tests:
        by_cell.setdefault(test.cell, []).append(test)
    out = [_correlation(a, b) for rows in by_cell.values() for a, b in combinations(rows, 2)]
    return [r for r in out if not math.isnan(r)]


def _correlation(a: Prepared, b: Prepared) -> float:
    """Over the pairs that both have; NaN below three, and where one does not vary."""
    _, at, bt = np.intersect1d(a.sample.all_pairs, b.sample.all_pairs, return_indices=True)
    x, y = np.concatenate(a.sample.values)[at], np.concatenate(b.sample.values)[bt]
    if at.size < 3 or not (np.ptp(x) > 0 and np.ptp(y) > 0):
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])
