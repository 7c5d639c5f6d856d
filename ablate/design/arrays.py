"""Three-level screening arrays L18 and L27: main effects of up to six axes in few points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ablate.design.fraction import pair_notes
from ablate.design.naming import compact
from ablate.design.registry import Layout, register_design
from ablate.errors import AblateError
from talan.axes import AXES, Level

if TYPE_CHECKING:
    from ablate.design.sameness import Same
    from ablate.study import Study

L18 = tuple(
    tuple(int(digit) - 1 for digit in row)
    for row in (
        "11111111", "11222222", "11333333", "12112233", "12223311", "12331122",
        "13121323", "13232131", "13313212", "21133221", "21211332", "21322113",
        "22123132", "22231213", "22312321", "23132312", "23213123", "23321231",
    )
)  # fmt: skip
"""The mixed array 2 x 3^7 in 18 runs (Taguchi 1987, System of Experimental Design): a column of two
levels, then seven of three."""

_L27_WORDS: dict[int, tuple[tuple[int, int, int], ...]] = {
    3: (),
    4: ((1, 1, 1),),
    5: ((0, 1, 1), (1, 1, 2)),
    6: ((0, 1, 1), (1, 1, 2), (1, 2, 1)),
}
"""Generated columns of 3^(k-p) in 27 runs, as multiples modulo 3 of the three basic ones: of all
choices the one with the fewest words of length three, then four (minimum aberration, found by
enumeration)."""


@register_design(
    "l18",
    help="18 points: three levels of up to seven axes, one of them may have two; main effects only",
    name_point=compact,
)
def l18(study: Study, same: Same) -> Layout:
    """The array 2 x 3^7: an axis of two levels in its first column, the others in order."""
    two = [axis for axis in study.axes if len(study.levels[axis]) == 2]
    levels = _levels(study, "l18", 18, may_have_two=two[:1])
    columns = iter(range(1, 8))
    place = {axis: 0 if axis in two else next(columns) for axis in levels}
    rows = [[row[place[axis]] for axis in levels] for row in L18]
    return _layout(study, levels, rows)


@register_design(
    "l27",
    help="27 points: three levels of each axis, 3^(6-3); main effects only",
    name_point=compact,
)
def l27(study: Study, same: Same) -> Layout:
    """The regular fraction 3^(k-p) in 27 runs."""
    levels = _levels(study, "l27", 27)
    words = _L27_WORDS[len(levels)]
    rows = [
        [*basic, *(sum(map(int.__mul__, word, basic)) % 3 for word in words)]
        for basic in itertools.product(range(3), repeat=3)
    ]
    return _layout(study, levels, rows)


def _levels(
    study: Study, design: str, n_points: int, may_have_two: Sequence[str] = ()
) -> dict[str, tuple[Level, ...]]:
    """The first three levels of each axis (two of those that may).

    Raises:
        AblateError: an axis has too few levels, or all combinations are no more than the array.
    """
    for axis in study.axes:
        count = len(study.levels[axis])
        if count < 3 and axis not in may_have_two:
            also = " besides " + may_have_two[0] if may_have_two else ""
            raise AblateError(
                f"{design} needs three levels, and {axis} has {count}{also}",
                place=f"levels.{axis}",
                value=study.levels[axis],
                hint=(
                    f"give a third, or fix it: at.{axis}={AXES[axis].text(study.levels[axis][0])}"
                    + ("" if may_have_two or count < 2 or design == "l18" else
                       "; design=l18 takes one axis of two levels")
                ),
            )  # fmt: skip
    levels = {axis: study.levels[axis][:3] for axis in study.axes}
    combinations = math.prod(len(each) for each in levels.values())
    if combinations <= n_points:
        raise AblateError(
            f"all combinations of these levels are {combinations} points, and {design} has "
            f"{n_points}",
            place=f"design={design}",
            value=design,
            hint="design=factorial tells more",
        )
    return levels


def _layout(
    study: Study, levels: Mapping[str, tuple[Level, ...]], rows: Sequence[Sequence[int]]
) -> Layout:
    points = [
        dict(study.at) | {axis: levels[axis][i] for axis, i in zip(levels, row, strict=True)}
        for row in rows
    ]
    return Layout(tuple(points), levels, "mains", notes=pair_notes(study, levels))
