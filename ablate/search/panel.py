"""What a report says of a search: tuned against tuned, the shrinkage, the searches themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ablate.report.panel import Panel
from ablate.report.picture import make_picture
from ablate.search.plan import SearchPlan
from ablate.search.replay import races
from ablate.search.summary import (
    budget_curve,
    effort,
    setting_text,
    trial_table,
    value_text,
)
from ablate.search.trial import Searched
from stats.figures.describe import budget_plot
from stats.figures.tuned import shrinkage_plot
from stats.report.section import Table
from stats.tuned import Effort, Tuned, tuned_versus_tuned
from stats.tuned.result import interval_text
from stats.verdict import Verdict, describe

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.ledger import RunRecord

SECTION = "mechanism"
BEST_SHOWN = 5
"""Trials of an arm in the table of its best ones."""

WORDS = {
    Verdict.SUPERIOR_AND_MEANINGFUL: "Better, each tuned",
    Verdict.SUPERIOR: "Better, each tuned",
    Verdict.EQUIVALENT: "No difference that matters",
    Verdict.IDENTICAL: "No difference at all",
    Verdict.INCONCLUSIVE: "Not shown",
    Verdict.UNDEFINED: "No test is possible",
    Verdict.INFERIOR: "No, it is worse",
    Verdict.INFERIOR_AND_MEANINGFUL: "No, it is worse",
}
"""The answer of a comparison of tuned arms, in a word or two."""

ONE_SEARCH = (
    "This holds for the settings that one search of each arm chose; another search would choose "
    "others, and how much that matters is not known (search.replicates=5 tells)."
)
"""What the first screen adds to whatever a search says that was not replicated."""

IMPORTANCE = (
    "How much each hyperparameter matters is not told from these trials: a sampler that learns "
    "visits good regions more often, and importances of such trials are biased. Matched draws "
    "(ablate run, hp.draws=20) tell it, and how the mechanism's effect varies with them."
)


def search_panels(
    plan: SearchPlan,
    searches: Sequence[Searched],
    confirmed: pd.DataFrame,
    selected: pd.DataFrame,
    records: Mapping[str, RunRecord],
    inference: Inference,
) -> tuple[Panel, ...]:
    """The panels of a search's report.

    Args:
        plan: the search.
        searches: its finished searches.
        confirmed: the winners' fresh scores (``confirm.confirmed_table``).
        selected: the scores they were chosen by (``confirm.selected_table``).
        records: the ledger's records of the trials' runs, for computing time.
        inference: the families of the confirmation.
    """
    efforts = effort(plan, searches, records)
    results = [
        tuned_versus_tuned(
            confirmed, selected, arm=f"{adapter}+talan", baseline=adapter, efforts=efforts,
            percent=True, rng=0,
        )
        for adapter in plan.study.adapters
    ]  # fmt: skip
    compared = [_compared(plan, result, inference) for result in results]
    searched = _searched(plan, searches, efforts)
    if len(plan.replicates) > 1:
        return (*compared, searched)
    searched = dataclasses.replace(searched, headline=ONE_SEARCH, qualifies=True)
    caution = Panel("real", "One search of each arm", headline=ONE_SEARCH, qualifies=True)
    return (caution, *compared, searched)


def _compared(plan: SearchPlan, result: Tuned, inference: Inference) -> Panel:
    """One adapter with the block against without, each tuned."""
    label = _labels(plan)
    main = inference.main
    effect = next(e for e in main.primary if result.arm in e.arm.split(", "))
    shown = dataclasses.replace(effect, name=label[result.arm], baseline=label[result.baseline])
    unit = "searches" if plan.study.search.replicates > 1 else "pairs"
    said = describe(shown, main.units, main.sesoi, unit=unit)
    sentences = tuple(_named(text, result, label) for text in result.sentences())
    notes = []
    if result.n_broken:
        notes.append(f"{result.n_broken} pairs lack a score in one of the arms and are left out.")
    notes.append(
        "By seeds: the same setting on the same validation items, fresh seeds, minus the score it "
        "was chosen by. By items: test minus validation items, the same runs; items of one split "
        "may be harder for both arms, and then both fall alike."
    )
    rows = [
        (
            label.get(row.who, row.who), row.selected, row.fresh, row.test,
            interval_text(row.by_seeds), interval_text(row.by_items),
        )
        for row in result.shrinkage
    ]  # fmt: skip
    tables = [
        Table.of(
            "From the selected score to the confirmed one (points)",
            ("", "selected", "fresh seeds", "test items", "by seeds", "by items"),
            rows,
            "Brackets: 95 % intervals, unadjusted.",
        )
    ]
    if result.n_searches > 1:
        tables.append(_replicates(result))
    name = f"shrinkage_{result.baseline}"
    return Panel(
        section=SECTION,
        title=f"Tuned against tuned: {result.baseline}",
        headline=f"Each tuned on validation items: {said}",
        sentences=sentences,
        tables=tuple(tables),
        pictures=(
            make_picture(
                name,
                shrinkage_plot(result, label=label.__getitem__, sesoi=plan.study.sesoi),
                f"Scores of {label[result.arm]} and {label[result.baseline]} as selected, with "
                "fresh seeds and on test items, and their difference",
                "From selection to confirmation. The last difference is the result, with its 95 % "
                "interval; the band is the smallest effect of interest.",
            ),
        ),
        notes=tuple(notes),
        data=result.to_dict(),
        verdict=effect.verdict,
        word=WORDS[effect.verdict],
    )


def _replicates(result: Tuned) -> Table:
    rows = [(name, d.n, interval_text(d)) for name, d in result.by_search]
    return Table.of(
        "Each search's winners (points)",
        ("search", "pairs", "difference on test items"),
        rows,
        "Intervals are conditional on the search's two winners; the headline is over searches.",
    )


def _searched(plan: SearchPlan, searches: Sequence[Searched], efforts: Sequence[Effort]) -> Panel:
    """The searches: spaces, effort, what they chose, what a smaller budget would have found."""
    label, settings = _labels(plan), plan.study.search
    curve = budget_curve(plan, searches)
    pictures = []
    if curve is not None:
        pictures.append(
            make_picture(
                "budget",
                budget_plot(curve, label=label.__getitem__),
                "Best validation score against the number of trials, for each arm",
                f"What a search of n trials finds: {curve.estimand}. {_capital(curve.method)}. "
                "Validation scores of the trials, which flatter both arms (see the shrinkage).",
            )
        )
    first = efforts[0]
    rows = [
        (
            label[e.arm], e.trials, e.stopped, e.runs, e.seconds,
            e.seconds / first.seconds if first.seconds else float("nan"),
        )
        for e in efforts
    ]  # fmt: skip
    return Panel(
        section=SECTION,
        title="The searches",
        sentences=(_equal(efforts, label), *_spaces(plan)),
        tables=(
            Table.of(
                "Trials and computing time",
                ("arm", "trials", "stopped", "runs", "seconds", "of first"),
                rows,
                "Stopped: trials that lost against the best so far on paired instances. Seconds "
                "of training and scoring on one worker.",
            ),
            _chosen(plan, searches),
            _best(searches, label),
        ),
        pictures=tuple(pictures),
        notes=_notes(plan, searches),
        data={
            "sampler": settings.sampler,
            "trials": trial_table(searches).to_dict("records"),
            "efforts": [dataclasses.asdict(e) for e in efforts],
            "budget": None if curve is None else curve.to_dict(),
        },
    )


def _labels(plan: SearchPlan) -> dict[str, str]:
    return {searched.arm.name: searched.arm.label for searched in plan.arms}


def _named(text: str, result: Tuned, label: Mapping[str, str]) -> str:
    """A sentence with the mechanism's arm called as people do."""
    return text.replace(result.arm, label[result.arm].removesuffix(", tuned"))


def _equal(efforts: Sequence[Effort], label: Mapping[str, str]) -> str:
    trials = {e.trials for e in efforts}
    seconds = [e.seconds for e in efforts]
    if len(trials) == 1:
        text = f"Every arm had {trials.pop()} trials"
    else:
        text = "Trials were unequal: " + ", ".join(f"{label[e.arm]} {e.trials}" for e in efforts)
    if min(seconds) <= 0:
        return text + "."
    ratio = max(seconds) / min(seconds)
    costly = label[max(efforts, key=lambda e: e.seconds).arm]
    return text + (
        f"; computing time was equal within {ratio - 1:.0%}."
        if ratio < 1.1
        else f"; computing time was not equal: {costly} took {ratio:.2f} times the least."
    )


def _spaces(plan: SearchPlan) -> tuple[str, ...]:
    shared, extra = plan.arms[0], plan.arms[1]
    more = [n for n in extra.varied if n not in shared.varied]
    text = f"All arms search {shared.describe()} by {plan.study.search.sampler}."
    if not more:
        return (text,)
    return (
        text,
        f"Arms with the mechanism also search {', '.join(more)}: a larger space with the same "
        "number of trials, which favours the baseline where trials are few.",
    )


def _chosen(plan: SearchPlan, searches: Sequence[Searched]) -> Table:
    """The winners' settings: a row per name, a column per arm, searches apart by semicolons."""
    arms = [searched.arm for searched in plan.arms]
    names = list(dict.fromkeys(n for s in searches for n in s.winner.values))
    rows = [
        (name, *(_values_of(name, [s for s in searches if s.arm == arm.name]) for arm in arms))
        for name in names
    ]
    note = "One value per search, in order." if len(plan.replicates) > 1 else ""
    return Table.of("The chosen settings", ("", *(arm.name for arm in arms)), rows, note)


def _values_of(name: str, searches: Sequence[Searched]) -> str:
    texts = [value_text(s.winner.values[name]) for s in searches if name in s.winner.values]
    return "; ".join(texts) or "–"


def _best(searches: Sequence[Searched], label: Mapping[str, str]) -> Table:
    rows = []
    for arm in label:
        mine = [(s, t) for s in searches if s.arm == arm for t in s.trials if not t.stopped]
        mine.sort(key=lambda pair: (-pair[1].value, pair[0].replicate, pair[1].number))
        rows += [
            (arm, s.replicate, t.number, 100 * t.value, setting_text(t))
            for s, t in mine[:BEST_SHOWN]
        ]
    return Table.of(
        f"The {BEST_SHOWN} best trials of each arm",
        ("arm", "search", "trial", "validation", "setting"),
        rows,
        "Validation: mean score over instances and benchmarks, in points; the whole list is in "
        "trials.csv.",
    )


def _notes(plan: SearchPlan, searches: Sequence[Searched]) -> tuple[str, ...]:
    settings, backbones = plan.study.search, plan.backbones
    notes = [
        "A trial's value is its mean validation score over "
        + (f"{len(backbones)} backbones, " if len(backbones) > 1 else "")
        + f"{_count(settings.seeds, 'seed')} and {_count(len(plan.validation), 'benchmark')}"
        + (": one setting is chosen for all backbones." if len(backbones) > 1 else "."),
        "Runs of a search are scored on validation items only; the seeds and test items of the "
        "confirmation are fresh.",
    ]
    if races(plan):
        notes.append(
            "Racing stopped trials that were worse than the best so far on the same instances "
            "(one-sided Wilcoxon p < .1, looked at after every backbone of a seed); they are told "
            "to the sampler with the mean of what was measured, and are never chosen."
        )
    elif settings.race:
        notes.append(
            f"Racing had nothing to do: with {_count(len(plan.instances(0)), 'instance')} of a "
            "trial none can be stopped before its last one (the signed-rank test needs 4)."
        )
    diverged = sum(trial.diverged for search in searches for trial in search.trials)
    if diverged:
        notes.append(
            f"{_count(diverged, 'run')} of the trials diverged and were scored as the unadapted "
            "backbone."
        )
    return (*notes, IMPORTANCE)


def _count(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
