"""``decompose``: one call from a results table to the share of every source of variation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.contrast import Contrast, mean_versus
from stats.decompose.finite import axis_weights, centring, spread, spread_of
from stats.decompose.items import ItemComponent, binomial_variance, item_components
from stats.decompose.model import RESIDUAL, Model, choose
from stats.decompose.roles import Results
from stats.errors import StatsError
from stats.mixed.fit import LmmFit, lmm
from stats.paired import PairedT, check_level, paired_t
from stats.record import Record, plain, versions

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_PROFILE_ROWS = 3000
"""Rows up to which random components get profile intervals; beyond, Satterthwaite's."""


@dataclass(frozen=True)
class Component:
    """One source of variation.

    ``variance`` in squared units is unbiased and may be negative; ``sd`` is its root (0 below 0),
    ``low`` and ``high`` the interval of the SD. ``share`` is that of the variance within cells (NaN
    for differences between cells). ``kind`` is "fixed" (spread over these very levels) or "random".
    """

    name: str
    kind: str
    levels: int
    variance: float
    sd: float
    low: float
    high: float
    share: float


@dataclass(frozen=True)
class MechanismEffect:
    """The effect of an arm, or of all arms, against the baseline: by the model and by the pairs.

    ``estimate``, ``se``, ``df``, ``p``, ``low`` and ``high`` come from the mixed model; ``scope``
    says for which cells they speak: where the mechanism's interplay with cells is random, for cells
    like these, else for these cells. ``pairs`` is the paired t test on differences averaged over
    cells within the pair: always for these cells. Its ``unit`` is "pairs", or "draws" where there
    are hp draws: seeds of a draw have its hyperparameters in common and are averaged within it.
    ``headline`` names the one to quote: "pairs" where the model is on its boundary, else "model".
    """

    name: str
    estimate: float
    se: float
    df: float
    p: float
    low: float
    high: float
    scope: str
    pairs: PairedT | None
    unit: str
    headline: str


@dataclass(frozen=True)
class Decomposition(Record):
    """Where the variation of a study's scores comes from.

    ``formula`` is the fitted model in lme4's syntax, ``boundary`` whether a variance is at zero.
    """

    components: tuple[Component, ...]
    items: tuple[ItemComponent, ...]
    effects: tuple[MechanismEffect, ...]
    formula: str
    boundary: bool
    n: int
    lost: int
    units: str
    interval_method: str
    estimand: str
    method: str
    notes: tuple[str, ...]
    confidence_level: float
    fit: LmmFit = field(repr=False)

    def table(self) -> pd.DataFrame:
        """One row per component; nothing is rounded."""
        import pandas as pd

        names = ("name", "kind", "levels", "variance", "sd", "low", "high", "share")
        rows = [{name: getattr(c, name) for name in names} for c in self.components]
        return pd.DataFrame(rows).rename(columns={"name": "component"})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the fit itself is left out."""
        names = (
            "components", "items", "effects", "formula", "boundary", "n", "lost", "units",
            "interval_method", "estimand", "method", "notes", "confidence_level",
        )  # fmt: skip
        out = {name: plain(getattr(self, name)) for name in names}
        return out | {"versions": versions()}

    def summary(self) -> str:
        """The decomposition as text for a terminal, at most 100 columns wide."""
        from stats.decompose.text import render

        return render(self)

    def plot(self) -> Figure:
        """Standard deviations with intervals, largest first within each kind."""
        from stats.figures.mixed import decomposition_plot

        return decomposition_plot(self.table(), units=self.units)


def decompose(
    results: pd.DataFrame,
    *,
    arm: str = "arm",
    baseline: str = "",
    backbone: str = "backbone",
    benchmark: str = "benchmark",
    hp: str = "",
    seed: Sequence[str] = ("seed",),
    axes: Sequence[str] = (),
    score: str = "score",
    percent: bool = False,
    allow_failed: bool = False,
    items: pd.DataFrame | None = None,
    item: str = "item",
    outcome: str = "correct",
    items_redrawn: int = 0,
    formula: str = "",
    confidence_level: float = 0.95,
) -> Decomposition:
    """Separate mechanism, axes, hyperparameters, backbones, benchmarks, seeds and items.

    ``results`` has one row per arm, pair and cell. The arm is the mechanism; ``baseline`` names the
    arm without it. ``axes`` are columns that give each design point's level ("" or missing for the
    baseline): the mechanism's spread is then split into presence, each axis, and what axes do
    together. ``hp`` is the column of the hyperparameter draw. ``items``, a table with one row per
    arm, pair, cell and item, adds the components within scores. ``items_redrawn``, the number of
    items of a score, says that every run was scored on fresh items: the binomial part of the
    residual is then stated. ``formula`` replaces the default model (see ``model.choose``).

    Random terms are estimated by REML. Fixed terms are reported as finite-population variances,
    corrected for estimation error (see ``finite``). Shares are of the sum of all components within
    cells. The spread says how much a source matters; whether the mechanism helps is in ``effects``,
    whose headline is the paired test wherever the model is on its boundary.

    Raises StatsError for tables that do not hold together (see ``roles``) and for an ``hp`` column
    without replicate seeds.
    """
    check_level(confidence_level)
    r = Results.from_frame(
        results, arm=arm, baseline=baseline, backbone=backbone, benchmark=benchmark, hp=hp,
        seed=seed, axes=axes, score=score, percent=percent, allow_failed=allow_failed,
    )  # fmt: skip
    model = choose(r)
    text = formula or model.formula
    factors = [name for name in (r.arm, r.backbone, r.benchmark, r.hp, *r.seed, *r.axes) if name]
    fit = lmm(text, r.frame, contrasts="sum", factors=factors, aliased="drop")
    if formula:
        model = _model_of(fit, r)
    components, how = _components(fit, model, r, confidence_level)
    effects = _effects(fit, r, confidence_level)
    found: tuple[ItemComponent, ...] = ()
    if items is not None:
        found = item_components(
            items, arm=arm, pair=[n for n in (r.hp, *r.seed) if n], cell=r.cell, item=item,
            outcome=outcome, percent=percent, confidence_level=confidence_level,
        )  # fmt: skip
    notes = [*model.notes, *(note for note in fit.notes if "boundary" in note)]
    if items_redrawn:
        top = 100.0 if percent else 1.0
        part = binomial_variance(float(r.frame[r.score].mean()), items_redrawn, top)
        notes.append(
            f"Of the residual, an SD of {math.sqrt(part):.3g} {r.units} is binomial: every run was "
            f"scored on {items_redrawn} fresh items."
        )
    if r.lost:
        notes.append(f"{r.lost} rows without a score are left out.")
    return Decomposition(
        components=components,
        items=found,
        effects=effects,
        formula=fit.formula,
        boundary=fit.boundary,
        n=fit.n,
        lost=r.lost,
        units=r.units,
        interval_method=how,
        estimand="standard deviation of scores due to each source, over the levels of this study "
        "(fixed) or a population of them (random)",
        method=f"REML mixed model, {fit.n} rows; fixed terms as finite-population variances",
        notes=tuple(notes),
        confidence_level=confidence_level,
        fit=fit,
    )


def _components(
    fit: LmmFit, model: Model, r: Results, level: float
) -> tuple[tuple[Component, ...], str]:
    raw: list[tuple[str, str, int, float, float, float, bool]] = []
    profile = fit.n <= _PROFILE_ROWS
    intervals = _random_intervals(fit, level, profile)
    place = {block.term.groups: i for i, block in enumerate(fit.design.blocks)}
    for term in model.terms:
        if term.fixed:
            if term.factors == (r.arm,) and r.axes and r.baseline:
                raw += _axis_rows(fit, r, level)
                continue
            s = spread_of(fit, term.factors, level)
            count = math.prod(len(fit.design.factors[name]) for name in term.factors)
            raw.append((term.name, "fixed", count, s.variance, s.low, s.high, term.between))
            continue
        i = place[term.factors]
        low, high = intervals[i]
        variance = float(fit.components[i].covariance[0, 0])
        levels = fit.design.blocks[i].m
        raw.append((term.name, "random", levels, variance, low**2, high**2, term.between))
    low, high = intervals[-1]
    raw.append((model.residual, "random", fit.n, fit.sigma**2, low**2, high**2, False))
    total = sum(row[3] for row in raw if not row[6])
    rows = tuple(
        Component(
            name, kind, levels, v, math.sqrt(max(v, 0.0)), _root(lo), _root(hi),
            math.nan if between else v / total,
        )
        for name, kind, levels, v, lo, hi, between in raw
    )  # fmt: skip
    return rows, (
        "profile likelihood (random), noncentral chi-squared (fixed)"
        if profile
        else "chi-squared on Satterthwaite df (random), noncentral chi-squared (fixed)"
    )


def _axis_rows(
    fit: LmmFit, r: Results, level: float
) -> list[tuple[str, str, int, float, float, float, bool]]:
    """Presence of the mechanism, each axis, and what the axes do together."""
    means = fit.emm(r.arm)
    arms = [str(row[0]) for row in means.levels]
    first = r.frame.drop_duplicates(r.arm).set_index(r.arm)
    points = [i for i, arm in enumerate(arms) if arm != r.baseline]
    levels = [tuple(str(first.loc[arms[i], axis]) for axis in r.axes) for i in points]
    lacking = next((arms[i] for i, p in zip(points, levels, strict=True) if "" in p), None)
    if lacking is not None:
        raise StatsError(
            f"arm '{lacking}' has no level on one of the axes {', '.join(r.axes)}",
            place="axes", value=lacking, hint="only the baseline may lack one",
        )  # fmt: skip
    base = means.rows[[arms.index(r.baseline)]]
    inside = means.rows[points]
    presence = np.vstack([base, inside.mean(axis=0, keepdims=True)])
    rows = []

    def add(name: str, effects: np.ndarray, weights: np.ndarray, count: int) -> None:
        s = spread(fit, effects, weights, level)
        rows.append((name, "fixed", count, s.variance, s.low, s.high, False))

    add("mechanism", presence, centring([2]), 2)
    mains = []
    for k, axis in enumerate(r.axes):
        count = len({p[k] for p in levels})
        if count > 1:
            weights = axis_weights(levels, [k])
            mains.append(weights)
            add(f"axis {axis}", inside, weights, count)
    everything = centring([len(points)])
    explained = np.vstack(mains) if mains else np.zeros((1, len(points)))
    q, values, _ = np.linalg.svd(explained.T, full_matrices=False)
    kept = q[:, values > 1e-9]
    rest = everything - kept @ kept.T
    if np.linalg.matrix_rank(rest, tol=1e-9) > 0:
        add("axes together", inside, rest, len(points))
    return rows


def _effects(fit: LmmFit, r: Results, level: float) -> tuple[MechanismEffect, ...]:
    """Each arm against the baseline, and all of them together where there are several."""
    if not r.baseline:
        return ()
    arms = [arm for arm in fit.design.factors[r.arm] if arm != r.baseline]
    wanted = [mean_versus(arm, [arm], [r.baseline]) for arm in arms]
    if len(arms) > 1:
        wanted.insert(0, mean_versus("mechanism present", arms, [r.baseline]))
    means = fit.emm(r.arm) if r.arm in _fixed_factors(fit) else None
    sampled = {r.backbone, r.benchmark}
    interplay = [set(block.term.groups) for block in fit.design.blocks]
    random_cells = any(r.arm in g and g & sampled and g <= sampled | {r.arm} for g in interplay)
    scope = "for cells like these" if random_cells else "for these cells"
    out = []
    for contrast in wanted:
        pairs = _pair_level(r, contrast, level)
        if means is None:
            continue
        t = means.contrast(dict(contrast.weights), contrast.name, confidence_level=level).tests[0]
        out.append(
            MechanismEffect(
                contrast.name,
                t.estimate,
                t.se,
                t.df,
                t.p,
                t.ci_low,
                t.ci_high,
                scope,
                pairs,
                "draws" if r.varies(r.hp) else "pairs",
                "pairs" if fit.boundary and pairs is not None else "model",
            )
        )
    return tuple(out)


def _fixed_factors(fit: LmmFit) -> set[str]:
    return {name for term in fit.design.terms for name in term.factors}


def _pair_level(r: Results, contrast: Contrast, level: float) -> PairedT | None:
    """The paired t test on differences averaged over cells within the pair, then over groups.

    Backbones share hp draws, and seeds of a draw its hyperparameters: there, the draw is the unit,
    its seeds averaged in each cell first.
    """
    from stats.prepare import Room, averaged
    from stats.table import PairedTable

    pair, frame = r.pair or r.seed, r.frame
    if r.varies(r.hp):
        whole = frame[frame[r.arm].isin(list(contrast.weights))]
        by_pair = list(dict.fromkeys([*r.cell, *pair]))
        arms = whole.groupby(by_pair, sort=False)[r.arm].transform("size")
        pair, frame = (r.hp,), whole[arms == len(contrast.weights)]
        frame = frame.groupby([r.arm, *r.cell, r.hp], sort=False, as_index=False)[r.score].mean()
    table = PairedTable.from_frame(
        frame, arm=r.arm, pair=pair, cell=r.cell, score=r.score, allow_failed=True
    )
    scores = table.scores()
    test = averaged(contrast, list(range(len(scores.cells))), table, scores, Room({}, None))
    if test.sample.n < 2:
        return None
    return paired_t(test.sample, confidence_level=level)


def _random_intervals(fit: LmmFit, level: float, profile: bool) -> list[tuple[float, float]]:
    """Intervals of the SDs of the random terms in the formula's order, the residual last."""
    if profile:
        rows = [row for row in fit.intervals(level).rows if row.kind == "sd"]
        return [(row.low, row.high) for row in rows]
    from stats.mixed.approximate import component_intervals

    return component_intervals(fit, level)


def _model_of(fit: LmmFit, r: Results) -> Model:
    """Names for the terms of a formula that the caller wrote."""
    from stats.decompose.model import Term
    from stats.mixed.design import INTERCEPT

    known = {term.factors: term for term in choose(r).terms}
    terms = []
    for fixed in fit.design.terms:
        if fixed.name == INTERCEPT:
            continue
        if all(name in fit.design.factors for name in fixed.factors):
            usual = known.get(fixed.factors)
            name = usual.name if usual else fixed.name
            terms.append(Term(fixed.factors, name, True, bool(usual and usual.between)))
    for block in fit.design.blocks:
        usual = known.get(block.term.groups)
        name = usual.name if usual else block.term.label
        if block.k > 1:
            raise StatsError(
                f"{block.term} has several covariates, which a decomposition does not sum up",
                place="formula", value=str(block.term), hint="write it as terms (1 | a:b)",
            )  # fmt: skip
        terms.append(Term(block.term.groups, name, False, bool(usual and usual.between)))
    return Model(tuple(terms), fit.formula, RESIDUAL, ())


def _root(value: float) -> float:
    return math.sqrt(value) if value > 0 else 0.0 if value <= 0 else math.nan
