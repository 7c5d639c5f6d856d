"""The sections of a page, in order, for each kind of table.

A part has a title (used too when its section cannot be computed) and a function from the study to a
section; ``applies`` tells whether the study has what it is about. The first part of a kind must
succeed. To add a section, write a module beside this one and name its function here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stats.report import cells, distributions, item_level, noise, real, settle, variation
from stats.report.section import Section


def _always(study: Any) -> bool:
    return True


@dataclass(frozen=True)
class Part:
    """One section to be: its title, how it is made, and when it applies."""

    title: str
    make: Callable[[Any], Section]
    applies: Callable[[Any], bool] = _always


PAIRED: list[Part] = [
    Part("Is it real?", real.is_it_real),
    Part(cells.TITLE, cells.in_how_many_cells, lambda study: bool(study.roles.cell)),
    Part(settle.TITLE, settle.what_would_settle),
    Part("Where variation comes from", variation.where_variation_comes_from),
    Part("Distributions", distributions.distributions),
    Part("Items", item_level.items, lambda study: study.items is not None),
    Part("Residual diagnostics", variation.residual_diagnostics),
]

REPEATED: list[Part] = [
    Part("Noise floor", noise.noise_floor),
    Part("The ranking", noise.ranking),
    Part("Shifts between occasions", noise.shifts),
    Part("Which entries repeat badly", noise.entries),
    Part("Residual diagnostics", variation.residual_diagnostics),
]
