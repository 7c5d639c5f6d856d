"""F tests of the fixed terms, type II and III, with effect sizes.

Type III tests a term's effects averaged equally over the levels of the other factors; its rows
come from sum-to-zero coding whatever the model's own coding is, because under treatment coding
"type III main effects" are simple effects at the reference levels. Type II tests a term adjusted
for all terms that do not contain it (Goodnight 1980, Communications in Statistics A9, 167-180);
its rows are those of the least squares design.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError
from stats.mixed.contest import FTest, Rule, joint
from stats.mixed.design import FixedTerm, ModelDesign, recoded
from stats.mixed.expressions import INTERCEPT
from stats.record import Record, plain

if TYPE_CHECKING:
    import pandas as pd

    from stats.mixed.fit import LmmFit

TYPES = (2, 3)
_SIZES = ("eta2", "eta2_low", "eta2_high", "omega2", "omega2_low", "omega2_high")


@dataclass(frozen=True)
class Anova(Record):
    """One F test per fixed term, the intercept left out.

    ``sizes`` are rows of effect sizes, one per test: partial eta and omega squared with intervals
    (see ``stats.factorial.effect_sizes``); in a mixed model they relate a term to the error that it
    is tested against.
    """

    tests: tuple[FTest, ...]
    sizes: tuple[dict[str, float], ...]
    type: int
    estimand: str
    ddf: str
    method: str
    n: int
    confidence_level: float

    def rows_as_dicts(self) -> list[dict[str, Any]]:
        """Plain rows: term, num_df, den_df, F, p and the effect sizes."""
        return [
            {name: plain(getattr(test, name)) for name in ("term", "num_df", "den_df", "F", "p")}
            | plain(size)
            for test, size in zip(self.tests, self.sizes, strict=True)
        ]

    def table(self) -> pd.DataFrame:
        """One row per term; nothing is rounded."""
        import pandas as pd

        names = ("term", "num_df", "den_df", "F", "p")
        return pd.DataFrame(
            [
                {name: getattr(test, name) for name in names} | size
                for test, size in zip(self.tests, self.sizes, strict=True)
            ]
        )


def anova(
    fit: LmmFit, type: int = 3, *, ddf: str = "auto", confidence_level: float = 0.95
) -> Anova:
    """F tests of every fixed term of a fit.

    Raises StatsError for another type than 2 and 3, and for type III of a design in which columns
    are aliased (a cell of an interaction is empty): which hypothesis would be tested then hangs on
    the coding.
    """
    from stats.factorial.effect_sizes import effect_sizes

    if type not in TYPES:
        raise StatsError(f"{type} is not a type", place="type", value=type, hint="take 2 or 3")
    if type == 3 and fit.design.aliased:
        raise StatsError(
            f"{', '.join(fit.design.aliased)} cannot be estimated, so that type III is ambiguous",
            place="type", value=type, hint="take type 2, or leave the aliased terms out",
        )  # fmt: skip
    rule = Rule.of(fit, ddf)
    terms = [term for term in fit.design.terms if term.name != INTERCEPT]
    rows_of = _type_3(fit) if type == 3 else _type_2(fit)
    tests = tuple(joint(fit, rows_of[term.name], term.name, ddf=ddf) for term in terms)
    sizes = []
    for test in tests:
        if math.isnan(test.F) or not test.den_df > 0:
            sizes.append(dict.fromkeys(_SIZES, math.nan))
            continue
        # In a mixed model the term is related to the error that it is tested against.
        total = test.num_df + test.den_df + 1
        size = effect_sizes(
            test.F, test.num_df, test.den_df, n=total, confidence_level=confidence_level
        )
        sizes.append({name: float(getattr(size, name)) for name in _SIZES})
    what = "averaged equally over the other factors" if type == 3 else "adjusted for other terms"
    return Anova(
        tests, tuple(sizes), type, f"effects of each fixed term, {what}", rule.name,
        f"type {'I' * type} F tests, {fit.method}, {rule.described}", fit.n, confidence_level,
    )  # fmt: skip


def _type_3(fit: LmmFit) -> dict[str, np.ndarray]:
    """Rows of L by term: the coefficients that the same effects have in sum-to-zero coding.

    Under treatment coding they are turned into differences from the first level. The hypothesis is
    the same; Satterthwaite's degrees of freedom of several contrasts are not quite invariant to
    the basis, and with this one they are lmerTest's. So they are where there is one term only, and
    all types are the same: the rows are then those of sequential tests.
    """
    design = fit.design
    effects = [term for term in design.terms if term.factors]
    if len(effects) == 1:
        triangle = np.linalg.qr(design.x, mode="r")
        own = triangle[effects[0].columns]
        pivots = np.diag(triangle)[effects[0].columns]
        return {effects[0].name: own / pivots[:, None]}
    x_sum = recoded(design, "sum")
    size = np.linalg.norm(x_sum, axis=0)  # covariates in any unit
    size = np.where(size > 0, size, 1.0)
    change = np.linalg.lstsq(x_sum / size, design.x, rcond=None)[0] / size[:, None]
    if not np.allclose(x_sum @ change, design.x, atol=1e-7 * max(1.0, np.abs(design.x).max())):
        raise StatsError(
            "an interaction is in the model without its main effects, so that type III depends on "
            "the coding",
            place=f"formula '{fit.formula}'",
            hint="add the main effects, or take type 2",
        )
    rows = {term.name: change[term.columns] for term in design.terms}
    if design.contrasts == "sum":
        return rows
    return {term.name: _from_first(design, term, rows[term.name]) for term in design.terms}


def _from_first(design: ModelDesign, term: FixedTerm, rows: np.ndarray) -> np.ndarray:
    """Rows of sum-to-zero effects as differences from each factor's first level."""
    turn: np.ndarray = np.ones((1, 1))
    for name in term.factors:
        k = len(design.factors.get(name, ()))
        if k > 1:
            effects = np.vstack([np.eye(k - 1), -np.ones((1, k - 1))])
            turn = np.kron(effects[1:] - effects[:1], turn)
    return turn @ rows if turn.shape[1] == len(rows) else rows


def _type_2(fit: LmmFit) -> dict[str, np.ndarray]:
    """Rows of L by term: the term's effects beyond all terms that do not contain it."""
    design = fit.design
    x, terms = design.x_all, design.terms
    out = {}
    for term in terms:
        if term.name == INTERCEPT:
            continue
        own = list(range(x.shape[1]))[term.columns]
        holders = [t for t in terms if _contains(t, term)]
        above = [i for t in holders for i in list(range(x.shape[1]))[t.columns]]
        below = [i for i in range(x.shape[1]) if i not in own and i not in above]
        base, *_ = np.linalg.qr(x[:, below]) if below else (np.empty((len(x), 0)),)
        left = x[:, own] - base @ (base.T @ x[:, own])
        size = np.linalg.norm(x[:, own], axis=0)
        left[:, np.linalg.norm(left, axis=0) <= 1e-8 * size] = 0.0  # nothing of its own
        rows = np.zeros((len(own), x.shape[1]))
        rows[:, own] = left.T @ x[:, own]
        if above:
            rows[:, above] = left.T @ x[:, above]
        scale = np.abs(rows).max(axis=1, keepdims=True)
        out[term.name] = rows[scale[:, 0] > 0] / scale[scale[:, 0] > 0]
    return out


def _contains(term: FixedTerm, other: FixedTerm) -> bool:
    return term.name != other.name and set(other.factors) < set(term.factors)
