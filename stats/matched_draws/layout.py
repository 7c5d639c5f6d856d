"""The one-way layout of draws: a mean for each, and how much seed noise is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stats.errors import StatsError
from stats.sample import ROUNDING


@dataclass(frozen=True)
class Values:
    """One value per pair: the draw and the group (backbone) it belongs to, as labels.

    ``values`` is (n,), finite; ``magnitude`` the size of the scores behind, for what counts as 0.
    """

    values: np.ndarray = field(repr=False)
    draws: tuple[str, ...] = field(repr=False)
    groups: tuple[tuple[str, ...], ...] = field(repr=False)
    magnitude: float


@dataclass(frozen=True)
class Layout:
    """H draws with their means over seeds (within the group first) and the noise of these means.

    ``means`` and ``noise`` are (H,), in units and in squared units: noise[h] estimates the variance
    that seeds give means[h], all with the same relative error, a chi-squared over its ``df``
    degrees of freedom. ``pairs`` (H,) counts the pairs of each draw, ``within`` is the variance of
    one pair within a draw, averaged over groups. ``left_out`` are draws without a complete pair in
    one of the groups.
    """

    draws: tuple[str, ...]
    means: np.ndarray = field(repr=False)
    noise: np.ndarray = field(repr=False)
    df: float
    pairs: np.ndarray = field(repr=False)
    within: float
    left_out: tuple[str, ...]

    @property
    def constant(self) -> bool:
        """Whether neither draws nor seeds vary."""
        return not self.noise.any() and not np.ptp(self.means)


def layout(given: Values, order: Sequence[str]) -> Layout:
    """Means and noise of the draws in ``order``.

    With B groups, n_bh pairs of draw h in group b, and s_b^2 the variance of pairs within the draws
    of group b, pooled with f_b = sum_h (n_bh - 1) degrees of freedom:

        means[h] = mean_b mean_s y_bhs,   noise[h] = sum_b s_b^2 / n_bh / B^2

    ``df`` is that of mean_h noise[h]: f_1 for one group, which is exact, else Satterthwaite's
    (sum_b v_b)^2 / sum_b v_b^2 / f_b, v_b = s_b^2 mean_h 1 / n_bh.

    Raises StatsError for fewer than two whole draws, and where no draw of a group has two pairs:
    what varies over draws is then confounded with seed noise.
    """
    groups = list(dict.fromkeys(given.groups))
    at_draw = np.array([order.index(draw) for draw in given.draws], dtype=int)
    at_group = np.array([groups.index(group) for group in given.groups], dtype=int)
    counts = np.zeros((len(groups), len(order)))
    totals = np.zeros_like(counts)
    np.add.at(counts, (at_group, at_draw), 1.0)
    np.add.at(totals, (at_group, at_draw), given.values)
    whole: np.ndarray = np.asarray((counts > 0).all(axis=0) & bool(groups))
    left_out = tuple(draw for draw, kept in zip(order, whole, strict=True) if not kept)
    if whole.sum() < 2:
        raise StatsError(
            f"{int(whole.sum())} of {len(order)} draws have a complete pair in every group; a "
            "spread over draws needs two",
            place="draws", value=int(whole.sum()), hint="run more draws (20 or more)",
        )  # fmt: skip
    means = totals / np.maximum(counts, 1.0)
    # Seeds of a draw that lacks a group still tell how large seed noise is in the others.
    centred = given.values - means[at_group, at_draw]
    centred[np.abs(centred) <= ROUNDING * given.magnitude] = 0.0
    squares = np.zeros(len(groups))
    np.add.at(squares, at_group, centred**2)
    df = np.maximum(counts - 1, 0).sum(axis=1)
    if (df == 0).any():
        where = "/".join(groups[int(np.flatnonzero(df == 0)[0])])
        raise StatsError(
            f"no draw{f' on {where}' if where else ''} has two complete pairs, so that what varies "
            "over draws is confounded with seed noise",
            place="draws", value=1, hint="run two seeds or more for each draw",
        )  # fmt: skip
    variances = squares / df
    share = 1.0 / counts[:, whole] / len(groups) ** 2
    noise = variances @ share
    parts = variances * share.mean(axis=1)
    freedom = float(parts.sum() ** 2 / (parts**2 / df).sum()) if parts.any() else float(df.sum())
    kept = means[:, whole].mean(axis=0)
    if np.ptp(kept) <= ROUNDING * given.magnitude:
        kept = np.full_like(kept, kept.mean())
    return Layout(
        tuple(draw for draw, is_whole in zip(order, whole, strict=True) if is_whole),
        kept, noise, freedom, counts[:, whole].sum(axis=0).astype(int), float(variances.mean()),
        left_out,
    )  # fmt: skip
