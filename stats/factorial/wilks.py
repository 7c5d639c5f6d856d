"""Wilks' test of a linear hypothesis on the mean vectors of groups with a common covariance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.errors import StatsError
from stats.sample import ROUNDING


@dataclass(frozen=True)
class FTest:
    """An F statistic with its degrees of freedom; NaN where it is not defined."""

    F: float
    num_df: float
    den_df: float
    p: float


def f_test(f: float, num_df: float, den_df: float) -> FTest:
    """The F test of a statistic."""
    return FTest(f, num_df, den_df, float(special.fdtrc(num_df, den_df, f)))


UNDEFINED = FTest(math.nan, math.nan, math.nan, math.nan)


def wilks(groups: Sequence[np.ndarray], hypothesis: np.ndarray, magnitude: float = 0.0) -> FTest:
    """Test that ``hypothesis`` (h, B) times the B groups' mean vectors is zero.

    ``groups`` are (n_b, q) arrays of normal vectors with a common covariance matrix. With E their
    pooled sums of squares (df n - B) and H the hypothesis's, Lambda = |E| / |E + H|, turned into F
    by Rao's formula (Rao 1973, Linear Statistical Inference, section 8c.5), which is exact where
    q or h is 1 or 2; one row in ``hypothesis`` is Hotelling's T^2. ``magnitude`` is the size of the
    scores that the vectors came from: what varies by their rounding does not vary. NaN where
    n - B < q, and where E is singular.

    Raises StatsError when shapes do not fit.
    """
    q = groups[0].shape[1]
    c = np.atleast_2d(np.asarray(hypothesis, dtype=float))
    if c.shape[1] != len(groups) or any(g.ndim != 2 or g.shape[1] != q for g in groups):
        raise StatsError(
            "the groups and the hypothesis do not fit", place="wilks", value=[c.shape, q]
        )
    sizes = np.array([g.shape[0] for g in groups])
    nu, h = int(sizes.sum()) - len(groups), c.shape[0]
    if sizes.min() < 1 or nu < q:
        return UNDEFINED
    means = np.stack([g.mean(axis=0) for g in groups])
    error = sum(((g - m).T @ (g - m) for g, m in zip(groups, means, strict=True)), np.zeros((q, q)))
    scale = np.sqrt(np.diag(error))
    if (
        scale.min() <= ROUNDING * magnitude
        or not scale.all()
        or np.linalg.cond(error / np.outer(scale, scale)) > 1e10
    ):
        return UNDEFINED
    effect = c @ means
    between = effect.T @ np.linalg.solve(c @ np.diag(1.0 / sizes) @ c.T, effect)
    ratio = 1.0 / float(np.prod(1.0 + np.linalg.eigvals(np.linalg.solve(error, between)).real))
    square = q * q + h * h - 5
    s = math.sqrt((q * q * h * h - 4) / square) if square > 0 else 1.0
    den = (nu - (q - h + 1) / 2) * s - (q * h - 2) / 2
    if den <= 0:
        return UNDEFINED
    root = ratio ** (1 / s)
    return f_test((1 - root) / root * den / (q * h), q * h, den)


def welch(groups: Sequence[np.ndarray], magnitude: float = 0.0) -> FTest:
    """Welch's test that B groups with variances of their own have one mean (1-D arrays).

    Welch 1951, Biometrika 38, 330-336; with two groups the square of Welch's t with its
    Satterthwaite degrees of freedom. ``magnitude`` is as in ``wilks``. NaN where a group has fewer
    than two values or no spread.
    """
    sizes = np.array([g.size for g in groups])
    if len(groups) < 2 or sizes.min() < 2:
        return UNDEFINED
    variances = np.array(
        [g.var(ddof=1) if np.ptp(g) > ROUNDING * magnitude else 0.0 for g in groups]
    )
    if not variances.all():
        return UNDEFINED
    weights = sizes / variances
    means = np.array([g.mean() for g in groups])
    centre = float(weights @ means / weights.sum())
    count = len(groups)
    lack = float(((1 - weights / weights.sum()) ** 2 / (sizes - 1)).sum())
    between = float(weights @ (means - centre) ** 2) / (count - 1)
    f = between / (1 + 2 * (count - 2) / (count**2 - 1) * lack)
    return f_test(f, count - 1, (count**2 - 1) / (3 * lack))
