"""What a number of pairs can reach."""

from __future__ import annotations

import pytest
import scipy.stats

from stats.errors import StatsError
from stats.reach import min_pairs, reach


@pytest.mark.parametrize(
    ("n", "p", "max_t"), [(5, 0.0625, False), (6, 0.03125, True), (10, 0.001953125, True)]
)
def test_smallest_p(n: int, p: float, max_t: bool) -> None:
    result = reach(n, 16)
    assert (result.smallest_p, result.max_t) == (p, max_t)
    assert result.method == ("max-T" if max_t else "Holm")


@pytest.mark.parametrize("alpha", [0.2, 0.0625, 0.05, 0.03125, 0.03, 0.01, 0.001])
def test_min_pairs_is_the_first_that_reaches(alpha: float) -> None:
    n = min_pairs(alpha)
    assert 2 / 2**n <= alpha < 2 / 2 ** (n - 1)


def test_holm_needs_the_bonferroni_t() -> None:
    result = reach(4, 10)
    assert result.dz_holm == pytest.approx(scipy.stats.t.ppf(1 - 0.05 / 20, 3) / 2)
    assert not result.verdict
    assert "4 pairs cannot settle a family of 10 tests" in result.warning
    assert "take 6 pairs" in result.warning


def test_a_small_family_can_be_settled_by_holm_at_five_pairs() -> None:
    result = reach(5, 4)
    assert result.method == "Holm"
    assert result.verdict
    assert result.warning == ""


def test_one_pair_allows_nothing() -> None:
    result = reach(1, 1)
    assert not result.verdict
    assert "no inference is possible" in result.warning


@pytest.mark.parametrize("bad", [(0, 1, 0.05), (6, 0, 0.05), (6, 1, 0.0)])
def test_refusals(bad: tuple[int, int, float]) -> None:
    with pytest.raises(StatsError):
        reach(*bad)
