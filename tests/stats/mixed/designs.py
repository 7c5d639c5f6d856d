"""Small unbalanced designs, one for each path through the algebra."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

FORMULAS = {
    "no random term": "y ~ arm * x",
    "scalar": "y ~ arm + x + (1 | a)",
    "slopes": "y ~ arm + x + (1 + x | a)",
    "three covariates": "y ~ x + (1 + x + w | a)",
    "slopes without correlation": "y ~ arm + x + (1 + x || a)",
    "nested": "y ~ arm * x + (1 | a / b)",
    "nested and crossed": "y ~ arm + (1 | a) + (1 | a:b) + (1 | c)",
    "nested and crossed slopes": "y ~ x + (1 | a) + (1 | a:b) + (1 + x | c)",
    "slopes of the smaller of nested terms": "y ~ x + (1 | a:b) + (1 + x | a)",
    "slopes of the larger of nested terms": "y ~ x + (1 + x | a:b) + (1 | a)",
    "crossed": "y ~ arm + x + (1 | a) + (1 | c)",
    "crossed slopes": "y ~ arm + x + (1 + x | a) + (1 + w | c)",
    "factor slopes": "y ~ arm + (0 + arm | a) + (1 | c)",
    "three nested": "y ~ x + (1 | a) + (1 | a:b) + (1 | a:b:arm)",
    "no intercept": "y ~ 0 + arm + x + (1 | c) + (0 + w | a)",
}
# where the largest term is eliminated and the next one stays diagonal
DIAGONAL = frozenset(
    {
        "nested", "nested and crossed", "nested and crossed slopes", "three nested",
        "slopes of the larger of nested terms", "slopes without correlation",
    }
)  # fmt: skip


@functools.cache
def _frame(seed: int, spread: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = 96
    a, b, c = rng.integers(0, 6, n), rng.integers(0, 3, n), rng.integers(0, 5, n)
    arm = rng.integers(0, 3, n)
    x, w = rng.normal(1, 1, n), rng.uniform(-1, 2, n)
    slopes = rng.normal(0, spread, (6, 3))
    y = (
        2.0 + 0.5 * arm + 0.3 * x + slopes[a, 0] + slopes[a, 1] * x + slopes[a, 2] * w
        + rng.normal(0, spread, (6, 3))[a, b] + rng.normal(0, spread, (6, 3, 3))[a, b, arm]
        + rng.normal(0, spread, 5)[c] + rng.normal(0, spread, 5)[c] * w
        + rng.normal(0, 0.7, n)
    )  # fmt: skip
    return pd.DataFrame(
        {
            "y": y, "x": x, "w": w,
            "arm": [f"arm{i}" for i in arm], "a": [f"a{i}" for i in a],
            "b": [f"b{i}" for i in b], "c": [f"c{i}" for i in c],
        }
    )  # fmt: skip


def unbalanced(seed: int = 0, spread: float = 1.0) -> pd.DataFrame:
    """96 rows over factors arm (3), a (6), b (3), c (5) and covariates x, w; effects everywhere."""
    return _frame(seed, spread).copy()
