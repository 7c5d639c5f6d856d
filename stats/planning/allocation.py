"""How to spend a budget: seeds against items, and backbones against seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stats.errors import StatsError, nearest
from stats.layout import wrap
from stats.paired import t_quantile
from stats.reach import min_pairs as fewest_for_flips
from stats.record import Record
from stats.wording import number

ITEMS = ("random", "fixed")
MOST_CANDIDATES = 5_000_000
FEW = 5  # backbones below which a population of them is hardly estimated


@dataclass(frozen=True)
class Allocation(Record):
    """The best division of a budget between two numbers that multiply.

    ``outer`` (pairs of seeds, or backbones) times ``inner`` (items, or seeds per backbone) gives
    the smallest ``variance`` of the estimated mean difference, in squared score units, at
    ``cost`` <= ``budget``; ``se`` is its root. ``half_width`` is that of the 95 % t interval on
    ``df`` degrees of freedom. ``continuous`` are
    the two numbers before rounding, where a closed form without limits exists (NaN otherwise).
    ``warning`` is a sentence, or "".
    """

    estimand: str
    method: str
    names: tuple[str, str]
    outer: int
    inner: int
    variance: float
    se: float
    df: float
    half_width: float
    cost: float
    budget: float
    continuous: tuple[float, float]
    warning: str

    def summary(self) -> str:
        """The division in words."""
        text = (
            f"{self.outer} {self.names[0]} x {self.inner} {self.names[1]}, at a cost of "
            f"{self.cost:g} of {self.budget:g}: standard error {number(self.se)}, 95 % interval "
            f"+-{number(self.half_width)} on {self.df:.3g} degrees of freedom. Estimand: "
            f"{self.estimand}."
        )
        text += f" Warning: {self.warning}." if self.warning else ""
        return "\n".join(wrap(text)) + "\n"


def allocate_items(
    sigma_seed: float,
    sigma_item: float,
    sigma_seed_item: float,
    *,
    budget: float,
    cost_pair: float,
    cost_item: float,
    items: str = "random",
    min_pairs: int = 2,
    max_pairs: int | None = None,
    max_items: int | None = None,
) -> Allocation:
    """Pairs n and items m that estimate a mean paired difference best within a budget.

    The three sigmas are standard deviations of the paired difference in one score unit: between
    pairs (seeds), between items, and of pair x item with the residual, for a single item. With
    every item scored in every pair, the variance is

        sigma_seed^2 / n + sigma_item^2 / m + sigma_seed_item^2 / (n m)

    for ``items`` = "random" (the mean over seeds and over further items of this kind), and the same
    without the middle term for "fixed" (the mean over seeds, on these very items) (Cornfield and
    Tukey 1956, Annals of Mathematical Statistics 27, 907-949). A pair costs ``cost_pair`` (the
    training of its runs) and ``cost_item`` for each item scored in it (in all its runs), in any
    unit. n >= ``min_pairs`` (the variance is not all: few pairs leave few degrees of freedom, and
    sign flips need 6 for .05); m >= 2 for random items, whose df are Satterthwaite's.

    Raises StatsError for negative sigmas or all of them zero, costs that are not positive, limits
    below the smallest, fewer than two pairs, and a budget too small for the smallest study.
    """
    if items not in ITEMS:
        raise StatsError(
            f"'{items}' is neither way to take items",
            place="items",
            value=items,
            hint=nearest(items, ITEMS),
        )
    between = {"sigma_seed": sigma_seed, "sigma_item": sigma_item}
    _check_sigmas(between | {"sigma_seed_item": sigma_seed_item})
    if min_pairs < 2:
        raise StatsError(f"{min_pairs} is less than 2", place="min_pairs", value=min_pairs)
    random = items == "random"
    a, b, c = sigma_seed**2, random * sigma_item**2, sigma_seed_item**2
    outer, inner, free = _divide(
        a, b, c, budget, ("cost_pair", cost_pair), ("cost_item", cost_item),
        ("max_pairs", max_pairs), ("max_items", max_items),
        least=min_pairs, least_inner=2 if random else 1,
    )  # fmt: skip
    flips = fewest_for_flips(0.05)
    what = "further items of this kind" if random else "these very items"
    return _allocation(
        f"mean difference over seeds, on {what}", ("pairs", "items"), (a, b, c), outer, inner,
        cost_pair, cost_item, budget, free,
        _crossed_df(a, b, c, outer, inner) if random else float(outer - 1),
        f"{outer} pairs are too few for a sign flip to reach .05, which needs {flips}"
        if outer < flips
        else "",
    )  # fmt: skip


def allocate_backbones(
    sigma_backbone: float,
    sigma_pair: float,
    *,
    budget: float,
    cost_backbone: float,
    cost_pair: float,
    max_backbones: int | None = None,
    max_pairs: int | None = None,
) -> Allocation:
    """Backbones B and pairs n on each that estimate the average effect best within a budget.

    The effect varies between backbones with standard deviation ``sigma_backbone`` and between
    pairs of one backbone with ``sigma_pair``, in one score unit. The variance of the average as an
    estimate of the mean over a population of backbones is sigma_backbone^2 / B + sigma_pair^2 /
    (B n), least at n* = sqrt(cost_backbone / cost_pair) sigma_pair / sigma_backbone where no limit
    binds (Cochran 1977, Sampling Techniques, section 10.6). A backbone costs ``cost_backbone`` (its
    preparation, 0 if none) and ``cost_pair`` for each pair. B >= 2, n >= 1; the interval is a t
    over backbone means with B - 1 degrees of freedom.

    Raises StatsError as ``allocate_items`` does, and for a ``sigma_backbone`` of 0.
    """
    _check_sigmas({"sigma_backbone": sigma_backbone, "sigma_pair": sigma_pair})
    if sigma_backbone == 0:
        raise StatsError(
            "backbones that do not differ need no allocation",
            place="sigma_backbone",
            value=0.0,
            hint="for the average over these very backbones, give each the same pairs",
        )
    a, c = sigma_backbone**2, sigma_pair**2
    outer, inner, free = _divide(
        a, 0.0, c, budget, ("cost_backbone", cost_backbone), ("cost_pair", cost_pair),
        ("max_backbones", max_backbones), ("max_pairs", max_pairs), least=2,
    )  # fmt: skip
    warning = ""
    if outer < FEW:
        warning = (
            f"{outer} backbones say little about a population of them; take {FEW} or more, or "
            "restrict the statement to these"
        )
    return _allocation(
        "mean effect over a population of backbones", ("backbones", "pairs each"), (a, 0.0, c),
        outer, inner, cost_backbone, cost_pair, budget, free, float(outer - 1), warning,
    )  # fmt: skip


def _divide(
    a: float,
    b: float,
    c: float,
    budget: float,
    cost_outer: tuple[str, float],
    cost_inner: tuple[str, float],
    max_outer: tuple[str, int | None],
    max_inner: tuple[str, int | None],
    *,
    least: int,
    least_inner: int = 1,
) -> tuple[int, int, tuple[float, float]]:
    """The integers (n, m) with the least a/n + b/m + c/(nm) at n (fixed + m each) <= budget.

    The variance falls in n and in m, so that for each value of one the largest affordable value of
    the other is best: the shorter of the two lists is searched in full. Of equal variances the
    cheaper wins, then the one with more n. Also returns the continuous optimum without limits.
    """
    fixed, each = cost_outer[1], cost_inner[1]
    for (name, value), lowest in ((cost_outer, "0 or more"), (cost_inner, "positive")):
        if not (value > 0 or (value == 0 and lowest != "positive")) or not math.isfinite(value):
            raise StatsError(f"a cost of {value:g} is not {lowest}", place=name, value=value)
    for (name, most), smallest in ((max_outer, least), (max_inner, least_inner)):
        if most is not None and most < smallest:
            raise StatsError(f"{most} is less than {smallest}", place=name, value=most)
    smallest_cost = least * (fixed + least_inner * each)
    if not (smallest_cost <= budget < math.inf):
        raise StatsError(
            f"{budget:g} does not pay for {least} x {least_inner}",
            place="budget",
            value=budget,
            hint=f"the smallest study costs {smallest_cost:g}",
        )

    def limit(value: float, most: int | None) -> int:
        # The quotient of two floats may fall a hair short of the whole number that it is.
        whole = int(value * (1 + 1e-12) + 1e-12)
        return whole if most is None else min(whole, most)

    n_most = limit(budget / (fixed + least_inner * each), max_outer[1])
    m_most = limit((budget / least - fixed) / each, max_inner[1])
    if min(n_most, m_most) > MOST_CANDIDATES:
        raise StatsError(
            f"{budget:g} pays for more than {MOST_CANDIDATES} of either",
            place="budget",
            value=budget,
            hint=f"limit one of them: {max_outer[0]} or {max_inner[0]}",
        )
    if n_most <= m_most:
        n = np.arange(least, n_most + 1, dtype=float)
        m = np.floor((budget / n - fixed) / each * (1 + 1e-12) + 1e-12)
        m = np.clip(m, least_inner, m_most)
    else:
        m = np.arange(least_inner, m_most + 1, dtype=float)
        n = np.minimum(np.floor(budget / (fixed + m * each) * (1 + 1e-12)), n_most)
    if b == c == 0:
        m = np.full_like(m, least_inner)  # more of them would cost and tell nothing
    if a == c == 0:
        n = np.full_like(n, least)
    variance = a / n + b / m + c / (n * m)
    best = np.lexsort((-n, n * (fixed + m * each), np.round(variance / variance.min(), 12)))[0]
    free = math.nan
    if a > 0 and b * budget + c * fixed > 0:
        # With n = budget / (fixed + m each) the variance is stationary in m here.
        free = math.sqrt((b * budget + c * fixed) / (a * each))
    return int(n[best]), int(m[best]), (budget / (fixed + free * each), free)


def _allocation(
    estimand: str,
    names: tuple[str, str],
    parts: tuple[float, float, float],
    outer: int,
    inner: int,
    fixed: float,
    each: float,
    budget: float,
    free: tuple[float, float],
    df: float,
    warning: str,
) -> Allocation:
    a, b, c = parts
    variance = a / outer + b / inner + c / (outer * inner)
    se = math.sqrt(variance)
    return Allocation(
        estimand, "exact search over whole numbers for the least variance", names, outer, inner,
        variance, se, df, t_quantile(0.975, df) * se,
        outer * (fixed + inner * each), budget, free, warning,
    )  # fmt: skip


def _crossed_df(a: float, b: float, c: float, n: int, m: int) -> float:
    """Satterthwaite's df of (MS_seed + MS_item - MS_seed_item) / nm at expected mean squares."""
    seed, item = m * a + c, n * b + c
    spread = seed**2 / (n - 1) + item**2 / (m - 1) + c**2 / ((n - 1) * (m - 1))
    return (seed + item - c) ** 2 / spread


def _check_sigmas(sigmas: dict[str, float]) -> None:
    for name, value in sigmas.items():
        if not 0 <= value < math.inf:
            raise StatsError(f"{value:g} is not 0 or more", place=name, value=value)
    if not any(sigmas.values()):
        raise StatsError(
            "nothing varies, so there is nothing to divide", place=", ".join(sigmas), value=0.0
        )
