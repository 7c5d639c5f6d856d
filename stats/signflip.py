"""The exact sign-flip test on the t statistic of paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stats.errors import StatsError
from stats.flips import FlipModel, reached
from stats.paired import check_alternative
from stats.sample import Sample

N_RESAMPLES = 10_000


@dataclass(frozen=True)
class SignFlip:
    """A sign-flip p-value: ``count`` of ``n_flips`` flips are at least as extreme as the data.

    ``exact`` tells that all 2^n flips were enumerated; else the flips are random ones plus the
    data's own (the +1 rule).
    """

    p: float
    count: int
    n_flips: int
    exact: bool


def sign_flip(
    d: Sequence[float] | np.ndarray | Sample,
    alternative: str = "two-sided",
    *,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> SignFlip:
    """Flip the signs of the differences d (1-D, one per pair), or of a Sample of several groups.

    Enumerates all 2^n flips up to n = 20 pairs, else draws ``n_resamples``. With one group the
    t statistic orders flips as the mean does. Raises StatsError for fewer than two pairs in a
    group, a wrong alternative, or values that are not finite.
    """
    check_alternative(alternative)
    sample = d if isinstance(d, Sample) else Sample.of([d])
    if not sample.values or min(group.size for group in sample.values) < 2:
        raise StatsError("fewer than two pairs", place="d", value=sample.n)
    return sign_flips([sample], alternative, n_resamples=n_resamples, rng=rng)[0]


def sign_flips(
    samples: Sequence[Sample],
    alternative: str = "two-sided",
    *,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> list[SignFlip]:
    """``sign_flip`` of each sample, flipping samples of the same pairs together (for speed)."""
    generator = np.random.default_rng(rng)
    shared: dict[bytes, list[int]] = {}
    for i, sample in enumerate(samples):
        shared.setdefault(np.sort(sample.all_pairs).tobytes(), []).append(i)
    out: dict[int, SignFlip] = {}
    for members in shared.values():
        model = FlipModel.of([samples[i] for i in members])
        exact, n_flips, chunks = model.chunks(n_resamples, generator)
        counts = _count(chunks, alternative, mirrored=exact)
        for i, count in zip(members, counts.tolist(), strict=True):
            out[i] = SignFlip(count / n_flips, count, n_flips, exact)
    return [out[i] for i in range(len(samples))]


def check_resolution(n_resamples: int, alpha: float) -> None:
    """Raise StatsError where p-values from ``n_resamples`` would be too coarse for ``alpha``."""
    if n_resamples < 20 / alpha:
        raise StatsError(
            f"{n_resamples} resamples leave p-values too coarse for alpha = {alpha:g}",
            place="n_resamples",
            value=n_resamples,
            hint=f"take {math.ceil(20 / alpha)} or more",
        )


def _count(chunks: Iterator[np.ndarray], alternative: str, *, mirrored: bool) -> np.ndarray:
    """How many flips reach the first one; ``mirrored``: each row also counts negated."""
    threshold: np.ndarray | None = None
    total = np.zeros(1, dtype=int)
    for t in chunks:
        oriented = {"two-sided": np.abs(t), "greater": t, "less": -t}[alternative]
        if threshold is None:
            threshold = reached(oriented[0])
        total = total + (oriented >= threshold).sum(axis=0)
        if mirrored:
            mirror = oriented if alternative == "two-sided" else -oriented
            total = total + (mirror >= threshold).sum(axis=0)
    return total
