"""Below, within or above a margin: which of the three the data leave possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.equivalence.tost import ESTIMAND, tost
from stats.layout import wrap
from stats.record import Record
from stats.sample import Sample
from stats.wording import number, p_value

BELOW, WITHIN, ABOVE = "below", "within", "above"


@dataclass(frozen=True)
class Regions(Record):
    """The three-way answer: delta is below, within or above a margin.

    ``possible`` are the regions that their test does not reject; the true one is among them in at
    least 1 - alpha of studies. ``answer`` is the region when one is left, "" otherwise.
    ``p_below``, ``p_within`` and ``p_above`` are the p-values of "delta lies in this region".

    ``c_left``, ``c_rope`` and ``c_right`` are the confidence that the t distribution of the mean
    puts below, within and above the margin. They sum to 1 and describe one study's estimate; they
    are neither p-values of the answer nor probabilities of hypotheses, and no verdict rests on
    them. NaN, all regions possible, where no test is possible.
    """

    estimand: str
    method: str
    margin_low: float
    margin_high: float
    answer: str
    possible: tuple[str, ...]
    p_below: float
    p_within: float
    p_above: float
    c_left: float
    c_rope: float
    c_right: float
    n: int
    alpha: float

    @property
    def confidence(self) -> tuple[float, float, float]:
        """(p_left, p_rope, p_right) of the confidence distribution."""
        return self.c_left, self.c_rope, self.c_right

    def summary(self) -> str:
        """The answer in words."""
        margin = f"the margin {number(self.margin_low)} to {number(self.margin_high)}"
        if math.isnan(self.p_within):
            return f"No region can be excluded: no test is possible ({self.n} pairs).\n"
        said = (
            f"The difference lies {self.answer} {margin}."
            if self.answer
            else f"The data leave open whether the difference lies {' or '.join(self.possible)} "
            f"{margin}."
        )
        tests = ", ".join(
            f"{name} p {p_value(p, equals=True)}"
            for name, p in ((BELOW, self.p_below), (WITHIN, self.p_within), (ABOVE, self.p_above))
        )
        shares = " / ".join(f"{c:.3f}" for c in self.confidence)
        return (
            "\n".join(
                wrap(
                    f"{said} Tests of each region: {tests} (alpha {self.alpha:g}). Confidence "
                    f"distribution below / within / above: {shares} (a description, not "
                    "probabilities of hypotheses)."
                )
            )
            + "\n"
        )


def regions(
    d: Sequence[float] | np.ndarray | Sample, low: float, high: float, *, alpha: float = 0.05
) -> Regions:
    """Which of delta < low, low <= delta <= high and delta > high the differences leave possible.

    Three-sided testing (Goeman, Solari and Stijnen 2010, Statistics in Medicine 29, 2117-2125):
    the three regions are tested at alpha each, "below" and "above" by one-sided t tests, "within"
    by a two-sided one. Exactly one region is true, so that it is wrongly excluded in at most alpha
    of studies, with no correction. In terms of intervals: "within" is the answer when the
    1 - 2 alpha interval lies inside the margin, "above" (below) when the 1 - alpha interval lies
    above (below) it.

    The confidence distribution is C(x) = P(T_df <= (x - mean) / se), the function whose quantiles
    are the ends of one-sided t intervals (Xie and Singh 2013, International Statistical Review 81,
    3-39): (c_left, c_rope, c_right) = (C(low), C(high) - C(low), 1 - C(high)). c_left and c_right
    equal the two p-values of TOST, so that the larger of them is its p. It is also the posterior
    under the prior 1 / sigma, which is what others call P(left), P(rope), P(right) (Benavoli et
    al. 2017, Journal of Machine Learning Research 18, 77).

    ``d``, ``low``, ``high`` and errors are as in ``tost``.
    """
    t = tost(d, low, high, alpha=alpha)
    method = (
        "three-sided test: one-sided paired t for below and above, two-sided for within; the "
        "confidence distribution is the t distribution of the mean"
    )
    every = (BELOW, WITHIN, ABOVE)
    nan = math.nan
    if math.isnan(t.p):
        return Regions(
            ESTIMAND, method, low, high, "", every, nan, nan, nan, nan, nan, nan, t.n, alpha
        )
    beyond = min(float(special.stdtr(t.df, t.t_low)), float(special.stdtr(t.df, -t.t_high)))
    p_within = min(1.0, 2 * beyond)
    tests = dict(zip(every, (t.p_low, p_within, t.p_high), strict=True))
    left = tuple(name for name, p in tests.items() if p > alpha)
    c_rope = max(0.0, 1 - t.p_low - t.p_high)
    return Regions(
        ESTIMAND, method, low, high, left[0] if len(left) == 1 else "", left, t.p_low, p_within,
        t.p_high, t.p_low, c_rope, t.p_high, t.n, alpha,
    )  # fmt: skip
