"""Runs of entries on occasions: the checked table, and which parts of it hang together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stats.columns import labels, natural, numbers, refuse_duplicates, require
from stats.errors import StatsError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunGrid:
    """One run per entry and occasion, most combinations absent.

    ``at_entry``, ``at_occasion`` and ``values`` are (n,): the position of each run's entry and
    occasion, and its score in reported units. Entries and occasions are in natural order.
    """

    entry: str
    occasion: str
    score: str
    entries: tuple[str, ...]
    occasions: tuple[str, ...]
    at_entry: np.ndarray = field(repr=False)
    at_occasion: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    units: str

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, entry: str, occasion: str, score: str, percent: bool = False
    ) -> RunGrid:
        """Check a long table; ``percent``: scores are fractions, reported x 100.

        Raises StatsError for missing columns, labels and scores, and for two runs of one entry on
        one occasion: those are replicates, which need a column of their own and a paired analysis.
        """
        import pandas as pd

        require(
            frame,
            {"entry": (entry,), "occasion": (occasion,), "score": (score,)},
            exclusive=("entry", "occasion", "score"),
        )
        clean = pd.DataFrame({name: labels(frame[name], name) for name in (entry, occasion)})
        values = numbers(frame[score], score, missing="leave the row out")
        refuse_duplicates(
            clean,
            [entry, occasion],
            "one run per entry and occasion; several runs of an entry on one occasion are "
            "replicates: average them, or name their seed column (--pair)",
        )
        entries = _ordered(clean[entry].tolist())
        occasions = _ordered(clean[occasion].tolist())
        place_e = {name: i for i, name in enumerate(entries)}
        place_o = {name: i for i, name in enumerate(occasions)}
        return cls(
            entry,
            occasion,
            score,
            entries,
            occasions,
            np.array([place_e[name] for name in clean[entry]]),
            np.array([place_o[name] for name in clean[occasion]]),
            values * (100.0 if percent else 1.0),
            "points" if percent else "score units",
        )

    @property
    def n(self) -> int:
        """The number of runs."""
        return int(self.values.size)

    @property
    def runs_of_entry(self) -> np.ndarray:
        """The number of runs of each entry."""
        return np.bincount(self.at_entry, minlength=len(self.entries))

    @property
    def present(self) -> np.ndarray:
        """Which entry ran on which occasion (entries, occasions)."""
        out = np.zeros((len(self.entries), len(self.occasions)), dtype=bool)
        out[self.at_entry, self.at_occasion] = True
        return out

    def matrix(self, values: np.ndarray) -> np.ndarray:
        """One value per run as (entries, occasions), NaN where there is no run."""
        out = np.full((len(self.entries), len(self.occasions)), np.nan)
        out[self.at_entry, self.at_occasion] = values
        return out

    def parts(self) -> np.ndarray:
        """The connected part (numbered from 0, the one with most runs first) of each run (n,).

        Two runs are connected when a chain leads from one to the other in which each step shares
        the entry or the occasion. Only within a part can occasions be compared by what the same
        entries scored on both (Searle 1971, Linear Models, section 7.4).
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        size = len(self.entries) + len(self.occasions)
        ends = (self.at_entry, len(self.entries) + self.at_occasion)
        graph = coo_array((np.ones(self.n), ends), shape=(size, size))
        count, part = connected_components(graph, directed=False)
        of_run = part[self.at_entry]
        largest = np.argsort(-np.bincount(of_run, minlength=count), kind="stable")
        rank = np.empty(count, dtype=int)
        rank[largest] = np.arange(count)
        return np.asarray(rank[of_run])

    def split(self) -> tuple[RunGrid, tuple[RunGrid, ...]]:
        """The connected part with most repeats (runs less entries), and the others.

        Among equals the one with most runs.
        """
        part = self.parts()
        grids = [self.subset(part == k) for k in range(int(part.max()) + 1)]
        main = max(range(len(grids)), key=lambda k: grids[k].n - len(grids[k].entries))
        return grids[main], tuple(grid for k, grid in enumerate(grids) if k != main)

    def subset(self, keep: np.ndarray) -> RunGrid:
        """The runs where ``keep`` (n,) is true; entries and occasions without a run go."""
        if not keep.any():
            raise StatsError("no run is left", place="table")
        entries, at_entry = np.unique(self.at_entry[keep], return_inverse=True)
        occasions, at_occasion = np.unique(self.at_occasion[keep], return_inverse=True)
        return RunGrid(
            self.entry,
            self.occasion,
            self.score,
            tuple(self.entries[i] for i in entries),
            tuple(self.occasions[i] for i in occasions),
            at_entry,
            at_occasion,
            self.values[keep],
            self.units,
        )

    def frame(self) -> pd.DataFrame:
        """The runs as a long table under the columns' own names."""
        import pandas as pd

        return pd.DataFrame(
            {
                self.entry: [self.entries[i] for i in self.at_entry],
                self.occasion: [self.occasions[i] for i in self.at_occasion],
                self.score: self.values,
            }
        )


def _ordered(names: list[str]) -> tuple[str, ...]:
    return tuple(name for (name,) in sorted({(name,) for name in names}, key=natural))
