"""A six-axis fraction with known effects, simulated."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stats.contrast import Contrast
from stats.factorial.fraction import fraction
from stats.table import PairedTable

AXES = ("A", "B", "C", "D", "E", "F")
PAIRS = tuple(itertools.combinations(AXES, 2))


def design() -> pd.DataFrame:
    """2^(6-1) of resolution VI: 32 points, levels -1 and 1, indexed by arm."""
    points = fraction(list(AXES), ["F=ABCDE"]).design.astype(int)
    return points.set_index(pd.Index([f"p{i:02}" for i in range(len(points))]))


def contrasts(points: pd.DataFrame) -> tuple[list[Contrast], list[Contrast]]:
    """High minus low of each axis; half the difference of that difference for each pair."""
    half = 2 / len(points)

    def contrast(name: str, column: pd.Series) -> Contrast:
        return Contrast(name, dict(zip(points.index, half * column, strict=True)), name)

    mains = [contrast(axis, points[axis]) for axis in AXES]
    return mains, [contrast(f"{a}:{b}", points[a] * points[b]) for a, b in PAIRS]


def scores(
    points: pd.DataFrame,
    rng: np.random.Generator,
    *,
    effects: Mapping[str, float] | None = None,
    at: Mapping[tuple[str, str, str], float] | None = None,
    pairs: int = 6,
    backbones: Sequence[str] = ("deep", "wide"),
    benchmarks: Sequence[str] = ("algebra", "code", "recall", "sort", "spell"),
    correlation: float = 0.7,
    noise: float = 1.0,
    luck: Mapping[str, float] | None = None,
) -> np.ndarray:
    """(arms + baseline, backbones, pairs, benchmarks) scores; the baseline comes last.

    An arm's own noise in a run is shared by its benchmarks to ``correlation``. ``effects`` are
    those of terms ("A", "A:B") as high minus low; ``at`` adds to (axis, backbone, benchmark), ""
    for any of them. ``luck`` gives the SD over pairs of an axis's effect: a seed that suits one
    level suits it in all arms.
    """
    shape = (len(points) + 1, len(backbones), pairs, len(benchmarks))
    own = np.sqrt(correlation) * rng.normal(size=(*shape[:3], 1))
    own = own + np.sqrt(1 - correlation) * rng.normal(size=shape)
    y = 50 + rng.normal(0, 3, (1, *shape[1:])) + noise * own
    for term, size in (effects or {}).items():
        column = points[term.split(":")].prod(axis=1).to_numpy()
        y[:-1] += size / 2 * column[:, None, None, None]
    for axis, sd in (luck or {}).items():
        effect = rng.normal(0, sd, (*shape[1:3], 1))
        y[:-1] += points[axis].to_numpy()[:, None, None, None] * effect / 2
    for (axis, backbone, benchmark), size in (at or {}).items():
        for b, k in itertools.product(range(shape[1]), range(shape[3])):
            if backbone in ("", backbones[b]) and benchmark in ("", benchmarks[k]):
                y[:-1, b, :, k] += size / 2 * points[axis].to_numpy()[:, None]
    return y


def table(
    points: pd.DataFrame,
    y: np.ndarray,
    *,
    backbones: Sequence[str] = ("deep", "wide"),
    benchmarks: Sequence[str] = ("algebra", "code", "recall", "sort", "spell"),
    allow_failed: bool = False,
) -> PairedTable:
    """The scores as a table; the baseline is "lora"."""
    arms = [*points.index, "lora"]
    rows = [
        (arms[a], backbones[b], str(s), benchmarks[k], y[a, b, s, k])
        for a, b, s, k in np.ndindex(*y.shape)
    ]
    frame = pd.DataFrame(rows, columns=["arm", "backbone", "seed", "benchmark", "score"])
    return PairedTable.from_frame(frame, allow_failed=allow_failed)
