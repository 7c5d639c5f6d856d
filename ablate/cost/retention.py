"""Retention: is nothing lost of what the backbone could do before it was adapted?

A mechanism arm keeps its strengths where a loss of the declared margin or more is excluded, on
every backbone and every retention benchmark, against its adapter alone and against the unadapted
backbone. A test that finds no difference would show nothing of the kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stats.equivalence.noninferiority import NoDegradation, NonInferiority, no_degradation
from stats.family import holm
from stats.record import Record

LEVEL = 0.975
"""One-sided confidence of every test (ICH E9, section 3.3.2)."""

AS_IS = "as it is"
"""What an arm is compared with, beside its adapter: the backbone as it is."""

PERCENT = 100.0


@dataclass(frozen=True)
class Place:
    """Where an arm is compared, and with what."""

    backbone: str
    benchmark: str
    against: str

    @property
    def key(self) -> str:
        """Its name among the tests of an arm."""
        return f"{self.backbone} × {self.benchmark}, against {self.against}"


@dataclass(frozen=True)
class ArmRetention(Record):
    """One arm's tests, and whether it loses less than the margin everywhere.

    ``together`` is the intersection-union over ``places``, in points, and ``p_adjusted`` its
    p-value after Holm over the arms of the study (NaN: every score is identical). ``diverged``
    counts the arm's runs that diverged: such a run has kept nothing, so an arm with one is not said
    to keep its strengths, whatever the runs that ended say. ``lost`` counts the units (pairs or
    draws) that lack a score, in all places.
    """

    estimand: str
    method: str
    arm: str
    label: str
    adapter: str
    places: tuple[Place, ...]
    together: NoDegradation
    p_adjusted: float
    holds: bool
    holds_adjusted: bool
    diverged: int
    lost: int

    def tests(self, against: str) -> dict[Place, NonInferiority]:
        """The tests against the adapter (its name) or the backbone (``AS_IS``)."""
        return {
            place: self.together.tests[place.key]
            for place in self.places
            if place.against == against
        }

    @property
    def weakest(self) -> Place | None:
        """Where the claim is weakest; None where every score is identical."""
        return next((place for place in self.places if place.key == self.together.weakest), None)


@dataclass(frozen=True)
class Retention(Record):
    """The retention family of a study: its mechanism arms, and all of them together.

    ``holds`` tells that no arm loses ``margin`` points or more anywhere: the intersection-union
    over all arms, each test at the full level.
    """

    estimand: str
    method: str
    margin: float
    confidence_level: float
    unit: str
    arms: tuple[ArmRetention, ...]
    holds: bool

    def table(self) -> pd.DataFrame:
        """One row per arm, backbone, benchmark and side of comparison; nothing is rounded."""
        fields = ("n", "mean", "low", "margin", "t", "df", "p", "holds", "identical")
        return pd.DataFrame(
            [
                {"arm": arm.arm, **vars(place)} | {name: getattr(test, name) for name in fields}
                for arm in self.arms
                for place in arm.places
                for test in [arm.together.tests[place.key]]
            ]
        )

    def summary(self) -> str:
        """Every arm's joint statement."""
        return "\n".join(f"{arm.label}:\n{arm.together.summary()}" for arm in self.arms)


def retention(
    results: pd.DataFrame,
    unadapted: pd.DataFrame,
    arms: Sequence[tuple[str, str, str]],
    margin: float,
    *,
    unit: str = "pair",
) -> Retention | None:
    """Test every arm for a loss of ``margin`` points or more on every cell of ``results``.

    The backbone's own score is a fixed number (nothing is drawn in scoring it), so the difference
    to it is a one-sample t on the arm's units; that to the adapter is a paired t.

    Args:
        results: columns arm, backbone, hp, seed, benchmark, outcome, score (0 to 1, NaN without
            one); retention benchmarks only.
        unadapted: columns backbone, benchmark, score (0 to 1).
        arms: name, label and adapter (the name of the baseline arm) of each arm with the mechanism.
        margin: the largest loss that does not matter, in points.
        unit: what is independent. A ``draw`` (of hyperparameters) or a ``search`` is the mean over
            those of its seeds that have a score (on both sides, where two arms are compared); in a
            ``pair`` every run is one.

    Returns:
        None without a cell to test.

    Raises:
        StatsError: a margin that is not positive.
    """
    if results.empty or not arms:
        return None
    own = {
        (str(row.backbone), str(row.benchmark)): PERCENT * float(row.score)
        for row in unadapted.itertuples()
    }
    # One table per cell: a row per (hp, seed), a column per arm.
    cells = {
        (str(key[0]), str(key[1])): PERCENT
        * rows.pivot(index=["hp", "seed"], columns="arm", values="score")
        for key, rows in results.groupby(["backbone", "benchmark"], sort=False)
    }
    states = results.drop_duplicates(["arm", "backbone", "hp", "seed"])
    diverged = states[states["outcome"] == "diverged"].groupby("arm").size()
    found = []
    for name, label, adapter in arms:
        samples: dict[Place, np.ndarray] = {}
        lost = 0
        for cell, scores in cells.items():
            for against, base in (
                (adapter, scores[adapter]),
                (AS_IS, own.get(cell, math.nan)),  # one that was not scored shows nothing
            ):
                d = scores[name] - base
                units = d.groupby(level="hp").mean() if unit != "pair" else d
                samples[Place(*cell, against)] = units.dropna().to_numpy()
                lost += int(units.isna().sum())
        together = no_degradation(
            {place.key: d for place, d in samples.items()}, margin, confidence_level=LEVEL
        )
        bad = int(diverged.get(name, 0))
        found.append((name, label, adapter, tuple(samples), together, bad, lost))
    p = np.full(len(found), math.nan)
    tested = [i for i, row in enumerate(found) if not (row[4].holds and math.isnan(row[4].p))]
    p[tested] = holm([found[i][4].p for i in tested])
    made = tuple(
        ArmRetention(
            together.estimand,
            together.method + ", adjusted by Holm over arms",
            name,
            label,
            adapter,
            places,
            together,
            float(adjusted),
            together.holds and not bad,
            together.holds and not bad and not adjusted > 1 - LEVEL,
            bad,
            lost,
        )
        for (name, label, adapter, places, together, bad, lost), adjusted in zip(
            found, p, strict=True
        )
    )
    return Retention(
        "loss of each mechanism arm on each retention benchmark and backbone, in points",
        "intersection-union of one-sided t tests of a loss of the margin or more",
        margin,
        LEVEL,
        unit,
        made,
        all(arm.holds for arm in made),
    )
