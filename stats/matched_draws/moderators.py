"""Which hyperparameters the effect goes along with: exploratory."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stats.family import holm
from stats.paired import t_quantile


@dataclass(frozen=True)
class Moderator:
    """How the effect of a draw goes with one hyperparameter.

    ``rho`` is Spearman's rank correlation, ``p`` from random permutations of the draws (exact level
    whatever the distributions), ``p_adjusted`` Holm's over the hyperparameters. ``slope`` is that
    of the effect on the hyperparameter, or on its decimal logarithm where ``log``; ``change`` =
    slope x (third quartile - first quartile of the draws), in units, with its t interval.
    """

    name: str
    log: bool
    rho: float
    p: float
    p_adjusted: float
    slope: float
    change: float
    change_low: float
    change_high: float
    quartile_low: float
    quartile_high: float


def moderators(
    effects: np.ndarray,
    settings: Mapping[str, Sequence[float] | np.ndarray],
    *,
    log: Collection[str] = (),
    confidence_level: float = 0.95,
    n_resamples: int,
    rng: np.random.Generator,
) -> tuple[Moderator, ...]:
    """One row per hyperparameter that varies over the draws; ``effects`` and values are (H,).

    A hyperparameter that goes along with the effect need not cause it: draws are random, so chance
    is all that can mislead, but with several hyperparameters and 20 draws it often does. Nothing
    where there are fewer than four draws or the effects do not vary.
    """
    named = {name: np.asarray(values, dtype=float) for name, values in settings.items()}
    named = {name: values for name, values in named.items() if np.ptp(values) > 0}
    count = effects.size
    if not named or count < 4 or not np.ptp(effects):
        return ()
    ranks = np.array([_standard(_ranks(values)) for values in named.values()])
    ours = _standard(_ranks(effects))
    rho = ranks @ ours
    shuffled = rng.permuted(np.broadcast_to(ours, (n_resamples, count)), axis=1)
    reached = np.abs(shuffled @ ranks.T) >= np.abs(rho)[None] - 1e-12
    p = (reached.sum(axis=0) + 1) / (n_resamples + 1)
    adjusted = holm(p)
    critical = t_quantile(0.5 + confidence_level / 2, count - 2)
    out = []
    for i, (name, values) in enumerate(named.items()):
        x = np.log10(values) if name in log else values
        centred = x - x.mean()
        size = float(centred @ centred)
        slope = float(centred @ effects) / size
        rest = effects - effects.mean() - slope * centred
        error = math.sqrt(float(rest @ rest) / (count - 2) / size)
        first, third = (float(q) for q in np.quantile(values, [0.25, 0.75]))
        step = float(np.ptp(np.quantile(x, [0.25, 0.75])))
        out.append(
            Moderator(
                name, name in log, float(rho[i]), float(p[i]), float(adjusted[i]), slope,
                slope * step, (slope - critical * error) * step, (slope + critical * error) * step,
                first, third,
            )
        )  # fmt: skip
    return tuple(out)


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks, ties at their mean."""
    import pandas as pd

    return np.asarray(pd.Series(x).rank())


def _standard(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean()
    return np.asarray(centred / math.sqrt(float(centred @ centred)))
