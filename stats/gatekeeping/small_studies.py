"""What studies of fewer pairs would have claimed, had they been run instead: from the same data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from stats.contrast import Contrast
from stats.errors import StatsError
from stats.paired import check_level
from stats.prepare import Room, check_contrasts, in_cell
from stats.record import Record, seed_of
from stats.sample import ROUNDING
from stats.table import Key, PairedTable, Scores
from stats.wording import number

if TYPE_CHECKING:
    import pandas as pd

SIZES = (3, 5, 7)
MOST_SUBSETS = 2_000
_ROOM = Room({}, None)  # limits play no part here


@dataclass(frozen=True)
class SmallStudy(Record):
    """Studies of ``size`` pairs (of each group), in one cell or averaged (``cell`` None).

    Shares are of ``n_subsets``: ``gain`` and ``loss`` by a paired t test at alpha, ``neither``,
    ``higher`` where the mean alone is above zero (what tables of means claim). ``smallest`` and
    ``largest`` are the extreme means, ``full`` is that of all pairs, in score units. Among subsets
    with a significant difference: ``wrong_sign`` is the share whose sign is not that of all pairs,
    ``exaggeration`` the mean size over that of all pairs. Both are NaN where no subset is
    significant, or all pairs together are not: their mean is then nothing to compare with.
    """

    cell: dict[str, str] | None
    size: int
    n_subsets: int
    full: float
    gain: float
    loss: float
    neither: float
    higher: float
    smallest: float
    largest: float
    wrong_sign: float
    exaggeration: float


@dataclass(frozen=True)
class SmallStudies(Record):
    """The outcome of ``small_studies``: per size, the average first, then the cells.

    ``n_indices`` pair indices (training seeds) were whole in every cell, ``n_left_out`` were not.
    ``sweeps`` gives, per size, the smallest and the largest number of cells whose mean is not below
    zero, and the share of subsets in which that is true of all of them. ``averages`` has, per size,
    mean and p of each subset, averaged over cells, for figures; ``to_dict`` leaves them out.
    """

    contrast: str
    estimand: str
    method: str
    studies: tuple[SmallStudy, ...]
    sweeps: dict[int, tuple[int, int, float]]
    sizes: tuple[int, ...]
    n_indices: int
    n_left_out: int
    n_cells: int
    alpha: float
    rng_seed: int | None
    units: str
    averages: dict[int, tuple[np.ndarray, np.ndarray]] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the thousands of subsets."""
        return {name: value for name, value in super().to_dict().items() if name != "averages"}

    def average(self, size: int) -> SmallStudy:
        """The average's studies of that size; StatsError where there are none."""
        for study in self.studies:
            if study.size == size and study.cell is None:
                return study
        raise StatsError(f"no study of {size} pairs", place="size", value=size)

    def in_cells(self, size: int) -> tuple[SmallStudy, ...]:
        """The cells' studies of that size."""
        return tuple(s for s in self.studies if s.size == size and s.cell is not None)

    def sentence(self, size: int) -> str:
        """What studies of that size would have said, on average over cells."""
        s, (fewest, most, _) = self.average(size), self.sweeps[size]
        text = (
            f"Of studies with {size} seeds, {s.gain:.0%} would have claimed a gain on average "
            f"(p < {self.alpha:g}), {s.loss:.0%} a loss, {s.neither:.0%} neither; means from "
            f"{number(s.smallest, sign=True)} to {number(s.largest, sign=True)} {self.units}, "
            f"{s.higher:.0%} above zero"
        )
        if self.n_cells > 1:
            text += f"; {fewest} to {most} of {self.n_cells} cells not below zero"
        if not math.isnan(s.exaggeration):
            text += f"; significant means {number(s.exaggeration)} times those of all seeds"
        return text + "."

    def table(self) -> pd.DataFrame:
        """One row per size and cell, the cell's columns first; nothing is rounded."""
        import dataclasses

        import pandas as pd

        rows = []
        for study in self.studies:
            row = dataclasses.asdict(study)
            cell = row.pop("cell")
            rows.append({"over": "average" if cell is None else "cell", **(cell or {}), **row})
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """A sentence per size, and what it rests on."""
        from stats.layout import wrap

        return "\n".join(
            line for text in (*map(self.sentence, self.sizes), self.method) for line in wrap(text)
        ) + "\n"  # fmt: skip


def small_studies(
    table: PairedTable,
    contrast: Contrast,
    sizes: Sequence[int] = SIZES,
    *,
    alpha: float = 0.05,
    most_subsets: int = MOST_SUBSETS,
    rng: int | np.random.Generator = 0,
) -> SmallStudies:
    """Analyse every subset of seeds of each size as a study of its own would have been.

    A subset is a set of pair indices (the pair's columns that are no groups: training seeds), the
    same in every group (backbone), as a study of that size would have run them. All subsets are
    taken up to ``most_subsets``, else as many random ones. In each: the paired t test of every cell
    and of the average (Satterthwaite over groups), two-sided at ``alpha`` and without correction,
    and the bare sign of the mean.

    Subsets of one data set overlap and share its luck: the shares describe these pairs, and are no
    estimates of what fresh studies do; the full mean, to which signs and sizes are compared, is
    itself an estimate. Indices that lack a score in some cell are left out for all. Sizes of which
    there are no proper subsets are left out.

    Raises StatsError for unknown arms, sizes below 2, a contrast run in no cell, and fewer than
    three whole indices.
    """
    check_level(alpha, "alpha")
    if not sizes or any(size != int(size) or size < 2 for size in sizes):
        raise StatsError("sizes must be whole numbers from 2 on", place="sizes", value=list(sizes))
    scores = table.scores()
    check_contrasts([contrast], scores, "contrast")
    by_cell, groups, left_out = _differences(table, contrast, scores)
    names = list(by_cell)
    data = np.stack([by_cell[name] for name in names])  # (cells, indices)
    count = data.shape[1]
    generator = np.random.default_rng(rng)
    studies: list[SmallStudy] = []
    sweeps: dict[int, tuple[int, int, float]] = {}
    averages: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    used = tuple(sorted({int(size) for size in sizes if size < count}))
    if not used:
        raise StatsError(
            f"{count} whole pairs leave no subset of {min(sizes)}", place="sizes", value=list(sizes)
        )
    within = np.stack([data[[i for i, g in enumerate(groups) if g == group]].mean(axis=0)
                       for group in dict.fromkeys(groups)])  # (groups, indices)  # fmt: skip
    magnitude = float(np.abs(scores.values[~np.isnan(scores.values)]).max(initial=0.0))
    for size in used:
        subsets = _subsets(count, size, most_subsets, generator)
        average, p_average = _tests(within[:, subsets], magnitude)
        studies.append(_study(None, size, average, p_average, within[:, None], magnitude, alpha))
        not_below = np.zeros(len(subsets), dtype=int)
        for name, values in zip(names, data, strict=True):
            mean, p = _tests(values[None, subsets], magnitude)
            place = dict(zip(table.cell, name, strict=True))
            studies.append(_study(place, size, mean, p, values[None, None], magnitude, alpha))
            not_below += mean >= 0
        share = float((not_below == len(names)).mean())
        sweeps[size] = (int(not_below.min()), int(not_below.max()), share)
        averages[size] = (average, p_average)
    return SmallStudies(
        contrast=contrast.name,
        estimand="what a study of so many of these pairs would have claimed",
        method=(
            f"paired t tests at {alpha:g}, uncorrected, in subsets of {count} pair indices (all "
            f"subsets, or {most_subsets} random ones); they describe these pairs and overlap"
        ),
        studies=tuple(studies),
        sweeps=sweeps,
        sizes=used,
        n_indices=count,
        n_left_out=left_out,
        n_cells=len(names),
        alpha=alpha,
        rng_seed=seed_of(rng),
        units=table.units,
        averages=averages,
    )


def _differences(
    table: PairedTable, contrast: Contrast, scores: Scores
) -> tuple[dict[Key, np.ndarray], list[Key], int]:
    """Differences (indices,) by cell, each cell's group, and how many indices are not whole."""
    own = [i for i, name in enumerate(table.pair) if name not in table.groups]
    found: dict[Key, dict[Key, float]] = {}
    for c, cell in enumerate(scores.cells):
        test = in_cell(contrast, c, scores, _ROOM)
        if test is None:
            continue
        sample = test.sample
        found[cell] = {
            tuple(scores.pairs[pair][i] for i in own): float(value)
            for pair, value in zip(sample.pairs[0], sample.values[0], strict=True)
        }
    if not found:
        raise StatsError(
            "its arms were run together in no cell", place=f"contrast '{contrast.name}'"
        )
    every = list(dict.fromkeys(key for values in found.values() for key in values))
    whole = [key for key in every if all(key in values for values in found.values())]
    if len(whole) < 3:
        raise StatsError(
            f"{len(whole)} pairs are whole in every cell; subsets need three",
            place="table",
            value=len(whole),
        )
    planned = {tuple(pair[i] for i in own) for pair in scores.pairs}
    by_cell = {cell: np.array([values[key] for key in whole]) for cell, values in found.items()}
    groups = [table.group_of(cell, table.cell) for cell in by_cell]
    return by_cell, groups, len(planned) - len(whole)


def _subsets(count: int, size: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """(subsets, size) indices: all of them, or ``most`` distinct random ones."""
    if math.comb(count, size) <= most:
        return np.array(list(itertools.combinations(range(count), size)))
    chosen: set[tuple[int, ...]] = set()
    while len(chosen) < most:
        chosen.add(tuple(sorted(rng.choice(count, size, replace=False).tolist())))
    return np.array(sorted(chosen))


def _tests(values: np.ndarray, magnitude: float) -> tuple[np.ndarray, np.ndarray]:
    """Means (subsets,) and two-sided p-values of values (groups, subsets, size); p 1 without
    spread. The vector form of ``sample.estimate`` and ``paired.paired_t``."""
    groups, _, size = values.shape
    mean = values.mean(axis=(0, 2))
    spread = values.max(axis=2) - values.min(axis=2)
    variance = np.where(spread <= ROUNDING * magnitude, 0.0, values.var(axis=2, ddof=1))
    shares = variance / size
    total = shares.sum(axis=0)
    varies = total > 0
    safe = np.where(varies, total, 1.0)
    squares = np.where(varies, (shares**2).sum(axis=0), 1.0)
    df = safe**2 / squares * (size - 1)
    t = mean / (np.sqrt(safe) / groups)
    return mean, np.where(varies, 2 * special.stdtr(df, -np.abs(t)), 1.0)


def _study(
    cell: dict[str, str] | None,
    size: int,
    mean: np.ndarray,
    p: np.ndarray,
    everything: np.ndarray,
    magnitude: float,
    alpha: float,
) -> SmallStudy:
    """The studies of one size; ``everything`` is (groups, 1, indices)."""
    hit = p < alpha
    whole, p_whole = _tests(everything, magnitude)
    full = float(whole[0])
    gain, loss = float((hit & (mean > 0)).mean()), float((hit & (mean < 0)).mean())
    wrong = exaggeration = math.nan
    if hit.any() and p_whole[0] < alpha:
        wrong = float((np.sign(mean[hit]) != np.sign(full)).mean())
        exaggeration = float(np.abs(mean[hit]).mean() / abs(full))
    return SmallStudy(
        cell=cell,
        size=size,
        n_subsets=int(mean.size),
        full=full,
        gain=gain,
        loss=loss,
        neither=1.0 - gain - loss,
        higher=float((mean > 0).mean()),
        smallest=float(mean.min()),
        largest=float(mean.max()),
        wrong_sign=wrong,
        exaggeration=exaggeration,
    )
