"""Paired failure rates: each arm against its baseline on the same pairs, by exact tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.columns import check_arms, labels, refuse_duplicates, require
from stats.errors import StatsError
from stats.family import holm
from stats.items.checkpoints import mcnemar
from stats.items.proportions import proportion_interval
from stats.paired import check_level
from stats.record import Record
from stats.wording import p_value, plural

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 3


@dataclass(frozen=True)
class ArmRate:
    """How often an arm failed, and its baseline on the same units.

    ``failed`` of ``n_runs`` runs failed, in ``failed_units`` of ``n_units`` units (pairs, or draws
    of hyperparameters); [``low``, ``high``] is Jeffreys' interval of the share of units with a
    failed run. ``more`` units have more failures than with the baseline, ``fewer`` less; ``p`` is
    the exact sign test on these, ``p_adjusted`` Holm's over the arms. ``baseline`` is "" for a
    baseline itself, whose p-values are NaN.
    """

    arm: str
    baseline: str
    n_runs: int
    failed: int
    n_units: int
    failed_units: int
    rate: float
    low: float
    high: float
    more: int
    fewer: int
    p: float
    p_adjusted: float


@dataclass(frozen=True)
class FailureRates(Record):
    """The failure rates of all arms; ``alpha`` is the error rate of the family of tests."""

    arms: tuple[ArmRate, ...]
    unit: str
    alpha: float
    confidence_level: float
    estimand: str
    method: str

    @property
    def differing(self) -> tuple[ArmRate, ...]:
        """The arms whose rate differs from their baseline's."""
        return tuple(rate for rate in self.arms if rate.p_adjusted <= self.alpha)

    @property
    def failed(self) -> int:
        """The failed runs of all arms."""
        return sum(rate.failed for rate in self.arms)

    def table(self) -> pd.DataFrame:
        """One row per arm; nothing is rounded."""
        import pandas as pd

        return pd.DataFrame([vars(rate) for rate in self.arms])

    @property
    def sentence(self) -> str:
        """What the tests say."""
        return self.describe({})

    def describe(self, labels: Mapping[str, str]) -> str:
        """What the tests say, arms called by their label where they have one."""
        total = sum(rate.n_runs for rate in self.arms)
        text = f"{self.failed} of {total} runs failed. "
        if not self.differing:
            tested = [rate for rate in self.arms if rate.baseline]
            if not tested:
                return text + "No arm has a baseline to compare rates with."
            least = min(rate.p_adjusted for rate in tested)
            return text + (
                "No arm is shown to fail more or less often than its baseline (smallest adjusted "
                f"p {p_value(least, equals=True)})."
            )
        named = [
            f"{labels.get(rate.arm, rate.arm)} fails "
            f"{'more' if rate.more > rate.fewer else 'less'} often than "
            f"{labels.get(rate.baseline, rate.baseline)} (more failures in {rate.more} "
            f"{plural(self.unit)}, fewer in {rate.fewer}, adjusted p "
            f"{p_value(rate.p_adjusted, equals=True)})"
            for rate in self.differing[:MOST_NAMED]
        ]
        rest = len(self.differing) - MOST_NAMED
        said = "; ".join(named) + (f"; and so do {rest} more arms" if rest > 0 else "")
        return f"{text}{said[0].upper()}{said[1:]}."


def failure_rates(
    frame: pd.DataFrame,
    against: Mapping[str, str],
    *,
    arm: str = "arm",
    pair: Sequence[str] = ("backbone", "seed"),
    unit: Sequence[str] | None = None,
    failed: str = "failed",
    alpha: float = 0.05,
    confidence_level: float = 0.95,
) -> FailureRates:
    """Compare how often arms fail, on the runs whose outcome is known.

    A unit counts for an arm as "more" where more of its runs failed than of the baseline's runs of
    the same pairs, as "fewer" where less did; if both fail alike, either is equally likely, which
    is the exact sign test (one run per unit: McNemar's test). Pairs that lack the outcome of one of
    the two are left out of their test. Holm over the arms.

    Args:
        frame: one row per run: its arm, the columns of ``pair``, and whether it failed. Runs
            without an outcome (not run, or lost by the machine) have no row.
        against: the baseline of each arm that is tested.
        arm, failed: the columns' names.
        pair: the columns that identify a pair.
        unit: those that identify what is independent, a subset of ``pair``; None: the pair.
        alpha: error rate of the family.
        confidence_level: of the rates' intervals.

    Raises:
        StatsError: a missing column or label, an unknown arm, a run listed twice, a unit column
            that is none of the pair's.
    """
    check_level(alpha, "alpha")
    check_level(confidence_level)
    pair = tuple(pair)
    unit = pair if unit is None else tuple(unit)
    for name in unit:
        if name not in pair:
            raise StatsError(
                f"'{name}' does not identify a pair",
                place="unit",
                value=name,
                hint=f"take some of {', '.join(pair)}",
            )
    require(frame, {"arm": (arm,), "pair": pair, "failed": (failed,)}, exclusive=("arm", "failed"))
    clean = frame[[arm, *pair, failed]].copy()
    for name in (arm, *pair):
        clean[name] = labels(frame[name], name)
    clean[failed] = frame[failed].astype(bool).to_numpy()
    refuse_duplicates(clean, [arm, *pair], "one row per run: its arm and its pair")
    check_arms(clean[arm], arm, [*against, *against.values()])
    runs = {name: group.set_index(list(pair))[failed] for name, group in clean.groupby(arm)}
    tests = {
        name: _more_fewer(runs[name], runs[base], list(unit)) for name, base in against.items()
    }
    raw = {name: _p(more, fewer) for name, (more, fewer) in tests.items()}
    adjusted = dict(zip(raw, holm(list(raw.values())) if raw else (), strict=True))
    rates = []
    for name in dict.fromkeys(clean[arm]):
        mine = runs[name]
        by_unit = mine.groupby(level=list(unit)).any()
        n, k = len(by_unit), int(by_unit.sum())
        low, high = proportion_interval(k, n, confidence_level=confidence_level)
        more, fewer = tests.get(name, (0, 0))
        rates.append(
            ArmRate(
                arm=name,
                baseline=against.get(name, ""),
                n_runs=len(mine),
                failed=int(mine.sum()),
                n_units=n,
                failed_units=k,
                rate=k / n,
                low=float(low),
                high=float(high),
                more=more,
                fewer=fewer,
                p=raw.get(name, math.nan),
                p_adjusted=float(adjusted.get(name, math.nan)),
            )
        )
    word = "pair" if unit == pair else "draw" if unit == ("hp",) else "/".join(unit)
    return FailureRates(
        arms=tuple(rates),
        unit=word,
        alpha=alpha,
        confidence_level=confidence_level,
        estimand=f"the share of {word}s in which an arm fails more often than its baseline does, "
        "against those in which it fails less often",
        method="exact sign test on units that differ (McNemar's with one run each), Holm over "
        "arms; Jeffreys' intervals of the rates",
    )


def _more_fewer(arm: pd.Series, baseline: pd.Series, unit: list[str]) -> tuple[int, int]:
    """Units with more failures, and with fewer, over the pairs that both have."""
    both = arm.index.intersection(baseline.index)
    difference = arm.loc[both].astype(int) - baseline.loc[both].astype(int)
    signs = np.sign(difference.groupby(level=unit).sum().to_numpy())
    return int((signs > 0).sum()), int((signs < 0).sum())


def _p(more: int, fewer: int) -> float:
    """The exact p; units that do not differ say nothing, which is p = 1, not no test."""
    return 1.0 if more + fewer == 0 else mcnemar(more, fewer)[0]
