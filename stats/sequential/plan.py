"""A stopping rule that is written down before the first run, and then only applied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.errors import StatsError, nearest
from stats.paired import check_alternative, paired_t
from stats.record import Record
from stats.sample import Sample
from stats.sequential.confseq import confidence_sequence
from stats.sequential.eprocess import (
    EFFECTS,
    check_effects,
    constant_so_far,
    e_process,
    one_group,
)
from stats.sequential.group import RULES, Boundaries, boundaries, check_looks
from stats.sequential.replay import SETTLED, Replay, Step
from stats.verdict import Verdict, decide
from stats.wording import amount


@dataclass(frozen=True)
class SequentialPlan(Record):
    """When one may look, and what a look must show.

    ``max_n`` pairs are run at most. Without ``looks`` the plan is *anytime*: one may look after
    every pair, at e-values (see ``eprocess``); it asks that differences are symmetric. With
    ``looks``, ascending numbers of pairs that end with ``max_n``, it is *group-sequential*: t tests
    at these looks only, which spend ``alpha`` by ``rule`` (see ``group``); it asks that differences
    are normal, and finds the same effects with fewer pairs. ``sesoi``, in score units, lets a plan
    stop for equivalence and tell meaningful differences apart; None: neither. ``effects`` (d_z) are
    what an anytime plan bets on.

    All of it must be fixed before the first run. Raises StatsError for what does not fit together.
    """

    max_n: int
    looks: tuple[int, ...] = ()
    alpha: float = 0.05
    rule: str = "obrien-fleming"
    alternative: str = "two-sided"
    sesoi: float | None = None
    effects: tuple[float, ...] = EFFECTS
    units: str = "score units"

    def __post_init__(self) -> None:
        if self.max_n != int(self.max_n) or self.max_n < 2:
            raise StatsError(
                f"{self.max_n} pairs are too few for a plan",
                place="max_n",
                value=self.max_n,
                hint="give the largest number of pairs you would run, e.g. 20",
            )
        if not 0 < self.alpha < 0.5:
            raise StatsError(
                f"{self.alpha} is not between 0 and 0.5",
                place="alpha",
                value=self.alpha,
                hint="e.g. 0.05",
            )
        check_alternative(self.alternative)
        if self.rule not in RULES:
            raise StatsError(
                f"'{self.rule}' is not a rule",
                place="rule",
                value=self.rule,
                hint=nearest(self.rule, RULES),
            )
        if self.sesoi is not None and not 0 < self.sesoi < math.inf:
            raise StatsError(
                f"{self.sesoi} is not a positive number",
                place="sesoi",
                value=self.sesoi,
                hint="the smallest effect of interest, in score units",
            )
        object.__setattr__(self, "max_n", int(self.max_n))
        object.__setattr__(self, "effects", check_effects(self.effects))
        if self.looks:
            looks = check_looks(self.looks)
            if looks[-1] != self.max_n:
                raise StatsError(
                    f"the last look is at {looks[-1]} pairs, but the plan ends at {self.max_n}",
                    place="looks",
                    value=looks,
                    hint=f"end the looks with {self.max_n}",
                )
            object.__setattr__(self, "looks", looks)

    @property
    def anytime(self) -> bool:
        """Whether one may look after every pair."""
        return not self.looks

    @property
    def estimand(self) -> str:
        """What the plan's intervals are about."""
        centre = "centre of symmetry" if self.anytime else "mean"
        return f"The {centre} of the paired differences (arm minus baseline), seeds varying."

    @property
    def method(self) -> str:
        """How the plan looks at data, in a sentence."""
        if self.anytime:
            effects = ", ".join(f"{effect:g}" for effect in self.effects)
            return (
                f"Look after every pair up to {self.max_n}: e-process of sign bets on d_z of "
                f"{effects}, {self.alternative}, reject from {1 / self.alpha:g} on; confidence "
                "sequence by its inversion, intersected over pairs. Valid for symmetric "
                "differences at any stopping time."
            )
        looks = ", ".join(str(n) for n in self.looks)
        levels = ", ".join(f"{level:.4f}" for level in self.boundaries().levels)
        return (
            f"Look at {looks} pairs: {self.alternative} paired t test at levels {levels}, which "
            f"spend {self.alpha:g} by the rule {self.rule}; repeated confidence intervals."
        )

    def boundaries(self) -> Boundaries:
        """The boundaries of a plan with looks; StatsError for an anytime plan."""
        if self.anytime:
            raise StatsError("an anytime plan has no looks", place="looks", value=())
        return boundaries(self.looks, self.alpha, self.rule, self.alternative)

    def summary(self) -> str:
        """The plan as text, to be written down before the first run."""
        from stats.layout import wrap

        margin = "none declared" if self.sesoi is None else amount(self.sesoi, self.units)
        parts = (
            self.method,
            f"Estimand: {self.estimand}",
            f"Smallest effect of interest: {margin}.",
        )
        return "\n".join(line for part in parts for line in wrap(part)) + "\n"

    def decide(self, d: Sequence[float] | np.ndarray | Sample) -> Replay:
        """Apply the plan to differences d, one per pair, in the order in which they were run.

        A plan with looks evaluates the looks that have been reached, nothing between them, and
        ends at the first that settles. Raises StatsError for more pairs than ``max_n``, values that
        are not finite, no pairs, or several groups of pairs.
        """
        sample = one_group(d)
        if sample.n > self.max_n:
            raise StatsError(
                f"{sample.n} pairs, but the plan ends at {self.max_n}",
                place="d",
                value=sample.n,
                hint="give the pairs that were run first; more need a new plan and fresh pairs",
            )
        steps = self._every_pair(sample) if self.anytime else self._looks(sample)
        settled = [step.n for step in steps if step.verdict in SETTLED]
        last = steps[-1] if steps else None
        stopped = settled[0] if settled else None
        upcoming = [n for n in self.looks or (min(sample.n + 1, self.max_n),) if n > sample.n]
        decision = "go on" if upcoming else "end"
        return Replay(
            estimand=self.estimand,
            method=self.method,
            steps=tuple(steps),
            n=sample.n,
            stopped_at=stopped,
            next_look=upcoming[0] if upcoming and stopped is None else None,
            verdict=last.verdict if last else Verdict.INCONCLUSIVE,
            decision="stop" if stopped is not None else decision,
            alpha=self.alpha,
            max_n=self.max_n,
            looks=self.looks,
            rule="" if self.anytime else self.rule,
            alternative=self.alternative,
            sesoi=self.sesoi,
            units=self.units,
        )

    def _every_pair(self, sample: Sample) -> list[Step]:
        d = sample.values[0]
        process = e_process(sample, self.alternative, effects=self.effects)
        sequence = confidence_sequence(
            sample, self.alternative, 1 - self.alpha, effects=self.effects
        )
        # The side is that of the moment of most evidence, since the p-value is that moment's.
        record = process.e >= np.maximum.accumulate(process.e)
        best = np.maximum.accumulate(np.where(record, np.arange(d.size), 0))
        fixed = {"greater": 1, "less": -1}.get(self.alternative)
        sides = process.side[best] if fixed is None else np.full(d.size, fixed)
        means = np.cumsum(d) / np.arange(1, d.size + 1)
        return [
            self._step(
                sample, i + 1, float(means[i]), float(sides[i]), self.alpha,
                float(process.p[i]), float(sequence.low[i]), float(sequence.high[i]),
                e_value=float(process.e[i]),
            )
            for i in range(d.size)
        ]  # fmt: skip

    def _looks(self, sample: Sample) -> list[Step]:
        steps: list[Step] = []
        for n, level in zip(self.looks, self.boundaries().levels.tolist(), strict=True):
            if n > sample.n or (steps and steps[-1].verdict in SETTLED):
                break
            so_far = Sample.of([sample.values[0][:n]], magnitude=sample.magnitude)
            usable = level > 0
            result = paired_t(so_far, self.alternative, 1 - level if usable else 0.5)
            low, high = (result.ci_low, result.ci_high) if usable else (-math.inf, math.inf)
            steps.append(
                self._step(
                    sample, n, result.mean, result.mean, level, result.p, low, high, t=result.t
                )
            )
        return steps

    def _step(
        self, sample: Sample, n: int, mean: float, side: float, level: float, p: float,
        low: float, high: float, *, e_value: float = math.nan, t: float = math.nan,
    ) -> Step:  # fmt: skip
        d = sample.values[0][:n]
        constant = n > 1 and bool(constant_so_far(d, sample.magnitude)[-1])
        verdict, _ = decide(
            delta=side,
            p_adjusted=1.0 if math.isnan(p) else p,
            low=low,
            high=high,
            alpha=level,
            sesoi=self.sesoi,
            undefined=constant and bool(d.any()),
            identical=not d.any(),
        )
        last = n == self.max_n
        decision = "stop" if verdict in SETTLED else "end" if last else "go on"
        return Step(n, float(d[-1]), mean, e_value, t, p, level, low, high, verdict, decision)
