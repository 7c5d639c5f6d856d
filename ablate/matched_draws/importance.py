"""Hyperparameter importance on the draws, by Optuna's evaluators: a description.

The draws are independent of what came out, which adaptive trials of a search are not: importance
computed on those would say where the sampler went.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ablate.space import Between, Dimension, Space, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.importance import BaseImportanceEvaluator

TOP = 0.25
"""PED-ANOVA asks what sets the best quarter of the draws apart from all of them; Optuna's tenth
would be two draws of twenty."""

FANOVA_SEED = 0
FANOVA, PED_ANOVA = "fANOVA", "PED-ANOVA"


@dataclass(frozen=True)
class Importance:
    """Shares of the importance by hyperparameter, summing to 1, of one target by one evaluator."""

    target: str
    evaluator: str
    shares: Mapping[str, float]


def importances(
    space: Space,
    draws: Sequence[Mapping[str, Value]],
    targets: Mapping[str, tuple[Sequence[str], Sequence[float]]],
) -> tuple[Importance, ...]:
    """The importance of hyperparameters for each target, by each evaluator at hand.

    Args:
        space: where the draws come from.
        draws: the hyperparameters of each draw.
        targets: by name, the hyperparameters that can matter to it and its value at each draw. A
            target that does not vary is left out.
    """
    found = []
    for target, (names, values) in targets.items():
        varied = [name for name in names if name in space.varied]
        if not varied or not np.ptp(values):
            continue
        for name, evaluator in _evaluators().items():
            shares = _shares(space, varied, draws, values, evaluator)
            found.append(Importance(target, name, shares))
    return tuple(found)


def _evaluators() -> dict[str, BaseImportanceEvaluator]:
    """PED-ANOVA, and fANOVA where scikit-learn is installed."""
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "experimental"
        found: dict[str, BaseImportanceEvaluator] = {
            PED_ANOVA: PedAnovaImportanceEvaluator(target_quantile=TOP)
        }
        if importlib.util.find_spec("sklearn") is not None:
            found[FANOVA] = FanovaImportanceEvaluator(seed=FANOVA_SEED)
    return found


def _shares(
    space: Space,
    names: Sequence[str],
    draws: Sequence[Mapping[str, Value]],
    values: Sequence[float],
    evaluator: BaseImportanceEvaluator,
) -> dict[str, float]:
    """The normalised importance of each name, on a study in memory made of the draws."""
    import optuna

    distributions = {name: _distribution(space.dimensions[name]) for name in names}
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction="maximize")
            study.add_trials(
                [
                    optuna.trial.create_trial(
                        params={
                            name: _inside(space.dimensions[name], draw[name]) for name in names
                        },
                        distributions=distributions,
                        value=float(value),
                    )
                    for draw, value in zip(draws, values, strict=True)
                ]
            )
            shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(before)
    return {name: float(shares.get(name, 0.0)) for name in names}


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(dimension, Between):
        if dimension.whole:
            return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return CategoricalDistribution(dimension.values)


def _inside(dimension: Dimension, value: Value) -> Value:
    """The value within its range: draws are rounded to six digits, which may step over an end."""
    if not isinstance(dimension, Between) or dimension.whole:
        return value
    return float(min(max(value, dimension.low), dimension.high))
