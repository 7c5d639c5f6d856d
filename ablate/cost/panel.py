"""The panel "does it cost anything": retention, then parameters, time and memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.adapters import ADAPTERS
from ablate.backbones import n_parameters
from ablate.cost.figure import retention_figure
from ablate.cost.resources import Resources, resources
from ablate.cost.retention import AS_IS, LEVEL, ArmRetention, Retention, retention
from ablate.report.answer import capital, mechanism_effects
from ablate.report.panel import Panel
from ablate.report.picture import Picture, make_picture
from ablate.result import DONE
from stats.report.section import Table, interval
from stats.verdict import Verdict
from stats.wording import amount, number, p_value, plural

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan
    from stats.median import MedianInterval

MOST_PLACES = 24
"""Rows of the table that shows every place; with more, the weakest of each arm stand for them."""

FALLS = (Verdict.INFERIOR_AND_MEANINGFUL, Verdict.INFERIOR)

POINTS = "points"
ROUNDING = 1e-9
"""Points that are rounding errors of means."""


def panel(plan: Plan, tables: Tables, inference: Inference) -> Panel | None:
    """What the mechanism costs in this study; None without an arm that has it."""
    arms = [(arm.name, arm.label, arm.adapter) for arm in plan.design.arms if arm.is_design_point]
    kept = retention(
        tables.results[tables.results["benchmark"].isin(plan.retention)],
        tables.unadapted,
        arms,
        plan.study.retention_margin,
        unit=plan.unit,
    )
    taken = () if plan.study.world else _resources(plan, tables, arms)
    if kept is None and not taken:
        return None
    said = [_retention_sentence(kept), _largest_losses(kept)] if kept else []
    said += _resource_sentences(taken)
    fallen = _fallen(inference)
    pictures: tuple[Picture, ...] = ()
    if kept is not None:
        pictures = (
            make_picture(
                "retention",
                retention_figure(kept),
                alt=said[0],
                caption=(
                    "Mean difference on retention and its one-sided 97.5 % lower limit, per arm "
                    "and place. An arm keeps its strengths where every limit lies right of the "
                    f"line at -{kept.margin:g}."
                ),
            ),
        )
    return Panel(
        section="cost",
        title="Retention, parameters, time and memory",
        headline=said[0],
        sentences=tuple(said[1:]),
        tables=tuple(_tables(kept, taken)),
        pictures=pictures,
        notes=tuple(_notes(plan, kept, taken)),
        data={
            "retention": kept.to_dict() if kept else None,
            "resources": [each.to_dict() for each in taken],
        },
        word=_word(kept, fallen),
        verdict=None if kept is None else fallen if fallen or kept.holds else Verdict.INCONCLUSIVE,
    )


def _fallen(inference: Inference) -> Verdict | None:
    """The verdict that retention falls on average, where the family of retention has one."""
    effects = mechanism_effects(inference.retention.primary) if inference.retention else []
    return next(
        (verdict for verdict in FALLS if any(effect.verdict is verdict for effect in effects)), None
    )


def _word(kept: Retention | None, fallen: Verdict | None) -> str:
    """Whether it costs anything, in a word or two."""
    if kept is None:
        return ""
    if kept.holds:
        return "Less than the margin" if fallen else "Not in retention"
    return "Yes, retention falls" if fallen else "Not excluded"


def _resources(
    plan: Plan, tables: Tables, arms: Sequence[tuple[str, str, str]]
) -> tuple[Resources, ...]:
    done = set(tables.results.loc[tables.results["outcome"] == DONE, "run_key"])
    costs: pd.DataFrame = tables.costs[tables.costs["run_key"].isin(done)]
    return resources(
        costs,
        arms,
        {backbone.name: n_parameters(Path(backbone.source)) for backbone in plan.backbones},
        whole=[name for name, adapter in ADAPTERS.items() if adapter.build is None],
        over_draws=plan.over_draws,
    )


def _retention_sentence(kept: Retention) -> str:
    """Whether strengths are kept, in one sentence."""
    loss = f"a loss of {amount(kept.margin, POINTS)} or more on retention"
    where = "on every backbone, against the adapter alone and against the backbone as it is"
    one = len(kept.arms) == 1
    weakest = max(kept.arms, key=_weakness)
    if kept.holds:
        who = "the mechanism" if one else f"each of {len(kept.arms)} arms with the mechanism"
        p = weakest.together.p
        proof = "all scores identical" if math.isnan(p) else f"p {p_value(p, equals=True)}"
        return f"For {who}, {loss} is excluded {where} (one-sided 97.5 %, {proof})."
    why = _reason(weakest, kept)
    if one:
        return f"{loss.capitalize()} is not excluded {where}: {why}."
    shown = sum(arm.holds_adjusted for arm in kept.arms)
    return (
        f"{loss.capitalize()} is excluded for {shown} of {len(kept.arms)} arms {where} "
        f"(one-sided 97.5 %, adjusted over arms); the weakest is {weakest.label}: {why}."
    )


def _largest_losses(kept: Retention) -> str:
    """What was seen: the largest mean loss on each side of comparison."""
    said = []
    for ours in (True, False):
        means = [
            (arm.together.tests[place.key].mean, arm, place)
            for arm in kept.arms
            for place in arm.places
            if (place.against != AS_IS) == ours and arm.together.tests[place.key].n
        ]
        if not means:
            continue
        mean, arm, place = min(means, key=lambda each: each[0])
        side = "its adapter alone" if ours else "the backbone as it is"
        what = (
            f"the largest mean loss seen is {number(-mean)} points ({arm.label}, "
            f"{place.benchmark} on {place.backbone})"
            if mean < -ROUNDING
            else "no mean loss was seen"
        )
        said.append(f"against {side}, {what}")
    return f"{capital('; '.join(said))}."


def _weakness(arm: ArmRetention) -> tuple[bool, int, float]:
    """Larger where less is shown."""
    p = arm.together.p
    return not arm.holds, arm.diverged, (0.0 if arm.together.holds else 2.0) if math.isnan(p) else p


def _reason(arm: ArmRetention, kept: Retention) -> str:
    """Why an arm is not shown to keep its strengths."""
    if arm.diverged:
        runs = "1 run" if arm.diverged == 1 else f"{arm.diverged} runs"
        return f"{runs} diverged, and such a run keeps nothing"
    place = arm.weakest
    assert place is not None, "an arm whose scores are all identical keeps them"
    test = arm.together.tests[place.key]
    side = "the backbone as it is" if place.against == AS_IS else f"{place.against} alone"
    of = f"{place.benchmark} on {place.backbone}, against {side}"
    if math.isnan(test.p):
        return f"{of}, {test.n} {plural(kept.unit)} without spread allow no test"
    return (
        f"{of}, {number(test.mean, sign=True)} points with a lower limit of "
        f"{number(test.low, sign=True)} ({test.n} {plural(kept.unit)})"
    )


def _resource_sentences(taken: Sequence[Resources]) -> list[str]:
    if not taken:
        return []
    shares = [part for each in taken for both in each.share.values() for part in both]
    counts = [count for each in taken for both in each.added.values() for count in both]
    said = [
        f"The block adds {_span(counts, '{:,.0f}')} trainable parameters, "
        f"{_span([100 * part for part in shares], '{:.2g}')} % of backbone and adapter."
    ]
    times = {"Training": [each.train for each in taken], "Scoring": [each.score for each in taken]}
    for what, found in times.items():
        medians = [median for median in found if median is not None]
        if not medians:
            continue
        if len(medians) == 1:
            m = medians[0]
            around = (
                f", 95 % interval {number(m.low)} to {number(m.high)}, {m.n} values"
                if not math.isnan(m.low)
                else f" of {m.n}, too few for an interval"
            )
            said.append(
                f"{what} takes {number(m.median)} times as long as the adapter alone (median"
                f"{around})."
            )
        else:
            said.append(
                f"{what} takes {_span([m.median for m in medians], '{:.2f}')} times as long as the "
                "adapter alone, by arm (medians)."
            )
    return said


def _span(values: Sequence[float], form: str) -> str:
    """``3`` or ``3 to 7``."""
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def _tables(kept: Retention | None, taken: Sequence[Resources]) -> list[Table]:
    made = []
    if kept is not None:
        every = sum(len(arm.places) for arm in kept.arms) <= MOST_PLACES
        made.append(_retention_table(kept, every))
    if taken:
        made.append(
            Table.of(
                "What the block takes beside its adapter",
                ("arm", "parameters", "share %", "train ×", "95 %", "score ×", "95 %", "MB more"),
                [
                    (
                        each.label,
                        _span([n for both in each.added.values() for n in both], "{:,.0f}"),
                        _span([100 * s for both in each.share.values() for s in both], "{:.2g}"),
                        *_shown(each.train),
                        *_shown(each.score),
                        math.nan if each.memory is None else each.memory.median,
                    )
                    for each in taken
                ],
                note=(
                    "parameters, share: added to what trains, of backbone and adapter · train, "
                    "score: time over that of the adapter alone, medians · MB more: of peak memory"
                ),
            )
        )
    return made


def _shown(median: MedianInterval | None) -> tuple[float, str]:
    if median is None:
        return math.nan, "–"
    return median.median, interval(median.low, median.high)


def _retention_table(kept: Retention, every: bool) -> Table:
    rows: list[tuple[Any, ...]] = []
    for arm in kept.arms:
        for against in dict.fromkeys(place.against for place in arm.places):
            tests = arm.tests(against)
            places = list(tests) if every else [max(tests, key=_by(tests))]
            for place in places:
                test = tests[place]
                rows.append(
                    (
                        arm.label,
                        against,
                        f"{place.backbone} × {place.benchmark}",
                        0.0 if abs(test.mean) < ROUNDING else test.mean,
                        test.low,
                        test.p,
                        test.n,
                        "identical" if test.identical else "yes" if test.holds else "no",
                    )
                )
    return Table.of(
        f"Is a loss of {amount(kept.margin, POINTS)} excluded?"
        + ("" if every else " (each arm's weakest place)"),
        ("arm", "against", "where", "mean", "limit", "p", "n", "shown"),
        rows,
        note=(
            "mean: difference in points · limit: one-sided 97.5 % lower limit · p: of a loss of "
            f"the margin or more, unadjusted · n: {plural(kept.unit)}"
        ),
    )


def _by(tests: dict[Any, Any]) -> Callable[[Any], float]:
    """Where a test shows least: the largest p, one that is not possible before all."""
    return lambda place: (
        -1.0 if tests[place].identical else 2.0 if math.isnan(tests[place].p) else tests[place].p
    )


def _notes(plan: Plan, kept: Retention | None, taken: Sequence[Resources]) -> list[str]:
    notes = []
    if kept is None:
        notes.append("No retention benchmark is scored, so nothing is said of what was unlearned.")
    else:
        lost, units = sum(arm.lost for arm in kept.arms), plural(kept.unit)
        notes += [
            f"Retention is a family of its own: t tests over {units} at {1 - LEVEL:.1%} "
            f"one-sided against a declared margin (retention.margin={kept.margin:g}); an arm's "
            "claim is their intersection-union, for which no test needs a correction, and claims "
            "on several arms are adjusted by Holm. The items are fixed: the claim is about seeds.",
            "The backbone as it is has one fixed score; the difference to it is tested over the "
            f"arm's {units}.",
        ]
        if lost:
            notes.append(
                f"{lost} differences (of {units}, in all places) lack a score and are left "
                "out; a run that diverged forbids the claim on its arm."
            )
    if taken:
        notes.append(
            "Times are those of whole runs, while other workers may have shared the machine; a run "
            "that an earlier study trained brings its time from there."
        )
        unlike = sum(each.unlike for each in taken)
        if unlike:
            notes.append(
                f"Times and memory are not compared in {unlike} pairs whose arms have different "
                "shared hyperparameters (each its own search's): the difference is not the block's."
            )
        notes.append(
            "Peak memory is what torch took on the GPU during a run."
            if plan.runs[0].spec.device == "cuda"
            else "Peak memory is the worker's resident memory during a run: mostly libraries, and "
            "a little more with every run that the worker has made."
        )
    return notes
