"""Mixed models: the arm's effect with two arms paired by seed, and the seed's variance.

The layout ``score ~ arm + (1 | seed)``, one score per arm and seed, is balanced, so that REML has a
closed form in two mean squares: of seed means, expectation 1 + rho, and of paired differences,
1 - rho. It makes tens of thousands of fits cheap; each gate checks it against the package's fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import special

from stats.decompose.analysis import decompose
from stats.mixed.fit import LmmFit, fit_moments, lmm
from stats.mixed.moments import Moments
from stats.paired import paired_t
from tests.stats.gates.draws import ALPHA, SIZES, agree, arms, grid, unpaired_p
from tests.stats.gates.exact import (
    boundary_share,
    mean_component,
    profile_coverage,
    profile_rise,
)
from tests.stats.gates.gate import Runs, register

CHECKED = 10  # fits of the package per gate and part


@lru_cache
def _moments(n: int) -> Moments:
    frame = pd.DataFrame(
        {
            "arm": np.repeat(["lora", "talan"], n),
            "seed": [f"s{i}" for i in range(n)] * 2,
            "score": np.random.default_rng(0).normal(size=2 * n),
        }
    )
    return lmm("score ~ arm + (1 | seed)", frame).criterion.moments


def fitted(base: np.ndarray, arm: np.ndarray) -> LmmFit:
    """The package's fit of one study's scores (n,) of two arms."""
    y = np.concatenate([base, arm])
    return fit_moments(_moments(base.size).with_response(y), reml=True, notes=False)


@dataclass(frozen=True)
class Balanced:
    """REML of studies (replicates, n) in closed form: mean squares, boundary, t of the arm."""

    base: np.ndarray = field(repr=False)
    arm: np.ndarray = field(repr=False)
    seed: np.ndarray
    rest: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, replicates: int, n: int, rho: float) -> Balanced:
        """Studies without a difference whose pairs correlate ``rho``."""
        base, arm = arms(rng, replicates, n, rho)
        seed = (base + arm).var(axis=1, ddof=1) / 2
        return cls(base, arm, seed, (arm - base).var(axis=1, ddof=1) / 2)

    @property
    def n(self) -> int:
        return self.base.shape[1]

    @property
    def boundary(self) -> np.ndarray:
        """Where the seed variance is estimated as zero."""
        return self.seed <= self.rest

    @property
    def t(self) -> np.ndarray:
        """The arm's t: at the boundary both mean squares estimate the error."""
        error = np.where(self.boundary, (self.seed + self.rest) / 2, self.rest)
        return (self.arm - self.base).mean(axis=1) / np.sqrt(2 * error / self.n)

    def p(self, ddf: str) -> np.ndarray:
        """p-values of the arm: ``kenward-roger``, ``satterthwaite`` or ``z``."""
        if ddf == "z":
            return 2 * special.ndtr(-np.abs(self.t))
        df = np.full(self.t.shape, self.n - 1.0)
        if ddf == "satterthwaite":
            df[self.boundary] *= 2  # it forgets the pairs
        return 2 * special.stdtr(df, -np.abs(self.t))

    def check(
        self, fast: np.ndarray, of_fit: Callable[[LmmFit], float], places: int = CHECKED
    ) -> None:
        """Assert that closed form and package agree on the first studies."""
        agree(fast, lambda i: of_fit(fitted(self.base[i], self.arm[i])), places, 1e-4)


# statistics of 40,000 simulated studies with a prototype: (pairs, correlation) -> rejection rate
TABLE = {
    "kenward-roger": {
        (5, 0.0): 0.055, (5, -0.4): 0.066, (10, 0.0): 0.059, (20, 0.0): 0.057, (20, -0.4): 0.084,
        (20, 0.8): 0.051,
    },
    "satterthwaite": {
        (5, 0.0): 0.069, (5, -0.4): 0.095, (10, 0.0): 0.065, (20, 0.0): 0.061, (20, -0.4): 0.094,
        (20, 0.8): 0.051,
    },
}  # fmt: skip


@register(
    "mixed model, {ddf}, n = {n}, r = {rho:g}",
    "Type I, mixed model, {ddf} df, {n} pairs, correlation {rho:g}",
    expected=lambda ddf, n, rho: TABLE[ddf][n, rho],
    source="documented, 40,000 studies",
    mutant="Wald z",
    known=40_000,
    short=100_000,
    long=100_000,
    cases=[{"ddf": ddf, "n": n, "rho": rho} for ddf, row in TABLE.items() for n, rho in row],
)
def arm_effect(replicates: int, rng: np.random.Generator, *, ddf: str, n: int, rho: float) -> Runs:
    study = Balanced.draw(rng, replicates, n, rho)
    p = study.p(ddf)
    study.check(p, lambda fit: fit.fixed(ddf).tests[1].p)
    if ddf == "kenward-roger":  # the default is no more than that here
        study.check(p, lambda fit: fit.fixed().tests[1].p)
    return Runs(p <= ALPHA, study.p("z") <= ALPHA)


@register(
    "headline of a decomposition, r = {rho:g}",
    "Type I, a decomposition's headline, {n} pairs, correlation {rho:g}",
    expected=ALPHA,
    source="exact: at a boundary the paired test, elsewhere equal to it",
    cases=[
        {"n": 20, "rho": -0.4, "mutant": "the model's test at its boundary"},
        {"n": 10, "rho": 0.0, "mutant": "the model's test at its boundary"},
        {"n": 10, "rho": 0.8, "mutant": "unpaired t"},
    ],
    short=20_000,
)
def headline(replicates: int, rng: np.random.Generator, *, n: int, rho: float, mutant: str) -> Runs:
    study = Balanced.draw(rng, replicates, n, rho)
    d = study.arm - study.base
    t = d.mean(axis=1) / (d.std(axis=1, ddof=1) / np.sqrt(n))
    p = 2 * special.stdtr(n - 1, -np.abs(t))

    def by_package(i: int) -> float:
        frame = pd.DataFrame(
            {
                "arm": np.repeat(["lora", "talan"], n), "seed": list(range(n)) * 2,
                "score": np.concatenate([study.base[i], study.arm[i]]),
            }
        )  # fmt: skip
        effect = decompose(frame, baseline="lora", backbone="", benchmark="").effects[0]
        assert effect.pairs is not None
        return effect.pairs.p if effect.headline == "pairs" else effect.p

    agree(p, by_package, 3, 1e-4)
    agree(p, lambda i: paired_t(d[i]).p)
    wrong = unpaired_p(study.arm, study.base) if rho > 0 else study.p("kenward-roger")
    return Runs(p <= ALPHA, wrong <= ALPHA)


@register(
    "boundary, n = {n}, r = {rho:g}",
    "Seed variance estimated as zero, {n} pairs, correlation {rho:g}",
    expected=lambda n, rho: boundary_share(n, rho),
    source="exact: F distribution; documented 50, 78 and 96 %",
    mutant="the arm left out of the model",
    cases=[*grid(n=SIZES, rho=(0.0,)), {"n": 5, "rho": -0.4}, {"n": 20, "rho": -0.4}],
    short=20_000,
)
def boundary(replicates: int, rng: np.random.Generator, *, n: int, rho: float) -> Runs:
    study = Balanced.draw(rng, replicates, n, rho)
    study.check(study.boundary, lambda fit: float(fit.boundary))
    # An effect of one SD goes into the error where the model has no arm.
    d = study.arm + 1.0 - study.base
    error = (d**2).mean(axis=1) / 2
    return Runs(study.boundary, study.seed <= error)


@register(
    "seed variance, n = {n}, r = {rho:g}",
    "Mean REML estimate of the seed variance, {n} pairs, truth {rho:g}",
    expected=lambda n, rho, mutant: mean_component(n, rho),
    source="exact by quadrature: unbiased but for estimates at zero",
    cases=[
        {"n": 5, "rho": 0.8, "mutant": "maximum likelihood"},
        {"n": 10, "rho": 0.8, "mutant": "maximum likelihood"},
        {"n": 20, "rho": 0.8, "mutant": "maximum likelihood"},
        {"n": 10, "rho": 0.0, "mutant": "variance of the seeds' means"},
    ],
    short=20_000,
)
def recovery(replicates: int, rng: np.random.Generator, *, n: int, rho: float, mutant: str) -> Runs:
    study = Balanced.draw(rng, replicates, n, rho)
    found = np.maximum(0.0, (study.seed - study.rest) / 2)
    study.check(found, lambda fit: float(fit.components[0].covariance[0, 0]))
    wrong = found * (n - 1) / n if mutant.startswith("maximum") else study.seed / 2
    return Runs(found, wrong)


@register(
    "profile interval, n = {n}, r = {rho:g}",
    "Coverage, profile interval of the seed SD, {n} pairs, corr. {rho:g}",
    expected=lambda n, rho: profile_coverage(n, rho),
    source="exact by quadrature: the likelihood ratio's law is approximate",
    mutant="estimate +- 1.96 SE of the variance",
    cases=[{"n": 5, "rho": 0.5}, {"n": 10, "rho": 0.5}, {"n": 20, "rho": 0.8}],
    short=20_000,
)
def profile(replicates: int, rng: np.random.Generator, *, n: int, rho: float) -> Runs:
    study = Balanced.draw(rng, replicates, n, rho)
    covers = profile_rise(study.seed, study.rest, rho, n - 1) <= special.chdtri(1, ALPHA)

    def by_package(fit: LmmFit) -> float:
        row = fit.intervals().rows[0]
        return float(row.low <= np.sqrt(rho) <= row.high)

    study.check(covers, by_package, 5)
    estimate = np.maximum(0.0, (study.seed - study.rest) / 2)
    error = np.sqrt((study.seed**2 + study.rest**2) / (n - 1) / 2)
    return Runs(covers, np.abs(estimate - rho) <= 1.96 * error)


@lru_cache
def _crossed(a: int, b: int) -> Moments:
    frame = pd.DataFrame(
        {
            "draw": np.repeat([f"h{i}" for i in range(a)], b),
            "seed": [f"s{j}" for j in range(b)] * a,
            "score": np.random.default_rng(0).normal(size=a * b),
        }
    )
    return lmm("score ~ 1 + (1 | draw) + (1 | seed)", frame).criterion.moments


@register(
    "crossed variances",
    "Mean REML estimate of a variance beside a crossed one, truth 4",
    expected=4.0,
    source="exact: REML is unbiased off the boundary",
    mutant="variance of the draws' means",
)
def crossed(replicates: int, rng: np.random.Generator) -> Runs:
    """Twelve hp draws by eight seeds; a variance of 4 that is practically never estimated as 0."""
    a, b = 12, 8
    y = 2.0 * rng.normal(size=(replicates, a, 1)) + 1.5 * rng.normal(size=(replicates, 1, b))
    y = y + 2.0 * rng.normal(size=(replicates, a, b))
    rows, columns = y.mean(axis=2), y.mean(axis=1)
    rest = y - rows[:, :, None] - columns[:, None, :] + y.mean(axis=(1, 2))[:, None, None]
    error = (rest**2).sum(axis=(1, 2)) / ((a - 1) * (b - 1))
    means = rows.var(axis=1, ddof=1)
    found = means - error / b

    def by_package(i: int) -> float:
        moments = _crossed(a, b).with_response(y[i].ravel())
        fit = fit_moments(moments, reml=True, notes=False)
        # At a boundary of the seeds the closed form is another one.
        return found[i] if fit.boundary else float(fit.components[0].covariance[0, 0])

    agree(found, by_package, CHECKED, 1e-4)
    return Runs(found, means)
