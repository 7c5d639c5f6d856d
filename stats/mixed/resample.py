"""Parametric bootstrap of a mixed model: draw responses from the fit, fit each again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stats.errors import StatsError
from stats.mixed.fit import LmmFit, fit_moments
from stats.paired import check_level
from stats.record import Record, seed_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Refits(Record):
    """Fixed effects (B, p), random SDs (B, s) in the order of ``fit.random()``, sigma (B,).

    ``failed`` counts draws whose fit did not converge; they are left out. ``criteria`` (B,).
    """

    names: tuple[str, ...]
    components: tuple[str, ...]
    beta: np.ndarray = field(repr=False)
    sd: np.ndarray = field(repr=False)
    sigma: np.ndarray = field(repr=False)
    criteria: np.ndarray = field(repr=False)
    boundary_share: float
    failed: int
    n_resamples: int
    rng_seed: int | None
    estimand: str
    method: str

    def table(self) -> pd.DataFrame:
        """The 95 % ``intervals``."""
        return self.intervals()

    def intervals(self, confidence_level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals of every parameter: parameter, mean, sd, low, high.

        They describe the sampling distribution under the fitted model; tests of fixed effects
        belong to ``fixed()``.
        """
        import pandas as pd

        check_level(confidence_level)
        tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
        labels = [*self.names, *(f"sd {name}" for name in self.components), "sd Residual"]
        draws = np.column_stack([self.beta, self.sd, self.sigma])
        low, high = np.quantile(draws, tails, axis=0)
        return pd.DataFrame(
            {
                "parameter": labels, "mean": draws.mean(axis=0), "sd": draws.std(axis=0, ddof=1),
                "low": low, "high": high,
            }
        )  # fmt: skip


def simulate(fit: LmmFit, n_draws: int, rng: int | np.random.Generator = 0) -> np.ndarray:
    """Responses (n_draws, n) from the fitted model: new random effects, new residuals."""
    generator = np.random.default_rng(rng)
    design = fit.design
    out = np.tile(design.x @ fit.beta, (n_draws, 1))
    for block, triangle in zip(design.blocks, fit.triangles, strict=True):
        u = generator.normal(size=(n_draws, block.m, block.k))
        b = fit.sigma * u @ triangle.T
        out += np.einsum("nk,dnk->dn", block.z, b[:, block.index])
    return out + fit.sigma * generator.normal(size=out.shape)


def parametric_bootstrap(
    fit: LmmFit, n_resamples: int = 1000, *, rng: int | np.random.Generator = 0
) -> Refits:
    """Refit the model to ``n_resamples`` responses drawn from it (Efron and Tibshirani 1993, 6.5).

    Cross products that do not involve the response are formed once. Raises StatsError for fewer
    than 20 resamples.
    """
    if n_resamples < 20:
        raise StatsError(
            f"{n_resamples} resamples are too few", place="n_resamples", value=n_resamples,
            hint="take 200 or more",
        )  # fmt: skip
    beta, sd, sigma, criteria = [], [], [], []
    boundary = failed = 0
    generator = np.random.default_rng(rng)
    moments = fit.criterion.moments
    left = n_resamples
    while left:
        size = min(left, max(1, 2_000_000 // fit.n))
        for y in simulate(fit, size, generator):
            refit = fit_moments(
                moments.with_response(y), reml=fit.reml, start=fit.criterion.start(), notes=False
            )
            if not refit.optimum.converged:
                failed += 1
                continue
            beta.append(refit.beta)
            sd.append(np.concatenate([c.sd for c in refit.components] or [np.empty(0)]))
            sigma.append(refit.sigma)
            criteria.append(refit.criterion_value)
            boundary += refit.boundary
        left -= size
    components = tuple(
        f"{c.group} {name}" if len(c.names) > 1 else c.group
        for c in fit.components
        for name in c.names
    )
    done = len(sigma)
    return Refits(
        fit.names, components, np.array(beta), np.array(sd).reshape(done, -1), np.array(sigma),
        np.array(criteria), boundary / max(done, 1), failed, n_resamples, seed_of(rng),
        "sampling distribution of the estimates if the fitted model were true",
        f"parametric bootstrap, {fit.method}",
    )  # fmt: skip


def share_at_least(draws: np.ndarray, observed: float) -> float:
    """(b + 1) / (B + 1), b of B draws at least as large (Davison and Hinkley 1997, 4.2)."""
    return (int((draws >= observed - 1e-9 * max(1.0, math.fabs(observed))).sum()) + 1) / (
        draws.size + 1
    )
