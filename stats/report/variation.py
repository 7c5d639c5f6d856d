"""Sections "Where variation comes from" and "Residual diagnostics": the study's mixed model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stats.report.section import Answer, Picture, Section, Table, interval
from stats.wording import number

if TYPE_CHECKING:
    from stats.decompose.analysis import Decomposition
    from stats.mixed.fit import LmmFit
    from stats.report.study import PairedStudy, RepeatedStudy

MOST_EFFECTS = 6


def where_variation_comes_from(study: PairedStudy) -> Section:
    """The decomposition: shares, its picture, the effects by the model and by the pairs."""
    from stats.decompose.text import sentence

    d = study.decomposition
    answers = [Answer(_largest(d))]
    answers += [Answer(sentence(e, d.units)) for e in d.effects[:MOST_EFFECTS]]
    notes = [
        f"Model, in lme4's syntax: {d.formula}",
        f"SDs are in {d.units}, with {d.confidence_level:.0%} intervals by {d.interval_method}. "
        "Fixed: the spread of these very levels, corrected for estimation error; random: of a "
        "population of levels. A share is negative where the unbiased estimate of a variance is.",
    ]
    if d.boundary:
        notes.append(
            "A variance is estimated as zero, so that the model's degrees of freedom are in doubt: "
            "the effect to quote is that of the paired test."
        )
    figures: tuple[Picture, ...] = ()
    if study.options.figures:
        figures = (
            Picture.of(
                "variation",
                d.plot(),
                "Standard deviation of the scores due to each source, with intervals; the numbers "
                "are in the table above.",
                f"Standard deviations by source, {d.units}.",
            ),
        )
    return Section(
        "Where variation comes from",
        tuple(answers),
        (_components(d),),
        figures,
        (*notes, *d.notes),
        d.to_dict(),
    )


def residual_diagnostics(study: PairedStudy | RepeatedStudy) -> Section:
    """Residuals of the mixed model against fitted values, and their quantiles."""
    from stats.figures.mixed import residual_plots
    from stats.report.study import PairedStudy

    fit = study.decomposition.fit if isinstance(study, PairedStudy) else study.floor.fit
    units = study.decomposition.units if isinstance(study, PairedStudy) else study.floor.units
    table = fit.residuals()
    scaled = table["scaled"].to_numpy()
    beyond = int((abs(scaled) > 3).sum())
    expected = 2 * fit.n * 0.5 * math.erfc(3 / math.sqrt(2))
    centred = scaled - scaled.mean()
    kurtosis = float((centred**4).mean() / (centred**2).mean() ** 2 - 3)
    answer = (
        f"{beyond} of {fit.n} residuals of the mixed model are beyond 3 SD ({expected:.1f} "
        f"expected of normal ones), excess kurtosis {number(kurtosis, sign=True)}."
    )
    figures: tuple[Picture, ...] = ()
    if study.options.figures:
        figures = (
            Picture.of(
                "residuals",
                residual_plots(fit, units=units),
                "Residuals against fitted values, and their quantiles against normal ones.",
                "Left: no pattern and even spread are expected. Right: points on the line are "
                "expected; ends that bend away are heavy tails.",
            ),
        )
    return Section(
        "Residual diagnostics",
        (Answer(answer),),
        (_extreme(fit, units),),
        figures,
        (
            "The tests of differences rest on the pairs (t, sign flips), not on this model: bent "
            "residuals weaken the intervals of its components first."
            if isinstance(study, PairedStudy)
            else "Heavy tails or uneven spread make a floor that is too low for some entries and "
            "too high for others.",
        ),
        {"beyond_3_sd": beyond, "expected": expected, "excess_kurtosis": kurtosis},
    )


def _largest(d: Decomposition) -> str:
    inside = [c for c in d.components if not math.isnan(c.share)]
    ranked = sorted(inside, key=lambda c: -c.share)[:3]
    parts = [f"{c.name} {100 * c.share:.0f} %" for c in ranked if c.share > 0]
    text = f"Of the variation of scores within cells, {', '.join(parts)}."
    own = next((c for c in inside if c.name == "mechanism"), None)
    if own is not None and own.share <= 0:
        text += " None is shown to come from the mechanism (its estimate is zero or below)."
    elif own is not None and own not in ranked:
        text += f" The mechanism: {100 * own.share:.1f} %."
    return text


def _components(d: Decomposition) -> Table:
    return Table.of(
        "Sources of variation",
        ["source", "kind", "levels", "SD", "interval", "share within cells"],
        [
            [c.name, c.kind, c.levels, c.sd, interval(c.low, c.high),
             "–" if math.isnan(c.share) else f"{100 * c.share:.1f} %"]
            for c in d.components
        ],
        "Shares are of the variance within cells; differences between cells have none.",
    )  # fmt: skip


def _extreme(fit: LmmFit, units: str) -> Table:
    """The five largest residuals with what names their rows."""
    table = fit.residuals()
    frame = fit.design.frame
    names = [name for name in fit.design.factors if name in frame]
    order = table["residual"].abs().sort_values(ascending=False).index[:5]
    rows = []
    for i in order:
        row = frame.iloc[i]
        rows.append(
            [*(str(row[name]) for name in names), float(table["residual"][i]),
             float(table["scaled"][i])]
        )  # fmt: skip
    return Table.of("The largest residuals", [*names, f"residual, {units}", "in SDs"], rows)
