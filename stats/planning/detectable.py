"""What n pairs would detect: a table over numbers of pairs, from a standard deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from stats.errors import StatsError
from stats.layout import columns, wrap
from stats.planning.checks import check_pairs, check_rates, check_sd, check_size
from stats.planning.power import detectable_effect, pairs_for_t, power_of_t
from stats.planning.tost_power import equivalence_margin, pairs_for_tost, power_of_tost
from stats.reach import min_pairs, reach
from stats.record import Record
from stats.wording import amount, number

if TYPE_CHECKING:
    import pandas as pd

STANDARD = "standard deviations"
"""The units of a plan without a spread: effects are d_z."""
PAIRS = (5, 6, 8, 10, 15, 20, 30, 40, 60)


@dataclass(frozen=True)
class DetectableRow:
    """What ``n`` pairs detect; effects and margins in the plan's units.

    ``effect`` is the minimal detectable effect of a single test, ``margin`` the smallest margin of
    equivalence at a true difference of 0; the ``*_family`` ones hold each test to alpha / tests.
    With a smallest effect of interest: ``power`` to find it and ``power_tost`` to show equivalence
    within it at a true difference of 0, both in the family; NaN without. ``flips_reach`` tells
    whether a sign flip of n pairs can give p <= alpha at all, so that max-T can serve.
    """

    n: int
    effect: float
    effect_family: float
    margin: float
    margin_family: float
    power: float
    power_tost: float
    flips_reach: bool


@dataclass(frozen=True)
class Detectable(Record):
    """What numbers of pairs detect with ``power`` at ``alpha``, alone and in a family of ``tests``.

    ``pairs_*`` are the fewest pairs for the smallest effect of interest: to find it (``*_family``
    at alpha / tests) and to show equivalence within it at a true difference of 0; None without
    one. ``warnings`` are sentences on numbers of pairs at which the family cannot be settled.
    """

    estimand: str
    method: str
    sd: float
    sesoi: float | None
    tests: int
    alpha: float
    power: float
    rows: tuple[DetectableRow, ...]
    pairs_single: int | None
    pairs_family: int | None
    pairs_equivalence: int | None
    pairs_equivalence_family: int | None
    warnings: tuple[str, ...]
    units: str

    def table(self) -> pd.DataFrame:
        """One row per number of pairs; nothing is rounded."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])

    def summary(self) -> str:
        """The table and the pairs needed as text, at most 100 columns wide."""
        many = self.tests > 1
        head = ["pairs", "effect", f"effect /{self.tests}", "margin", f"margin /{self.tests}"]
        keep = [0, 1, 2, 3, 4] if many else [0, 1, 3]
        if self.sesoi is not None:
            head += ["power", "power TOST"]
            keep += [5, 6]
        body = [
            [row.n, row.effect, row.effect_family, row.margin, row.margin_family]
            + ([] if self.sesoi is None else [row.power, row.power_tost])
            for row in self.rows
        ]
        spread = f"with a standard deviation of {number(self.sd)} {self.units}"
        if self.units == STANDARD:
            spread = "in standard deviations of theirs"
        lines = wrap(
            f"Mean paired differences, {spread}, that are found with {self.power:.0%} power at "
            f"alpha = {self.alpha:g}, two-sided"
        )
        lines += ["", *columns([head[k] for k in keep], [[r[k] for k in keep] for r in body]), ""]
        notes = [
            f"effect: the smallest true difference found, in {self.units}; margin: the smallest "
            "within which equivalence is shown when the true difference is 0."
        ]
        if many:
            notes.append(
                f"/{self.tests}: each of {self.tests} tests held to alpha / {self.tests} "
                "(Bonferroni; Holm needs no more pairs, max-T mostly fewer)."
            )
        if self.sesoi is not None:
            size = amount(self.sesoi, self.units)
            alone = f" ({self.pairs_single} for a single test)" if many else ""
            tost = f" ({self.pairs_equivalence} for a single test)" if many else ""
            notes += [
                f"power: to find {size}; power TOST: to show equivalence within {size} when the "
                f"true difference is 0{'; both in the family' if many else ''}.",
                f"Pairs needed to find {size}: {self.pairs_family}{alone}; to show equivalence "
                f"within it: {self.pairs_equivalence_family}{tost}.",
            ]
        notes += [f"Warning: {text}." for text in self.warnings]
        return "\n".join(lines + [line for note in notes for line in wrap(note)]) + "\n"


def detectable(
    sd: float,
    *,
    pairs: Sequence[int] = PAIRS,
    sesoi: float | None = None,
    tests: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
    units: str = "score units",
) -> Detectable:
    """What each number of pairs detects, and the pairs that the smallest effect of interest needs.

    ``sd`` of paired differences, in ``units``; 1 with ``STANDARD`` units gives a table in d_z.
    Take a safe one, such as a pilot's upper 80 % limit (``spread.upper_sd``). Methods: see
    ``power`` and ``tost_power``. Raises StatsError for values out of range and an empty list.
    """
    check_sd(sd)
    check_rates(alpha, power, tests)
    if sesoi is not None:
        check_size(sesoi, "sesoi")
    if not pairs:
        raise StatsError("the list of numbers of pairs is empty", place="pairs", value=[])
    rows, warnings = [], []
    for n in dict.fromkeys(pairs):
        check_pairs(n)
        here = reach(n, tests, alpha)
        if here.warning:
            warnings.append(here.warning)
        if here.max_t and here.smallest_p > alpha / 2:
            warnings.append(
                f"at {n} pairs a sign flip, and so max-T, reaches p = {alpha:g} only when all "
                "pairs have one sign: less power than the t test's, which is shown"
            )
        rows.append(
            DetectableRow(
                n=n,
                effect=detectable_effect(sd, n, power=power, alpha=alpha),
                effect_family=detectable_effect(sd, n, power=power, alpha=alpha, tests=tests),
                margin=equivalence_margin(sd, n, power=power, alpha=alpha),
                margin_family=equivalence_margin(sd, n, power=power, alpha=alpha, tests=tests),
                power=math.nan
                if sesoi is None
                else power_of_t(sesoi, sd, n, alpha=alpha, tests=tests),
                power_tost=math.nan
                if sesoi is None
                else power_of_tost(-sesoi, sesoi, sd, n, alpha=alpha, tests=tests),
                flips_reach=here.max_t,
            )
        )
    if tests > 1 and not all(row.flips_reach for row in rows):
        warnings.append(
            f"below {min_pairs(alpha)} pairs no sign flip reaches p = {alpha:g}, so that a family "
            "is corrected by Holm on t tests"
        )

    def to_find(k: int) -> int | None:
        return None if sesoi is None else pairs_for_t(sesoi, sd, power=power, alpha=alpha, tests=k)

    def to_exclude(k: int) -> int | None:
        if sesoi is None:
            return None
        return pairs_for_tost(-sesoi, sesoi, sd, power=power, alpha=alpha, tests=k)

    return Detectable(
        estimand="the true mean of paired differences that a study of n pairs finds or excludes",
        method="noncentral t (paired t); exact power of two one-sided t tests (equivalence)",
        sd=sd,
        sesoi=sesoi,
        tests=tests,
        alpha=alpha,
        power=power,
        rows=tuple(rows),
        pairs_single=to_find(1),
        pairs_family=to_find(tests),
        pairs_equivalence=to_exclude(1),
        pairs_equivalence_family=to_exclude(tests),
        warnings=tuple(warnings),
        units=units,
    )
