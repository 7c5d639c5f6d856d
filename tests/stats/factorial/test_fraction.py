from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from stats.errors import StatsError
from stats.factorial.fraction import defining_relation, fraction, resolution


def _product(design: pd.DataFrame, word: str) -> np.ndarray:
    return design[word.lstrip("-").split(":")].prod(axis=1).to_numpy()


@pytest.mark.parametrize(
    ("factors", "generators", "runs", "level", "words"),
    [
        # Box, Hunter and Hunter 2005, table 6.22 (and the study's own designs).
        ("ABCDEF", ["F=ABCDE"], 32, 6, {"A:B:C:D:E:F"}),
        ("ABCDEF", ["E=ABC", "F=BCD"], 16, 4, {"A:B:C:E", "B:C:D:F", "A:D:E:F"}),
        ("ABCDE", ["E=ABCD"], 16, 5, {"A:B:C:D:E"}),
        ("ABC", ["C=-AB"], 4, 3, {"-A:B:C"}),
        ("ABC", [], 8, None, set()),
    ],
)
def test_published_fractions(
    factors: str, generators: list[str], runs: int, level: int | None, words: set[str]
) -> None:
    found = fraction(factors, generators)
    assert (found.n_runs, found.resolution, set(found.relation)) == (runs, level, words)
    assert len(found.design.drop_duplicates()) == runs
    assert (found.design.sum() == 0).all()
    for word in found.relation:
        assert (_product(found.design, word) == (-1 if word[0] == "-" else 1)).all()


def test_seven_factors_in_eight_runs() -> None:
    """2^(7-4) of resolution III: 15 words, seven of them of length 3."""
    found = fraction("ABCDEFG", ["D=AB", "E=AC", "F=BC", "G=ABC"])
    lengths = [word.count(":") + 1 for word in found.relation]
    assert (found.n_runs, found.resolution) == (8, 3)
    assert [lengths.count(k) for k in (3, 4, 7)] == [7, 7, 1]


def test_words_are_all_constant_products_by_brute_force() -> None:
    design = fraction("ABCDEFG", ["E=ABC", "F=-BCD", "G=ACD"]).design.sample(frac=1, random_state=0)
    constant = set()
    for size in range(1, 8):
        for word in itertools.combinations("ABCDEFG", size):
            product = _product(design, ":".join(word))
            if len(set(product)) == 1:
                constant.add(("-" if product[0] < 0 else "") + ":".join(word))
    assert set(defining_relation(design)) == constant
    assert resolution(design) == 4


def test_labelled_levels_and_names() -> None:
    found = fraction(
        {"scope": ("joint", "readout"), "mixer": ("none", "mlp"), "memory": (1, 16)},
        ["memory=scope:mixer"],
    )
    assert found.design.to_dict("list") == {
        "scope": ["joint", "readout", "joint", "readout"],
        "mixer": ["none", "none", "mlp", "mlp"],
        "memory": [16, 1, 1, 16],
    }
    # "mlp" comes before "none" in natural order, which turns the sign; the levels can be given.
    assert defining_relation(found.design) == ("-scope:mixer:memory",)
    assert defining_relation(found.design, {"mixer": ["none", "mlp"]}) == found.relation
    assert "resolution III" in found.summary()
    assert "Main effects are confounded" in found.summary()
    assert found.to_dict()["relation"] == ["scope:mixer:memory"]


def test_replicates_keep_a_design_regular() -> None:
    design = fraction("ABCD", ["D=ABC"]).design
    assert resolution(pd.concat([design, design])) == 4


@pytest.mark.parametrize(
    ("factors", "generators", "message"),
    [
        ("ABC", ["C=AX"], "generator 'C=AX': 'X' is not a factor"),
        ("ABC", ["C=AA"], "generator 'C=AA': a generator sets a factor to a product of distinct"),
        ("ABC", ["C=A"], "generators: the product A:C is constant"),
        ("ABC", ["C"], "generator 'C': a generator sets a factor to a product"),
        ("ABCD", ["C=AB", "C=AD"], "generators: 'C' is generated twice"),
        ("ABCDE", ["D=ABC", "E=AD"], "generators: the generator of 'E' uses 'D'"),
        ("ABCDE", ["D=AB", "E=AB"], "generators: the product D:E is constant"),
        ("AAB", [], "factors: the factors must be distinct names"),
        ({"A": (1, 1), "B": (0, 1)}, [], "factor 'A': (1, 1) are not two levels"),
    ],
)
def test_mistakes_are_told(factors: object, generators: list[str], message: str) -> None:
    with pytest.raises(StatsError) as error:
        fraction(factors, generators)  # type: ignore[arg-type]
    assert str(error.value).startswith(message)


def test_what_is_no_regular_fraction() -> None:
    with pytest.raises(StatsError, match="factor 'A': it has 3 levels, not two"):
        defining_relation(pd.DataFrame({"A": [0, 1, 2], "B": [0, 1, 0]}))
    broken = fraction("ABC").design.iloc[:-1]
    with pytest.raises(StatsError, match="design: 7 distinct design points are not a regular"):
        defining_relation(broken)
