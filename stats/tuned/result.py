"""The results of tuned against tuned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stats.layout import columns, wrap
from stats.paired import PairedT
from stats.record import Record
from stats.replication.average import Average
from stats.wording import number

if TYPE_CHECKING:
    import pandas as pd

DIFFERENCE = "difference"
"""The row of a shrinkage table that is about arm minus baseline."""


@dataclass(frozen=True)
class Effort:
    """What an arm's searches took: trials, those stopped early, distinct runs, seconds of them."""

    arm: str
    trials: int
    stopped: int
    runs: int
    seconds: float


@dataclass(frozen=True)
class Shrinkage:
    """How a winner's score falls from selection to confirmation, in the units of the result.

    ``who`` is an arm, or "difference" for arm minus baseline. ``selected`` is the score that the
    search chose the winner by, ``fresh`` the same settings on the same (validation) items with
    fresh seeds, ``test`` on test items with the same fresh seeds. ``by_seeds`` estimates fresh
    minus selected, ``by_items`` test minus fresh, ``total`` test minus selected.
    """

    who: str
    selected: float
    fresh: float
    test: float
    by_seeds: PairedT
    by_items: PairedT
    total: PairedT


@dataclass(frozen=True)
class Tuned(Record):
    """Two arms, each at the best setting of its own search, on fresh seeds and test items.

    ``conditional`` compares the settings that were chosen, whatever another search would choose:
    its interval holds the noise of seeds only. ``over_searches`` is the mean over searches (each a
    search of both arms and a confirmation with seeds of its own): its interval also holds what
    tuning varies; undefined for one search. ``by_search`` is the conditional comparison of each
    search. ``sd_tuning`` is the spread of the searches' true differences beyond the noise of their
    seeds (moments; 0 where the spread is no larger than the noise; NaN for one search).
    ``n_broken`` pairs lack a score in one of the arms and are left out.
    """

    estimand: str
    method: str
    arm: str
    baseline: str
    units: str
    n_searches: int
    n_pairs: int
    n_broken: int
    conditional: Average
    over_searches: Average
    by_search: tuple[tuple[str, PairedT], ...]
    sd_tuning: float
    shrinkage: tuple[Shrinkage, ...]
    efforts: tuple[Effort, ...]
    rng_seed: int | None

    @property
    def includes_tuning(self) -> bool:
        """Whether the headline's interval holds what tuning varies."""
        return self.n_searches > 1

    @property
    def headline(self) -> Average:
        """The mean over searches where there are several, else the conditional comparison."""
        return self.over_searches if self.includes_tuning else self.conditional

    @property
    def compute_ratio(self) -> float:
        """Seconds that the arm's searches took over those of the baseline's; NaN if unknown."""
        seconds = {effort.arm: effort.seconds for effort in self.efforts}
        base = seconds.get(self.baseline, 0.0)
        return seconds.get(self.arm, math.nan) / base if base > 0 else math.nan

    def shrunk(self, who: str) -> Shrinkage:
        """The row of an arm, or of "difference"."""
        return next(row for row in self.shrinkage if row.who == who)

    def table(self) -> pd.DataFrame:
        """One row per stage of the difference and the arms; nothing is rounded."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "who": row.who,
                    "selected": row.selected,
                    "fresh_seeds": row.fresh,
                    "test_items": row.test,
                    "by_seeds": row.by_seeds.mean,
                    "by_seeds_low": row.by_seeds.ci_low,
                    "by_seeds_high": row.by_seeds.ci_high,
                    "by_items": row.by_items.mean,
                    "by_items_low": row.by_items.ci_low,
                    "by_items_high": row.by_items.ci_high,
                }
                for row in self.shrinkage
            ]
        )

    def sentences(self) -> tuple[str, ...]:
        """What the result says, in order of importance."""
        said = [f"{self.arm} against {self.baseline}, each tuned: {self.headline.sentence}."]
        if self.includes_tuning:
            said.append(
                f"The interval is over {self.n_searches} searches of each arm and so includes what "
                "tuning varies; for the settings that were chosen, seeds alone, it is "
                f"[{number(self.conditional.ci_low)}, {number(self.conditional.ci_high)}]."
            )
            if self.sd_tuning == 0:
                said.append(
                    "The searches' differences spread no more than the noise of their seeds."
                )
            elif math.isfinite(self.sd_tuning):
                said.append(
                    f"Beyond the noise of seeds, the difference varies between searches with an SD "
                    f"of {number(self.sd_tuning)} {self.units}."
                )
        else:
            said.append(
                "The interval is conditional on the two settings that were chosen: another search "
                "would choose others, and nothing here says how much that matters (replicate the "
                "searches, 5 or more times)."
            )
        said += _curse(self)
        said.append(_compute(self))
        return tuple(text for text in said if text)

    def summary(self) -> str:
        """Text of at most 100 columns."""
        lines = [line for text in self.sentences() for line in wrap(text)]
        head = ["", "selected", "fresh seeds", "test items", "by seeds", "by items"]
        rows: list[list[Any]] = [
            [
                r.who,
                r.selected,
                r.fresh,
                r.test,
                interval_text(r.by_seeds),
                interval_text(r.by_items),
            ]
            for r in self.shrinkage
        ]
        return "\n".join([*lines, "", *columns(head, rows, indent="  ")]) + "\n"


def interval_text(average: Average | PairedT) -> str:
    """``-1.2 [-2.0, -0.4]``, or the mean alone where there is no interval."""
    text = number(average.mean, sign=True)
    if math.isnan(average.ci_low):
        return text
    return f"{text} [{number(average.ci_low)}, {number(average.ci_high)}]"


def _curse(result: Tuned) -> list[str]:
    """What selection promised and did not keep: for each arm, then for the difference."""
    arms = [row for row in result.shrinkage if row.who != DIFFERENCE]
    moved = ", ".join(f"{row.who} {number(row.by_seeds.mean, sign=True)}" for row in arms)
    lower = [row.who for row in arms if row.by_seeds.ci_high < 0]
    higher = [row.who for row in arms if row.by_seeds.ci_low > 0]
    known = not any(math.isnan(row.by_seeds.ci_low) for row in arms)
    gap = result.shrunk(DIFFERENCE)
    curse = (
        "Fresh seeds on the same validation items change the score that the chosen settings were "
        f"chosen by: {moved} {result.units}"
    )
    curse += (
        f". For {' and '.join(lower)} that is the winner's curse: the best of many noisy trials "
        "owes part of its score to luck."
        if lower
        else f", upwards for {' and '.join(higher)}."
        if higher
        else ", within noise."
        if known
        else "."
    )
    return [
        curse,
        f"The difference was {number(gap.selected, sign=True)} when the winners were chosen, "
        f"{number(gap.fresh, sign=True)} with fresh seeds and {number(gap.test, sign=True)} on "
        "test items; only the last is a result.",
    ]


def _compute(result: Tuned) -> str:
    ratio = result.compute_ratio
    if math.isnan(ratio):
        return ""
    trials = {effort.arm: effort.trials for effort in result.efforts}
    if trials.get(result.arm) == trials.get(result.baseline):
        same = f"Both arms had {trials[result.arm]} trials"
    else:
        same = f"{result.arm} had {trials[result.arm]} trials, {result.baseline} " + (
            f"{trials[result.baseline]}"
        )
    return (
        f"{same}; the search of {result.arm} took {ratio:.2f} times the computing time of "
        f"{result.baseline}'s."
    )
