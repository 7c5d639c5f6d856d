"""P(improvement): how often the arm beats its baseline under the same seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.bootstrap import check_resamples
from stats.describe.strata import Strata
from stats.errors import StatsError
from stats.items.proportions import proportion_interval
from stats.layout import wrap
from stats.paired import check_level, t_quantile
from stats.record import Record, seed_of
from stats.sample import ROUNDING
from stats.table import Key, PairedTable
from stats.wording import number

GAMMA = 0.75
DECISIONS = ("meaningful improvement", "improvement, not shown to be meaningful", "not shown")


@dataclass(frozen=True)
class Improvement(Record):
    """P(arm > baseline) over pairs, cells weighing the same; probabilities are from 0 to 1.

    ``wins``, ``ties`` and ``losses`` count pair x cell. ``ci_*`` is Jeffreys' interval at the
    effective number of pairs ``n_effective``, ``boot_*`` the percentile interval of resampled
    pairs (NaN where pairs do not vary). ``decision`` is one of ``DECISIONS``, with ``gamma`` as
    the probability from which on an improvement is meaningful.
    """

    arm: str
    baseline: str
    estimand: str
    method: str
    probability: float
    ci_low: float
    ci_high: float
    boot_low: float
    boot_high: float
    wins: int
    ties: int
    losses: int
    n_pairs: int
    n_broken: int
    n_cells: int
    n_effective: float
    gamma: float
    decision: str
    confidence_level: float
    n_resamples: int
    rng_seed: int | None

    def summary(self) -> str:
        """One paragraph of at most 100 columns."""
        text = (
            f"P({self.arm} > {self.baseline}) = {self.probability:.2f} "
            f"[{self.ci_low:.2f}, {self.ci_high:.2f}] over {self.n_pairs} pairs and "
            f"{self.n_cells} cells ({self.wins} wins, {self.ties} ties, {self.losses} losses; "
            f"worth {number(self.n_effective)} independent pairs): {self.decision}. Meaningful is "
            f"an interval above .5 with an estimate above {self.gamma:g}."
        )
        return "\n".join(wrap(text)) + "\n"


def probability_of_improvement(
    table: PairedTable,
    arm: str,
    baseline: str,
    *,
    cells: Sequence[Key] | None = None,
    gamma: float = GAMMA,
    confidence_level: float = 0.95,
    n_resamples: int = 4000,
    rng: int | np.random.Generator = 0,
) -> Improvement:
    """The share of pairs with arm above baseline, plus half the ties, averaged over cells.

    Only scores of the same pair are compared (Agarwal et al. 2021 compare all runs of one arm
    with all of the other). The interval is Jeffreys', Beta(w + 1/2, n - w + 1/2), w = n p. In one
    cell n is the number of pairs. Over several it is the effective number of ``effective_pairs``,
    because benchmarks of one training win together.

    Decision (after Bouthillier et al. 2021, MLSys 3): meaningful where the interval lies above 1/2
    and p > ``gamma``. About 29 pairs are needed (``pairs_for_improvement``).

    Raises StatsError for what ``Strata.of`` raises, a wrong level, ``gamma`` not within
    (1/2, 1), and fewer than 99 resamples.
    """
    check_level(confidence_level)
    check_resamples(n_resamples)
    _check_gamma(gamma)
    strata = Strata.of(table, arm, baseline, cells)
    size = ROUNDING * float(np.abs(strata.values()).max())
    signs = [np.where(np.abs(d) <= size, 0.0, np.sign(d)) for d in _differences(strata)]
    scores = [(block + 1) / 2 for block in signs]  # win 1, tie 1/2, loss 0: (pairs, cells)
    p = sum(float(block.mean(axis=0).sum()) for block in scores) / len(strata.cells)
    n = effective_pairs(scores, p)
    low, high = proportion_interval(p * n, n, confidence_level=confidence_level)
    boot_low, boot_high = _bootstrap(scores, len(strata.cells), confidence_level, n_resamples, rng)
    wins, ties, losses = (sum(int((block == sign).sum()) for block in signs) for sign in (1, 0, -1))
    return Improvement(
        arm,
        baseline,
        f"probability that {arm} scores above {baseline} under the same seed, plus half that of a "
        f"tie, mean over {strata.where}",
        "Jeffreys' interval at the effective number of pairs; decision after Bouthillier et al.",
        p,
        float(low),
        float(high),
        boot_low,
        boot_high,
        wins,
        ties,
        losses,
        strata.n_pairs,
        strata.n_broken,
        len(strata.cells),
        n,
        gamma,
        decide(p, float(low), gamma),
        confidence_level,
        n_resamples,
        seed_of(rng),
    )


def effective_pairs(scores: Sequence[np.ndarray], p: float) -> float:
    """How many independent pairs of one cell carry as much about p as these (pairs, cells).

    One cell: the number of pairs. Several: p (1 - p) / v, with v the variance of p from the pairs'
    means within groups, times (t_N / t_df)^2 for v's own degrees of freedom (Korn and Graubard
    1998, Survey Methodology 24, 193-201), not below the pairs of the smallest group and not above
    the number of pairs x cells. Where v is 0 (all won, all lost) nothing tells how far
    benchmarks move together, and it is the number of pairs.
    """
    pairs = sum(block.shape[0] for block in scores)
    cells = sum(block.shape[1] for block in scores)
    if cells == 1:
        return float(pairs)
    weights = [block.shape[1] / cells for block in scores]
    shares = [
        (weight**2 * block.mean(axis=1).var(ddof=1) / block.shape[0], block.shape[0] - 1)
        for weight, block in zip(weights, scores, strict=True)
    ]
    v = sum(share for share, _ in shares)
    total = sum(block.size for block in scores)
    least = float(min(block.shape[0] for block in scores))
    if v <= 0 or p in (0.0, 1.0):
        return float(pairs)
    df = v**2 / sum(share**2 / free for share, free in shares)
    factor = (t_quantile(0.975, total - 1) / t_quantile(0.975, df)) ** 2
    return float(min(max(p * (1 - p) / v * factor, least), total))


def decide(p: float, ci_low: float, gamma: float = GAMMA) -> str:
    """One of ``DECISIONS``: is the interval above 1/2, and is the estimate above ``gamma``."""
    if not ci_low > 0.5:
        return DECISIONS[2]
    return DECISIONS[0] if p > gamma else DECISIONS[1]


def pairs_for_improvement(gamma: float = GAMMA, alpha: float = 0.05, power: float = 0.95) -> int:
    """Pairs needed to find P(arm > baseline) = ``gamma`` (Noether 1987, JASA 82, 645-647).

    ceil(((z_{1 - alpha} + z_power) / (sqrt(6) (gamma - 1/2)))^2), one-sided, as Bouthillier et al.
    2021 use it: 29 for .75, .05 and .95. Raises StatsError for values out of range.
    """
    _check_gamma(gamma)
    check_level(alpha, "alpha")
    check_level(power, "power")
    z = float(special.ndtri(1 - alpha) + special.ndtri(power))
    return math.ceil((z / (math.sqrt(6) * (gamma - 0.5))) ** 2)


def _check_gamma(gamma: float) -> None:
    if not 0.5 < gamma < 1:
        raise StatsError(
            f"{gamma} is not between 1/2 and 1", place="gamma", value=gamma, hint="e.g. 0.75"
        )


def _differences(strata: Strata) -> list[np.ndarray]:
    return [block[0] - block[1] for block in strata.blocks]


def _bootstrap(
    scores: Sequence[np.ndarray],
    cells: int,
    level: float,
    n_resamples: int,
    rng: int | np.random.Generator,
) -> tuple[float, float]:
    generator, drawn = np.random.default_rng(rng), np.zeros(n_resamples)
    if not any(np.ptp(block.mean(axis=1)) > 0 for block in scores):
        return math.nan, math.nan
    for block in scores:
        pairs = block.shape[0]
        draws = generator.multinomial(pairs, np.full(pairs, 1 / pairs), size=n_resamples)
        drawn += draws @ block.sum(axis=1) / (pairs * cells)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]).tolist()
    return low, high
