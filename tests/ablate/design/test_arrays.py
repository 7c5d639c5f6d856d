import itertools
import math

import numpy as np
import pytest

from ablate.design.alternatives import alternatives
from ablate.design.arrays import L18
from ablate.design.structure import structure_tables, structure_text
from ablate.errors import AblateError
from tests.ablate.design.cases import CLEAN, DEEP, SHALLOW, design, study, value

FIVE = "insertion,memory,mixer,writeback,gradient_scale"
SITES = "levels.insertion=early,middle,late"
THIRD_SCOPE = "levels.scope=joint,readout,side"


def levels_of(found):
    return np.array([
        [list(found.factorial.levels[axis]).index(arm.level_texts()[axis])
         for axis in found.factorial.axes]
        for arm in found.arms
        if arm.is_design_point
    ])  # fmt: skip


def balanced(rows):
    """Every pair of columns holds every pair of levels equally often."""
    for i, j in itertools.combinations(range(rows.shape[1]), 2):
        counts = np.unique(rows[:, [i, j]], axis=0, return_counts=True)[1]
        possible = len(np.unique(rows[:, i])) * len(np.unique(rows[:, j]))
        if len(counts) < possible or len(set(counts)) > 1:
            return False
    return True


def test_the_table_l18_is_an_orthogonal_array_of_strength_two():
    table = np.array(L18)
    assert table.shape == (18, 8)
    assert [len(set(column)) for column in table.T] == [2] + [3] * 7
    assert balanced(table)
    assert not balanced(table[:17])


@pytest.mark.parametrize(
    ("arguments", "n_points"),
    [
        (["axes=all", "design=l18", SITES], 18),
        ([f"axes={FIVE}", "design=l18", SITES], 18),
        (["axes=insertion,memory,mixer", "design=l18"], 18),
        ([f"axes={FIVE}", "design=l27", SITES], 27),
        (["axes=insertion,memory,mixer,writeback", "design=l27"], 27),
    ],
)
def test_arrays_are_orthogonal_and_their_points_distinct(arguments, n_points):
    found = design(*arguments)
    rows = levels_of(found)
    assert len(np.unique(rows, axis=0)) == n_points == found.factorial.n_points
    assert balanced(rows)
    assert all(math.isclose(fact.inflation, 1) for fact in found.factorial.facts)
    assert all(math.isclose(fact.variance, 1) for fact in found.factorial.facts)


def test_l27_of_six_axes_is_the_fraction_of_fewest_short_words():
    found = design("axes=all", "design=l27", SITES, THIRD_SCOPE)
    rows = levels_of(found)
    assert balanced(rows)
    words = [0] * 7
    for word in itertools.product(range(3), repeat=6):
        if any(word) and not (rows @ np.array(word) % 3).any():
            words[sum(map(bool, word))] += 1
    assert words == [0, 0, 0, 4, 18, 0, 4]  # two multiples of each: A3 = 2, A4 = 9, A6 = 2


def test_an_array_tells_main_effects_and_who_would_bias_them():
    found = design("axes=insertion,memory,mixer,writeback", "design=l27")
    factorial = found.factorial
    assert factorial.terms == ("insertion", "memory", "mixer", "writeback")
    assert factorial.interactions == ()
    # 3^(4-1) with D = ABC has resolution IV
    assert factorial.alias.clear == factorial.terms
    assert [c.group for c in found.primary] == ["mechanism"] + [
        axis for axis in factorial.terms for _ in range(2)
    ]
    five = design(f"axes={FIVE}", "design=l18", SITES).factorial
    assert five.alias.clear == ()


def test_level_contrasts_of_an_array_find_what_was_planted_beside_an_inert_axis():
    found = design("axes=all", "design=l18")
    factorial = found.factorial
    generator = np.random.default_rng(5)
    coefficients = generator.normal(size=len(factorial.code_names))
    means = {arm: 40 + np.dot(codes, coefficients) for arm, codes in factorial.codes.items()}
    by_name = dict(zip(factorial.code_names, coefficients, strict=True))
    own = [v for name, v in by_name.items() if name.startswith("gradient_scale")]
    assert factorial.code_names[-2:] == ("gradient_scale[0]", "gradient_scale[0.1]")
    contrasts = {c.name: c for c in factorial.mains}
    assert math.isclose(
        value(contrasts["gradient_scale: 0 vs 1"], means), own[0] + sum(own), abs_tol=1e-9
    )
    assert math.isclose(
        value(contrasts["scope: readout vs joint"], means), 2 * by_name["scope"], abs_tol=1e-9
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["axes=all", "design=l27"], r"l27 needs three levels, and scope has 2; .*design=l18"),
        (["axes=all", "design=l18", "levels.mixer=mlp,none"],
         r"l18 needs three levels, and scope has 2 besides mixer"),
        (["axes=insertion,memory", "design=l18"], r"9 points, and l18 has 18; design=factorial"),
        (["axes=none", "design=l27"], r"l27 has 27"),
        (["axes=insertion,memory,mixer,writeback", "design=l27", "levels.insertion=early,1,late"],
         r"levels 1 of insertion are the same mechanism"),
    ],
)  # fmt: skip
def test_what_an_array_cannot_do_is_refused(arguments, message):
    with pytest.raises(AblateError, match=message):
        design(*arguments, backbones=[SHALLOW])


def test_a_crossing_of_more_levels_tells_interactions_where_both_axes_act():
    found = design("axes=insertion,gradient_scale").factorial
    assert found.rank == (7, 9)
    assert [c.name for c in found.interactions] == [
        "insertion:gradient_scale (middle, 0)", "insertion:gradient_scale (middle, 0.1)",
    ]  # fmt: skip
    assert found.alias is None
    assert not found.own_families


def test_the_structure_is_told_in_lines_and_tables():
    lines = structure_text(design("axes=all", "design=fraction"))
    assert lines[0] == "32 points of 64 combinations, resolution VI, D-efficiency 0.848"
    assert "defining relation: I = insertion:memory:mixer:writeback:scope:gradient_scale" in lines
    assert "rank check: 21 of 21 columns are independent, and all terms are uncorrelated" in lines
    assert "bias: memory:mixer + 0.5 x writeback:scope:gradient_scale" in lines
    clean = structure_text(design("axes=all", "design=fraction", CLEAN))
    assert clean[-1].endswith("that are left out: all terms")
    told, confounded = structure_tables(design("axes=all", "design=fraction"))
    assert told.rows[5][:2] == ("gradient_scale", "16 of 32")
    assert confounded.rows[0][0] == "insertion:gradient_scale"
    assert structure_text(design("axes=all")) == []
    assert structure_tables(design("axes=all")) == ()


def test_alternatives_are_all_designs_that_suit_the_levels():
    pairs = ["levels.memory=16,1", "levels.mixer=mlp,none", "levels.writeback=gate,add",
             "levels.gradient_scale=1,0", CLEAN]  # fmt: skip
    found = alternatives(study("axes=all", *pairs), [SHALLOW, DEEP])
    assert [(a.settings, a.points, a.resolution, a.mains, a.interactions) for a in found] == [
        (("design=one-at-a-time",), 7, None, 0, 0),
        (("design=leave-one-at-default",), 8, None, 0, 0),
        (("design=d-optimal", "fraction.terms=main"), 10, None, 6, 0),
        (("design=fraction", "fraction.resolution=4"), 16, 4, 6, 0),
        (("design=d-optimal",), 26, None, 6, 15),
        (("design=fraction",), 32, 6, 6, 15),
        (("design=factorial",), 64, None, 6, 15),
    ]
    quarter = found[3]
    assert quarter.estimates == "6 main effects, 0 of 15 interactions"
    assert quarter.study.fraction.resolution == 4
    assert len(quarter.design.arms) == 17


def test_alternatives_of_three_levels_include_the_arrays():
    found = alternatives(study(f"axes={FIVE}", SITES), [SHALLOW])
    points = {each.settings[0]: each.points for each in found}
    assert points["design=l18"] == 18
    assert points["design=l27"] == 27
    assert points["design=leave-one-out"] == 6
    assert points["design=one-at-a-time"] == 11
