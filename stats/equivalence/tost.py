"""Two one-sided t tests (TOST) on paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.layout import wrap
from stats.paired import t_quantile
from stats.planning.checks import check_margins, check_rates
from stats.record import Record
from stats.sample import Sample, estimate
from stats.wording import number, p_value

ESTIMAND = "mean over pairs of the paired differences (several groups: the mean of their means)"


@dataclass(frozen=True)
class Tost(Record):
    """Two one-sided tests that low < delta < high.

    ``mean``, ``sd``, ``se``, ``margin_*`` and ``ci_*`` are in score units. ``p_low`` is the
    one-sided p-value against delta <= ``margin_low``, ``p_high`` against delta >= ``margin_high``,
    ``p`` the larger. ``ci_*`` is the interval at ``confidence_level`` = 1 - 2 alpha, which lies
    within the margin exactly when p < alpha. All are unadjusted. They are NaN, and ``equivalent``
    is False, where no test is possible: fewer than two pairs (in a group), or differences that do
    not vary (``constant``).
    """

    estimand: str
    method: str
    mean: float
    sd: float
    se: float
    df: float
    n: int
    margin_low: float
    margin_high: float
    t_low: float
    t_high: float
    p_low: float
    p_high: float
    p: float
    ci_low: float
    ci_high: float
    alpha: float
    confidence_level: float
    equivalent: bool
    constant: bool

    def summary(self) -> str:
        """The tests in words, unadjusted."""
        margin = f"{number(self.margin_low)} to {number(self.margin_high)}"
        if math.isnan(self.p):
            why = "the differences do not vary" if self.constant else f"{self.n} pairs are too few"
            return "\n".join(wrap(f"No test of {margin} is possible: {why}.")) + "\n"
        said = "Shown to lie" if self.equivalent else "Not shown to lie"
        return (
            "\n".join(
                wrap(
                    f"{said} within {margin}: mean difference {number(self.mean, sign=True)}, "
                    f"{self.confidence_level:.4g} interval [{number(self.ci_low)}, "
                    f"{number(self.ci_high)}], TOST p {p_value(self.p, equals=True)} "
                    f"(alpha {self.alpha:g}, unadjusted), {self.n} pairs."
                )
            )
            + "\n"
        )


def tost(
    d: Sequence[float] | np.ndarray | Sample, low: float, high: float, *, alpha: float = 0.05
) -> Tost:
    """Test that the mean of differences d (1-D, one per pair) or of a Sample lies in (low, high).

    Both null hypotheses, delta <= low and delta >= high, must be rejected at alpha by a one-sided
    t test; being an intersection-union test it needs no correction within (Schuirmann 1987,
    Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680; Berger and Hsu 1996, Statistical
    Science 11, 283-319). Several groups: see ``sample.estimate`` for the standard error and
    Satterthwaite's df. Margins need not be symmetric and need not contain 0.

    Raises StatsError unless low < high are finite and 0 < alpha < 1/2, and for values of d that
    are not finite.
    """
    check_margins(low, high)
    check_rates(alpha)
    sample = d if isinstance(d, Sample) else Sample.of([d])
    e = estimate(sample)
    nan = math.nan
    t_low = t_high = p_low = p_high = p = ci_low = ci_high = nan
    if e.se > 0:
        t_low, t_high = (e.mean - low) / e.se, (e.mean - high) / e.se
        p_low, p_high = float(special.stdtr(e.df, -t_low)), float(special.stdtr(e.df, t_high))
        p = max(p_low, p_high)
        half = t_quantile(1 - alpha, e.df) * e.se
        ci_low, ci_high = e.mean - half, e.mean + half
    many = f", {e.groups} groups of pairs, Satterthwaite df" if e.groups > 1 else ""
    return Tost(
        ESTIMAND, f"two one-sided paired t tests, p the larger (TOST){many}", e.mean, e.sd, e.se,
        e.df, e.n, low, high, t_low, t_high, p_low, p_high, p, ci_low, ci_high, alpha,
        1 - 2 * alpha, p <= alpha, e.constant,
    )  # fmt: skip
