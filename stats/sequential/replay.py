"""What a sequential plan says of the pairs so far: one step per pair, or per planned look."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stats.record import Record
from stats.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

SETTLED = frozenset(
    {
        Verdict.SUPERIOR_AND_MEANINGFUL,
        Verdict.EQUIVALENT,
        Verdict.SUPERIOR,
        Verdict.INFERIOR_AND_MEANINGFUL,
        Verdict.INFERIOR,
    }
)


@dataclass(frozen=True)
class Step:
    """The state after ``n`` pairs.

    ``difference`` is that of the newest pair, ``mean`` that of all. Anytime: ``e_value``, the
    anytime p-value ``p``, held against ``level`` = alpha, and the confidence sequence ``low``,
    ``high``. At looks: ``t`` with its ``p``, the ``level`` of this look, and the repeated
    confidence interval. NaN: does not apply, or is not defined.
    """

    n: int
    difference: float
    mean: float
    e_value: float
    t: float
    p: float
    level: float
    low: float
    high: float
    verdict: Verdict
    decision: str


@dataclass(frozen=True)
class Replay(Record):
    """A plan applied to the pairs run so far.

    ``stopped_at`` is the first number of pairs at which the plan allowed to stop with a verdict,
    None while there is none. ``verdict`` is the last step's: an anytime plan may go on, and its
    later verdicts are as valid; a plan with looks ends where it stops. ``next_look`` is None where
    the plan has ended. ``decision`` is "stop", "go on" or "end" (all pairs are used up).
    """

    estimand: str
    method: str
    steps: tuple[Step, ...]
    n: int
    stopped_at: int | None
    next_look: int | None
    verdict: Verdict
    decision: str
    alpha: float
    max_n: int
    looks: tuple[int, ...]
    rule: str
    alternative: str
    sesoi: float | None
    units: str

    def table(self) -> pd.DataFrame:
        """One row per step, with the columns that apply; nothing is rounded."""
        import pandas as pd

        unused = ["difference", "e_value"] if self.looks else ["t"]
        rows = [{**dataclasses.asdict(s), "verdict": str(s.verdict)} for s in self.steps]
        names = [f.name for f in dataclasses.fields(Step)]
        return pd.DataFrame(rows, columns=names).drop(columns=unused)

    def sentence(self) -> str:
        """What the plan says now, as one sentence."""
        from stats.wording import amount, number

        pairs = f"{self.n} pair{'' if self.n == 1 else 's'}"
        if not self.steps:
            return f"No look yet: {pairs} of {self.looks[0]} that the first look needs."
        last = self.steps[-1]
        bound = amount(self.sesoi, self.units) if self.sesoi is not None else ""
        claim = {
            Verdict.SUPERIOR_AND_MEANINGFUL: f"better, and by more than {bound}",
            Verdict.SUPERIOR: "better",
            Verdict.INFERIOR_AND_MEANINGFUL: f"worse, and by more than {bound}",
            Verdict.INFERIOR: "worse",
            Verdict.EQUIVALENT: f"the same within {bound}",
            Verdict.IDENTICAL: "identical in every pair",
            Verdict.UNDEFINED: "all pairs differ by the same amount, so no test is possible",
            Verdict.INCONCLUSIVE: "not settled",
        }[last.verdict]
        where = ""
        if self.stopped_at is not None and self.stopped_at < last.n:
            where = f", settled since pair {self.stopped_at}"
        interval = "no bound yet"
        if math.isfinite(last.low) or math.isfinite(last.high):
            interval = f"interval [{number(last.low)}, {number(last.high)}]"
        then = {
            "stop": "the plan allows to stop",
            "end": f"the plan ends at {self.max_n} pairs",
            "go on": f"the next look is at {self.next_look} pairs",
        }[self.decision]
        return (
            f"After {last.n} pair{'' if last.n == 1 else 's'}: {claim}{where} (mean "
            f"{number(last.mean, sign=True)} {self.units}, {interval}); {then}."
        )

    def summary(self) -> str:
        """The steps and the sentence as text for a terminal, at most 100 columns wide."""
        from stats.layout import columns, wrap

        frame = self.table()
        lines = columns([str(name) for name in frame.columns], frame.to_numpy().tolist())
        text = [*lines, ""] if self.steps else []
        return "\n".join([*text, *wrap(self.sentence()), *wrap(self.method)]) + "\n"
