"""Sign flips of pairs: the signs, and the t statistics of many samples under them.

Under the null hypothesis that a pair's differences are symmetric about zero, the sign of the
pair's whole vector of differences (all benchmarks, all arms) may be flipped (Fisher 1935, The
Design of Experiments, section 21). Every p-value from flips in this package counts rows of the
matrix that ``FlipModel.t`` returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from stats.sample import Sample

MAX_ENUMERATED = 20  # pairs: 2^20 flips take about a second for one test
_CHUNK_CELLS = 1 << 17  # rows x samples computed at a time: 1 MB an array stays in the cache


def enumerated_signs(n: int, rows: int) -> Iterator[np.ndarray]:
    """All sign vectors whose first sign is +, in chunks of at most ``rows`` x n; identity first.

    The other half are their negatives, under which t changes sign only, so that counts of |t|
    need one half.
    """
    total = 1 << (n - 1)
    shifts = np.arange(n - 1)
    for start in range(0, total, rows):
        index = np.arange(start, min(start + rows, total))
        signs = np.ones((index.size, n))
        signs[:, 1:] -= 2.0 * ((index[:, None] >> shifts) & 1)
        yield signs


def random_signs(
    n: int, n_resamples: int, rng: np.random.Generator, rows: int
) -> Iterator[np.ndarray]:
    """The identity and ``n_resamples`` random sign vectors, in chunks of at most ``rows`` x n.

    Counting over them, the identity included, is the (b + 1) / (B + 1) rule (Davison and Hinkley
    1997, section 4.2; Phipson and Smyth 2010): a Monte Carlo p-value is never zero.
    """
    left, first = n_resamples, True
    while first or left:
        size = min(rows - first, left)
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=(size, n))
        yield np.vstack([np.ones((1, n)), signs]) if first else signs
        left, first = left - size, False


@dataclass(frozen=True)
class FlipModel:
    """The t statistics of K samples over one universe of pairs, as functions of the pairs' signs.

    ``pairs`` (N) are the universe's indices; a signs matrix has one column for each of them.
    """

    pairs: np.ndarray = field(repr=False)
    n_samples: int
    _values: np.ndarray = field(repr=False)  # (N, J): one column per (sample, group)
    _sizes: np.ndarray = field(repr=False)  # (J,)
    _squares: np.ndarray = field(repr=False)  # (J,): sums of squares, which no flip changes
    _starts: np.ndarray = field(repr=False)  # (K,): each sample's first column
    _counts: np.ndarray = field(repr=False)  # (K,): its number of groups

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> FlipModel:
        """Build the model; every group of every sample needs two pairs."""
        pairs = np.unique(np.concatenate([sample.all_pairs for sample in samples]))
        columns = [
            (where, group)
            for sample in samples
            for where, group in zip(sample.pairs, sample.values, strict=True)
        ]
        values = np.zeros((pairs.size, len(columns)))
        for j, (where, group) in enumerate(columns):
            values[np.searchsorted(pairs, where), j] = group
        counts = np.array([len(sample.values) for sample in samples])
        return cls(
            pairs,
            len(samples),
            values,
            np.array([group.size for _, group in columns], dtype=float),
            (values**2).sum(axis=0),
            np.concatenate([[0], np.cumsum(counts)[:-1]]),
            counts,
        )

    @property
    def rows(self) -> int:
        """How many sign vectors to hand to ``t`` at a time."""
        return max(64, _CHUNK_CELLS // max(self._values.shape))

    def t(self, signs: np.ndarray) -> np.ndarray:
        """The t statistics (rows, K) under sign vectors (rows, N).

        Where flipped differences do not vary, t is +-infinity, or 0 where their mean is 0 too.
        """
        # In place throughout: memory traffic is what this costs.
        means = signs @ self._values
        means /= self._sizes
        shares = means * means
        shares *= -self._sizes
        shares += self._squares
        # The subtraction cancels where all flipped differences agree; its remainder is rounding.
        flat = shares <= 1e-12 * self._squares
        shares[flat] = 0.0
        shares /= self._sizes * (self._sizes - 1)
        if self._counts.max() > 1:
            means = np.add.reduceat(means, self._starts, axis=1)
            shares = np.add.reduceat(shares, self._starts, axis=1)
        np.sqrt(shares, out=shares)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.divide(means, shares, out=means)  # both still lack 1 / B, which cancels
        if flat.any():
            t[np.isnan(t)] = 0.0
        return np.asarray(t)

    def chunks(
        self, n_resamples: int, rng: np.random.Generator
    ) -> tuple[bool, int, Iterator[np.ndarray]]:
        """Whether flips are enumerated, how many there are, and their t in chunks, identity first.

        Enumerated chunks hold one half of the flips (see ``enumerated_signs``).
        """
        n = self.pairs.size
        if n <= MAX_ENUMERATED:
            return True, 1 << n, (self.t(signs) for signs in enumerated_signs(n, self.rows))
        signs = random_signs(n, n_resamples, rng, self.rows)
        return False, n_resamples + 1, (self.t(chunk) for chunk in signs)


def reached(observed: np.ndarray) -> np.ndarray:
    """The threshold from which on a statistic counts as a tie with the observed one (K,).

    Equal statistics reach us by different orders of summation. The error of t grows as t^2 times
    the machine's epsilon because the variance is a difference of near-equal sums.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        slack = np.abs(observed) * np.minimum(1e-9 + 1e-15 * observed**2, 0.5) + 1e-12
        return np.where(np.isinf(observed), observed, observed - slack)
