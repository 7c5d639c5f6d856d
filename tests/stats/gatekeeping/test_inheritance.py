"""The inheritance procedure: by hand, by definition, and its familywise error."""

import itertools

import numpy as np
import pytest
from scipy import special

from stats.errors import StatsError
from stats.gatekeeping.inheritance import inheritance

# average - two groups - two cells each
PARENTS = [None, 0, 0, 1, 1, 2, 2]


def rejected_at(p, parents, alpha):
    """The procedure at one level, straight from its definition."""
    children = {i: [j for j, parent in enumerate(parents) if parent == i] for i in range(len(p))}
    rejected = set()

    def finished(i):
        return i in rejected and all(finished(j) for j in children[i])

    def shares(members, share):
        heirs = [i for i in members if not finished(i)]
        for i in heirs:
            if i in rejected:
                yield from shares(children[i], share / len(heirs))
            else:
                yield i, share / len(heirs)

    while True:
        new = {i for i, share in shares([0], alpha) if p[i] <= share}
        if not new:
            return rejected
        rejected |= new


def test_a_tree_by_hand():
    # the average takes all; b1 needs .004 / (1/2); its cells have 1/4 each, then 1/2
    p = [0.001, 0.004, 0.5, 0.002, 0.004, 0.02, 0.03]
    adjusted, opened = inheritance(p, PARENTS)
    assert adjusted == pytest.approx([0.001, 0.008, 0.5, 0.008, 0.008, 0.5, 0.5])
    assert opened == pytest.approx([0, 0.001, 0.001, 0.008, 0.008, 0.5, 0.5])


def test_a_branch_shown_to_its_end_leaves_its_share_to_the_other():
    p = [1e-6, 1e-6, 0.03, 1e-6, 1e-6, 0.9, 0.9]
    adjusted, _ = inheritance(p, PARENTS)
    assert adjusted[2] == pytest.approx(0.03)  # not .06, half the level


def test_nothing_is_tested_before_its_parent():
    adjusted, opened = inheritance([0.2, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9], PARENTS)
    assert (adjusted >= 0.2).all()
    assert (opened[1:] >= 0.2).all()


def test_adjusted_p_values_say_what_the_procedure_rejects_at_every_level():
    rng = np.random.default_rng(1)
    for _ in range(60):
        p = rng.random(7) ** 4
        adjusted, _ = inheritance(p, PARENTS)
        for alpha in (0.01, 0.05, 0.2):
            if np.abs(adjusted - alpha).min() > 1e-9:
                assert set(np.flatnonzero(adjusted <= alpha)) == rejected_at(p, PARENTS, alpha)


def test_no_test_is_no_rejection():
    adjusted, _ = inheritance([np.nan, 0.0, 0.0], [None, 0, 0])
    assert adjusted.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("p", "parents", "message"),
    [
        ([], [], "0 p-values"),
        ([0.1, 0.2], [None], "2 p-values and 1 parents"),
        ([0.1, 1.2], [None, 0], "not between 0 and 1"),
        ([0.1, 0.2], [1, None], "does not come before it"),
    ],
)
def test_bad_input(p, parents, message):
    with pytest.raises(StatsError, match=message):
        inheritance(p, parents)


GROUPS, CELLS = 3, 3
TREE = [None, *[0] * GROUPS, *(1 + b for b in range(GROUPS) for _ in range(CELLS))]
PATTERNS = {
    "nothing has an effect": np.zeros((GROUPS, 1)),
    "effects cancel over groups": np.array([[3.0], [0.0], [-3.0]]),
    "one group has all of it": np.array([[9.0], [0.0], [0.0]]),
    "one cell of each group": np.array([9.0, 0, 0]) * np.ones((GROUPS, 1)),
    "half of the groups, half of the cells": np.array([[9.0, 9, 0], [9, 0, 0], [0, 0, 0]]),
}
SURE = 9.0
"""Against the other adapter every claim is beyond doubt, so that joining the two costs nothing:
the least favourable case."""


def scenario(name):
    """Effects (adapters, groups, cells) in standard deviations of a cell."""
    pattern = PATTERNS[name] * np.ones((GROUPS, CELLS))
    return np.stack([np.full_like(pattern, SURE), pattern])


def simulated_p(effects, rng):
    """One-sided p-values (2 directions, nodes) of the claims, adapters joined, and which are null.

    Noise: cells of a group share half of their variance, and so do the two adapters' arms.
    """
    shared = rng.normal(size=(2, GROUPS, 1)) + rng.normal(size=(1, GROUPS, 1))
    z = effects + (shared + rng.normal(size=effects.shape) * np.sqrt(2)) / 2
    groups, sd = z.mean(axis=2), np.sqrt((2 + 2 / CELLS) / 4)
    means = groups.mean(axis=1)
    nodes = np.concatenate(
        [
            means[:, None] / (sd / np.sqrt(GROUPS)),
            groups / sd,
            z.reshape(2, -1),
        ],
        axis=1,
    )
    true = np.concatenate(
        [
            effects.mean(axis=(1, 2))[:, None],
            effects.mean(axis=2),
            effects.reshape(2, -1),
        ],
        axis=1,
    )
    p = np.stack([special.ndtr(-nodes).max(axis=0), special.ndtr(nodes).max(axis=0)])
    null = np.stack([(true <= 0).any(axis=0), (true >= 0).any(axis=0)])
    return p, null


def error_rate(effects, rejects, rounds=500):
    rng = np.random.default_rng(7)
    errors = 0
    for _ in range(rounds):
        p, null = simulated_p(effects, rng)
        errors += any((rejects(p[side]) & null[side]).any() for side in (0, 1))
    return errors / rounds


def by_gates(p):
    return inheritance(p, TREE)[0] <= 0.025


def without_gates(p):
    """What a table of unadjusted tests would claim."""
    return p <= 0.025


@pytest.mark.parametrize("name", PATTERNS)
def test_the_familywise_error_is_at_most_alpha(name):
    # Only "better" can be wrong here, at .025: 99.9 % of Binomial(500, .025) are at most 25.
    assert error_rate(scenario(name), by_gates) <= 25 / 500


def test_the_simulation_catches_a_procedure_without_gates():
    assert error_rate(scenario("one group has all of it"), without_gates) > 25 / 500
    assert error_rate(scenario("nothing has an effect"), without_gates) > 25 / 500


def test_power_is_that_of_one_test_at_the_root():
    effects = np.full((2, GROUPS, CELLS), 0.6)
    rng = np.random.default_rng(3)
    hits = [by_gates(simulated_p(effects, rng)[0][0]) for _ in range(300)]
    assert np.mean([hit[0] for hit in hits]) > np.mean([hit[1:] for hit in hits])
    assert not any(hit[1:].any() and not hit[0] for hit in hits)


def test_children_never_stand_without_their_parents():
    rng = np.random.default_rng(5)
    for _ in range(100):
        adjusted, _ = inheritance(rng.random(len(TREE)) ** 3, TREE)
        for child, parent in itertools.islice(enumerate(TREE), 1, None):
            assert adjusted[child] >= adjusted[parent]
