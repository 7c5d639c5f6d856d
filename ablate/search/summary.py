"""Searches as tables and sentences: trials, effort, budget curve, methods. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ablate.search.plan import SearchPlan
from ablate.search.replay import races
from ablate.search.samplers import find_sampler
from ablate.search.trial import Searched, Trial
from stats.errors import StatsError
from stats.tuned import Effort, search_curve

if TYPE_CHECKING:
    from ablate.ledger import RunRecord
    from stats.describe.budget import BudgetCurve


def methods_sentences(plan: SearchPlan, searches: Sequence[Searched]) -> tuple[str, ...]:
    """What ``methods.md`` says of hyperparameters: spaces, searches, what was chosen."""
    settings, replicates = plan.study.search, len(plan.replicates)
    seeds = [instance.seed for r in plan.replicates for instance in plan.instances(r)]
    times = f"{replicates} searches of " if replicates > 1 else ""
    text = (
        f"Each arm was tuned by itself: {times}{settings.trials} trials by Optuna's sampler "
        f"{settings.sampler}, {settings.round} asked for at once, on seeds {min(seeds)} to "
        f"{max(seeds)} and validation items only"
        + (", with racing by the Wilcoxon pruner (p < .1)" if races(plan) else "")
        + ". The trial of the highest mean validation score was frozen."
    )
    spaces = (f"Space of {s.arm.name}: {s.describe()}." for s in plan.arms)
    chosen = (
        f"Chosen for {s.arm}{f' in search {s.replicate}' if replicates > 1 else ''}: "
        f"{setting_text(s.winner)}."
        for s in searches
    )
    named = plan.study.space.dimensions
    constant = {**vars(plan.study.hp), **vars(plan.study.block)}
    rest = ", ".join(f"{name} {value}" for name, value in constant.items() if name not in named)
    fixed = f"Fixed for all: {rest}."
    return (text, *spaces, *chosen, fixed)


def effort(
    plan: SearchPlan, searches: Sequence[Searched], records: Mapping[str, RunRecord]
) -> tuple[Effort, ...]:
    """What each arm's searches took, over all replicates; a run that trials share counts once."""
    found = []
    for name in (searched.arm.name for searched in plan.arms):
        trials = [t for search in searches if search.arm == name for t in search.trials]
        keys = {key for trial in trials for key in trial.keys}
        costs = [cost for key in keys if key in records and (cost := records[key].cost)]
        found.append(
            Effort(
                name, len(trials), sum(t.stopped for t in trials), len(keys),
                sum(cost.train_seconds + cost.eval_seconds for cost in costs),
            )
        )  # fmt: skip
    return tuple(found)


def budget_curve(plan: SearchPlan, searches: Sequence[Searched]) -> BudgetCurve | None:
    """What a search of n trials finds; None where trials are too few for a curve.

    With several adapters the differences are to the first one's baseline.
    """
    frame = trial_table(searches)[["arm", "search", "trial", "score"]]
    kind = find_sampler(plan.study.search.sampler)
    try:
        return search_curve(
            frame, sampler="random" if kind.independent else plan.study.search.sampler,
            baseline=plan.study.adapters[0], percent=True,
        )  # fmt: skip
    except StatsError:
        return None


def trial_table(searches: Sequence[Searched]) -> pd.DataFrame:
    """One row per trial: arm, search, trial, score (0 to 1), instances, stopped, diverged, chosen,
    then what was tried, a column per name."""
    names = list(dict.fromkeys(n for s in searches for t in s.trials for n in t.values))
    rows = [
        {
            "arm": search.arm,
            "search": search.replicate,
            "trial": trial.number,
            "score": trial.value,
            "instances": len(trial.scores),
            "stopped": trial.stopped,
            "diverged": trial.diverged,
            "chosen": trial is search.winner,
            **{name: trial.values.get(name, "") for name in names},
        }
        for search in searches
        for trial in search.trials
    ]
    return pd.DataFrame(rows)


def setting_text(trial: Trial) -> str:
    """A trial's configuration for people: ``lr 0.00263, rank 16``."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in trial.values.items())


def value_text(value: float | int | str) -> str:
    """A value with three leading digits."""
    return value if isinstance(value, str) else f"{value:.3g}" if value < 1000 else f"{value:g}"
