import itertools
import math

import numpy as np
import pytest

from ablate.design import make_design, points
from ablate.design.exchange import d_efficiency, d_optimal_rows
from ablate.design.fraction import generators_of
from ablate.errors import AblateError
from stats.factorial.fraction import fraction
from talan.axes import AXES
from tests.ablate.design.cases import CLEAN, DEEP, SHALLOW, design, planted, study, value


def matrix(factorial, terms=None):
    """The mean and the columns of terms, one row per arm."""
    coding = factorial.coding
    columns = [coding[term.split(":")].prod(axis=1) for term in terms or factorial.terms]
    return np.column_stack([np.ones(len(coding)), *columns])


def test_six_axes_take_half_of_64_points_at_resolution_six():
    found = design("axes=all", "design=fraction", CLEAN).factorial
    assert (found.n_points, found.n_crossed, found.resolution) == (32, 64, 6)
    assert found.relation == (":".join(AXES),)
    assert len(found.mains) == 6
    assert len(found.interactions) == 15
    assert found.not_estimable == ()
    assert found.alias.clear == found.terms
    assert found.rank == (22, 22)
    x = matrix(found)
    assert np.array_equal(x.T @ x, 32 * np.eye(22))
    assert math.isclose(found.efficiency, 1)


def test_a_quarter_has_the_book_s_alias_table():
    # Box, Hunter and Hunter 2005, 2^(6-2) with E=ABC, F=BCD: seven strings of interactions
    found = design("axes=all", "design=fraction", CLEAN, "fraction.resolution=4").factorial
    letter = dict(zip(AXES, "ABCDEF", strict=True))

    def short(term):
        return "".join(letter[axis] for axis in term.split(":"))

    assert [short(word) for word in found.relation] == ["ABCE", "ADEF", "BCDF"]
    assert found.terms == tuple(AXES)
    strings = {
        frozenset([short(term), *(short(t) for t in why.split("with ")[1].split(", "))])
        for term, why in found.not_estimable
    }
    assert strings == {
        frozenset(text.split("="))
        for text in ("AB=CE", "AC=BE", "AD=EF", "AE=BC=DF", "AF=DE", "BD=CF", "BF=CD")
    }


@pytest.mark.parametrize(
    ("n_axes", "resolution", "n_points", "got"),
    [(6, 4, 16, 4), (6, 5, 32, 6), (6, 6, 32, 6), (5, 4, 16, 5), (5, 5, 16, 5), (5, 6, 32, None),
     (4, 4, 8, 4), (4, 5, 16, None), (3, 4, 8, None), (2, 5, 4, None), (1, 5, 2, None)],
)  # fmt: skip
def test_the_smallest_fraction_of_the_resolution_wanted(n_axes, resolution, n_points, got):
    axes = list(AXES)[:n_axes]
    arguments = [f"axes={','.join(axes)}", "design=fraction", f"fraction.resolution={resolution}"]
    if "insertion" in axes:
        arguments.append(CLEAN)
    found = design(*arguments)
    assert sum(arm.is_design_point for arm in found.arms) == n_points
    assert found.secondary == found.primary  # presence, in every cell
    assert found.factorial.resolution == got
    assert bool(generators_of(axes, resolution)) == (got is not None)


def test_the_points_are_those_that_the_generators_pick_out():
    found = design("axes=insertion,memory,mixer,writeback,scope", "design=fraction", CLEAN)
    made = fraction(found.factorial.pairs, found.factorial.generators)
    wanted = set(made.design.itertuples(index=False, name=None))
    axes = found.factorial.axes
    arms = [arm.level_texts() for arm in found.arms if arm.is_design_point]
    assert {tuple(texts[axis] for axis in axes) for texts in arms} == wanted
    assert made.relation == found.factorial.relation == (f"-{':'.join(axes)}",)


def test_merging_makes_the_gradient_scale_act_at_half_of_the_points():
    found = design("axes=all", "design=fraction").factorial
    facts = {fact.term: fact for fact in found.facts}
    assert found.pairs["insertion"] == ("early", "embedding")
    assert (found.coding["gradient_scale"] == 0).sum() == 16
    at_embedding = found.coding["insertion"] == 1
    assert (found.coding.loc[at_embedding, "gradient_scale"] == 0).all()
    assert (facts["gradient_scale"].acts_at, facts["insertion"].acts_at) == (16, 32)
    assert math.isclose(facts["gradient_scale"].variance, 2)
    assert math.isclose(facts["memory"].variance, 1)
    assert found.correlated == ()
    ((term, why),) = found.not_estimable
    assert term == "insertion:gradient_scale"
    assert "it is gradient_scale itself: with insertion=embedding nothing trainable" in why
    assert len(found.interactions) == 14
    assert {a.alias for a in found.alias.aliases if a.term == "memory:gradient_scale"} == {
        "mixer:writeback:scope"
    }


def test_a_level_that_would_avoid_inertness_is_named():
    notes = design("axes=all", "design=fraction").notes
    assert "with levels.insertion=early,middle gradient_scale would act everywhere" in notes
    assert not any(
        "would act" in note for note in design("axes=all", "design=fraction", CLEAN).notes
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["design=fraction"],
        ["design=fraction", CLEAN],
        ["design=fraction", "fraction.resolution=4"],
        ["design=d-optimal"],
        ["design=d-optimal", "fraction.points=30"],
        ["design=d-optimal", "fraction.terms=mixer:scope", "adapters=lora,dora"],
    ],
)
def test_contrasts_find_what_was_planted(arguments):
    found = design("axes=all", *arguments).factorial
    means, effects = planted(found, None)
    for contrast in (*found.mains, *found.interactions):
        assert math.isclose(value(contrast, means), effects[contrast.group], abs_tol=1e-9)
    assert [c.group for c in (*found.mains, *found.interactions)] == list(found.terms)


def test_a_main_effect_of_a_fraction_is_a_difference_of_means_over_acting_points():
    found = design("axes=all", "design=fraction").factorial
    (contrast,) = [c for c in found.mains if c.group == "gradient_scale"]
    code = found.coding["gradient_scale"]
    assert contrast.name == "gradient_scale: 0 vs 1"
    assert len(contrast.weights) == 16
    for arm, weight in contrast.weights.items():
        assert math.isclose(weight, code[arm] / 8)


def test_an_interaction_is_half_the_difference_of_differences():
    found = design("axes=mixer,scope", "design=fraction").factorial
    (contrast,) = found.interactions
    means = dict(zip(found.codes, [1.0, 2.0, 4.0, 9.0], strict=True))
    assert list(found.codes.values()) == [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    assert math.isclose(value(contrast, means), ((9 - 4) - (2 - 1)) / 2)


def test_a_fraction_tests_the_mechanism_first_and_its_effects_in_families_of_their_own():
    found = design("axes=all", "design=fraction", "adapters=lora,dora")
    assert [c.name for c in found.primary] == [
        "mechanism present (lora)",
        "mechanism present (dora)",
    ]
    assert found.factorial.own_families
    weights = found.factorial.mains[0].weights
    assert len(weights) == 64
    assert {arm.split("+")[0] for arm in weights} == {"lora", "dora"}


def test_two_complete_crossings_have_the_same_effects_by_either_estimator():
    from ablate.design.coding import Coding
    from ablate.design.contrasts import by_least_squares, by_means
    from ablate.design.crossing import crossing
    from ablate.design.fraction import pairs
    from ablate.design.sameness import acting_levels, same_on

    found = study("axes=insertion,gradient_scale,mixer")
    levels = pairs(found, "fraction")
    same = same_on(found, [SHALLOW])
    rows = Coding.of(acting_levels(crossing(found, levels), levels, same), levels)
    terms = ["insertion", "gradient_scale", "mixer", "insertion:mixer", "gradient_scale:mixer"]
    for a, b in zip(by_means(rows, terms[3:]), by_least_squares(rows, terms), strict=True):
        assert (a.name, a.term) == (b.name, b.term)
        assert np.allclose(a.weights, b.weights)


def test_d_optimal_takes_distinct_points_and_beats_random_ones():
    found = design("axes=all", "design=d-optimal")
    factorial = found.factorial
    assert (factorial.n_points, factorial.n_crossed) == (24, 64)
    assert len({arm.name for arm in found.arms}) == 25
    every = matrix(
        design("axes=all", "design=d-optimal", "fraction.points=48").factorial, factorial.terms
    )
    assert len(every) == 48
    generator = np.random.default_rng(1)
    chosen = d_efficiency(matrix(factorial))
    assert math.isclose(chosen, factorial.efficiency)
    random = [d_efficiency(every[generator.permutation(48)[:24]]) for _ in range(200)]
    assert chosen > max(random)
    assert chosen > 0.86


def test_d_optimal_finds_the_optimum_where_all_choices_can_be_tried():
    generator = np.random.default_rng(3)
    candidates = np.column_stack([np.ones(12), generator.choice([-1.0, 0.0, 1.0], (12, 3))])
    best = max(
        np.linalg.det(candidates[[0, *rows]].T @ candidates[[0, *rows]])
        for rows in itertools.combinations(range(1, 12), 5)
    )
    rows = d_optimal_rows(candidates, 6, keep=(0,))
    assert rows == sorted(rows)
    assert rows[0] == 0
    assert math.isclose(np.linalg.det(candidates[rows].T @ candidates[rows]), best)


def test_d_optimal_is_the_same_every_time_and_holds_the_reference():
    found = study("axes=all", "design=d-optimal")
    once, again = (points(found, [SHALLOW, DEEP]) for _ in range(2))
    assert once == again
    assert once[0] == {axis: found.levels[axis][0] for axis in found.axes}


def test_d_optimal_for_main_effects_needs_few_points():
    found = design("axes=all", "design=d-optimal", "fraction.terms=main").factorial
    assert found.n_points == 10
    assert found.interactions == ()
    assert all(fact.variance < 2.5 for fact in found.facts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fraction.terms=insertion:gradient_scale"],
         r"cannot estimate insertion:gradient_scale: it is gradient_scale itself"),
        ([CLEAN, "fraction.resolution=4", "fraction.terms=mixer:scope"],
         r"cannot estimate mixer:scope: .*aliased with insertion:memory; .*resolution"),
        ([CLEAN, "fraction.resolution=4", "fraction.terms=mixer:scope,insertion:memory"],
         r"cannot estimate insertion:memory: .*aliased with mixer:scope"),
        (["fraction.terms=mixer:mixer"], r"'mixer:mixer' is no interaction of two varied axes"),
        (["fraction.terms=insertion:memory:mixer"], r"no interaction of two varied axes"),
        (["fraction.points=24"], r"design=fraction has no points to choose.*d-optimal"),
        (["levels.insertion=early,1"], r"levels.insertion: levels early, 1 of insertion are the"),
    ],
)  # fmt: skip
def test_what_a_fraction_cannot_do_is_refused(arguments, message):
    with pytest.raises(AblateError, match=message):
        design("axes=all", "design=fraction", *arguments, backbones=[SHALLOW])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["axes=all", "fraction.points=12"], r"12 points cannot tell the mean and 20 .*21 or more"),
        (["axes=all", "fraction.points=60"], r"48 distinct points, not 60; give 21 to 48"),
        (["axes=none"], r"no axis is varied"),
    ],
)
def test_what_d_optimal_cannot_do_is_refused(arguments, message):
    with pytest.raises(AblateError, match=message):
        design("design=d-optimal", *arguments)


def test_a_term_that_was_asked_for_may_be_spelled_either_way():
    found = design("axes=all", "design=fraction", "fraction.terms=scope:mixer,mixer:scope,memory")
    assert found.factorial.terms == (*AXES, "mixer:scope")


@pytest.mark.parametrize("backbones", [[SHALLOW], [SHALLOW, DEEP]])
def test_an_axis_that_acts_on_one_backbone_acts(backbones):
    found = make_design(
        study("axes=insertion,mixer", "design=fraction", "levels.insertion=middle,2",
              "levels.mixer=mlp,none"),
        [DEEP, *backbones],
    )  # fmt: skip
    assert (found.factorial.coding != 0).all(axis=None)
