"""What a plan can be expected to do: power and pairs needed, by simulation, before any run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.errors import StatsError
from stats.record import Record, seed_of
from stats.sequential.eprocess import combined, log_wealth
from stats.sequential.plan import SequentialPlan


@dataclass(frozen=True)
class Operating(Record):
    """A plan's behaviour for normal differences of effect size ``dz``.

    ``power`` is the probability that the plan rejects "no difference" by ``max_n`` pairs, with its
    simulation error ``power_se``; ``mean_n`` the mean number of pairs until it stops or ends;
    ``median_n`` the median, ``share_early`` the share of studies that reject before ``max_n``.
    """

    estimand: str
    method: str
    dz: float
    power: float
    power_se: float
    mean_n: float
    median_n: float
    share_early: float
    max_n: int
    n_resamples: int
    rng_seed: int | None


def operating(
    plan: SequentialPlan,
    dz: float,
    *,
    n_resamples: int = 4000,
    rng: int | np.random.Generator = 0,
) -> Operating:
    """Simulate studies of normal differences with mean / sd = ``dz`` under the plan.

    Counts rejections of "no difference" only (stops for equivalence would need a spread in score
    units). With ``dz`` = 0 the power is the type I error. Raises StatsError for fewer than 100
    studies or a dz that is not finite.
    """
    if n_resamples < 100:
        raise StatsError(
            f"{n_resamples} studies are too few",
            place="n_resamples",
            value=n_resamples,
            hint="take 1000 or more",
        )
    if not math.isfinite(dz):
        raise StatsError(f"{dz} is not a number", place="dz", value=dz)
    d = np.random.default_rng(rng).normal(dz, 1.0, (n_resamples, plan.max_n))
    if plan.anytime:
        reject, at = _anytime(plan, d), np.arange(1, plan.max_n + 1)
    else:
        reject, at = _at_looks(plan, d), np.array(plan.looks)
    power = float(reject.any(axis=1).mean())
    n = np.where(reject.any(axis=1), at[reject.argmax(axis=1)], plan.max_n)
    return Operating(
        estimand=f"Rejection of 'no difference' at d_z = {dz:g}.",
        method=f"{n_resamples} simulated studies of normal differences. {plan.method}",
        dz=dz,
        power=power,
        power_se=math.sqrt(power * (1 - power) / n_resamples),
        mean_n=float(n.mean()),
        median_n=float(np.median(n)),
        share_early=float(reject[:, :-1].any(axis=1).mean()),
        max_n=plan.max_n,
        n_resamples=n_resamples,
        rng_seed=seed_of(rng),
    )


def _anytime(plan: SequentialPlan, d: np.ndarray) -> np.ndarray:
    log_e = combined(*log_wealth(d, plan.effects), plan.alternative)
    return np.asarray(log_e >= -math.log(plan.alpha))


def _at_looks(plan: SequentialPlan, d: np.ndarray) -> np.ndarray:
    n = np.array(plan.looks)
    total, square = np.cumsum(d, axis=1)[:, n - 1], np.cumsum(d * d, axis=1)[:, n - 1]
    mean = total / n
    t = mean / np.sqrt((square - n * mean * mean) / (n - 1) / n)
    side = {"two-sided": -np.abs(t), "greater": -t, "less": t}[plan.alternative]
    p = (2.0 if plan.alternative == "two-sided" else 1.0) * special.stdtr(n - 1, side)
    return np.asarray(p <= plan.boundaries().levels)
