"""Protocol A in the report: what is mechanism, what hyperparameters, what their interplay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ablate.matched_draws.reading import AdapterDraws, read_draws
from ablate.matched_draws.tables import source_name, tables_of
from ablate.report.panel import Panel
from ablate.report.picture import Picture, make_picture
from stats.errors import StatsError
from stats.matched_draws.text import percent, sd_text
from stats.verdict import Verdict
from stats.wording import amount, number, p_value

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan
    from stats.result import Effect

TITLE = "Mechanism, hyperparameters and seeds told apart (matched draws)"


def panel(plan: Plan, tables: Tables, inference: Inference) -> Panel | None:
    """The study's draws read; None for a study with fixed hyperparameters.

    The headline is about the study's primary contrast "mechanism present" (the mean over design
    points against the adapter), with the verdict that the primary family gives it; of several
    adapters, the one with the largest adjusted p.
    """
    if not plan.study.draws.count:
        return None
    try:
        found = read_draws(plan, tables)
    except StatsError as error:
        return Panel(
            section="mechanism", title=TITLE, verdict=Verdict.UNDEFINED,
            sentences=(f"The draws cannot be read: {error}.",),
        )  # fmt: skip
    effects = {effect.name: effect for effect in inference.main.primary}
    weakest = max(found, key=lambda one: _p(effects.get(one.contrast.name)))
    effect = effects.get(weakest.contrast.name)
    several = len(found) > 1
    return Panel(
        section="mechanism",
        title=TITLE,
        headline=headline(weakest, effect, plan.study.sesoi),
        verdict=effect.verdict if effect else Verdict.UNDEFINED,
        sentences=tuple(
            f"Against {one.adapter}: {sentence[0].lower()}{sentence[1:]}" if several else sentence
            for one in found
            for sentence in one.mechanism.sentences()
        ),
        tables=tuple(table for one in found for table in tables_of(one)),
        pictures=tuple(
            picture for one in found for picture in _pictures(one, plan.study.sesoi, several)
        ),
        notes=_notes(plan, found),
        data={one.adapter: _data(one) for one in found},
    )


def headline(found: AdapterDraws, effect: Effect | None, sesoi: float) -> str:
    """Mechanism, interplay and hyperparameters in one sentence."""
    reading = found.mechanism.overall
    mean, units = reading.mean, found.mechanism.units
    where = f"Over {mean.n} hyperparameter draws that all arms share, the mechanism"
    delta, low, high = mean.mean, mean.ci_low, mean.ci_high
    if effect is not None:  # its interval holds together with the rest of the primary family
        delta, low, high = effect.delta, effect.simultaneous_low, effect.simultaneous_high
    size = f"{number(delta, sign=True)} {units}"
    if not math.isnan(low):
        size += f" [{number(low)}, {number(high)}]"
    said = f"{where} {_claim(effect, found.adapter, sesoi)} ({size})"
    spread, sign = reading.interplay, reading.sign
    if math.isnan(spread.low):
        return f"{said}."
    turns = (
        ""
        if math.isnan(sign.share) or sign.high > 0.5  # the sign of the mean is not settled
        else f", turning its sign in {percent(sign.share)} [{percent(sign.low)}, "
        f"{percent(sign.high)}] of the space"
    )
    shown = "varies" if spread.low > 0 else "is not shown to vary"
    return (
        f"{said}; its effect {shown} with hyperparameters (SD {sd_text(spread)}{turns}), which "
        f"move {found.adapter} itself by an SD of {sd_text(reading.hp)}."
    )


def _claim(effect: Effect | None, adapter: str, sesoi: float) -> str:
    """The verdict as a predicate."""
    verdict = effect.verdict if effect else Verdict.UNDEFINED
    bound = amount(sesoi, "points")
    return {
        Verdict.SUPERIOR_AND_MEANINGFUL: f"is better than {adapter} by more than {bound}",
        Verdict.SUPERIOR: f"is better than {adapter}",
        Verdict.EQUIVALENT: f"equals {adapter} within {bound}",
        Verdict.INFERIOR: f"is worse than {adapter}",
        Verdict.INFERIOR_AND_MEANINGFUL: f"is worse than {adapter} by more than {bound}",
        Verdict.IDENTICAL: f"gives the very scores of {adapter}",
        Verdict.INCONCLUSIVE: f"is not shown to differ from {adapter}",
        Verdict.UNDEFINED: f"cannot be tested against {adapter}",
    }[verdict]


def _p(effect: Effect | None) -> float:
    return 2.0 if effect is None or math.isnan(effect.p_adjusted) else effect.p_adjusted


def _notes(plan: Plan, found: Sequence[AdapterDraws]) -> tuple[str, ...]:
    draws = plan.study.draws
    notes = [
        f"Draws: {draws.count} points of {plan.study.space.describe()} ({draws.sampler}), the same "
        f"for every arm, each with {len(plan.study.seeds)} seeds. The draw is the unit: backbones "
        "share it, and its seeds have its hyperparameters in common.",
    ]
    if any(len(one.contrast.arms) > 1 for one in found):
        notes.append(
            "The mechanism stands for the mean over its design points; run noise in the "
            "decomposition is that of this mean, smaller than a single run's."
        )
    for one in found:
        notes += [*(f"Warning: {text}" for text in one.mechanism.warnings), *one.notes]
    notes += [note for one in found for note in one.mechanism.notes]
    return tuple(dict.fromkeys(notes))


def _pictures(found: AdapterDraws, sesoi: float, several: bool) -> list[Picture]:
    from stats.figures.matched_draws import draws_plot, moderators_plot, sources_plot

    suffix = f"-{found.adapter}" if several else ""
    result = found.mechanism
    pictures = []
    if found.parts:
        pictures.append(
            make_picture(
                f"draws-sources{suffix}",
                sources_plot(found.parts, label=source_name, units=result.units),
                "Standard deviations of scores by source, on average over cells and in each cell: "
                + ", ".join(
                    f"{source_name(c.name)} {number(c.sd)}"
                    for c in next(iter(found.parts.values())).components
                ),
                "How far each source moves a run's score, with 95 % intervals; the largest on the "
                "average over cells comes first. Two arms that differ by d points have the SD "
                "d / √2. Hollow: estimated as zero.",
            )
        )
    turned = result.overall.sign
    pictures.append(
        make_picture(
            f"draws-effects{suffix}",
            draws_plot(result, sesoi=sesoi, name=f"mechanism minus {found.adapter}"),
            f"The effect of each of {turned.n} draws, sorted; {turned.opposite} have the sign "
            "opposite to the mean's.",
            "Lines are intervals from seed noise within the draw, the black one the t interval of "
            f"the mean over draws. Grey band: ±{amount(sesoi, 'points')}. That draws spread wider "
            "than their intervals is the interplay of mechanism and hyperparameters: F test p "
            f"{p_value(result.overall.interplay.p, equals=True)}.",
        )
    )
    if result.moderators:
        first = min(result.moderators, key=lambda m: m.p)
        pictures.append(
            make_picture(
                f"draws-hyperparameters{suffix}",
                moderators_plot(result),
                "The effect of each draw against each hyperparameter; the strongest rank "
                f"correlation is {number(first.rho, sign=True)}, with {first.name}.",
                "A point is a draw, the dashed line a least-squares fit. Exploratory: p of the "
                "rank correlation is adjusted over the hyperparameters.",
            )
        )
    return pictures


def _data(found: AdapterDraws) -> dict[str, Any]:
    from stats.record import plain

    return dict(
        plain(
            {
                "mechanism": found.mechanism,
                "points": dict(found.points),
                "components": {name: part.to_dict() for name, part in found.parts.items()},
                "mechanism_x_cell": found.cells,
                "importance": list(found.importance),
            }
        )
    )
