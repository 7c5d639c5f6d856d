"""Two arms of a paired table as blocks of complete pairs, and how pairs are resampled.

The pair is what is resampled, with all its cells and both arms: benchmarks of one training are
correlated, and the arms of a pair share its luck. Resampling runs one by one, each arm and each
cell apart, would break both (Agarwal et al. 2021 resample so, for arms that are not paired).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from stats.contrast import versus
from stats.errors import StatsError
from stats.prepare import cell_indices, check_contrasts
from stats.table import Key, PairedTable, Scores, show

_CHUNK_CELLS = 1 << 21  # values drawn at a time; bounds memory to some 20 MB an array


@dataclass(frozen=True)
class Strata:
    """The scores of an arm and its baseline in blocks, one per group of pairs (backbone).

    ``blocks[b]`` is (2, pairs, cells of the group): the arm first, complete, in reported units.
    Each pair of a block has a score in each of its cells, so that a resample of pairs within
    blocks keeps the number of runs in every cell. ``n_broken`` pairs were left out.
    """

    arm: str
    baseline: str
    blocks: tuple[np.ndarray, ...] = field(repr=False)
    cells: tuple[Key, ...]
    n_broken: int
    units: str
    cell: tuple[str, ...]

    @classmethod
    def of(
        cls, table: PairedTable, arm: str, baseline: str, cells: Sequence[Key] | None = None
    ) -> Strata:
        """The blocks of two arms over ``cells`` (default: all of the table).

        A pair that lacks a score of either arm in a cell of its group is left out where the
        table allows failed runs. Raises StatsError for an unknown arm or cell, a gap in a table
        that does not allow failed runs, and a group with fewer than two complete pairs.
        """
        scores = table.scores()
        check_contrasts([versus(arm, baseline)], scores, "describe")
        chosen = cell_indices(cells, scores, table, "cells")
        groups: dict[Key, list[int]] = {}
        for c in chosen:
            groups.setdefault(table.group_of(scores.cells[c], table.cell), []).append(c)
        arms = [scores.arms.index(arm), scores.arms.index(baseline)]
        blocks, broken = [], 0
        for group, columns in groups.items():
            block = scores.values[
                np.ix_(arms, _inside(table, scores, arms, group, columns), columns)
            ]
            whole = ~np.isnan(block).any(axis=(0, 2))
            if not whole.all() and not table.allow_failed:
                raise StatsError(
                    f"a pair of {show(table.groups, group)} has no row in one of the cells "
                    f"{', '.join(show(table.cell, scores.cells[c]) for c in columns[:4])}",
                    place=f"{arm} minus {baseline}",
                    hint="add the runs, or describe fewer cells",
                )
            broken += int((~whole).sum())
            if whole.sum() < 2:
                raise StatsError(
                    f"{int(whole.sum())} complete pairs in {show(table.groups, group)}: at least 2 "
                    "are needed",
                    place=f"{arm} minus {baseline}",
                    value=int(whole.sum()),
                    hint="add seeds, or describe fewer cells",
                )
            blocks.append(block[:, whole])
        return cls(
            arm,
            baseline,
            tuple(blocks),
            tuple(scores.cells[c] for c in chosen),
            broken,
            table.units,
            table.cell,
        )

    @property
    def n_pairs(self) -> int:
        """Complete pairs, over all blocks."""
        return sum(block.shape[1] for block in self.blocks)

    @property
    def n_runs(self) -> int:
        """Runs x cells of one arm: the values that are described."""
        return sum(block.shape[1] * block.shape[2] for block in self.blocks)

    @property
    def where(self) -> str:
        """The cells in words."""
        if len(self.cells) == 1:
            return show(self.cell, self.cells[0]) if self.cell else "the one cell"
        return f"{len(self.cells)} cells"

    def values(self) -> np.ndarray:
        """All scores, (2, runs x cells)."""
        return np.concatenate([block.reshape(2, -1) for block in self.blocks], axis=1)

    def draws(self, n_resamples: int, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
        """Chunks of resamples: for each block the indices of its drawn pairs, (chunk, pairs)."""
        rows = max(1, _CHUNK_CELLS // (2 * self.n_runs))
        for start in range(0, n_resamples, rows):
            size = min(rows, n_resamples - start)
            yield [
                rng.integers(0, block.shape[1], size=(size, block.shape[1]))
                for block in self.blocks
            ]

    def resampled(self, drawn: Sequence[np.ndarray]) -> np.ndarray:
        """The scores of drawn pairs, (2, chunk, runs x cells)."""
        parts = [
            block[:, index].reshape(2, index.shape[0], -1)
            for block, index in zip(self.blocks, drawn, strict=True)
        ]
        return np.concatenate(parts, axis=2)


def _inside(
    table: PairedTable, scores: Scores, arms: Sequence[int], group: Key, columns: Sequence[int]
) -> list[int]:
    """The pairs of a group that have a row of one of the arms in one of its cells."""
    present = scores.present[np.ix_(arms, range(len(scores.pairs)), columns)]
    return [
        int(p)
        for p in np.flatnonzero(present.any(axis=(0, 2)))
        if table.group_of(scores.pairs[p], table.pair) == group
    ]
