"""The registry of designs. It knows nothing of studies, which are validated against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ablate.design.naming import Namer, crossed
from talan.axes import Level

if TYPE_CHECKING:
    from ablate.design.arms import Point
    from ablate.design.sameness import Same
    from ablate.study import Study

Estimates = Literal["simple", "mains", "interactions"]
"""What a design tells: simple effects around one point, main effects averaged over the other axes,
or also interactions of two axes."""


@dataclass(frozen=True)
class Layout:
    """The points of a design and what they can tell.

    ``points`` are declared ones, the reference first; two may be one mechanism. ``levels`` are
    those of each varied axis that the points take. ``centre`` is the point around which a design of
    simple effects moves one axis at a time, the first where none is named. ``crossed``: every
    combination of levels is there. ``interactions`` are the ones that were asked for, None where it
    is all that can be told. ``own_families``: main effects and interactions are families of their
    own. ``generators`` are those of a regular fraction (see ``stats.factorial.fraction``).
    """

    points: tuple[Point, ...]
    levels: Mapping[str, tuple[Level, ...]]
    estimates: Estimates
    centre: Point | None = None
    crossed: bool = False
    interactions: tuple[str, ...] | None = None
    own_families: bool = False
    generators: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


LayoutMaker = Callable[["Study", "Same"], Layout]


@dataclass(frozen=True)
class DesignKind:
    """A registered design: how it lays out the points of a study, and a line of help.

    ``recipe`` is raised when the same study would get other points. ``settings`` are the keys
    ``fraction.*`` it reads; others are refused. ``name_point`` gives a point its label.
    """

    name: str
    lay_out: LayoutMaker
    help: str
    recipe: int
    settings: tuple[str, ...]
    name_point: Namer


DESIGNS: dict[str, DesignKind] = {}


def register_design(
    name: str,
    *,
    help: str,
    recipe: int = 1,
    settings: tuple[str, ...] = (),
    name_point: Namer = crossed,
) -> Callable[[LayoutMaker], LayoutMaker]:
    """Add a design: a function of a study, and of what makes points the same, to a ``Layout``."""

    def add(lay_out: LayoutMaker) -> LayoutMaker:
        DESIGNS[name] = DesignKind(name, lay_out, help, recipe, settings, name_point)
        return lay_out

    return add


def default_design(whole: bool) -> str:
    """The design of a study that names none: each of all six axes in turn, fewer axes crossed."""
    return "one-at-a-time" if whole else "factorial"
