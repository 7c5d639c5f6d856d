"""Optuna's view of a factorial: one trial per design point, rebuilt from the inference.

Optuna does not schedule the factorial (its grid samplers lose or repeat cells under restarts); it
shows it: ``optuna.load_study``, ``optuna-dashboard`` and the importances work on the record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablate.home import Home
from ablate.plan import Plan
from ablate.spec import content_key
from stats.compare import Comparison
from talan.axes import AXES

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
