"""Likelihood-ratio comparison of two nested fits, by chi-squared or by parametric bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.errors import StatsError
from stats.mixed.fit import LmmFit, fit_moments
from stats.mixed.resample import share_at_least, simulate
from stats.record import Record, seed_of


@dataclass(frozen=True)
class LikelihoodRatio(Record):
    """Twice the difference of log likelihoods on ``df`` parameters.

    ``p`` is by ``reference``: chi-squared, an even mixture of two where one variance is tested at
    its boundary, or the parametric bootstrap.
    """

    statistic: float
    df: int
    p: float
    reference: str
    estimand: str
    method: str
    n: int
    n_resamples: int = 0
    rng_seed: int | None = None


def likelihood_ratio(
    full: LmmFit,
    reduced: LmmFit,
    *,
    n_resamples: int = 0,
    rng: int | np.random.Generator = 0,
) -> LikelihoodRatio:
    """Compare two fits of the same rows, the second nested in the first.

    Different fixed parts are compared by maximum likelihood (both are refitted if need be), the
    same fixed part by the fits' own method. The chi-squared reference is badly anti-conservative
    for fixed effects over few groups: take ``n_resamples`` (parametric bootstrap) or a
    Kenward-Roger test there. A single variance, with c covariances, has the even mixture of
    chi-squared(c) and chi-squared(c + 1), the first being zero for c = 0 (Self and Liang 1987, JASA
    82, 605-610; Stram and Lee 1994, Biometrics 50, 1171-1177). A covariance alone, such as (x | g)
    against (x || g), is tested inside of its range: chi-squared.

    Raises StatsError for fits of different rows, REML fits whose fixed effects are coded
    differently (their criteria do not compare), and models that are not nested.
    """
    a, b = full.design, reduced.design
    if a.y.size != b.y.size or not np.array_equal(a.y, b.y):
        raise StatsError(
            "the fits are of different rows", place="likelihood_ratio", value=(full.n, reduced.n)
        )
    same_space = a.x.shape[1] == b.x.shape[1] and _inside(a.x, b.x)
    same_coding = a.x.shape == b.x.shape and np.allclose(a.x, b.x)
    if same_space and not same_coding and (full.reml or reduced.reml):
        raise StatsError(
            f"the fixed effects are coded differently ({a.contrasts} and {b.contrasts}), and REML "
            "criteria under different codings do not compare",
            place="likelihood_ratio",
            value=(a.contrasts, b.contrasts),
            hint="fit both under one coding",
        )
    if not _inside(a.x, b.x) or not _terms_inside(full, reduced):
        raise StatsError(
            f"'{reduced.formula}' is not nested in '{full.formula}'", place="likelihood_ratio",
            hint="give the larger model first",
        )  # fmt: skip
    reml = full.reml and reduced.reml and same_space
    full, reduced = (_as(fit, reml) for fit in (full, reduced))
    statistic = max(0.0, reduced.criterion_value - full.criterion_value)
    random_df = full.criterion.size - reduced.criterion.size
    df = a.x.shape[1] - b.x.shape[1] + random_df
    if df <= 0:
        raise StatsError("the models have the same parameters", place="likelihood_ratio")
    if n_resamples:
        draws = _draws(full, reduced, n_resamples, np.random.default_rng(rng))
        p, reference = share_at_least(draws, statistic), "parametric bootstrap"
    else:
        variances = _variances(full) - _variances(reduced)
        p, reference = _by_chi_squared(statistic, df, random_df, variances)
    return LikelihoodRatio(
        statistic, df, p, reference, f"'{full.formula}' against '{reduced.formula}'",
        "REML" if reml else "ML", full.n, n_resamples, seed_of(rng) if n_resamples else None,
    )  # fmt: skip


def _by_chi_squared(statistic: float, df: int, random_df: int, variances: int) -> tuple[float, str]:
    """p and its reference; ``variances`` of the ``random_df`` parameters are variances."""
    p = float(special.chdtrc(df, statistic))
    if variances == 1 and df == random_df:
        lower = float(special.chdtrc(df - 1, statistic)) if df > 1 else float(statistic == 0)
        name = f"chi-squared({df - 1})" if df > 1 else "0"
        return (p + lower) / 2, f"even mixture of {name} and chi-squared({df})"
    if variances:
        return p, "chi-squared (conservative: variances are tested at their boundary)"
    return p, "chi-squared"


def _draws(full: LmmFit, reduced: LmmFit, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """The statistic of responses drawn from the reduced fit, (n_resamples,)."""
    out: list[float] = []
    while len(out) < n_resamples:
        size = min(n_resamples - len(out), max(1, 2_000_000 // full.n))
        for y in simulate(reduced, size, rng):
            lower, upper = (
                fit_moments(
                    fit.criterion.moments.with_response(y), reml=fit.reml,
                    start=fit.criterion.start(), notes=False,
                ).criterion_value
                for fit in (reduced, full)
            )  # fmt: skip
            out.append(max(0.0, lower - upper))
    return np.array(out)


def _variances(fit: LmmFit) -> int:
    return sum(block.k for block in fit.design.blocks)


def _as(fit: LmmFit, reml: bool) -> LmmFit:
    return fit if fit.reml == reml else fit_moments(fit.criterion.moments, reml=reml)


def _inside(big: np.ndarray, small: np.ndarray) -> bool:
    q, _ = np.linalg.qr(big)
    left = small - q @ (q.T @ small)
    return bool(np.abs(left).max(initial=0.0) <= 1e-8 * max(1.0, float(np.abs(small).max())))


def _terms_inside(full: LmmFit, reduced: LmmFit) -> bool:
    for block in reduced.design.blocks:
        same = [b for b in full.design.blocks if set(b.term.groups) == set(block.term.groups)]
        if not any(_inside(b.z, block.z) for b in same):
            return False
    return True
