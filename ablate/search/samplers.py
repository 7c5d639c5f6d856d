"""Optuna's samplers by name, and the seed of each suggestion.

A suggestion depends on nothing but the history of its search and a seed of its own, so that a
search that is replayed from its first trial makes the same suggestions, however often it was
interrupted. Sequences (``qmc``) have one seed for the whole search.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.errors import AblateError, nearest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SamplerMaker = Callable[[int], "BaseSampler"]


@dataclass(frozen=True)
class SamplerKind:
    """A registered sampler: made from a seed, which each trial has of its own unless ``sequence``;
    ``independent`` where trials do not depend on those before them."""

    make: SamplerMaker
    help: str
    sequence: bool = False
    independent: bool = False


SAMPLERS: dict[str, SamplerKind] = {}


def register_sampler(
    name: str, *, help: str, sequence: bool = False, independent: bool = False
) -> Callable[[SamplerMaker], SamplerMaker]:
    """Add a sampler: a function of a seed that returns a sampler of Optuna's."""

    def add(make: SamplerMaker) -> SamplerMaker:
        SAMPLERS[name] = SamplerKind(make, help, sequence, independent)
        return make

    return add


def find_sampler(name: str, place: str = "search.sampler") -> SamplerKind:
    """A sampler by name.

    Raises:
        AblateError: no sampler is called so.
    """
    if name not in SAMPLERS:
        raise AblateError(
            f"unknown sampler {name!r}", place=place, value=name, hint=nearest(name, SAMPLERS)
        )
    return SAMPLERS[name]


def seed_of_trial(name: str, search: str, number: int) -> int:
    """The 32-bit seed of a trial's suggestion; ``search`` identifies arm, space and replicate."""
    text = search if find_sampler(name).sequence else f"{search}/{number}"
    return zlib.crc32(text.encode())


@register_sampler("tpe", help="tree-structured Parzen estimator, 10 random trials first")
def _tpe(seed: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed)


@register_sampler("random", help="independent draws", independent=True)
def _random(seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


@register_sampler("qmc", help="a scrambled Sobol sequence", sequence=True)
def _qmc(seed: int) -> BaseSampler:
    from optuna.samplers import QMCSampler

    return QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)


@register_sampler("gp", help="Bayesian optimisation with a Gaussian process")
def _gp(seed: int) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed, deterministic_objective=False)
