"""A fitted mixed model: ``lmm`` makes it, and every table is drawn from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import solve_triangular

from stats.mixed.criterion import Criterion, State
from stats.mixed.ddf import KenwardRoger, Satterthwaite
from stats.mixed.design import ModelDesign, build
from stats.mixed.formula import parse
from stats.mixed.information import Information, information
from stats.mixed.moments import Moments
from stats.mixed.optimise import SINGULAR, Optimum, minimise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from stats.mixed.anova import Anova
    from stats.mixed.contest import Rule, Tests
    from stats.mixed.emm import Means
    from stats.mixed.profile import Intervals

_RANDOM = ("group", "term", "variance", "sd")
FEW_LEVELS = 5
"""A variance over fewer levels than this is hardly estimable."""


@dataclass(frozen=True)
class Component:
    """A random term's estimated covariance, in squared units of the response.

    ``covariance`` is (k, k) over ``names``; ``levels`` the number of levels of ``group``.
    """

    group: str
    names: tuple[str, ...]
    levels: int
    covariance: np.ndarray = field(repr=False)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviations (k,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def singular(self) -> bool:
        """Whether a variance is zero or a correlation +-1."""
        return bool(np.linalg.eigvalsh(self.covariance)[0] <= 0) or self.rank < len(self.names)

    @property
    def rank(self) -> int:
        """The number of directions that vary."""
        values = np.linalg.eigvalsh(self.covariance)
        return int((values > 1e-10 * max(float(values[-1]), 1e-300)).sum()) if values[-1] > 0 else 0


@dataclass(frozen=True)
class LmmFit:
    """A linear mixed model at its optimum.

    ``criterion_value`` is the REML criterion or the ML deviance (-2 log likelihood), ``beta`` (p,)
    the fixed effects in the design's coding, ``sigma`` the residual SD, ``triangles`` the relative
    factors T_t (k x k) with Cov(b) = sigma^2 T T', in the formula's order. ``boundary`` tells that
    a variance is zero or a correlation +-1: a result, not an error, which the tables take account
    of. ``notes`` are sentences a reader of the numbers should see.
    """

    design: ModelDesign = field(repr=False)
    criterion: Criterion = field(repr=False)
    optimum: Optimum
    reml: bool
    criterion_value: float
    beta: np.ndarray = field(repr=False)
    sigma: float
    triangles: tuple[np.ndarray, ...] = field(repr=False)
    boundary: bool
    notes: tuple[str, ...]

    @property
    def formula(self) -> str:
        """The model in lme4's syntax, as it was fitted."""
        return str(self.design.formula)

    @property
    def method(self) -> str:
        """ "REML" or "ML"."""
        return "REML" if self.reml else "ML"

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.design.y.size)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fixed effects."""
        return self.design.names

    @cached_property
    def state(self) -> State:
        """The factorisation at the optimum."""
        return self.criterion.state(self.optimum.theta)

    @cached_property
    def info(self) -> Information:
        """The information on the variance parameters."""
        return information(self.criterion, self.optimum.theta)

    @cached_property
    def kenward_roger(self) -> KenwardRoger:
        """The adjusted covariance and what tests need (sigma = 1)."""
        return KenwardRoger.of(self.info)

    @cached_property
    def satterthwaite(self) -> Satterthwaite:
        """Gradients and covariance of the variance parameters (sigma = 1)."""
        return Satterthwaite.of(
            self.info, self.criterion.unpack(self.optimum.theta), reml=self.reml
        )

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """The choices of degrees of freedom made so far (see ``contest.Rule``)."""
        return {}

    @property
    def covariance(self) -> np.ndarray:
        """Cov(beta) (p, p), not adjusted for the estimation of variances."""
        return self.info.phi * self.sigma**2

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """The random terms' covariances, in the formula's order."""
        return tuple(
            Component(block.term.label, block.names, block.m, self.sigma**2 * triangle @ triangle.T)
            for block, triangle in zip(self.design.blocks, self.triangles, strict=True)
        )

    def negligible(self, place: int) -> bool:
        """Whether a random term is estimated as zero over so few levels that this says nothing."""
        return not self.triangles[place].any() and self.design.blocks[place].m < FEW_LEVELS

    # Tables ------------------------------------------------------------------------------------

    def fixed(self, ddf: str = "auto", *, confidence_level: float = 0.95) -> Tests:
        """The fixed effects with t tests; ``ddf`` as in ``contest.DDF``."""
        from stats.mixed.contest import contest

        return contest(
            self, np.eye(len(self.beta)), self.names, ddf=ddf, confidence_level=confidence_level,
            estimand="fixed effects in the coding of the model",
        )  # fmt: skip

    def contrast(
        self,
        weights: Mapping[str, float] | Sequence[float] | np.ndarray,
        name: str = "contrast",
        *,
        ddf: str = "auto",
        confidence_level: float = 0.95,
    ) -> Tests:
        """A linear combination of fixed effects: weights by name, or one for each (p,)."""
        from stats.mixed.contest import contest, weights_of

        return contest(
            self, weights_of(self, weights)[None], (name,), ddf=ddf,
            confidence_level=confidence_level, estimand=f"{name}: a combination of fixed effects",
        )  # fmt: skip

    def anova(self, type: int = 3, ddf: str = "auto", *, confidence_level: float = 0.95) -> Anova:
        """F tests of the fixed terms, type II or III, with partial eta and omega squared."""
        from stats.mixed.anova import anova

        return anova(self, type, ddf=ddf, confidence_level=confidence_level)

    def emm(
        self,
        factors: str | Sequence[str],
        *,
        at: Mapping[str, float | str] | None = None,
        ddf: str = "auto",
        confidence_level: float = 0.95,
    ) -> Means:
        """Estimated marginal means over the levels of factors, other factors weighing equally."""
        from stats.mixed.emm import marginal_means

        names = (factors,) if isinstance(factors, str) else tuple(factors)
        return marginal_means(self, names, at or {}, ddf=ddf, confidence_level=confidence_level)

    def random(self) -> pd.DataFrame:
        """Variance components: group, term, variance, sd, correlation with earlier terms."""
        import pandas as pd

        rows = self._random_rows()
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_RANDOM))

    def intervals(self, confidence_level: float = 0.95) -> Intervals:
        """Profile-likelihood intervals of the standard deviations (see ``profile``)."""
        from stats.mixed.profile import profile_intervals

        return profile_intervals(self, confidence_level)

    def effects(self) -> pd.DataFrame:
        """Predicted random effects: group, level, term, value, sd (conditional on the variances).

        The conditional means of Bates et al. 2015, section 5.4 (BLUPs), in units of the response;
        ``sd`` is that of the effect given the data, with beta and the variances held fixed.
        """
        from stats.mixed.effects import predicted

        return predicted(self)

    def residuals(self) -> pd.DataFrame:
        """Row by row: fitted, fitted_fixed, residual, scaled residual, quantile."""
        from stats.mixed.effects import residual_table

        return residual_table(self)

    def plot_residuals(self) -> Figure:
        """Residuals against fitted values, and their quantiles against the normal's."""
        from stats.figures.mixed import residual_plots

        return residual_plots(self)

    # Records -----------------------------------------------------------------------------------

    def _random_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for component in self.components:
            sd = component.sd
            for i, name in enumerate(component.names):
                row: dict[str, Any] = {
                    "group": component.group,
                    "term": name,
                    "variance": float(component.covariance[i, i]),
                    "sd": float(sd[i]),
                }
                with np.errstate(divide="ignore", invalid="ignore"):
                    before = component.covariance[i, :i] / (sd[i] * sd[:i])
                if i == 1:
                    row["correlation"] = float(before[0])
                elif i > 1:
                    row["correlation"] = before.tolist()
                rows.append(row)
        return rows

    def to_dict(self, ddf: str = "auto", *, type: int | None = None) -> dict[str, Any]:
        """Plain values for JSON: criterion, fixed effects, components, F tests, notes.

        The F tests are of type III, or of type II where columns are aliased.
        """
        from stats.record import plain, versions

        type = (2 if self.design.aliased else 3) if type is None else type
        fixed, anova = self.fixed(ddf), self.anova(type, ddf)
        out = {
            "formula": self.formula,
            "n": self.n,
            "method": self.method,
            "criterion": self.criterion_value,
            "boundary": self.boundary,
            "ddf": fixed.ddf,
            "fixed": fixed.rows_as_dicts(),
            "random": self._random_rows(),
            "residual": {"variance": self.sigma**2, "sd": self.sigma},
            "type": type,
            "anova": anova.rows_as_dicts(),
            "notes": self.notes,
            "versions": versions(),
        }
        return dict(plain(out))

    def summary(self, ddf: str = "auto") -> str:
        """The fit as text for a terminal, at most 100 columns wide."""
        from stats.mixed.text import render

        return render(self, ddf)

    def to_latex(self, caption: str = "", ddf: str = "auto") -> str:
        """Fixed effects and variance components as two LaTeX tables (booktabs)."""
        import pandas as pd

        from stats.layout import latex
        from stats.mixed.text import correlations

        random = self._random_rows()
        for row in random:
            if "correlation" in row:
                row["correlation"] = correlations(row["correlation"])
        random.append(dict(zip(_RANDOM, ("Residual", "", self.sigma**2, self.sigma), strict=True)))
        return latex(self.fixed(ddf).table(), caption) + latex(
            pd.DataFrame(random).fillna(""), caption
        )


def lmm(
    formula: str,
    data: pd.DataFrame,
    *,
    reml: bool = True,
    contrasts: str = "treatment",
    factors: Sequence[str] = (),
    missing: str = "raise",
    aliased: str = "raise",
) -> LmmFit:
    """Fit a linear mixed model given in lme4's formula syntax to a long table.

    ``formula`` such as ``score ~ arm * hp + (1 | backbone) + (1 + arm | draw) + (1 | a:b)``; see
    ``formula`` and ``design`` for the syntax. Text columns are factors, as are those in
    ``factors``; ``contrasts`` codes them ("treatment": against the first level, or "sum": against
    the mean). ``reml`` False fits by maximum likelihood. ``missing`` and ``aliased`` are "raise" or
    "drop". Variances are in squared units of the response.

    Without a random term this is ordinary least squares, and every test an exact one.

    Raises StatsError for a malformed formula (with the position), unknown names (with the nearest),
    and data that cannot be fitted (see ``design.build``). A fit on the boundary is not an error.
    """
    design = build(
        parse(formula), data, contrasts=contrasts, factors=factors, missing=missing, aliased=aliased
    )
    return fit_moments(Moments.of(design), reml=reml)


def fit_moments(
    moments: Moments, *, reml: bool, start: np.ndarray | None = None, notes: bool = True
) -> LmmFit:
    """Fit from cross products: what ``lmm`` does once the table is coded."""
    criterion = Criterion(moments, reml=reml)
    optimum = minimise(criterion, start)
    state = criterion.state(optimum.theta, inverse=False)
    beta = moments.beta0 + moments.scale * solve_triangular(moments.r, state.beta)
    sigma = moments.scale * math.sqrt(state.r2 / criterion.dof)
    scaled = criterion.unpack(optimum.theta)
    triangles: list[np.ndarray] = [np.empty(0)] * len(scaled)
    for place, t, basis in zip(moments.order, scaled, moments.bases, strict=True):
        triangles[place] = basis @ t
    design = moments.design
    return LmmFit(
        design=design,
        criterion=criterion,
        optimum=optimum,
        reml=reml,
        criterion_value=criterion.deviance(optimum.value),
        beta=beta,
        sigma=sigma,
        triangles=tuple(triangles),
        boundary=optimum.boundary,
        notes=_notes(design, triangles, optimum) if notes else (),
    )


def _notes(design: ModelDesign, triangles: list[np.ndarray], optimum: Optimum) -> tuple[str, ...]:
    notes = []
    dropped = len(design.x_all) and design.aliased
    if dropped:
        notes.append(f"Left out because others determine them: {', '.join(design.aliased)}.")
    for block, t in zip(design.blocks, triangles, strict=True):
        if block.m < FEW_LEVELS:
            notes.append(
                f"{block.term} has {block.m} levels: a variance over fewer than {FEW_LEVELS} is "
                f"hardly estimable; treat {block.term.label} as fixed, or read its SD as a "
                "description of these levels."
            )
        size = np.abs(t).max() if t.size else 0.0
        if size == 0:
            notes.append(f"{block.term} is estimated as zero (on the boundary).")
        elif np.linalg.svd(t, compute_uv=False)[-1] < SINGULAR * max(1.0, size):
            notes.append(f"{block.term} has a covariance matrix without full rank (boundary).")
    if not optimum.converged:
        notes.append(
            f"The optimiser stopped with a gradient of {optimum.gradient:.2g}: read with care."
        )
    return tuple(notes)
