"""The rates that docs/method.md quotes on cells: ``python -m tests.stats.replication.rates``.

The tests of this folder hold the same procedures to binomial bands with fewer repeats.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.special
import scipy.stats

from stats.paired import paired_t
from stats.replication.average import new_cell
from stats.replication.conjunction import count_effects
from stats.sample import Sample

ALPHA = 0.05


def populations(sd_backbone: float, repeats: int) -> None:
    """Type I error of three tests of a mean of zero over a population of backbones."""
    rng = np.random.default_rng(0)
    d = sd_backbone * rng.normal(size=(repeats, 4, 1, 1))
    d = d + rng.normal(0, 0.5, (repeats, 4, 1, 6)) + rng.normal(0, 1, (repeats, 4, 4, 6))
    backbones = scipy.stats.ttest_1samp(d.mean(axis=(2, 3)), 0, axis=1).pvalue
    cells = scipy.stats.ttest_1samp(d.mean(axis=3).reshape(repeats, 16), 0, axis=1).pvalue
    pairs = [paired_t(Sample.of(list(x))).p for x in d.mean(axis=2)]
    print(
        f"  SD between backbones {sd_backbone:g}: t over backbones "
        f"{(backbones <= ALPHA).mean():.3f}, over 16 cell means {(cells <= ALPHA).mean():.3f}, "
        f"these cells {np.mean(np.array(pairs) <= ALPHA):.3f}"
    )


def counts(true: int, repeats: int) -> None:
    """How often the bound on the number of improved cells exceeds the truth, correlation .6."""
    rng = np.random.default_rng(0)
    d = math.sqrt(0.6) * rng.normal(size=(repeats, 1, 8))
    d = d + math.sqrt(0.4) * rng.normal(size=(repeats, 16, 8))
    d[:, :true] += 3
    p = scipy.stats.ttest_1samp(d, 0, axis=2, alternative="greater").pvalue
    over = {
        form: np.mean([count_effects(x, form=form).k > true for x in p])
        for form in ("bonferroni", "fisher")
    }
    print(
        f"  {true:2} of 16 improved: Bonferroni {over['bonferroni']:.3f}, "
        f"Fisher {over['fisher']:.3f}"
    )


def predictions(groups: int, repeats: int) -> None:
    """Coverage for a cell of a further backbone, and that of two shortcuts."""
    rng = np.random.default_rng(0)
    shape = (repeats, groups + 1, 4)
    y = 0.85 * rng.normal(size=(*shape[:2], 1)) + 0.5 * rng.normal(size=shape)
    seen, new = y[:, :-1], y[:, -1, 0]
    found = [new_cell(x) for x in seen]
    inside = np.mean([f.low < v < f.high for f, v in zip(found, new, strict=True)])
    off = np.abs(seen.mean(axis=(1, 2)) - new)
    first = seen.mean(axis=2).var(axis=1, ddof=1) * (1 + 1 / groups)
    second = seen.var(axis=2, ddof=1).mean(axis=1) * 0.75
    df = (first + second) ** 2 / (first**2 / (groups - 1) + second**2 / (3 * groups))
    narrow = scipy.special.stdtrit(df, 0.975) * np.sqrt(first + second)
    flat = seen.reshape(repeats, -1)
    count = flat.shape[1]
    independent = scipy.stats.t.ppf(0.975, count - 1) * flat.std(axis=1, ddof=1)
    independent *= math.sqrt(1 + 1 / count)
    print(
        f"  {groups:2} backbones: {inside:.3f}, Satterthwaite {(off < narrow).mean():.3f}, "
        f"cells as independent {(off < independent).mean():.3f}"
    )


def main() -> None:
    """Print every table."""
    print("Type I error for a population of backbones (nominal .05), 4 x 4 cells, 6 pairs:")
    for sd in (0.0, 0.25, 1.0):
        populations(sd, 4000)
    print("The bound on the number of improved cells is too high (nominal .05):")
    for true in (0, 3, 8):
        counts(true, 4000)
    print("Coverage of the prediction for one more cell (nominal .95), 4 benchmarks each:")
    for groups in (2, 3, 4, 6, 10):
        predictions(groups, 8000)


if __name__ == "__main__":
    main()
