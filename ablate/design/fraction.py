"""Two-level fractions: part of all combinations of two levels of each axis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ablate.design.crossing import crossing
from ablate.design.naming import compact
from ablate.design.registry import Layout, register_design
from ablate.design.sameness import acting_levels
from ablate.errors import AblateError, nearest
from talan.axes import AXES, Level

if TYPE_CHECKING:
    from ablate.design.arms import Point
    from ablate.design.sameness import Same
    from ablate.study import Study

RESOLUTIONS = (4, 5, 6)
ALL, MAIN = "all", "main"

_WORDS: dict[int, dict[int, tuple[str, ...]]] = {
    4: {4: ("D=ABC",)},
    5: {4: ("E=ABCD",), 5: ("E=ABCD",)},
    6: {4: ("E=ABC", "F=BCD"), 5: ("F=ABCDE",), 6: ("F=ABCDE",)},
}
"""Generators by number of axes and least resolution wanted, minimum aberration (Box, Hunter and
Hunter 2005, Statistics for Experimenters, table 6.22); none listed: the full factorial."""


@register_design(
    "fraction",
    help="two levels of each axis, the part of all combinations that tells effects apart",
    settings=("resolution", "terms"),
    name_point=compact,
)
def fraction(study: Study, same: Same) -> Layout:
    """The smallest regular fraction 2^(k-p) of the resolution wanted, V where none is named.

    Signs are chosen so that the reference point is in it.
    """
    levels = pairs(study, "fraction")
    resolution = study.fraction.resolution or 5
    generators = generators_of(list(levels), resolution)
    points = [point for point in crossing(study, levels) if _is_in(point, levels, generators)]
    return Layout(
        points=tuple(points),
        levels=levels,
        estimates="interactions",
        crossed=not generators,
        interactions=requested(study, list(levels)),
        own_families=True,
        generators=generators,
        notes=(*pair_notes(study, levels), *free_of_inertness(study, levels, same)),
    )


def pairs(study: Study, design: str) -> dict[str, tuple[Level, Level]]:
    """The reference level and the first other level of each varied axis.

    Raises:
        AblateError: no axis is varied.
    """
    if not study.axes:
        raise AblateError(
            "no axis is varied", place=f"design={design}", hint="name them, such as axes=all"
        )
    return {axis: (study.levels[axis][0], study.levels[axis][1]) for axis in study.axes}


def pair_notes(study: Study, levels: Mapping[str, Sequence[Level]]) -> tuple[str, ...]:
    """Which levels a design took of axes for which the study declares more."""
    taken = [
        f"{axis} {'/'.join(map(AXES[axis].text, chosen))}"
        for axis, chosen in levels.items()
        if len(study.levels[axis]) > len(chosen)
    ]
    if not taken:
        return ()
    return (f"of more levels the first were taken: {', '.join(taken)} (levels.AXIS= chooses)",)


def free_of_inertness(
    study: Study, levels: Mapping[str, tuple[Level, Level]], same: Same
) -> tuple[str, ...]:
    """Which declared level in place of a pair's second would let an inert axis act everywhere."""
    inert = _inert_somewhere(study, levels, same)
    for axis in levels:
        for level in study.levels[axis][2:]:
            other = {**levels, axis: (levels[axis][0], level)}
            if inert and not _inert_somewhere(study, other, same):
                pair = ",".join(map(AXES[axis].text, other[axis]))
                return (f"with levels.{axis}={pair} {' and '.join(inert)} would act everywhere",)
    return ()


def _inert_somewhere(
    study: Study, levels: Mapping[str, tuple[Level, Level]], same: Same
) -> list[str]:
    found = acting_levels(crossing(study, levels), levels, same)
    return [axis for axis in levels if any(point[axis] is None for point in found)]


def generators_of(axes: Sequence[str], resolution: int) -> tuple[str, ...]:
    """The generators of the smallest fraction of at least ``resolution``; none: all combinations.

    In the notation of ``stats.factorial.fraction``, reference level -1.
    """
    found = []
    for word in _WORDS.get(len(axes), {}).get(resolution, ()):
        target, letters = word.split("=")
        factors = [axes[ord(letter) - ord("A")] for letter in letters]
        sign = "" if len(factors) % 2 else "-"  # so that the point of all -1 is in the fraction
        found.append(f"{axes[ord(target) - ord('A')]}={sign}{':'.join(factors)}")
    return tuple(found)


def _is_in(
    point: Point, levels: Mapping[str, tuple[Level, Level]], generators: Sequence[str]
) -> bool:
    sign = {axis: 1 if point[axis] == other else -1 for axis, (_, other) in levels.items()}
    for generator in generators:
        target, _, product = generator.partition("=")
        factors = product.removeprefix("-").split(":")
        wanted = math.prod(sign[axis] for axis in factors)
        if sign[target] != (-wanted if product.startswith("-") else wanted):
            return False
    return True


def requested(study: Study, axes: Sequence[str]) -> tuple[str, ...] | None:
    """The interactions that ``fraction.terms`` names, None for all that can be told apart.

    Raises:
        AblateError: a term that is neither a varied axis nor two of them joined by a colon.
    """
    terms = study.fraction.terms
    if not terms or terms == (ALL,):
        return None
    if terms == (MAIN,):
        return ()
    known = [":".join(two) for two in itertools.combinations(axes, 2)]
    found: list[str] = []
    for term in terms:
        turned = ":".join(reversed(term.split(":")))
        if term not in (*axes, *known) and turned not in known:
            raise AblateError(
                f"{term!r} is no interaction of two varied axes",
                place="fraction.terms",
                value=term,
                hint=nearest(term, [MAIN, ALL, *known]),
            )
        found.append(turned if turned in known else term)
    return tuple(term for term in known if term in found)
