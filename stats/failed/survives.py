"""What survives two analyses of the same claims: one of what is there, one that counts failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stats.errors import StatsError
from stats.result import Effect
from stats.verdict import Verdict

_BETTER = (Verdict.SUPERIOR, Verdict.SUPERIOR_AND_MEANINGFUL)
_WORSE = (Verdict.INFERIOR, Verdict.INFERIOR_AND_MEANINGFUL)


@dataclass(frozen=True)
class Joined:
    """One claim under two analyses: ``complete`` on the pairs that are whole, ``scored`` with the
    failed runs scored; ``verdict`` is what both support."""

    complete: Effect
    scored: Effect
    verdict: Verdict

    @property
    def withdrawn(self) -> bool:
        """Whether the verdict on complete pairs does not survive."""
        return self.verdict != self.complete.verdict

    @property
    def place(self) -> str:
        """The contrast and its cell, for sentences."""
        cell = self.complete.cell
        return self.complete.name + (f" in {' × '.join(cell.values())}" if cell else "")


def join(complete: Sequence[Effect], scored: Sequence[Effect]) -> tuple[Joined, ...]:
    """The joined verdict of each effect; the two sequences hold the same claims in one order.

    Raises StatsError where they do not.
    """
    names = [[(e.name, e.cell) for e in effects] for effects in (complete, scored)]
    if names[0] != names[1]:
        raise StatsError(
            "the two analyses hold different claims", place="join", value=len(complete)
        )
    return tuple(
        Joined(a, b, join_verdicts((a.verdict, a.also), (b.verdict, b.also)))
        for a, b in zip(complete, scored, strict=True)
    )


def join_verdicts(first: tuple[Verdict, str], second: tuple[Verdict, str]) -> Verdict:
    """What two verdicts (each with what it ``also`` says) support together.

    A claim is made only if both make it, so that it is wrong at most as often as the better of the
    two (an intersection-union). ``superior`` and ``superior-and-meaningful`` give the weaker;
    ``equivalent`` with ``also`` superior supports ``superior``. Where one cannot be tested, neither
    can the two.
    """
    if first == second:
        return first[0]
    verdicts = (first[0], second[0])
    if Verdict.UNDEFINED in verdicts:
        return Verdict.UNDEFINED
    if verdicts[0] == verdicts[1]:
        return verdicts[0]
    if Verdict.IDENTICAL in verdicts:
        return Verdict.INCONCLUSIVE
    for side, word, weaker in (
        (_BETTER, "superior", Verdict.SUPERIOR),
        (_WORSE, "inferior", Verdict.INFERIOR),
    ):
        if all(verdict in side or also == word for verdict, also in (first, second)):
            return weaker
    return Verdict.INCONCLUSIVE
