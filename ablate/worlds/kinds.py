"""The worlds: what each plants. Each is a claim of the review turned into a truth."""

from __future__ import annotations

import numpy as np

from ablate.worlds.planted import Noise, Planted
from ablate.worlds.registry import world


@world("null", "nothing has an effect")
def null(rng: np.random.Generator) -> Planted:
    """No arm differs from another; hyperparameters act on all arms alike."""
    return Planted()


@world("mechanism", "the mechanism adds 2 points, its controls nothing")
def mechanism(rng: np.random.Generator) -> Planted:
    """A true gain of the block that reads the sequence."""
    return Planted(mechanism=2.0)


@world("tuning", "the mechanism's best learning rate differs, its best score does not")
def tuning(rng: np.random.Generator) -> Planted:
    """The mechanism looks better at the default learning rate, which is its own optimum.

    The optima of both sides lie alike around the middle of the default range (1e-3 to 1e-2), so
    that neither has an easier search.
    """
    return Planted(curvature=16.0, optimum=-2.699, shift=0.398)


@world("parameters", "only the number of trainable parameters matters")
def parameters(rng: np.random.Generator) -> Planted:
    """The adapter with as many more parameters gains as much."""
    return Planted(parameters=0.7)


@world("perturbation", "any block helps, whatever it reads")
def perturbation(rng: np.random.Generator) -> Planted:
    """The static, the shuffled and the random control gain as much as the mechanism."""
    return Planted(perturbation=2.5)


@world("axes", "memory, writeback and scope have effects, memory and writeback interact")
def axes(rng: np.random.Generator) -> Planted:
    """Three main effects and one interaction; insertion, mixer and gradient_scale do nothing."""
    return Planted(
        mechanism=1.0,
        axes={"memory": 3.0, "writeback": 2.0, "scope": 1.5},
        interactions={("memory", "writeback"): 6.0},
    )


@world("interplay", "the mechanism helps at high learning rates and harms at low ones")
def interplay(rng: np.random.Generator) -> Planted:
    """The sign of the gain flips at half the default learning rate, 2.5e-3."""
    return Planted(mechanism=6.0 * 0.30103, interplay=6.0)


@world("failing", "the mechanism does nothing, but its unlucky runs diverge")
def failing(rng: np.random.Generator) -> Planted:
    """The runs that are left are the lucky ones, so that complete pairs show a gain."""
    return Planted(diverging=0.5, noise=Noise(own=3.0))


@world("backbones", "the mechanism's gain varies over backbones, with mean zero")
def backbones(rng: np.random.Generator) -> Planted:
    """True gains on some backbones, true losses on others, none in the population."""
    return Planted(by_backbone=2.0)
