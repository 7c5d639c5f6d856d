"""Synthetic worlds: runs whose outcomes are drawn from a known model, for checks of the whole.

In a world nothing is trained. A run's items are answered as a model with planted effects says, so
that what a report claims can be held against what is true. ``world=NAME`` or ``world=NAME:7`` in a
study selects a kind of world and which one of that kind.
"""

from ablate.worlds import kinds as _kinds
from ablate.worlds.draw import execute
from ablate.worlds.planted import Noise, Planted
from ablate.worlds.registry import WORLDS, Kind, banner, find_world, world, world_key
from ablate.worlds.truth import Truth, contrast_truth, flip_share, population_truth, truths
from ablate.worlds.world import World

__all__ = [
    "WORLDS",
    "Kind",
    "Noise",
    "Planted",
    "Truth",
    "World",
    "banner",
    "contrast_truth",
    "execute",
    "find_world",
    "flip_share",
    "population_truth",
    "truths",
    "world",
    "world_key",
]

del _kinds
