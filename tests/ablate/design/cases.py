"""Studies and backbones that the tests of designs share."""

import numpy as np

from ablate.design import make_design
from ablate.parse import read_overrides
from ablate.spec import Backbone
from ablate.study import load_study

SHALLOW = Backbone("shallow", "", "d1", 4)
DEEP = Backbone("deep", "", "d2", 8)
CLEAN = "levels.insertion=early,middle"
"""A pair of sites at which every axis acts; the default pair makes gradient_scale inert at one."""


def study(*arguments):
    return load_study(read_overrides(arguments))


def design(*arguments, backbones=(SHALLOW, DEEP)):
    return make_design(study(*arguments), list(backbones))


def value(contrast, means):
    return sum(weight * means[arm] for arm, weight in contrast.weights.items())


def planted(factorial, effects, rng=0):
    """Means of arms under a model of two-level terms, with noise-free random effects added where
    ``effects`` is None: returns the means and the effects by term."""
    generator = np.random.default_rng(rng)
    effects = effects or {term: generator.normal() for term in factorial.terms}
    axes = list(factorial.coding.columns)
    means = {}
    for arm, codes in factorial.codes.items():
        code = dict(zip(axes, codes, strict=True))
        means[arm] = 50.0 + sum(
            effect / 2 * np.prod([code[axis] for axis in term.split(":")])
            for term, effect in effects.items()
        )
    return means, effects
