"""The tests of a family of contrasts: one row each, alone and corrected together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.family import HOLM, MAX_T
from stats.family_tests import FamilyTests, family_tests
from stats.paired import t_inference
from stats.prepare import Prepared
from stats.table import PairedTable
from stats.verdict import Verdict, decide


@dataclass(frozen=True)
class ContrastTest:
    """One contrast in one cell, or averaged over cells (``cell`` None).

    Differences are in the table's units. Unadjusted: ``p`` (two-sided), ``p_greater`` and
    ``p_less`` of the paired t test, ``p_signflip`` of the family's alternative, the two-sided
    interval ``ci_*``. Over the family: ``p_adjusted`` by ``p_adjusted_method`` and the simultaneous
    interval (one-sided where the alternative is); ``verdict`` rests on ``p_adjusted`` alone. NaN
    where no test is possible; identical arms are outside the family.
    """

    contrast: str
    arm: str
    baseline: str
    cell: dict[str, str] | None
    n_pairs: int
    n_broken: int
    delta: float
    sd: float
    se: float
    t: float
    df: float
    p: float
    p_greater: float
    p_less: float
    p_signflip: float
    ci_low: float
    ci_high: float
    p_adjusted: float
    p_adjusted_method: str
    simultaneous_low: float
    simultaneous_high: float
    verdict: Verdict


def contrast_tests(
    prepared: Sequence[Prepared],
    table: PairedTable,
    alternative: str,
    *,
    alpha: float,
    confidence_level: float,
    n_resamples: int,
    rng: int | np.random.Generator,
) -> tuple[tuple[ContrastTest, ...], FamilyTests]:
    """Test all contrasts as one family (``family.correct``); also the family's own account.

    Raises StatsError for a wrong alternative or level.
    """
    family = family_tests(
        [test.sample for test in prepared],
        alternative,
        alpha=alpha,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        rng=rng,
    )
    rows = []
    for i, (test, t) in enumerate(zip(prepared, family.ts, strict=True)):
        p = dict.fromkeys(("two-sided", "greater", "less"), math.nan)
        ci_low = ci_high = math.nan
        defined = not math.isnan(t.t)
        if defined:
            for side in p:
                p[side] = t_inference(t.t, t.df, side, confidence_level)[0]
            _, low, high = t_inference(t.t, t.df, "two-sided", confidence_level)
            ci_low, ci_high = t.mean + low * t.se, t.mean + high * t.se
        reach = float(family.critical[i]) * t.se
        low = -math.inf if alternative == "less" and defined else t.mean - reach
        high = math.inf if alternative == "greater" and defined else t.mean + reach
        identical, p_adjusted = test.sample.is_zero, float(family.p_adjusted[i])
        verdict, _ = decide(
            delta=t.mean,
            p_adjusted=p_adjusted,
            low=low,
            high=high,
            alpha=alpha,
            undefined=not identical and not defined,
            identical=identical,
        )
        rows.append(
            ContrastTest(
                contrast=test.contrast.name,
                arm=", ".join(test.contrast.arms),
                baseline=", ".join(test.contrast.baselines),
                cell=None if test.cell is None else dict(zip(table.cell, test.cell, strict=True)),
                n_pairs=t.n,
                n_broken=test.n_broken,
                delta=t.mean,
                sd=t.sd,
                se=t.se,
                t=t.t,
                df=t.df,
                p=p["two-sided"],
                p_greater=p["greater"],
                p_less=p["less"],
                p_signflip=float(family.p_signflip[i]),
                ci_low=ci_low,
                ci_high=ci_high,
                p_adjusted=p_adjusted,
                p_adjusted_method=family.method[i],
                simultaneous_low=low,
                simultaneous_high=high,
                verdict=verdict,
            )
        )
    return tuple(rows), family


def correction(family: FamilyTests) -> str:
    """How a family was corrected, for the end of "adjusted by"."""
    ways = []
    if MAX_T in family.method:
        extent = "all" if family.exact else "random"
        ways.append(f"step-down max-T ({extent} {family.n_flips} joint sign flips)")
    if HOLM in family.method:
        ways.append("Holm on the t tests")
    return " and ".join(ways) or "nothing, for no test is possible"
