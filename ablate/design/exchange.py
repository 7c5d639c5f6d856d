"""D-optimal choice of rows by exchange (Fedorov 1972, Theory of Optimal Experiments)."""

from __future__ import annotations

import numpy as np

STARTS = 24
"""Random starts; the best end is kept."""

RNG_SEED = 0
_GAIN = 1e-9  # relative; smaller gains are rounding
_DIGITS = 9  # ratios are compared to so many, so that ties fall alike on every machine


def d_optimal_rows(candidates: np.ndarray, n_rows: int, keep: tuple[int, ...] = ()) -> list[int]:
    """The rows of ``candidates`` (N, p) whose X'X has the largest determinant found.

    Each candidate is taken at most once; ``keep`` are in every choice. From each of ``STARTS``
    random choices, the swap of a chosen row x for another y that multiplies the determinant most,
    by (1 + y'Vy)(1 - x'Vx) + (x'Vy)^2 with V = (X'X)^-1, is made until none raises it. Seeded: the
    same candidates give the same rows, in ascending order.

    Raises ValueError where no choice of ``n_rows`` rows has p independent columns.
    """
    n, p = candidates.shape
    if not max(p, len(keep)) <= n_rows <= n or np.linalg.matrix_rank(candidates) < p:
        raise ValueError(f"{n_rows} of {n} rows for {p} columns")
    generator = np.random.default_rng(RNG_SEED)
    best: list[int] = []
    best_log = -np.inf
    for _ in range(STARTS):
        chosen = _start(candidates, n_rows, keep, generator)
        chosen = _climb(candidates, chosen, keep)
        log = log_det(candidates[chosen])
        if log > best_log + _GAIN:
            best, best_log = sorted(chosen), log
    return best


def log_det(x: np.ndarray) -> float:
    """The logarithm of det X'X; minus infinity where columns depend on each other."""
    sign, value = np.linalg.slogdet(x.T @ x)
    return float(value) if sign > 0 else -np.inf


def d_efficiency(x: np.ndarray) -> float:
    """det(X'X)^(1/p) / n in [0, 1] for entries within -1 and 1: 1 for an orthogonal design whose
    columns are all of -1 and 1."""
    n, p = x.shape
    return float(np.exp(log_det(x) / p) / n)


def _start(
    candidates: np.ndarray, n_rows: int, keep: tuple[int, ...], generator: np.random.Generator
) -> list[int]:
    """Kept rows, then random ones that each add a column's worth of rank, then any."""
    chosen = list(keep)
    order = [int(i) for i in generator.permutation(len(candidates)) if i not in keep]
    rank = np.linalg.matrix_rank(candidates[chosen]) if chosen else 0
    for i in order:
        if rank == candidates.shape[1] or len(chosen) == n_rows:
            break
        grown = np.linalg.matrix_rank(candidates[[*chosen, i]])
        if grown > rank:
            chosen.append(i)
            rank = grown
    rest = (i for i in order if i not in chosen)
    return chosen + [next(rest) for _ in range(n_rows - len(chosen))]


def _climb(candidates: np.ndarray, chosen: list[int], keep: tuple[int, ...]) -> list[int]:
    chosen = list(chosen)
    while True:
        x = candidates[chosen]
        if log_det(x) == -np.inf:
            return chosen
        inverse = np.linalg.inv(x.T @ x)
        out = [k for k, row in enumerate(chosen) if row not in keep]
        into = [i for i in range(len(candidates)) if i not in chosen]
        if not out or not into:
            return chosen
        old, new = x[out], candidates[into]
        own_old = np.einsum("ij,jk,ik->i", old, inverse, old)
        own_new = np.einsum("ij,jk,ik->i", new, inverse, new)
        ratio = np.outer(1 - own_old, 1 + own_new) + (old @ inverse @ new.T) ** 2
        k, i = np.unravel_index(np.round(ratio, _DIGITS).argmax(), ratio.shape)
        if ratio[k, i] <= 1 + 10.0**-_DIGITS:
            return chosen
        chosen[out[k]] = into[i]
