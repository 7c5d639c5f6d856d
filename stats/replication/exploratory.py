"""The false discovery rate, for lists that suggest what to look at next, and settle nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.errors import StatsError
from stats.paired import check_level
from stats.record import Record
from stats.replication.conjunction import check_p

if TYPE_CHECKING:
    import pandas as pd


def benjamini_hochberg(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values ("q") that control the expected share of false rejections.

    q_(i) = min over j >= i of N p_(j) / j, at most 1 (Benjamini and Hochberg 1995, Journal of the
    Royal Statistical Society B 57, 289-300). Valid for independent tests and for one-sided tests
    that are positively dependent; not for any dependence. A NaN counts as p = 1. Raises StatsError
    for an empty list and values outside [0, 1].
    """
    values = check_p(p)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * values.size / np.arange(1, values.size + 1)
    out = np.empty_like(values)
    out[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return out


@dataclass(frozen=True)
class Discoveries(Record):
    """An exploratory list: ``q`` of each test, and which are at most ``alpha``.

    Of the tests so listed, a share of at most ``alpha`` is expected to be false; any single one may
    be. ``exploratory`` is always true: no verdict of this package rests on q.
    """

    names: tuple[str, ...]
    p: np.ndarray
    q: np.ndarray
    listed: tuple[bool, ...]
    alpha: float
    estimand: str
    method: str
    exploratory: bool = True

    @property
    def n_listed(self) -> int:
        """How many tests are listed."""
        return sum(self.listed)

    def table(self) -> pd.DataFrame:
        """One row per test, in the order given."""
        import pandas as pd

        return pd.DataFrame({"test": self.names, "p": self.p, "q": self.q, "listed": self.listed})

    def summary(self) -> str:
        """The list as text, smallest q first."""
        from stats.layout import columns, wrap

        order = sorted(range(len(self.names)), key=lambda i: (self.q[i], self.p[i]))
        rows = [(self.names[i], float(self.p[i]), float(self.q[i]), self.listed[i]) for i in order]
        lines = columns(("test", "p", "q", "listed"), rows)
        text = (
            f"Exploratory: {self.n_listed} of {len(self.names)} tests are listed at a false "
            f"discovery rate of {self.alpha:g}. {self.method}."
        )
        return "\n".join([*lines, "", *wrap(text)]) + "\n"


def discoveries(
    p: Sequence[float] | np.ndarray, names: Sequence[str] | None = None, *, alpha: float = 0.05
) -> Discoveries:
    """List the tests whose Benjamini-Hochberg q is at most ``alpha``, marked exploratory.

    ``names`` label the tests (unless given: "test 1", ...). Raises StatsError as
    ``benjamini_hochberg`` does, and for a wrong alpha or another number of names.
    """
    check_level(alpha, "alpha")
    q = benjamini_hochberg(p)
    labels = tuple(names) if names is not None else tuple(f"test {i + 1}" for i in range(q.size))
    if len(labels) != q.size:
        raise StatsError(
            f"{len(labels)} names for {q.size} p-values", place="names", value=len(labels)
        )
    return Discoveries(
        names=labels,
        p=np.asarray(p, dtype=float),
        q=q,
        listed=tuple(bool(value <= alpha) for value in q),
        alpha=alpha,
        estimand="which tests to follow up, with a bounded expected share of false ones",
        method=(
            "Benjamini-Hochberg step-up (independent or positively dependent tests); confirm on "
            "fresh seeds"
        ),
    )
