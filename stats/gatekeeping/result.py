"""What ``gatekeep`` returns: a claim per node of the tree, and the whole."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from stats.record import Record
from stats.verdict import Verdict
from stats.wording import amount, number, p_value

if TYPE_CHECKING:
    import pandas as pd

ROOT = "all cells"


class GateVerdict(StrEnum):
    """What the gates let be said of a claim."""

    BETTER = "better"
    WORSE = "worse"
    NOT_SHOWN = "not shown"
    CLOSED = "not tested"
    IDENTICAL = "identical"
    UNDEFINED = "undefined"


@dataclass(frozen=True)
class GatePart:
    """One contrast of a claim.

    ``delta``, ``se``, ``low`` and ``high`` are in the table's units; the interval is two-sided,
    unadjusted, at 1 - alpha. ``p_better`` and ``p_worse`` are one-sided; ``p_signflip`` is that of
    the two-sided sign-flip test, beside the t test. ``sensitivity_*`` are those of the second
    table, equal to the first where none was given. NaN where no test is possible.
    """

    contrast: str
    arm: str
    baseline: str
    n_pairs: int
    n_broken: int
    delta: float
    se: float
    df: float
    low: float
    high: float
    p_better: float
    p_worse: float
    p_signflip: float
    sensitivity_delta: float
    sensitivity_low: float
    sensitivity_high: float
    sensitivity_better: float
    sensitivity_worse: float


@dataclass(frozen=True)
class Gate(Record):
    """A claim: every contrast is better (worse) here.

    ``gate`` is 1 for the average over all cells, 2 for a group of cells, 3 for a cell; ``place``
    names the columns it is about, ``parent`` the claim that opens it. ``p_better`` and ``p_worse``
    are one-sided, the largest over contrasts and tables. ``adjusted_*`` are two-sided familywise
    p-values over all claims of the tree and both directions, to be held against alpha; ``opened_*``
    are the levels from which the claim is tested at all. ``deciding`` is the contrast with the
    largest ``p_better``. ``identical`` tells that no difference was seen in any pair.
    """

    gate: int
    name: str
    parent: str
    place: dict[str, str]
    parts: tuple[GatePart, ...]
    p_better: float
    p_worse: float
    adjusted_better: float
    adjusted_worse: float
    opened_better: float
    opened_worse: float
    deciding: str
    verdict: GateVerdict

    @property
    def n_pairs(self) -> int:
        """The smallest number of pairs of a contrast."""
        return min(part.n_pairs for part in self.parts)

    @property
    def p_adjusted(self) -> float:
        """The adjusted p-value of the direction with more evidence."""
        return min(self.adjusted_better, self.adjusted_worse)

    def parts_text(self, units: str) -> str:
        """The differences with their intervals, one after another."""
        return "; ".join(
            f"{part.contrast} {number(part.delta, sign=True)}"
            + (f" {units}" if i == 0 else "")
            + ("" if math.isnan(part.low) else f" [{number(part.low)}, {number(part.high)}]")
            for i, part in enumerate(self.parts)
        )


@dataclass(frozen=True)
class Gatekept(Record):
    """The outcome of ``gatekeep``: ``gates`` in the order of the tree, the average first.

    ``subject`` is what the claim is about, ``contrasts`` name what it is compared with, and
    ``says`` are the words between them where it is better and where it is worse.
    ``evidence`` is "t" or "e". ``sensitivity`` tells whether a second table had to show the same.
    """

    subject: str
    says: tuple[str, str]
    contrasts: tuple[str, ...]
    estimand: str
    method: str
    gates: tuple[Gate, ...]
    alpha: float
    sesoi: float | None
    evidence: str
    effects: tuple[float, ...]
    sensitivity: bool
    n_resamples: int
    rng_seed: int | None
    versions: dict[str, str]
    units: str

    @property
    def average(self) -> Gate:
        """The claim over all cells."""
        return self.gates[0]

    def at(self, gate: int) -> tuple[Gate, ...]:
        """The claims of a gate."""
        return tuple(item for item in self.gates if item.gate == gate)

    @property
    def verdict(self) -> Verdict:
        """The average's verdict in the words of every report."""
        average = self.average
        if average.verdict is GateVerdict.BETTER:
            low = min(min(part.low, part.sensitivity_low) for part in average.parts)
            beyond = self.sesoi is not None and low > self.sesoi
            return Verdict.SUPERIOR_AND_MEANINGFUL if beyond else Verdict.SUPERIOR
        if average.verdict is GateVerdict.WORSE:
            high = max(max(part.high, part.sensitivity_high) for part in average.parts)
            beyond = self.sesoi is not None and high < -self.sesoi
            return Verdict.INFERIOR_AND_MEANINGFUL if beyond else Verdict.INFERIOR
        return {
            GateVerdict.IDENTICAL: Verdict.IDENTICAL,
            GateVerdict.UNDEFINED: Verdict.UNDEFINED,
        }.get(average.verdict, Verdict.INCONCLUSIVE)

    def sentences(self) -> tuple[str, ...]:
        """What the gates let be said: on average, of groups of cells, of cells."""
        later = [gate for gate in (2, 3) if self.at(gate)]
        if all(item.verdict is GateVerdict.CLOSED for item in self.gates[1:]):
            later = []  # the first sentence says so
        return (self._first(), *(self._later(gate) for gate in later))

    def _first(self) -> str:
        average, cells = self.average, self._n_cells()
        where = f"on average over {'these' if cells > 1 else 'this'} {_count(cells, 'cell')}"
        names = ", ".join(self.contrasts)
        whom = f"each of {names}" if len(self.contrasts) > 1 else names
        proof = (
            f"({average.parts_text(self.units)}; adjusted p "
            f"{p_value(average.p_adjusted, equals=True)}, {_count(average.n_pairs, 'pair')})"
        )
        better, worse = self.says
        if average.verdict in (GateVerdict.BETTER, GateVerdict.WORSE):
            said = better if average.verdict is GateVerdict.BETTER else worse
            size = ""
            if self.verdict.endswith("meaningful") and self.sesoi is not None:
                size = f", by more than {amount(self.sesoi, self.units)}"
            return f"{self.subject} {said} {whom} {where}{size} {proof}."
        if average.verdict is GateVerdict.IDENTICAL:
            return f"{self.subject} changes no score of {whom} {where} ({average.n_pairs} pairs)."
        if average.verdict is GateVerdict.UNDEFINED:
            return (
                f"No test is possible of whether {self.subject} {better} {whom} {where}: "
                f"{average.parts_text(self.units)}."
            )
        closed = "; nothing less than the average is tested then" if len(self.gates) > 1 else ""
        return (
            f"It is not shown that {self.subject} {better} {whom} {where}, nor that it {worse} "
            f"{'each' if len(self.contrasts) > 1 else 'it'} {proof}{closed}."
        )

    def _later(self, gate: int) -> str:
        claims = self.at(gate)
        kind = "cell" if gate == 3 else "/".join(claims[0].place)
        tested = sum(claim.verdict is not GateVerdict.CLOSED for claim in claims)
        ends = {
            word: [claim.name for claim in claims if claim.verdict is word]
            for word in (GateVerdict.BETTER, GateVerdict.WORSE)
        }
        said = "; ".join(f"{word} in {', '.join(names)}" for word, names in ends.items() if names)
        found = sum(map(len, ends.values()))
        text = f"Shown in {found} of {_count(len(claims), kind)}"
        if tested < len(claims):
            text += f", {tested} of them tested"
        return f"{text}{': ' + said if said else ''}."

    def _n_cells(self) -> int:
        parents = {item.parent for item in self.gates}
        return sum(item.name not in parents for item in self.gates)

    def table(self) -> pd.DataFrame:
        """One row per claim and contrast; nothing is rounded."""
        import pandas as pd

        rows = []
        for item in self.gates:
            same = {
                f.name: getattr(item, f.name)
                for f in dataclasses.fields(item)
                if f.name not in ("parts", "place")
            }
            same["verdict"] = str(item.verdict)
            rows += [same | dataclasses.asdict(part) for part in item.parts]
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The claims as text, at most 100 columns wide."""
        from stats.layout import columns, wrap

        head = ("claim", *(f"{name}" for name in self.contrasts), "p", "p adj", "verdict")
        rows = [
            (
                "  " * (item.gate - 1) + item.name,
                *(number(part.delta, sign=True) for part in item.parts),
                min(item.p_better, item.p_worse),
                item.p_adjusted if item.verdict is not GateVerdict.CLOSED else math.nan,
                str(item.verdict),
            )
            for item in self.gates
        ]
        lines = [*columns(head, rows), ""]
        for text in (*self.sentences(), self.method):
            lines += wrap(text)
        return "\n".join(lines) + "\n"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")
