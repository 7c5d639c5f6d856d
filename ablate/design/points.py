"""The design points of a study, by its registered design."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.design import arrays, crossing, fraction, optimal  # noqa: F401  (they fill DESIGNS)
from ablate.design.registry import DESIGNS, Layout
from ablate.design.sameness import Same, same_on
from ablate.errors import AblateError

if TYPE_CHECKING:
    from ablate.design.arms import Point
    from ablate.spec import Backbone
    from ablate.study import Study


def points(study: Study, backbones: Sequence[Backbone] = ()) -> list[Point]:
    """The design points of a study, the reference first; merged ones are included.

    ``backbones`` matter to designs that choose among distinct points only; without any, all
    combinations of levels count as distinct.
    """
    return list(lay_out(study, same_on(study, backbones)).points)


def lay_out(study: Study, same: Same) -> Layout:
    """The layout of a study's design.

    Raises:
        AblateError: the levels do not suit the design, or a setting ``fraction.*`` is given that it
            does not read.
    """
    kind = DESIGNS[study.design]
    for name, value in vars(study.fraction).items():
        if value and name not in kind.settings:
            able = [other.name for other in DESIGNS.values() if name in other.settings]
            raise AblateError(
                f"design={study.design} has no {name} to choose",
                place=f"fraction.{name}",
                value=value,
                hint=f"it belongs to design={' and design='.join(able)}",
            )
    return kind.lay_out(study, same)
