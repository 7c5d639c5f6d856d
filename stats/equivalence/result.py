"""What an analysis of equivalence returns: one test per contrast and cell, and all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stats.equivalence.regions import Regions
from stats.equivalence.tost import Tost
from stats.layout import columns, wrap
from stats.record import Record
from stats.result import Broken, Effect, Family
from stats.verdict import describe
from stats.wording import number, p_value

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class EquivalenceTest(Record):
    """One contrast in one cell, or averaged over cells.

    ``effect`` is the paired comparison's, with the verdict of this analysis and with
    ``pairs_needed`` to find a difference as large as the nearer bound of the margin. ``tost`` and
    ``regions`` are unadjusted. ``p_adjusted`` is the TOST p-value adjusted over the family by Holm
    (NaN for identical arms, which are outside), on which a verdict of equivalence rests.
    ``pairs_for_equivalence``: fresh pairs that show equivalence with 80 % power when the true
    difference is 0, None where there is no spread to plan with.
    """

    effect: Effect
    tost: Tost
    regions: Regions
    p_adjusted: float
    pairs_for_equivalence: int | None


@dataclass(frozen=True)
class Equivalence(Record):
    """The outcome of ``analysis.equivalence``: the cells' family and the averages'.

    Scores, differences and margins are in ``units``. The intervals shown are unadjusted, at
    ``confidence_level`` = 1 - 2 alpha. ``families`` tells how differences were corrected.
    """

    estimand: str
    method: str
    cells: tuple[EquivalenceTest, ...]
    primary: tuple[EquivalenceTest, ...]
    families: dict[str, Family]
    margin_low: float
    margin_high: float
    alpha: float
    confidence_level: float
    n_resamples: int
    rng_seed: int | None
    broken: tuple[Broken, ...]
    versions: dict[str, str]
    units: str

    def table(self) -> pd.DataFrame:
        """One row per test, averages first; the cell's columns come first, nothing is rounded."""
        import pandas as pd

        rows = []
        for family, tests in (("primary", self.primary), ("cells", self.cells)):
            for test in tests:
                e, t = test.effect, test.tost
                rows.append(
                    {
                        "family": family,
                        **(e.cell or {}),
                        "name": e.name,
                        "baseline": e.baseline,
                        "n_pairs": e.n_pairs,
                        "delta": e.delta,
                        "sd": e.sd,
                        "ci_low": t.ci_low,
                        "ci_high": t.ci_high,
                        "p_low": t.p_low,
                        "p_high": t.p_high,
                        "p_tost": t.p,
                        "p_tost_adjusted": test.p_adjusted,
                        "p_difference_adjusted": e.p_adjusted,
                        "c_left": test.regions.c_left,
                        "c_rope": test.regions.c_rope,
                        "c_right": test.regions.c_right,
                        "verdict": str(e.verdict),
                        "also": e.also,
                        "no_room": e.no_room,
                        "pairs_for_equivalence": test.pairs_for_equivalence,
                        "pairs_for_difference": e.pairs_needed,
                    }
                )
        return pd.DataFrame(rows)

    def sentence(self, test: EquivalenceTest) -> str:
        """The verdict on one of the tests in words."""
        t, e = test.tost, test.effect
        proof = (
            f"{self.confidence_level:.0%} interval [{number(t.ci_low)}, {number(t.ci_high)}], "
            f"adjusted p: equivalence {p_value(test.p_adjusted, equals=True)}, difference "
            f"{p_value(e.p_adjusted, equals=True)}; {e.n_pairs} pairs"
        )
        return describe(e, self.units, (self.margin_low, self.margin_high), proof=proof)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, each test with its sentence."""
        out = super().to_dict()
        for name, tests in (("cells", self.cells), ("primary", self.primary)):
            for row, test in zip(out[name], tests, strict=True):
                row["sentence"] = self.sentence(test)
        return out

    def summary(self) -> str:
        """The tests as text for a terminal, at most 100 columns wide."""
        margin = f"{number(self.margin_low)} to {number(self.margin_high, sign=True)} {self.units}"
        lines = [f"Equivalence within {margin}", ""]
        if self.primary:
            lines += ["Averaged over cells", *self._rows(self.primary), ""]
            for test in self.primary:
                lines += wrap("- " + self.sentence(test), hanging="  ")
            lines.append("")
        cells: dict[tuple[tuple[str, str], ...], list[EquivalenceTest]] = {}
        for test in self.cells:
            cells.setdefault(tuple((test.effect.cell or {}).items()), []).append(test)
        for key, tests in cells.items():
            title = ", ".join(f"{name}={value}" for name, value in key) or "All"
            lines += [title, *self._rows(tests), ""]
        return "\n".join(lines + self._notes()) + "\n"

    def _rows(self, tests: Sequence[EquivalenceTest]) -> list[str]:
        head = ("", "n", "delta", self._interval, "p TOST", "p adj", "below/within/above", "pairs",
                "verdict")  # fmt: skip
        rows = []
        for test in tests:
            e, t, r = test.effect, test.tost, test.regions
            defined = t.p == t.p
            rows.append(
                (
                    e.name,
                    e.n_pairs,
                    number(e.delta, sign=True),
                    f"[{number(t.ci_low)}, {number(t.ci_high)}]" if defined else "-",
                    t.p,
                    test.p_adjusted,
                    " / ".join(f"{c:.2f}" for c in r.confidence) if defined else "-",
                    test.pairs_for_equivalence,
                    str(e.verdict).replace("-and-meaningful", "+")
                    + ("*" if e.also else "")
                    + (" (no room)" * e.no_room),
                )
            )
        return columns(head, rows)

    @property
    def _interval(self) -> str:
        return f"{self.confidence_level:.0%} interval"

    def _notes(self) -> list[str]:
        n = {name: sum(t.p_adjusted == t.p_adjusted for t in tests)
             for name, tests in (("cells", self.cells), ("averages", self.primary))}  # fmt: skip
        notes = [
            "p adj: TOST adjusted by Holm over "
            + " and over ".join(f"{count} tests of {name}" for name, count in n.items() if count)
            + f"; equivalent where it is at most {self.alpha:g}. Intervals and p TOST are "
            "unadjusted. Verdicts of a difference rest on the paired comparison's adjusted p and "
            "simultaneous interval.",
            "below/within/above: the confidence distribution of delta, a description of the "
            "estimate and not the probability of a hypothesis. pairs: fresh pairs that show "
            "equivalence with 80 % power if the true difference is 0.",
        ]
        if any(t.effect.also for t in (*self.cells, *self.primary)):
            notes.append("* equivalent, and yet different from zero.")
        if self.broken:
            notes.append(f"Scores lacking: {len(self.broken)}. Their pairs are left out.")
        return [line for note in notes for line in wrap(note)]
