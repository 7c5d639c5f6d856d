"""The tests of a family, each alone and all corrected together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.family import MAX_T, correct
from stats.paired import PairedT, paired_t
from stats.sample import Sample
from stats.signflip import N_RESAMPLES, sign_flips


@dataclass(frozen=True)
class FamilyTests:
    """The tests of a family of K samples, alone and corrected together.

    ``ts`` are the paired t tests, ``p_signflip`` (K,) the single sign-flip p-values; both are
    unadjusted. ``p_adjusted`` (K,), ``critical`` (K,) and ``method`` are ``Correction``'s. Samples
    whose differences are all zero are outside the family of ``n_tests``: NaN, NaN and "". Tests
    that cannot be done have NaN for their own p-values and 1 for the adjusted one.
    """

    ts: tuple[PairedT, ...]
    p_signflip: np.ndarray
    p_adjusted: np.ndarray
    critical: np.ndarray
    method: tuple[str, ...]
    n_tests: int
    n_flips: int
    exact: bool


def family_tests(
    samples: Sequence[Sample],
    alternative: str = "two-sided",
    *,
    alpha: float = 0.05,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
    holm_only: bool = False,
) -> FamilyTests:
    """Every sample's own tests, and the family corrected by ``correct``.

    ``alpha`` is the family's error rate, ``confidence_level`` that of the t tests' own intervals;
    ``holm_only`` is ``correct``'s. Raises StatsError for a wrong alternative or level.
    """
    generator = np.random.default_rng(rng)
    ts = tuple(paired_t(sample, alternative, confidence_level) for sample in samples)
    inside = [i for i, sample in enumerate(samples) if not sample.is_zero]
    tested = [i for i in inside if not math.isnan(ts[i].t)]
    fixed = correct(
        [samples[i] for i in inside],
        [ts[i].p for i in inside],
        [ts[i].df for i in inside],
        alternative,
        alpha=alpha,
        n_resamples=n_resamples,
        rng=generator,
        holm_only=holm_only,
    )
    single, adjusted, critical = np.full((3, len(samples)), math.nan)
    flips = sign_flips(
        [samples[i] for i in tested], alternative, n_resamples=n_resamples, rng=generator
    )
    single[tested] = [flip.p for flip in flips]
    adjusted[inside] = fixed.p_adjusted
    critical[inside] = fixed.critical
    critical[np.isnan(single)] = math.nan
    method = [""] * len(samples)
    for i, name in zip(inside, fixed.method, strict=True):
        method[i] = name
        if name == MAX_T and not math.isnan(single[i]):
            # Max-T counts a flip without spread as 0, the single test as extreme (see ``_size``).
            adjusted[i] = max(adjusted[i], single[i])
    return FamilyTests(
        ts, single, adjusted, critical, tuple(method), len(inside), fixed.n_flips, fixed.exact
    )
