"""The searches, replayed from their first trial each time.

The ledger holds the runs, and a run is a pure function of its RunSpec. So a search needs no state
of its own: each time the command runs, an in-memory study of Optuna's is built from trial 0 for
every arm and replicate. Suggestions are asked for in rounds of fixed size; the trials of a round
share their history, are seeded one by one, and are told in the order of their numbers. Whatever
the ledger already has is not trained again. A search that was killed anywhere and started again
therefore makes the same trials, bit for bit, as one that was not.

Racing compares a trial with the best one so far on paired instances (Optuna's WilcoxonPruner). A
trial that is stopped is told with the mean of the instances it was measured on, as the pruner's
documentation asks; it can never be chosen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ablate.errors import NoInference
from ablate.plan import PlannedRun
from ablate.search.plan import SearchArm, SearchPlan, Values
from ablate.search.samplers import find_sampler, seed_of_trial
from ablate.search.trial import Searched, Trial
from ablate.space import Between, Dimension

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

P_THRESHOLD = 0.1
"""A trial is stopped where it is worse than the best with a one-sided Wilcoxon p below this."""

STARTUP = 2
"""Instances before which the pruner says nothing."""

Scores = Mapping[str, float | None]
"""The validation score of runs by key; None of a run that diverged."""

Execute = Callable[[Sequence[PlannedRun]], Scores]
"""Carries out those of some runs that are not in the ledger, and returns the scores of all."""


@dataclass
class _Live:
    """A trial that is being measured."""

    trial: optuna.Trial
    values: Values
    scores: list[float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    diverged: int = 0
    stopped: bool = False


class _Search:
    """One search: its study in memory, and its trials so far."""

    def __init__(self, plan: SearchPlan, searched: SearchArm, replicate: int) -> None:
        import optuna

        self.searched, self.replicate = searched, replicate
        self.instances = plan.instances(replicate)
        self.trials: list[Trial] = []
        self._sampler = plan.study.search.sampler
        self._key = plan.search_key(searched, replicate)
        self._asked = distributions(searched)
        self._fixed = {
            name: dimension.at(0.0)
            for name, dimension in searched.dimensions.items()
            if not dimension.varies
        }
        self._study = optuna.create_study(
            direction="maximize",
            sampler=self._make_sampler(0),
            pruner=optuna.pruners.WilcoxonPruner(p_threshold=P_THRESHOLD, n_startup_steps=STARTUP),
        )

    def _make_sampler(self, number: int) -> Any:
        seed = seed_of_trial(self._sampler, self._key, number)
        return find_sampler(self._sampler).make(seed)

    def ask(self) -> _Live:
        """The next trial."""
        number = len(self._study.get_trials(deepcopy=False))
        if not find_sampler(self._sampler).sequence:
            self._study.sampler = self._make_sampler(number)
        trial = self._study.ask(fixed_distributions=dict(self._asked))
        return _Live(trial, {**self._fixed, **trial.params})

    def tell(self, live: _Live) -> None:
        """Close a trial."""
        done = Trial(
            live.trial.number, live.values, tuple(live.scores), tuple(live.keys), live.stopped,
            live.diverged,
        )  # fmt: skip
        self._study.tell(live.trial, done.value)
        self.trials.append(done)

    def done(self) -> Searched:
        """The search as far as it has come."""
        return Searched(self.searched, self.replicate, tuple(self.trials))


def run_searches(
    plan: SearchPlan,
    execute: Execute,
    on_round: Callable[[tuple[Searched, ...]], None] = lambda searches: None,
) -> tuple[Searched, ...]:
    """Carry out all searches of a plan side by side, round by round.

    Args:
        plan: arms, replicates, instances, number of trials, sampler, size of a round.
        execute: trains and scores; must be a function of the runs alone.
        on_round: told of the trials so far after each round.

    Returns:
        A search per arm and replicate, replicate by replicate.
    """
    settings = plan.study.search
    with quiet_optuna():
        unadapted = score_unadapted(plan, execute)
        searches = [
            _Search(plan, searched, replicate)
            for replicate in plan.replicates
            for searched in plan.arms
        ]
        for start in range(0, settings.trials, settings.round):
            count = min(settings.round, settings.trials - start)
            asked = [(search, search.ask()) for _ in range(count) for search in searches]
            for first, last in blocks(plan):
                going = [(search, live) for search, live in asked if not live.stopped]
                _measure(plan, going, range(first, last), execute, unadapted)
                if settings.race and last < len(searches[0].instances):
                    for _, live in going:
                        live.stopped = live.trial.should_prune()
            for search, live in asked:
                search.tell(live)
            on_round(tuple(search.done() for search in searches))
    return tuple(search.done() for search in searches)


def score_unadapted(plan: SearchPlan, execute: Execute) -> dict[str, float]:
    """The validation score of each backbone as it is, which a diverged run is worth.

    Raises:
        NoInference: one has no score.
    """
    runs = [plan.unadapted_run(backbone, plan.validation) for backbone in plan.backbones]
    found = execute(runs)
    scores = {run.backbone: score for run in runs if (score := found[run.key]) is not None}
    for run in runs:
        if run.backbone not in scores:
            raise NoInference(
                f"backbone {run.backbone} has no validation score as it is (run {run.key[:8]}), so "
                "that a diverged trial could not be scored",
                place="search",
                hint="see the run with: ablate status, or leave the backbone out (backbones=...)",
            )
    return scores


def _measure(
    plan: SearchPlan,
    going: Sequence[tuple[_Search, _Live]],
    steps: range,
    execute: Execute,
    unadapted: Mapping[str, float],
) -> None:
    """Measure trials on the instances ``steps``, all at once, and report in trial order."""
    placed = [
        (live, step, plan.trial_run(s.searched, live.values, s.instances[step], s.replicate))
        for step in steps
        for s, live in going
    ]
    scores = execute([run for _, _, run in placed])
    for live, step, run in placed:
        found = scores[run.key]
        live.diverged += found is None
        score = unadapted[run.backbone] if found is None else found
        live.scores.append(score)
        live.keys.append(run.key)
        live.trial.report(score, step)


def blocks(plan: SearchPlan) -> list[tuple[int, int]]:
    """The instances [first, last) that are measured at once, between decisions to stop a trial.

    A decision is taken where every backbone has been measured equally often, so that the means
    compare, and from as many instances on as can reach the threshold: with k pairs the smallest
    one-sided p of the signed-rank test is 2^-k.
    """
    count = len(plan.instances(0))
    ends = [count]
    if plan.study.search.race:
        each = len(plan.backbones)
        ends = [k for k in range(each, count, each) if k > STARTUP and 2.0**-k < P_THRESHOLD]
        ends.append(count)
    return list(zip([0, *ends[:-1]], ends, strict=True))


def races(plan: SearchPlan) -> bool:
    """Whether racing can stop a trial before its last instance."""
    return plan.study.search.race and len(blocks(plan)) > 1


def distributions(searched: SearchArm) -> dict[str, BaseDistribution]:
    """The varied part of an arm's space as Optuna's distributions, in a fixed order."""
    from optuna.distributions import CategoricalDistribution

    found: dict[str, BaseDistribution] = {
        name: _distribution(dimension)
        for name, dimension in searched.dimensions.items()
        if dimension.varies
    }
    return found | {a: CategoricalDistribution(texts) for a, texts in searched.levels.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(dimension, Between):
        return CategoricalDistribution(dimension.values)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Without Optuna's log of each trial and its notices of experimental parts."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
