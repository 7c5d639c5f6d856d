"""The one test of contrasts: ``contest`` for single ones, ``joint`` for several at once.

Every table of a fit (fixed effects, F tests, marginal means) builds rows L over the fixed effects
and comes here. L is (q, p) in the columns of the model, or (q, p_all) with the columns that were
left out as aliased; then each row must be estimable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from stats.errors import StatsError, nearest
from stats.mixed.containment import MOST_COLUMNS, Containment
from stats.mixed.ddf import KenwardRoger
from stats.paired import check_level, t_quantile
from stats.record import Record, plain

if TYPE_CHECKING:
    import pandas as pd

    from stats.mixed.fit import LmmFit

DDF: Mapping[str, str] = {
    "auto": "Kenward-Roger; on the boundary no more than the design leaves",
    "kenward-roger": "Kenward-Roger, as in pbkrtest",
    "satterthwaite": "Satterthwaite, as in lmerTest; on the boundary it forgets the clustering",
    "containment": "what the design leaves, as in SAS",
}
"""The choices of denominator degrees of freedom; "auto" is Satterthwaite under ML."""


@dataclass(frozen=True)
class TTest:
    """One contrast: estimate, standard error, t and its interval, in units of the response.

    NaN throughout where the contrast is not ``estimable``.
    """

    term: str
    estimate: float
    se: float
    df: float
    statistic: float
    p: float
    ci_low: float
    ci_high: float
    estimable: bool = True


@dataclass(frozen=True)
class FTest:
    """A joint test of contrasts: F (scaled, under Kenward-Roger) on num_df and den_df."""

    term: str
    num_df: int
    den_df: float
    F: float
    p: float


@dataclass(frozen=True)
class Tests(Record):
    """Several single contrasts of one fit. ``ddf`` names the degrees of freedom used."""

    tests: tuple[TTest, ...]
    estimand: str
    ddf: str
    method: str
    n: int
    confidence_level: float
    covariance: np.ndarray = field(repr=False)

    def rows_as_dicts(self) -> list[dict[str, Any]]:
        """Plain rows: term, estimate, se, df, statistic, p, ci_low, ci_high."""
        names = ("term", "estimate", "se", "df", "statistic", "p", "ci_low", "ci_high")
        return [{name: plain(getattr(test, name)) for name in names} for test in self.tests]

    def table(self) -> pd.DataFrame:
        """One row per contrast; nothing is rounded."""
        import pandas as pd

        names = ("term", "estimate", "se", "df", "statistic", "p", "ci_low", "ci_high")
        return pd.DataFrame([{name: getattr(t, name) for name in names} for t in self.tests])


def contest(
    fit: LmmFit,
    rows: np.ndarray,
    names: Sequence[str],
    *,
    ddf: str = "auto",
    confidence_level: float = 0.95,
    estimand: str = "",
) -> Tests:
    """t tests of the rows of L (q, p or p_all): estimate l'beta, t on ``ddf`` degrees of freedom.

    Raises StatsError for an unknown ``ddf``, Kenward-Roger on an ML fit, and a wrong level.
    """
    check_level(confidence_level)
    rule = Rule.of(fit, ddf)
    rows, estimable = estimable_rows(fit, rows)
    tests = []
    for name, row, fine in zip(names, rows, estimable, strict=True):
        if not fine:
            tests.append(TTest(name, *(math.nan,) * 7, estimable=False))
            continue
        own = rule.fitting(row[None])
        estimate = float(row @ fit.beta)
        se = fit.sigma * math.sqrt(float(row @ own.covariance @ row))
        df = own.single(row)
        t = estimate / se
        half = t_quantile(0.5 + confidence_level / 2, df) * se
        p = 2 * float(special.stdtr(df, -abs(t)))
        tests.append(TTest(name, estimate, se, df, t, p, estimate - half, estimate + half))
    covariance = fit.sigma**2 * rows @ rule.fitting(rows).covariance @ rows.T
    return Tests(
        tuple(tests), estimand, rule.name, f"{fit.method}, {rule.described}", fit.n,
        confidence_level, covariance,
    )  # fmt: skip


def joint(fit: LmmFit, rows: np.ndarray, name: str, *, ddf: str = "auto") -> FTest:
    """The F test of L beta = 0 for L (q, p or p_all); rows that depend on others do not count.

    NaN where a row is not estimable, and where there is none (num_df is then 0).
    """
    rule = Rule.of(fit, ddf)
    rows, estimable = estimable_rows(fit, rows)
    if not estimable.all() or not len(rows):
        return FTest(name, len(rows), math.nan, math.nan, math.nan)
    rule = rule.fitting(rows)
    rows = independent(rows, rule.covariance)
    q = len(rows)
    if q == 1:
        single = rows[0]
        df = rule.single(single)
        estimate = float(single @ fit.beta)
        f = estimate**2 / (fit.sigma**2 * float(single @ rule.covariance @ single))
    else:
        df, scale = rule.joint(rows)
        effect = rows @ fit.beta
        spread = fit.sigma**2 * rows @ rule.covariance @ rows.T
        f = scale * float(effect @ np.linalg.solve(spread, effect)) / q
    return FTest(name, q, df, f, float(special.fdtrc(q, df, f)) if df > 0 else math.nan)


@dataclass(frozen=True)
class Rule:
    """A choice of degrees of freedom, ready for the contrasts of one fit (sigma = 1).

    Under "auto" on the boundary, what the design leaves caps the degrees of freedom. Where
    Kenward-Roger leaves less than one, a zero component of few levels is the cause (the intercept
    of sleepstudy beside a two-level group of zero variance has .014): such contrasts go by
    ``without``, the rule that leaves these components out.
    """

    fit: LmmFit = field(repr=False)
    name: str
    kenward_roger: KenwardRoger | None = field(repr=False)
    design: Containment = field(repr=False)
    without: Rule | None = field(repr=False, default=None)

    @classmethod
    def of(cls, fit: LmmFit, ddf: str) -> Rule:
        """Resolve "auto" and check the name; StatsError for one that does not fit.

        A fit keeps its rules, whose ranks are dear.
        """
        if ddf not in fit.rules:
            fit.rules[ddf] = cls._made(fit, ddf)
        return fit.rules[ddf]

    @classmethod
    def _made(cls, fit: LmmFit, ddf: str) -> Rule:
        if ddf not in DDF:
            raise StatsError(
                f"'{ddf}' is not a choice", place="ddf", value=ddf, hint=nearest(ddf, DDF)
            )
        if ddf == "kenward-roger" and not fit.reml:
            raise StatsError(
                "Kenward-Roger needs a REML fit", place="ddf", value=ddf,
                hint="fit with reml=True (leave --ml out), or take satterthwaite",
            )  # fmt: skip
        if ddf == "auto" and not fit.reml:
            ddf = "satterthwaite"
        blocks = fit.design.blocks
        kenward_roger = fit.kenward_roger if ddf in ("auto", "kenward-roger") else None
        design = Containment(fit.design.x, blocks)
        kept = [i for i in range(len(blocks)) if not fit.negligible(i)]
        without = None
        if ddf == "auto" and len(kept) < len(blocks):
            order = fit.criterion.moments.order
            keep = np.array([order[term] in kept for term, _, _ in fit.info.directions], dtype=bool)
            without = cls(
                fit, ddf, KenwardRoger.of(fit.info, keep),
                Containment(fit.design.x, [blocks[i] for i in kept]),
            )  # fmt: skip
        if ddf == "containment" and not design.feasible:
            raise StatsError(
                f"the random terms have more than {MOST_COLUMNS} levels, so that ranks take too "
                "long", place="ddf", value=ddf, hint="take auto, kenward-roger or satterthwaite",
            )  # fmt: skip
        return cls(fit, ddf, kenward_roger, design, without)

    @property
    def described(self) -> str:
        """The choice in words."""
        if self.name == "auto" and self.fit.boundary and not self.design.feasible:
            return "Kenward-Roger; too many levels to know what the design leaves"
        return DDF[self.name]

    @property
    def covariance(self) -> np.ndarray:
        """Cov(beta) / sigma^2, adjusted under Kenward-Roger."""
        return self.fit.info.phi if self.kenward_roger is None else self.kenward_roger.adjusted

    def fitting(self, rows: np.ndarray) -> Rule:
        """This rule, or ``without`` where a contrast among the rows (q, p) has less than one df."""
        if self.without is None or self.kenward_roger is None:
            return self
        least = min((self.kenward_roger.test(row[None])[0] for row in rows if row.any()), default=1)
        return self.without if least < 1 else self

    def single(self, row: np.ndarray) -> float:
        """df of one contrast (p,)."""
        if self.name == "satterthwaite":
            return self.fit.satterthwaite.single(row)
        if self.kenward_roger is None:
            return self._design(row[None])
        return self._capped(self.kenward_roger.test(row[None])[0], row[None])

    def joint(self, rows: np.ndarray) -> tuple[float, float]:
        """df of several contrasts (q, p), and the scale of their F.

        A scale that is not positive (few groups, many contrasts) means that the approximation has
        broken down: the F is then left as it is.
        """
        if self.name == "satterthwaite":
            return self.fit.satterthwaite.joint(rows), 1.0
        if self.kenward_roger is None:
            return self._design(rows), 1.0
        df, scale = self.kenward_roger.test(rows)
        return self._capped(df, rows), scale if scale > 0 else 1.0

    def _capped(self, df: float, rows: np.ndarray) -> float:
        if self.name != "auto" or not self.fit.boundary:
            return df
        limit = self._design(rows)
        return df if math.isnan(limit) else min(df, limit)

    def _design(self, rows: np.ndarray) -> float:
        if not self.design.feasible:
            return math.nan
        return self.design.df(np.flatnonzero((np.abs(rows) > 1e-12).any(axis=0)).tolist())


def estimable_rows(fit: LmmFit, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L in the model's own columns (q, p), and which rows are estimable.

    A row over all columns is estimable when it lies in the row space of the full design (Searle
    1971, Linear Models, section 5.4); the coefficients of the columns left out are zero.
    """
    rows = np.atleast_2d(np.asarray(rows, dtype=float))
    design = fit.design
    if not np.isfinite(rows).all() or not rows.any(axis=1).all():
        raise StatsError(
            "weights must be finite and not all zero", place="contrast", value=rows.tolist()
        )
    total = design.x_all.shape[1]
    if rows.shape[1] == design.x.shape[1]:
        return rows, np.ones(len(rows), dtype=bool)
    if rows.shape[1] != total:
        raise StatsError(
            f"{rows.shape[1]} weights for {design.x.shape[1]} fixed effects", place="contrast",
            value=rows.shape[1], hint=f"the fixed effects are {', '.join(design.names)}",
        )  # fmt: skip
    # Columns in units of their own size, lest a covariate in small units count as absent.
    scale = np.linalg.norm(design.x_all, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    triangle = np.linalg.qr(design.x_all / scale, mode="r")
    _, values, right = np.linalg.svd(triangle, full_matrices=True)
    null = right[int((values > 1e-8 * values[0]).sum()) :].T
    scaled = rows / scale
    size = np.linalg.norm(scaled, axis=1, keepdims=True)
    fine = (np.abs(scaled @ null) <= 1e-6 * np.maximum(size, 1e-300)).all(axis=1)
    return rows[:, design.independent], fine


def independent(rows: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Rows of L without those that the ones before them determine."""
    keep: list[int] = []
    for i in range(len(rows)):
        trial = rows[[*keep, i]]
        spread = trial @ covariance @ trial.T
        size = np.sqrt(np.maximum(np.diag(spread), 1e-300))
        if np.linalg.eigvalsh(spread / np.outer(size, size))[0] > 1e-10:
            keep.append(i)
    return rows[keep]


def weights_of(
    fit: LmmFit, weights: Mapping[str, float] | Sequence[float] | np.ndarray
) -> np.ndarray:
    """Weights by name of the fixed effect, or in their order, as (p,)."""
    if isinstance(weights, Mapping):
        out = np.zeros(len(fit.beta))
        for name, weight in weights.items():
            if name not in fit.names:
                raise StatsError(
                    f"there is no fixed effect '{name}'", place="contrast", value=name,
                    hint=nearest(name, fit.names),
                )  # fmt: skip
            out[fit.names.index(name)] = weight
        return out
    return np.asarray(weights, dtype=float)
