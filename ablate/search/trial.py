"""What a search has found: its trials, in order, and the one it chose."""

from __future__ import annotations

from dataclasses import dataclass

from ablate.search.plan import SearchArm, Values


@dataclass(frozen=True)
class Trial:
    """A configuration and its validation scores (0 to 1), one per instance, in their order.

    A trial that was stopped early has fewer scores than instances. ``keys`` are its runs;
    ``diverged`` counts those that diverged and were scored as the unadapted backbone.
    """

    number: int
    values: Values
    scores: tuple[float, ...]
    keys: tuple[str, ...]
    stopped: bool
    diverged: int

    @property
    def value(self) -> float:
        """The mean score over the instances that it was measured on."""
        return sum(self.scores) / len(self.scores)


@dataclass(frozen=True)
class Searched:
    """A finished search: the trials of an arm in a replicate."""

    searched: SearchArm
    replicate: int
    trials: tuple[Trial, ...]

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.searched.arm.name

    @property
    def winner(self) -> Trial:
        """The trial of the highest validation score among those measured on every instance; the
        first of them where several are equal."""
        whole = [trial for trial in self.trials if not trial.stopped]
        return max(whole, key=lambda trial: (trial.value, -trial.number))
