"""Estimated marginal means and contrasts of them.

The mean at a level of a factor averages the model's predictions equally over all combinations of
the other factors' levels, with numeric covariates at their mean (Searle, Speed and Milliken 1980,
The American Statistician 34, 216-221). Each mean is a row over the fixed effects, tested by
``contest``; a mean that the data cannot tell (an empty cell) is not estimable, and says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError, nearest
from stats.mixed.contest import Tests, contest
from stats.record import Record

if TYPE_CHECKING:
    import pandas as pd

    from stats.mixed.fit import LmmFit


@dataclass(frozen=True)
class Means(Record):
    """Marginal means, one per combination of levels: ``levels`` (q, f) of the ``factors`` (f).

    ``rows`` (q, p_all) are the contrasts of fixed effects behind them.
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    tests: Tests
    rows: np.ndarray = field(repr=False)
    fit: LmmFit = field(repr=False)
    ddf: str

    def table(self) -> pd.DataFrame:
        """One row per mean: the levels, mean, se, df, ci_low, ci_high."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    **dict(zip(self.factors, level, strict=True)),
                    "mean": t.estimate, "se": t.se, "df": t.df,
                    "ci_low": t.ci_low, "ci_high": t.ci_high,
                }
                for level, t in zip(self.levels, self.tests.tests, strict=True)
            ]
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        from stats.record import plain

        return {
            "factors": list(self.factors),
            "means": plain(self.table()),
            "estimand": self.tests.estimand,
            "method": self.tests.method,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """``early:16`` for each mean."""
        return tuple(":".join(level) for level in self.levels)

    def contrast(
        self,
        weights: Mapping[str, float],
        name: str = "contrast",
        *,
        confidence_level: float = 0.95,
    ) -> Tests:
        """A weighted sum of means, by their ``names``; StatsError for an unknown one."""
        row = np.zeros(self.rows.shape[1])
        for mean, weight in weights.items():
            row = row + weight * self.rows[self._at(mean)]
        return self._contest(row[None], (name,), confidence_level)

    def pairwise(self, *, confidence_level: float = 0.95) -> Tests:
        """All differences of two means; their p-values are unadjusted."""
        pairs = list(itertools.combinations(range(len(self.levels)), 2))
        names = tuple(f"{self.names[j]} - {self.names[i]}" for i, j in pairs)
        rows = np.array([self.rows[j] - self.rows[i] for i, j in pairs])
        return self._contest(rows, names, confidence_level)

    def versus(self, reference: str | None = None, *, confidence_level: float = 0.95) -> Tests:
        """Every mean minus the reference's (default: the first); p-values are unadjusted.

        ``dunnett`` adjusts them.
        """
        at = 0 if reference is None else self._at(reference)
        others = [i for i in range(len(self.levels)) if i != at]
        names = tuple(f"{self.names[i]} - {self.names[at]}" for i in others)
        rows = np.array([self.rows[i] - self.rows[at] for i in others])
        return self._contest(rows, names, confidence_level)

    def dunnett(
        self, reference: str | None = None, *, confidence_level: float = 0.95
    ) -> pd.DataFrame:
        """``versus`` with p-values and intervals that hold over all comparisons at once.

        Multivariate t with the contrasts' correlations and their smallest degrees of freedom
        (Dunnett 1955, JASA 50, 1096-1121; see ``stats.factorial.many_to_one``).
        """
        from stats.factorial.many_to_one import many_to_one

        tests = self.versus(reference, confidence_level=confidence_level)
        sd = np.sqrt(np.diag(tests.covariance))
        result = many_to_one(
            [t.estimate for t in tests.tests],
            [t.se for t in tests.tests],
            tests.covariance / np.outer(sd, sd),
            min(t.df for t in tests.tests),
            confidence_level=confidence_level,
        )
        return (
            tests.table()
            .drop(columns=["ci_low", "ci_high"])
            .assign(
                p_adjusted=result.p_adjusted,
                simultaneous_low=result.low,
                simultaneous_high=result.high,
            )
        )

    def _contest(self, rows: np.ndarray, names: Sequence[str], level: float) -> Tests:
        return contest(
            self.fit, rows, names, ddf=self.ddf, confidence_level=level,
            estimand=f"differences of marginal means of {', '.join(self.factors)}",
        )  # fmt: skip

    def _at(self, name: str) -> int:
        if name not in self.names:
            raise StatsError(
                f"there is no mean '{name}'", place="marginal means", value=name,
                hint=nearest(name, self.names),
            )  # fmt: skip
        return self.names.index(name)


def marginal_means(
    fit: LmmFit,
    factors: tuple[str, ...],
    at: Mapping[str, float | str],
    *,
    ddf: str = "auto",
    confidence_level: float = 0.95,
) -> Means:
    """Marginal means over the levels of ``factors``; ``at`` holds others at a value or level.

    Raises StatsError for names that are not factors of the fixed part, and unknown levels.
    """
    design = fit.design
    in_model = design.variables
    known = [name for name in in_model if name in design.factors]
    for name in factors:
        if name not in known:
            raise StatsError(
                f"'{name}' is not a factor of the fixed effects", place="emm", value=name,
                hint=nearest(name, known),
            )  # fmt: skip
    for name, value in at.items():
        if name not in in_model:
            raise StatsError(
                f"'{name}' is not in the fixed effects", place="at", value=name,
                hint=nearest(name, in_model),
            )  # fmt: skip
        if name in design.factors and str(value) not in design.factors[name]:
            raise StatsError(
                f"'{value}' is not a level of '{name}'", place="at", value=value,
                hint=nearest(value, design.factors[name]),
            )  # fmt: skip
    grid = _grid(fit, in_model, at)
    rows_all = design.rows(grid)
    levels = list(itertools.product(*(design.factors[name] for name in factors)))
    rows = []
    for level in levels:
        here = np.ones(len(grid), dtype=bool)
        for name, value in zip(factors, level, strict=True):
            here &= (grid[name].astype(str) == value).to_numpy()
        rows.append(rows_all[here].mean(axis=0))
    matrix = np.array(rows)
    names = [":".join(level) for level in levels]
    over = [name for name in known if name not in factors and name not in at]
    averaged = f", averaged equally over {', '.join(over)}" if over else ""
    tests = contest(
        fit, matrix, names, ddf=ddf, confidence_level=confidence_level,
        estimand=f"mean response at each level of {', '.join(factors)}{averaged}",
    )  # fmt: skip
    return Means(factors, tuple(levels), tests, matrix, fit, ddf)


def _grid(fit: LmmFit, names: Sequence[str], at: Mapping[str, float | str]) -> pd.DataFrame:
    """All combinations of the factors' levels, numeric covariates at their mean or at ``at``."""
    import pandas as pd

    design = fit.design
    factors = [name for name in names if name in design.factors]
    choices = [(str(at[name]),) if name in at else design.factors[name] for name in factors]
    grid = pd.DataFrame(list(itertools.product(*choices)), columns=factors)
    for name in factors:
        grid[name] = pd.Categorical(grid[name], categories=design.factors[name])
    if not factors:
        grid = pd.DataFrame(index=range(1))
    for name in names:
        if name not in factors:
            grid[name] = float(at.get(name, design.frame[name].mean()))
    return grid
