"""Plans: the power promised is the power had, and a pilot's spread is not taken for the truth."""

from __future__ import annotations

import math

import numpy as np
import scipy.stats

from stats.equivalence.tost import tost
from stats.paired import paired_t
from stats.planning.power import pairs_for_t
from stats.planning.spread import upper_sd
from stats.planning.tost_power import pairs_for_tost, power_of_tost
from tests.stats.gates.draws import ALPHA, arms, each, t_p, unpaired_p
from tests.stats.gates.gate import Runs, register

RHO = 0.5


def _power(dz: float, n: int) -> float:
    critical = scipy.stats.t.ppf(1 - ALPHA / 2, n - 1)
    law = scipy.stats.nct(n - 1, dz * math.sqrt(n))
    return float(law.sf(critical) + law.cdf(-critical))


@register(
    "power of the paired t, d_z = {dz}",
    "Power at the pairs planned for 80 %, d_z = {dz}",
    expected=lambda dz: _power(dz, pairs_for_t(dz, 1.0)),
    source="exact: noncentral t, by scipy",
    mutant="unpaired t, correlation .5",
    cases=[{"dz": 0.5}, {"dz": 1.0}],
)  # fmt: skip
def power(replicates: int, rng: np.random.Generator, *, dz: float) -> Runs:
    arm, base = arms(rng, replicates, pairs_for_t(dz, 1.0), RHO)
    arm = arm + dz * math.sqrt(2 * (1 - RHO))
    p = each(lambda d: paired_t(d).p, arm - base)
    return Runs(p <= ALPHA, unpaired_p(arm, base) <= ALPHA)


@register(
    "power of TOST",
    "Power at the pairs planned for 80 %, TOST, margin .5 SD",
    expected=lambda: power_of_tost(-0.5, 0.5, 1.0, pairs_for_tost(-0.5, 0.5, 1.0)),
    source="exact: Phillips 1990",
    mutant="'not significant' as equivalent",
)
def power_tost(replicates: int, rng: np.random.Generator) -> Runs:
    d = rng.normal(size=(replicates, pairs_for_tost(-0.5, 0.5, 1.0)))
    return Runs(each(lambda x: tost(x, -0.5, 0.5).equivalent, d), t_p(d) > ALPHA)


@register(
    "upper limit of a pilot's sd, {n} pairs",
    "Coverage, upper 80 % limit of a pilot's SD, {n} pairs",
    expected=0.8,
    source="exact: chi-squared",
    mutant="the pilot's own SD",
    cases=[{"n": 5}, {"n": 10}],
)
def pilot(replicates: int, rng: np.random.Generator, *, n: int) -> Runs:
    sd = rng.normal(size=(replicates, n)).std(axis=1, ddof=1)
    return Runs(each(lambda s: upper_sd(float(s), n - 1), sd) >= 1.0, sd >= 1.0)
