"""Many arms against one reference, as Dunnett asks, by joint sign flips."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.contrast import versus
from stats.errors import StatsError
from stats.paired import check_alternative, check_level
from stats.prepare import Room, averaged, cell_indices, check_contrasts, in_cell
from stats.record import Record, seed_of, versions
from stats.replication.rows import ContrastTest, contrast_tests, correction
from stats.signflip import N_RESAMPLES, check_resolution
from stats.table import Key, PairedTable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ManyToOne(Record):
    """Every arm against ``baseline``, corrected over the arms: one row per arm.

    ``arms`` holds the rows; ``exact`` tells that all of ``n_flips`` flips were enumerated (0: the
    family was corrected by Holm alone).
    """

    baseline: str
    arms: tuple[ContrastTest, ...]
    alternative: str
    estimand: str
    method: str
    alpha: float
    confidence_level: float
    n_flips: int
    exact: bool
    n_resamples: int
    rng_seed: int | None
    versions: dict[str, str]
    units: str

    def table(self) -> pd.DataFrame:
        """One row per arm; nothing is rounded."""
        import pandas as pd

        rows = [dataclasses.asdict(row) for row in self.arms]
        frame = pd.DataFrame([row | {"verdict": str(row["verdict"])} for row in rows])
        return frame.drop(columns="cell")

    def summary(self) -> str:
        """The rows as text, and how they were corrected."""
        from stats.layout import columns, wrap

        head = ("arm", "n", "delta", "low", "high", "p", "p flip", "p adj", "")
        unadjusted = {"two-sided": "p", "greater": "p_greater", "less": "p_less"}[self.alternative]
        rows = [
            (
                row.arm, row.n_pairs, row.delta, row.simultaneous_low, row.simultaneous_high,
                getattr(row, unadjusted), row.p_signflip, row.p_adjusted, str(row.verdict),
            )
            for row in self.arms
        ]  # fmt: skip
        note = (
            f"{self.estimand[0].upper()}{self.estimand[1:]}, in {self.units}. {self.method}. low "
            f"and high hold together at {1 - self.alpha:.0%}; p and p flip are unadjusted."
        )
        return "\n".join([*columns(head, rows), "", *wrap(note)]) + "\n"


def dunnett(
    table: PairedTable,
    baseline: str,
    *,
    arms: Sequence[str] | None = None,
    cell: Key | None = None,
    average_over: Sequence[Key] | None = None,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> ManyToOne:
    """Compare ``arms`` (None: all others) with ``baseline`` in ``cell``, or averaged over cells.

    Dunnett (1955, Journal of the American Statistical Association 50, 1096-1121) corrects many
    comparisons with one control, which are correlated through the control's runs. Here the pairs
    carry that correlation: one sign covers a pair's differences of all arms, and step-down max-T
    (``family.max_t``) takes the largest t over the arms. No common variance is assumed. Averages go
    over ``average_over`` (None: all cells), within the pair first.

    Raises StatsError for unknown arms and cells, a baseline among ``arms``, no arms, ``cell``
    together with ``average_over``, and values out of range.
    """
    check_alternative(alternative)
    check_level(alpha, "alpha")
    check_level(confidence_level)
    check_resolution(n_resamples, alpha)
    scores = table.scores()
    chosen = arms if arms is not None else [arm for arm in table.arms if arm != baseline]
    if not chosen:
        raise StatsError("there is no arm to compare", place="arms", value=list(chosen))
    contrasts = [versus(arm, baseline) for arm in chosen]
    check_contrasts(contrasts, scores, "arms")
    room = Room({}, None)
    if cell is None:
        columns = cell_indices(average_over, scores, table, "average_over")
        prepared = [averaged(contrast, columns, table, scores, room) for contrast in contrasts]
        where = f"averaged over {len(columns)} cells, within the pair first"
    elif average_over is not None:
        raise StatsError(
            "a cell and cells to average over exclude each other", place="cell", value=cell
        )
    else:
        (at,) = cell_indices([cell], scores, table, "cell")
        prepared = []
        for contrast in contrasts:
            test = in_cell(contrast, at, scores, room)
            if test is None:
                raise StatsError(
                    f"'{contrast.name}' or '{baseline}' was not run there",
                    place=f"cell {'/'.join(cell)}",
                    value=cell,
                )
            prepared.append(test)
        where = f"in cell {'/'.join(cell)}"
    rows, family = contrast_tests(
        prepared,
        table,
        alternative,
        alpha=alpha,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        rng=rng,
    )
    if all(math.isnan(row.t) for row in rows) and family.n_tests:
        raise StatsError(
            "no arm has two complete pairs that differ, so no inference is possible",
            place="table",
            hint="add pairs (6 or more let an exact test reach .05)",
        )
    return ManyToOne(
        baseline=baseline,
        arms=rows,
        alternative=alternative,
        estimand=f"mean difference of each arm from {baseline}, {where}",
        method=f"paired t, adjusted over {family.n_tests} arms by {correction(family)}",
        alpha=alpha,
        confidence_level=confidence_level,
        n_flips=family.n_flips,
        exact=family.exact,
        n_resamples=n_resamples,
        rng_seed=seed_of(rng),
        versions=versions(),
        units=table.units,
    )
