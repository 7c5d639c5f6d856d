"""Contrasts: which arms are weighed against which."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from stats.errors import StatsError


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of arms whose weights sum to zero.

    ``weights`` maps arm to weight: the positive side is the arm, the negative side the baseline.
    ``group`` names what the contrast belongs to (an axis, "mechanism"), for tables only.
    Raises StatsError when fewer than two arms weigh in or the weights do not sum to zero.
    """

    name: str
    weights: Mapping[str, float]
    group: str = ""

    def __post_init__(self) -> None:
        kept = {arm: float(weight) for arm, weight in self.weights.items() if weight != 0}
        if not all(math.isfinite(weight) for weight in kept.values()):
            raise StatsError("a weight is not finite", place=f"contrast '{self.name}'")
        total, size = math.fsum(kept.values()), math.fsum(abs(w) for w in kept.values())
        if len(kept) < 2 or abs(total) > 1e-9 * size:
            raise StatsError(
                f"the weights must weigh at least two arms and sum to 0, not {total:g}",
                place=f"contrast '{self.name}'",
                value=dict(kept),
                hint="weigh the arm +1 and the baseline -1",
            )
        object.__setattr__(self, "weights", MappingProxyType(kept))

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms on the positive side, in the order given."""
        return tuple(arm for arm, weight in self.weights.items() if weight > 0)

    @property
    def baselines(self) -> tuple[str, ...]:
        """The arms on the negative side, in the order given."""
        return tuple(arm for arm, weight in self.weights.items() if weight < 0)

    def __reduce__(self) -> tuple[type[Contrast], tuple[str, dict[str, float], str]]:
        # A read-only mapping cannot be pickled; the plain one it was made from can.
        return Contrast, (self.name, dict(self.weights), self.group)


def versus(arm: str, baseline: str, *, group: str = "") -> Contrast:
    """``arm`` minus ``baseline``, named after the arm."""
    if arm == baseline:
        raise StatsError(f"arm '{arm}' cannot be compared with itself", place="versus", value=arm)
    return Contrast(arm, {arm: 1.0, baseline: -1.0}, group)


def against(arm: str, baselines: Sequence[str], *, group: str = "") -> tuple[Contrast, ...]:
    """``arm`` minus each of several baselines, each named "arm vs baseline".

    Raises StatsError where no baseline is given, or ``arm`` is one of them.
    """
    if not baselines:
        raise StatsError("no baseline is given", place=f"arm '{arm}'", value=list(baselines))
    return tuple(
        Contrast(f"{arm} vs {name}", versus(arm, name).weights, group) for name in baselines
    )


def mean_versus(
    name: str, arms: Sequence[str], baselines: Sequence[str], *, group: str = ""
) -> Contrast:
    """The plain mean of ``arms`` minus the plain mean of ``baselines``.

    "Mechanism present" is the mean of all design points against one baseline; a level contrast is
    the mean of the arms at a level against the mean of those at the reference level. Raises
    StatsError when a side is empty, names an arm twice, or an arm stands on both sides.
    """
    for side, label in ((arms, "arms"), (baselines, "baselines")):
        if not side or len(set(side)) != len(side):
            raise StatsError(
                f"the {label} must be a list of distinct arms, not {list(side)}",
                place=f"contrast '{name}'",
                value=list(side),
            )
    both = sorted(set(arms) & set(baselines))
    if both:
        raise StatsError(
            f"arm '{both[0]}' stands on both sides", place=f"contrast '{name}'", value=both[0]
        )
    weights = {arm: 1.0 / len(arms) for arm in arms}
    weights.update({arm: -1.0 / len(baselines) for arm in baselines})
    return Contrast(name, weights, group)
