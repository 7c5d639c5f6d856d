"""Power of a family corrected by max-T or Holm, by simulated studies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.errors import StatsError
from stats.family import correct
from stats.layout import wrap
from stats.planning.checks import check_pairs, check_rates, check_sd
from stats.planning.power import power_of_t
from stats.reach import min_pairs, reach
from stats.record import Record, seed_of
from stats.sample import Sample
from stats.wording import number

COUNTS = ("average", "any", "all")
# Up to this many pairs in all, a simulated study enumerates its flips; beyond, it draws them.
ENUMERATED = 11


@dataclass(frozen=True)
class Layout:
    """A family of arms x benchmarks x backbones, and how its paired differences move together.

    Pairs of one backbone carry all its arms and benchmarks; pairs of different backbones are
    independent. Two arms' differences correlate by ``arm_correlation`` because they share the
    baseline's run (1/2 when all runs vary alike), two benchmarks of one training by
    ``benchmark_correlation``; both apart: the product. Raises StatsError for counts below 1 and
    correlations outside [0, 1].
    """

    arms: int = 1
    benchmarks: int = 1
    backbones: int = 1
    arm_correlation: float = 0.5
    benchmark_correlation: float = 0.3

    def __post_init__(self) -> None:
        for name in ("arms", "benchmarks", "backbones"):
            if getattr(self, name) < 1:
                raise StatsError(
                    f"{getattr(self, name)} is less than 1", place=name, value=getattr(self, name)
                )
        for name in ("arm_correlation", "benchmark_correlation"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise StatsError(
                    f"{value:g} is not between 0 and 1",
                    place=name,
                    value=value,
                    hint="a pilot's table shows it (planning.pilot)",
                )

    @property
    def tests(self) -> int:
        """The number of tests in the family."""
        return self.arms * self.benchmarks * self.backbones

    def draw(self, n: int, studies: int, rng: np.random.Generator) -> np.ndarray:
        """Normal differences, mean 0 and sd 1: (n, studies, backbones, arms, benchmarks).

        The first pairs are the same whatever n, so that searches over n compare like with like.
        """
        shape = (n, studies, self.backbones, self.arms, self.benchmarks)
        shared = ((*shape[:3], 1, 1), (*shape[:4], 1), (*shape[:3], 1, shape[4]), shape)
        a, b = self.arm_correlation, self.benchmark_correlation
        weights = (a * b, (1 - a) * b, a * (1 - b), (1 - a) * (1 - b))
        d = np.zeros(shape)
        for weight, size, stream in zip(weights, shared, rng.spawn(4), strict=True):
            d += math.sqrt(weight) * stream.normal(size=size)
        return d


@dataclass(frozen=True)
class FamilyPower(Record):
    """Power of a family at ``n_pairs`` per backbone, over simulated studies.

    Of the ``n_true`` tests with a true difference, ``average_power`` is the mean share found, and
    ``any_power`` (at least one is found) and ``all_power`` (all are) are shares of studies;
    ``se_*`` are Monte Carlo standard errors. ``false`` is the share of studies that reject a test
    without a difference (NaN where every test has one). Beside them, by formula:
    ``bonferroni_average`` is the average power when each test is held to alpha / tests, which
    Holm's is at least; ``bonferroni_any`` the power of the best single test, which ``any_power`` is
    at least, and ``independent_any`` what it would be if the tests were independent. ``method``
    tells the correction; ``warning`` is a sentence where no verdict is within reach, or "".
    """

    estimand: str
    method: str
    n_pairs: int
    n_tests: int
    n_true: int
    average_power: float
    any_power: float
    all_power: float
    false: float
    se_average: float
    se_any: float
    se_all: float
    bonferroni_average: float
    bonferroni_any: float
    independent_any: float
    alpha: float
    n_studies: int
    n_resamples: int
    rng_seed: int | None
    warning: str

    def summary(self) -> str:
        """The powers in words."""
        false = "" if math.isnan(self.false) else f" A false rejection in {self.false:.3f}."
        warning = f" Warning: {self.warning}." if self.warning else ""
        return (
            "\n".join(
                wrap(
                    f"{self.n_pairs} pairs per backbone, {self.n_tests} tests, {self.n_true} with "
                    f"a true difference, {self.n_studies} simulated studies: on average "
                    f"{number(self.average_power)} of the differences are found (Monte Carlo error "
                    f"{number(self.se_average)}; Bonferroni {number(self.bonferroni_average)}), at "
                    f"least one in {number(self.any_power)} of studies (the best single test "
                    f"{number(self.bonferroni_any)}, independent tests "
                    f"{number(self.independent_any)}), all in {number(self.all_power)}."
                    f"{false}{warning}"
                )
            )
            + "\n"
        )


def family_power(
    effects: float | np.ndarray,
    sd: float,
    n: int,
    layout: Layout,
    *,
    alpha: float = 0.05,
    n_studies: int = 1000,
    n_resamples: int = 999,
    rng: int | np.random.Generator = 0,
) -> FamilyPower:
    """Simulate studies of ``n`` pairs per backbone and correct each as ``compare`` does.

    ``effects`` are the true differences, one number or an array that broadcasts to (backbones,
    arms, benchmarks), 0 for a test without one; ``sd`` is that of paired differences, in the same
    unit. Each study is corrected by ``family.correct``: step-down max-T where sign flips reach
    alpha, else Holm. Flips are enumerated up to 2^11, beyond that ``n_resamples`` are drawn, which
    costs little power. Normal differences, the same sd in every test.

    Raises StatsError for values out of range, effects of another shape, and no true difference.
    """
    check_sd(sd)
    check_pairs(n)
    check_rates(alpha, tests=layout.tests)
    if n_studies < 2:
        raise StatsError(f"{n_studies} is less than 2", place="n_studies", value=n_studies)
    truth = _effects(effects, layout) / sd
    true = truth.ravel() != 0
    generator = np.random.default_rng(rng)
    d = layout.draw(n, n_studies, generator) + truth
    found = _rejections(d, alpha, n_resamples, generator)
    shares, hits = found[:, true].mean(axis=1), found[:, true].any(axis=1)
    every, root = found[:, true].all(axis=1), math.sqrt(n_studies)
    single = [
        power_of_t(size, 1.0, n, alpha=alpha, tests=layout.tests)
        for size in np.abs(truth.ravel()[true]).tolist()
    ]
    here = reach(n, layout.tests, alpha)
    return FamilyPower(
        estimand="probability that true differences are found by the corrected family",
        method=f"simulated studies, {here.method}, normal differences",
        n_pairs=n,
        n_tests=layout.tests,
        n_true=int(true.sum()),
        average_power=float(shares.mean()),
        any_power=float(hits.mean()),
        all_power=float(every.mean()),
        false=float(found[:, ~true].any(axis=1).mean()) if not true.all() else math.nan,
        se_average=float(shares.std(ddof=1)) / root,
        se_any=float(hits.std(ddof=1)) / root,
        se_all=float(every.std(ddof=1)) / root,
        bonferroni_average=float(np.mean(single)),
        bonferroni_any=max(single),
        independent_any=1 - math.prod(1 - power for power in single),
        alpha=alpha,
        n_studies=n_studies,
        n_resamples=n_resamples,
        rng_seed=seed_of(rng),
        warning=here.warning,
    )


def pairs_for_family(
    effects: float | np.ndarray,
    sd: float,
    layout: Layout,
    *,
    power: float = 0.8,
    count: str = "average",
    alpha: float = 0.05,
    n_studies: int = 500,
    n_resamples: int = 999,
    rng: int = 0,
    most: int = 500,
) -> FamilyPower:
    """The fewest pairs per backbone at which the simulated power of the family reaches ``power``.

    ``count`` is what must reach it: "average", "any" or "all" of the true differences. All numbers
    of pairs share their random pairs, so that the search is smooth; the answer carries the Monte
    Carlo error of its power. Arguments and errors are those of ``family_power``; StatsError too
    when more than ``most`` pairs are needed.
    """
    if count not in COUNTS:
        raise StatsError(
            f"'{count}' is not a power of a family",
            place="count",
            value=count,
            hint=f"take {', '.join(COUNTS)}",
        )
    check_rates(alpha, power, layout.tests)
    seen: dict[int, FamilyPower] = {}

    def enough(n: int) -> bool:
        seen[n] = family_power(
            effects, sd, n, layout, alpha=alpha, n_studies=n_studies, n_resamples=n_resamples,
            rng=rng,
        )  # fmt: skip
        return float(getattr(seen[n], f"{count}_power")) >= power

    high = min_pairs(alpha)
    while not enough(high):
        if high >= most:
            reached = getattr(seen[high], f"{count}_power")
            raise StatsError(
                f"{high} pairs per backbone give a power of {reached:.2f}",
                place="pairs needed",
                value=high,
                hint="look for a larger effect, or allow more (most=)",
            )
        high = min(most, high * 2)
    low = 1 if high == min_pairs(alpha) else high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return seen[high]


def _effects(effects: float | np.ndarray, layout: Layout) -> np.ndarray:
    shape = (layout.backbones, layout.arms, layout.benchmarks)
    try:
        truth = np.broadcast_to(np.asarray(effects, dtype=float), shape)
    except ValueError:
        raise StatsError(
            f"effects of shape {np.shape(effects)} do not fit {shape}",
            place="effects",
            value=np.shape(effects),
            hint="(backbones, arms, benchmarks)",
        ) from None
    if not np.isfinite(truth).all() or not truth.any():
        raise StatsError(
            "there must be a true difference, and all must be finite",
            place="effects",
            value=effects,
            hint="power is the chance to find one",
        )
    return truth


def _rejections(
    d: np.ndarray, alpha: float, n_resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Which tests each study rejects: (studies, tests)."""
    n, studies, backbones = d.shape[:3]
    t = d.mean(axis=0) / (d.std(axis=0, ddof=1) / math.sqrt(n))
    p = (2 * special.stdtr(n - 1, -np.abs(t))).reshape(studies, -1)
    columns = np.moveaxis(d, 0, -1).reshape(studies, backbones, -1, n)
    pairs = [np.arange(n) + n * b for b in range(backbones)]
    df = [float(n - 1)] * p.shape[1]
    found = np.empty(p.shape, dtype=bool)
    for i in range(studies):
        samples = [
            Sample((values,), (pairs[b],)) for b in range(backbones) for values in columns[i, b]
        ]
        fixed = correct(
            samples, p[i].tolist(), df, alpha=alpha, n_resamples=n_resamples,
            max_enumerated=ENUMERATED, rng=rng,
        )  # fmt: skip
        found[i] = fixed.p_adjusted <= alpha
    return found
