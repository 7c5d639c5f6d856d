"""Campaigns: claims held against many worlds of one kind, with the bands and mutants of gates."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.stats.gates.gate import Gate, Outcome, Runs
from tests.worlds.carry import carry

SUBJECTS = (
    "families",
    "objections",
    "failed",
    "population",
    "draws",
    "factorial",
    "tuned",
    "settled",
)

Judged = Mapping[str, tuple[bool, bool]]
"""For each claim by name: what our method and what the mutant did in one world."""

Judge = Callable[[Any], Judged]


@dataclass(frozen=True)
class Campaign:
    """A study, the kind of world it is carried through, and the claims held against it.

    ``judge`` tells for each claim what happened in one world. ``short`` and ``long`` are the
    numbers of worlds in the test and by the command.
    """

    name: str
    world: str
    settings: tuple[str, ...]
    claims: tuple[Gate, ...]
    judge: Judge = field(repr=False)
    short: int
    long: int
    carries: Callable[[str, Sequence[str]], Any] = carry

    def run(
        self,
        worlds: int,
        *,
        first: int = 0,
        tell: Callable[[int], None] = lambda done: None,
    ) -> list[Outcome]:
        """Carry the study through ``worlds`` worlds, numbered from ``first``."""
        start = time.perf_counter()
        judged = []
        for number in range(first, first + worlds):
            judged.append(self.judge(self.carries(f"{self.world}:{number}", self.settings)))
            tell(number - first + 1)
        seconds = time.perf_counter() - start
        outcomes = []
        for claim in self.claims:
            ours, mutant = (np.array([j[claim.name][side] for j in judged]) for side in (0, 1))
            low, high = claim.band(worlds)
            outcomes.append(
                Outcome(
                    claim,
                    worlds,
                    float(ours.mean()),
                    float(mutant.mean()),
                    low,
                    high,
                    seconds / len(self.claims),
                )
            )
        return outcomes


CAMPAIGNS: dict[str, Campaign] = {}


def claim(
    name: str,
    text: str,
    kind: str,
    expected: float,
    mutant: str,
    source: str = "nominal",
    *,
    bites_when_short: bool = True,
) -> Gate:
    """A claim on a rate over worlds: ``kind`` is "equal", "at most" or "at least".

    Unless it ``bites_when_short``, only the long run has worlds enough to tell the mutant.
    """

    def no_simulation(replicates: int, rng: np.random.Generator) -> Runs:
        raise NotImplementedError("worlds are carried through by their campaign")

    return Gate(
        name, text, kind, source, mutant, no_simulation, lambda: expected,
        short=int(bites_when_short),
    )  # fmt: skip


def campaign(
    world: str,
    settings: Sequence[str],
    claims: Sequence[Gate],
    *,
    short: int,
    long: int = 400,
    name: str = "",
    carries: Callable[[str, Sequence[str]], Any] = carry,
) -> Callable[[Judge], Judge]:
    """Register the decorated judge as a campaign, named as its kind of world unless told.

    ``carries`` takes a world and settings to what ``judge`` reads.
    """

    def add(judge: Judge) -> Judge:
        title = name or world
        assert title not in CAMPAIGNS, title
        CAMPAIGNS[title] = Campaign(
            title, world, tuple(settings), tuple(claims), judge, short, long, carries
        )
        return judge

    return add


def every_campaign() -> dict[str, Campaign]:
    """All campaigns by name, in the order of ``SUBJECTS``."""
    for subject in SUBJECTS:
        importlib.import_module(f"{__package__}.{subject}")
    return CAMPAIGNS
