"""Many levels against one reference level: Dunnett's test for any known correlations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.errors import StatsError
from stats.factorial.multivariate_t import MaxLaw, check_correlation
from stats.paired import check_alternative, check_level
from stats.record import Record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ManyToOne(Record):
    """K comparisons with their reference, held together.

    ``p_adjusted`` are single-step p-values, which agree with the simultaneous intervals ``low``,
    ``high`` (estimate +- ``critical`` x se); ``p_step_down`` reject at least as much and have no
    intervals. ``error`` is the standard error of the probabilities' computation, 0 by quadrature.
    """

    estimand: str
    method: str
    names: tuple[str, ...]
    estimates: np.ndarray
    se: np.ndarray
    t: np.ndarray
    p_adjusted: np.ndarray
    p_step_down: np.ndarray
    low: np.ndarray
    high: np.ndarray
    critical: float
    df: float
    alternative: str
    confidence_level: float
    error: float

    def table(self) -> pd.DataFrame:
        """One row per comparison; nothing is rounded."""
        import pandas as pd

        columns = ("estimates", "se", "t", "p_adjusted", "p_step_down", "low", "high")
        return pd.DataFrame(
            {"comparison": list(self.names)}
            | {name.removesuffix("s"): getattr(self, name) for name in columns}
        )

    def summary(self) -> str:
        """The comparisons as text for a terminal, at most 100 columns wide."""
        from stats.layout import frame_lines, wrap

        return "\n".join([*frame_lines(self.table()), "", *wrap(self.method)]) + "\n"


def many_to_one(
    estimates: Sequence[float] | np.ndarray,
    se: Sequence[float] | np.ndarray,
    correlation: np.ndarray,
    df: float,
    *,
    alternative: str = "two-sided",
    confidence_level: float = 0.95,
    names: Sequence[str] = (),
) -> ManyToOne:
    """Adjust K estimates (K,) with standard errors ``se`` (K,) for being tested together.

    ``correlation`` (K, K) is that of the estimates and must be known, as it is from the design of a
    linear model (levels against one reference, n runs each: 1/2 throughout); ``df`` is that of
    their common error variance (``math.inf``: known variance). The t statistics are then
    multivariate t, and p_i = P(max_j |T_j| >= |t_i|) (Dunnett 1955, Journal of the American
    Statistical Association 50, 1096-1121). Where the correlations are products b_i b_j, which is
    so for comparisons of independent means with one reference, this is a quadrature with error
    below 1e-8; else quasi-Monte Carlo from a fixed seed, whose standard error is ``error``.
    Step-down: ordered by size, each tested among those that are left (Dunnett and Tamhane 1991,
    Statistics in Medicine 10, 939-947). Degrees of freedom that differ between comparisons: take
    the smallest.

    Raises StatsError for lengths that differ, values that are not finite, standard errors that are
    not positive, and what is not a correlation matrix.
    """
    check_alternative(alternative)
    check_level(confidence_level)
    effects, errors = np.asarray(estimates, dtype=float), np.asarray(se, dtype=float)
    matrix = _checked(effects, errors, correlation, df, names)
    two_sided = alternative == "two-sided"
    t = effects / errors
    size = {"two-sided": np.abs(t), "greater": t, "less": -t}[alternative]
    law = MaxLaw.of(matrix, df, two_sided)
    reached = [law.reaching(float(value)) for value in size]
    critical = law.critical(confidence_level)
    half = critical * errors
    everywhere = np.full(effects.size, math.inf)
    how = "quadrature" if law.loadings is not None else "quasi-Monte Carlo, fixed seed"
    return ManyToOne(
        estimand="Each comparison: the estimate given, all held together.",
        method=f"Multivariate t with {df:g} degrees of freedom and the given correlations, "
        f"{alternative}, by {how}; simultaneous {confidence_level:.0%} intervals with critical "
        f"value {critical:.4f}.",
        names=tuple(names) or tuple(str(i + 1) for i in range(effects.size)),
        estimates=effects,
        se=errors,
        t=t,
        p_adjusted=np.array([p for p, _ in reached]),
        p_step_down=step_down(size, matrix, df, two_sided),
        low=-everywhere if alternative == "less" else effects - half,
        high=everywhere if alternative == "greater" else effects + half,
        critical=critical,
        df=df,
        alternative=alternative,
        confidence_level=confidence_level,
        error=max(error for _, error in reached),
    )


def critical_value(
    correlation: np.ndarray,
    df: float,
    confidence_level: float = 0.95,
    alternative: str = "two-sided",
) -> float:
    """The c for which estimate +- c x se hold together (one-sided: the bounds).

    For K levels against a reference with as many runs each, ``correlation`` has 1/2 off its
    diagonal and c is the entry of Dunnett's tables. Raises StatsError as ``many_to_one`` does.
    """
    check_alternative(alternative)
    check_level(confidence_level)
    _check_df(df)
    return MaxLaw.of(correlation, df, alternative == "two-sided").critical(confidence_level)


def step_down(size: np.ndarray, correlation: np.ndarray, df: float, two_sided: bool) -> np.ndarray:
    """Step-down p-values of statistics ``size`` (K,) whose large values speak against the null."""
    order = np.argsort(-size, kind="stable")
    p = np.empty(size.size)
    largest = 0.0
    for rank, position in enumerate(order):
        left = order[rank:]
        law = MaxLaw.of(correlation[np.ix_(left, left)], df, two_sided)
        largest = max(largest, law.reaching(float(size[position]))[0])
        p[position] = largest
    return p


def _checked(
    effects: np.ndarray,
    errors: np.ndarray,
    correlation: np.ndarray,
    df: float,
    names: Sequence[str],
) -> np.ndarray:
    matrix = check_correlation(correlation)
    count = matrix.shape[0]
    for place, length in (
        ("estimates", effects.size), ("se", errors.size), ("names", len(names) or count)
    ):  # fmt: skip
        if length != count:
            raise StatsError(
                f"{length} values, but {count} comparisons in the correlation matrix",
                place=place,
                value=length,
            )
    for place, values in (("estimates", effects), ("se", errors)):
        if not np.isfinite(values).all():
            raise StatsError("a value is not finite", place=place, value=values.tolist())
    if not (errors > 0).all():
        raise StatsError("a standard error is not positive", place="se", value=errors.tolist())
    _check_df(df)
    return matrix


def _check_df(df: float) -> None:
    if not df > 0:
        raise StatsError(f"{df} is not positive", place="df", value=df, hint="e.g. 20")
