"""What the registered designs would make of a study: how many points, and what they tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from ablate.design.build import Design, make_design
from ablate.design.fraction import MAIN, RESOLUTIONS
from ablate.design.registry import DESIGNS
from ablate.errors import AblateError
from ablate.spec import Backbone
from ablate.study import FractionSettings, Study


@dataclass(frozen=True)
class Alternative:
    """A design that suits the study's axes and levels.

    ``settings`` are the keys that ask for it; ``points`` the distinct design points, each an arm
    beside every adapter; ``resolution`` that of a regular two-level fraction, None for others.
    ``mains`` and ``interactions`` count the terms it tells, and ``estimates`` says so in words.
    ``study`` is the study with these settings, and ``design`` what it makes.
    """

    settings: tuple[str, ...]
    points: int
    resolution: int | None
    mains: int
    interactions: int
    estimates: str
    study: Study
    design: Design


def alternatives(study: Study, backbones: Sequence[Backbone]) -> list[Alternative]:
    """Every registered design with its settings that can be made of the study, fewest points first.

    Of several settings that give the same points the first is kept. Designs that do not suit the
    levels are left out.
    """
    found: list[Alternative] = []
    seen = []
    for name, kind in DESIGNS.items():
        for settings in _settings(kind.settings):
            asked = dataclasses.replace(study, design=name, fraction=settings)
            try:
                design = make_design(asked, backbones)
            except AblateError:
                continue
            told = (frozenset(arm.name for arm in design.arms), _terms(design))
            if told in seen:
                continue
            seen.append(told)
            found.append(_alternative(asked, design))
    return sorted(found, key=lambda each: each.points)


def _settings(known: Sequence[str]) -> list[FractionSettings]:
    found = [FractionSettings()]
    if "resolution" in known:
        found += [FractionSettings(resolution=each) for each in RESOLUTIONS]
    if "points" in known:
        found.append(FractionSettings(terms=(MAIN,)))
    return found


def _terms(design: Design) -> tuple[str, ...]:
    return design.factorial.terms if design.factorial else ()


def _alternative(study: Study, design: Design) -> Alternative:
    points = sum(arm.is_design_point for arm in design.arms) // len(study.adapters)
    factorial = design.factorial
    keys = [f"design={study.design}"]
    keys += [
        f"fraction.{key}={','.join(value) if isinstance(value, tuple) else value}"
        for key, value in vars(study.fraction).items()
        if value
    ]
    if factorial is None:
        mains = interactions = 0
        estimates = "simple effects around the reference point only"
    else:
        mains = sum(":" not in term for term in factorial.terms)
        interactions = len(factorial.terms) - mains
        pairs = len(study.axes) * (len(study.axes) - 1) // 2
        estimates = f"{mains} main effect{'s' * (mains > 1)}"
        if pairs:
            estimates += f", {interactions} of {pairs} interactions"
        if not factorial.pairs:
            estimates += ", all levels" if factorial.alias is None else ", up to three levels"
    return Alternative(
        settings=tuple(keys),
        points=points,
        resolution=factorial.resolution if factorial else None,
        mains=mains,
        interactions=interactions,
        estimates=estimates,
        study=study,
        design=design,
    )
