"""Optuna's view of a factorial and of searches, rebuilt from the ledger.

A factorial is one trial per design point: Optuna does not schedule it (its grid samplers lose or
repeat cells under restarts), it shows it. A search is recorded as it was replayed.
``optuna.load_study``, ``optuna-dashboard`` and the importances work on the records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.home import Home
from ablate.plan import Plan
from ablate.search.trial import Searched, Trial
from ablate.spec import content_key
from stats.compare import Comparison
from talan.axes import AXES

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

DIGEST = "ablate.digest"


@dataclass(frozen=True)
class DesignPointValue:
    """A design point's axis levels and its mean difference to the baseline in points."""

    arm: str
    params: Mapping[str, str]
    value: float | None
    attributes: Mapping[str, float | int | str | None]


def design_point_values(plan: Plan, averages: Comparison) -> list[DesignPointValue]:
    """One entry per arm with the block; no value where no pair is complete."""
    effects = {effect.name: effect for effect in averages.primary}
    entries = []
    for arm in plan.design.arms:
        if not arm.is_design_point or arm.name not in effects:
            continue
        effect = effects[arm.name]
        texts = arm.level_texts()
        params = {axis: texts[axis] for axis in plan.study.axes}
        if len(plan.study.adapters) > 1:
            params["adapter"] = arm.adapter
        value = effect.delta if effect.delta is not None and math.isfinite(effect.delta) else None
        attributes = {
            name: getattr(effect, name) for name in ("n_pairs", "ci_low", "ci_high", "p_adjusted")
        }
        entries.append(DesignPointValue(arm.name, params, value, {"arm": arm.name, **attributes}))
    return entries


def record_factorial(plan: Plan, home: Home, entries: Sequence[DesignPointValue]) -> None:
    """Write the factorial as the Optuna study ``plan.study.name``; nothing if it is up to date."""
    import optuna
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(home.optuna_uri)
    name = plan.study.name
    digest = content_key(
        [[e.arm, dict(e.params), repr(e.value), repr(e.attributes)] for e in entries]
    )
    names = optuna.get_all_study_names(storage)
    if name in names:
        if optuna.load_study(study_name=name, storage=storage).user_attrs.get(DIGEST) == digest:
            return
        optuna.delete_study(study_name=name, storage=storage)
    study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
    choices = {
        axis: [AXES[axis].text(level) for level in plan.study.levels[axis]]
        for axis in plan.study.axes
    }
    choices["adapter"] = list(plan.study.adapters)
    study.add_trials(
        [
            create_trial(
                state=TrialState.FAIL if entry.value is None else TrialState.COMPLETE,
                value=entry.value,
                params=dict(entry.params),
                distributions={key: CategoricalDistribution(choices[key]) for key in entry.params},
                user_attrs=dict(entry.attributes),
            )
            for entry in entries
        ]
    )
    study.set_user_attr("value", "mean difference to the baseline over the main cells, points")
    study.set_user_attr(DIGEST, digest)


def record_searches(home: Home, study: str, searches: Sequence[Searched]) -> None:
    """Write each search as the Optuna study ``study/arm/search-replicate``.

    A record that is the beginning of the search is continued, any other is replaced.
    """
    import optuna

    from ablate.search.replay import distributions, quiet_optuna

    with quiet_optuna():
        storage = optuna.storages.RDBStorage(home.optuna_uri)
        names = optuna.get_all_study_names(storage)
        for search in searches:
            name = f"{study}/{search.arm}/search-{search.replicate}"
            spaces = distributions(search.searched)
            if name in names:
                old = optuna.load_study(study_name=name, storage=storage)
                done = len(old.get_trials(deepcopy=False))
                if old.user_attrs.get(DIGEST) != _digest(search.trials[:done]):
                    optuna.delete_study(study_name=name, storage=storage)
                    names.remove(name)
            if name not in names:
                old = optuna.create_study(study_name=name, storage=storage, direction="maximize")
                text = "mean validation score over the trial's instances, 0 to 1"
                old.set_user_attr("value", text)
                done = 0
            if done == len(search.trials):
                continue
            old.add_trials([_recorded(trial, spaces) for trial in search.trials[done:]])
            old.set_user_attr(DIGEST, _digest(search.trials))


def _digest(trials: Sequence[Trial]) -> str:
    return content_key(
        [[t.number, dict(t.values), list(map(repr, t.scores)), t.stopped] for t in trials]
    )


def _recorded(trial: Trial, spaces: Mapping[str, BaseDistribution]) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    return create_trial(
        state=TrialState.COMPLETE,
        value=trial.value,
        params={name: trial.values[name] for name in spaces},
        distributions=dict(spaces),
        intermediate_values=dict(enumerate(trial.scores)),
        user_attrs={
            "stopped": trial.stopped,
            "diverged": trial.diverged,
            "run_keys": list(trial.keys),
        },
    )
