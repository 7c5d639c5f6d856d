"""Pairs that a study needs, cell by cell and for the averages, from a pilot's spreads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from stats.layout import columns, wrap
from stats.planning.checks import check_rates, check_size
from stats.planning.detectable import Detectable, detectable
from stats.planning.pilot import Pilot, Spread, place
from stats.planning.power import pairs_for_t
from stats.planning.tost_power import pairs_for_tost
from stats.reach import min_pairs
from stats.record import Record
from stats.wording import amount, number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PilotPlanRow(Record):
    """The pairs that one test needs at its spread's upper limit; None where there is no spread.

    ``pairs_single`` ignores the family, ``pairs_family`` finds the smallest effect of interest at
    alpha / tests, ``pairs_equivalence`` shows equivalence within it at alpha / tests when the true
    difference is 0. Pairs in all: ``spread.groups`` groups share them evenly.
    """

    spread: Spread
    tests: int
    pairs_single: int | None
    pairs_family: int | None
    pairs_equivalence: int | None


@dataclass(frozen=True)
class PilotPlan(Record):
    """A plan from a pilot: one row per test, averages first.

    ``detectable`` is the table over numbers of pairs at the largest upper limit among the cells
    (None where no cell varies). ``smallest_n`` is the fewest pairs at which a sign flip can reach
    alpha, below which Holm serves.
    """

    estimand: str
    method: str
    primary: tuple[PilotPlanRow, ...]
    cells: tuple[PilotPlanRow, ...]
    pilot: Pilot
    detectable: Detectable | None
    sesoi: float
    alpha: float
    power: float
    smallest_n: int
    units: str

    def table(self) -> pd.DataFrame:
        """One row per test; nothing is rounded."""
        import pandas as pd

        rows = []
        for family, members in (("primary", self.primary), ("cells", self.cells)):
            for row in members:
                flat = asdict(row.spread)
                cell = flat.pop("cell") or {}
                rows.append(
                    {"family": family, **cell, **flat, "tests": row.tests}
                    | {
                        "pairs_single": row.pairs_single,
                        "pairs_family": row.pairs_family,
                        "pairs_equivalence": row.pairs_equivalence,
                    }
                )
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The plan as text, at most 100 columns wide."""
        size = amount(self.sesoi, self.units)
        lines = wrap(
            f"Fresh pairs for {self.power:.0%} power at alpha = {self.alpha:g} to find {size}, and "
            "to show equivalence within it when the true difference is 0"
        )
        head = ("", "contrast", "pilot", "sd", f"upper {self.pilot.confidence_level:.0%}",
                "single", "family", "equivalence")  # fmt: skip
        for title, rows in (("Averages", self.primary), ("Cells", self.cells)):
            if not rows:
                continue
            lines += ["", f"{title}, a family of {rows[0].tests}"]
            lines += columns(
                head,
                [
                    (
                        place(row.spread), row.spread.name, row.spread.n_pairs, row.spread.sd,
                        row.spread.sd_upper, row.pairs_single, row.pairs_family,
                        row.pairs_equivalence,
                    )
                    for row in rows
                ],
            )  # fmt: skip
        notes = [
            "pilot: its pairs. Plans count on the upper limit of its sd, never on the difference "
            "it found; its seeds must not be used again. family and equivalence hold each test to "
            "alpha / tests.",
        ]
        if any(row.spread.groups > 1 for row in self.primary):
            notes.append("An average's pairs are those of all its groups together.")
        if not all(row.spread.usable for row in (*self.primary, *self.cells)):
            notes.append("-: the pilot's differences show no spread to plan with.")
        if not math.isnan(self.pilot.cell_correlation):
            notes.append(
                "Mean correlation between the cells of a pair: "
                f"{number(self.pilot.cell_correlation)}."
            )
        notes.append(
            f"Below {self.smallest_n} pairs a test no sign flip reaches {self.alpha:g}; at "
            f"{self.smallest_n} all must have one sign."
        )
        lines += ["", *(line for note in notes for line in wrap(note))]
        tail = "" if self.detectable is None else "\n" + self.detectable.summary()
        return "\n".join(lines) + "\n" + tail


def plan_from_pilot(
    pilot: Pilot,
    sesoi: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    tests: int | None = None,
    pairs: tuple[int, ...] = (),
) -> PilotPlan:
    """The pairs each of the pilot's tests needs, and what numbers of pairs detect.

    ``sesoi`` is in the pilot's units. Averages are a family of their own, of all the pilot's
    averages; cells are one of ``tests`` tests (None: as many as the pilot has). Arms identical to
    the baseline do not count, as in ``compare``. ``pairs`` are the rows of the table over numbers
    of pairs (none: the default ones). Methods: ``power.pairs_for_t`` and
    ``tost_power.pairs_for_tost`` at the spread's upper limit. Raises StatsError for values out of
    range.
    """
    check_size(sesoi, "sesoi")
    in_family = _members(pilot.cells) if tests is None else tests
    check_rates(alpha, power, in_family)

    def row(spread: Spread, k: int) -> PilotPlanRow:
        if not spread.usable:
            return PilotPlanRow(spread, k, None, None, None)
        sd, groups = spread.sd_upper, spread.groups
        single, family = (
            pairs_for_t(sesoi, sd, power=power, alpha=alpha, tests=m, groups=groups) for m in (1, k)
        )
        same = pairs_for_tost(-sesoi, sesoi, sd, power=power, alpha=alpha, tests=k, groups=groups)
        return PilotPlanRow(spread, k, single, family, same)

    widest = max((s.sd_upper for s in pilot.cells if s.usable), default=math.nan)
    options = {"pairs": pairs} if pairs else {}
    return PilotPlan(
        estimand="the number of fresh pairs at which a study would settle each contrast",
        method=(
            f"paired t and TOST power at the upper {pilot.confidence_level:.0%} limit of the "
            "pilot's sd, Bonferroni's share of alpha"
        ),
        primary=tuple(row(s, _members(pilot.primary)) for s in pilot.primary),
        cells=tuple(row(s, in_family) for s in pilot.cells),
        pilot=pilot,
        detectable=None
        if math.isnan(widest)
        else detectable(
            widest, sesoi=sesoi, tests=in_family, alpha=alpha, power=power, units=pilot.units,
            **options,
        ),
        sesoi=sesoi,
        alpha=alpha,
        power=power,
        smallest_n=min_pairs(alpha),
        units=pilot.units,
    )  # fmt: skip


def _members(spreads: Sequence[Spread]) -> int:
    return max(1, sum(not spread.identical for spread in spreads))
