from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from stats.errors import StatsError
from stats.factorial.alias import alias, check_estimable
from stats.factorial.coding import code
from stats.factorial.fraction import fraction

MAINS = list("ABCDEF")
PAIRS = [":".join(pair) for pair in itertools.combinations(MAINS, 2)]


def _plackett_burman() -> pd.DataFrame:
    """Plackett and Burman 1946, twelve runs."""
    row = [1, 1, -1, 1, 1, 1, -1, -1, -1, 1, -1]
    runs = [row[-i:] + row[:-i] for i in range(11)] + [[-1] * 11]
    return pd.DataFrame(runs, columns=[f"x{i}" for i in range(11)])


def _latin_square() -> pd.DataFrame:
    """The L9 array of Taguchi: four three-level factors in nine runs."""
    runs = [(a, b, (a + b) % 3, (a + 2 * b) % 3) for a in range(3) for b in range(3)]
    return pd.DataFrame(runs, columns=list("ABCD"))


def test_resolution_vi_tells_mains_and_pairs_apart() -> None:
    found = alias(fraction("ABCDEF", ["F=ABCDE"]).design, MAINS + PAIRS, 3)
    assert found.clear == tuple(MAINS + PAIRS)
    assert found.aliases == ()
    assert found.resolution == 6
    # Three-factor interactions fall on each other, which the mains-and-pairs model does not see.
    assert not found.matrix.any()


def test_resolution_iv_refuses_the_pairs_and_names_them() -> None:
    design = fraction("ABCDEF", ["E=ABC", "F=BCD"]).design
    assert alias(design, MAINS).clear == tuple(MAINS)
    with pytest.raises(StatsError) as error:
        check_estimable(design, MAINS + PAIRS)
    assert str(error.value).startswith("terms: the design cannot tell apart B:C with A:E;")
    assert "of 22 columns 14 are independent" in str(error.value)
    # I = ABCE = BCDF = ADEF: of 15 pairs seven can be told apart.
    assert len(error.value.value) == 8  # type: ignore[arg-type]
    with pytest.raises(StatsError, match="cannot tell apart C:E with A:B"):
        alias(design, [*MAINS, "A:B", "C:E"])


def test_resolution_iii_by_the_defining_relation() -> None:
    """Each main effect's aliases are its products with the words."""
    design = fraction("ABCDEFG", ["D=AB", "E=-AC", "F=BC", "G=ABC"]).design
    found = alias(design, list("ABCDEFG"))
    pairs = {(a.term, a.alias, a.sign) for a in found.aliases}
    assert {p for p in pairs if p[0] == "A"} == {("A", "B:D", 1), ("A", "C:E", -1), ("A", "F:G", 1)}
    assert len(pairs) == 21
    assert all(a.kind == "full" and a.bias == pytest.approx(1) for a in found.aliases)
    assert found.clear == ()
    assert "resolution III" in found.summary()
    assert "-C:E" in found.summary()


def test_plackett_burman_confounds_every_main_with_45_pairs_by_a_third() -> None:
    design = _plackett_burman()
    found = alias(design, list(design.columns))
    table = found.table()
    assert len(table) == 11 * 45
    assert set(table["kind"]) == {"partial"}
    assert table["share"].to_numpy() == pytest.approx(np.full(495, 1 / 9))
    assert table["bias"].to_numpy() == pytest.approx(np.full(495, 1 / 3))
    assert found.resolution is None


def test_three_level_factors() -> None:
    design = _latin_square()
    found = alias(design, list("ABCD"))
    assert {(a.term, a.alias) for a in found.aliases if a.term == "A"} == {
        ("A", "B:C"), ("A", "B:D"), ("A", "C:D")
    }  # fmt: skip
    assert {a.kind for a in found.aliases} == {"full"}
    # With two factors only, the same nine runs are a full factorial.
    assert alias(design[["A", "B"]], ["A", "B", "A:B"]).clear == ("A", "B", "A:B")
    with pytest.raises(StatsError, match=r"cannot tell apart A\[2\]:B\[1\] with C\[2\] and"):
        check_estimable(design, ["A", "B", "C", "A:B"])


def test_factors_that_share_one_comparison_only() -> None:
    """B is 0 exactly where A is; apart from that the two are crossed."""
    design = pd.DataFrame(
        {"A": [0, 0, 1, 1, 2, 2], "B": [0, 0, 1, 2, 1, 2], "C": [0, 1, 0, 1, 1, 0]}
    )
    found = alias(design, ["A"], ["B"]).aliases[0]
    assert (found.kind, found.share) == ("partial", 1.0)
    with pytest.raises(StatsError, match=r"cannot tell apart B\[2\] with"):
        check_estimable(design, ["A", "B"])


def test_the_alias_matrix_is_the_bias_of_least_squares() -> None:
    """Fit the short model to responses of the long one, in an unbalanced mixed-level design."""
    rng = np.random.default_rng(0)
    design = pd.DataFrame(
        {
            "mixer": rng.choice(["none", "mlp", "attention"], 40),
            "scope": rng.choice(["joint", "readout"], 40),
            "memory": rng.choice([1, 4, 16], 40),
        }
    )
    terms, left_out = ["mixer", "scope", "memory"], ["mixer:scope", "scope:memory"]
    found = alias(design, terms, left_out)
    x1 = np.column_stack([np.ones(40), *(t.columns for t in code(design, terms))])
    x2 = np.column_stack([t.columns for t in code(design, left_out)])
    b1, b2 = rng.normal(size=x1.shape[1]), rng.normal(size=x2.shape[1])
    fitted = np.linalg.lstsq(x1, x1 @ b1 + x2 @ b2, rcond=None)[0]
    assert fitted == pytest.approx(b1 + found.matrix @ b2, rel=1e-9)
    assert found.columns == (
        "mean", "mixer[mlp]", "mixer[none]", "scope", "memory[4]", "memory[16]"
    )  # fmt: skip
    assert found.others[0] == "mixer[mlp]:scope"
    assert {a.kind for a in found.aliases} == {"partial"}


def test_an_empty_cell_of_an_interaction_is_refused() -> None:
    full = pd.DataFrame(itertools.product("abc", "xy"), columns=["mixer", "scope"])
    check_estimable(full, ["mixer", "scope", "mixer:scope"])
    with pytest.raises(StatsError, match=r"mixer\[c\]:scope with the mean and"):
        check_estimable(full.iloc[:-1], ["mixer", "scope", "mixer:scope"])
    check_estimable(full.iloc[:-1], ["mixer", "scope"])


def test_columns_sum_to_zero_and_follow_the_order_of_levels() -> None:
    design = pd.DataFrame({"memory": [1, 16, 4], "scope": ["b", "a", "b"]})
    memory, scope = code(design, ["memory", "scope"])
    assert memory.names == ("memory[4]", "memory[16]")
    assert memory.columns.tolist() == [[-1, -1], [0, 1], [1, 0]]
    assert scope.columns[:, 0].tolist() == [1, -1, 1]
    turned = code(design, ["scope"], {"scope": ["b", "a"]})[0]
    assert turned.columns[:, 0].tolist() == [-1, 1, -1]


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (["A", "G"], "design: there is no factor 'G'"),
        (["A:A"], "terms: term 'A:A' names a factor twice"),
        (["A:B", "B:A"], "terms: term 'B:A' is asked for twice"),
        ([], "terms: no terms are asked for"),
    ],
)
def test_mistakes_are_told(terms: list[str], message: str) -> None:
    with pytest.raises(StatsError) as error:
        alias(fraction("ABC").design, terms)
    assert str(error.value).startswith(message)


def test_levels_that_do_not_fit() -> None:
    design = pd.DataFrame({"A": ["x", "x"], "B": ["x", "y"]})
    with pytest.raises(StatsError, match="factor 'A': it has one level only, 'x'; leave it out"):
        check_estimable(design, ["A"])
    with pytest.raises(StatsError, match="factor 'B': 'y' is not among the levels"):
        check_estimable(design, ["B"], {"B": ["x", "z"]})
    with pytest.raises(StatsError, match="against: 0 is not an order of terms"):
        alias(design[["B"]], ["B"], 0)
