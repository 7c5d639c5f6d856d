from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from stats.errors import StatsError
from stats.family import holm
from stats.sequential.eholm import adjust_e, e_holm
from stats.sequential.eprocess import EFFECTS, combined, e_process, log_wealth
from tests.stats.sequential.bands import band

ALPHA = 0.05


def test_adjusted_values_are_the_closure_of_averaging() -> None:
    """All sets of hypotheses, each tested by the mean of its e-values."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 7):
        e = np.exp(rng.normal(0, 2, size)).round(1)
        least = np.full(size, math.inf)
        for r in range(1, size + 1):
            for chosen in itertools.combinations(range(size), r):
                for k in chosen:
                    least[k] = min(least[k], e[list(chosen)].mean())
        assert adjust_e(e) == pytest.approx(least, rel=1e-12)


def test_rejects_whatever_holm_rejects() -> None:
    rng = np.random.default_rng(1)
    more = 0
    for _ in range(200):
        e = np.exp(rng.normal(2, 2, 8))
        ours = 1 / adjust_e(e) <= ALPHA
        theirs = holm(np.minimum(1, 1 / e)) <= ALPHA
        assert (ours | ~theirs).all()
        more += ours.sum() - theirs.sum()
    assert more > 0


def _studies(repeats: int, cells: int, n: int) -> np.ndarray:
    """Null differences (repeats, cells, n); the cells of a pair share half of their variance."""
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 1, (repeats, 1, n))
    return (shared + rng.normal(0, 1, (repeats, cells, n))) / math.sqrt(2)


def test_family_wise_error_while_peeking_at_all_cells() -> None:
    """One looks after every pair and stops as soon as any cell looks good."""
    repeats, cells, n = 1500, 6, 30
    d = _studies(repeats, cells, n)
    e = np.exp(combined(*log_wealth(d, EFFECTS), "two-sided"))
    ordered = np.sort(e, axis=1)
    # The largest corrected value of a study: its largest e averaged with the j smallest.
    sums = np.cumsum(ordered[:, :-1], axis=1)
    means = [(ordered[:, -1] + sums[:, j - 1]) / (j + 1) for j in range(1, cells)]
    best = np.minimum(ordered[:, -1], np.min(means, axis=0))
    assert best[0, -1] == pytest.approx(adjust_e(e[0, :, -1]).max())
    false = float((best >= 1 / ALPHA).any(axis=1).mean())
    uncorrected = float((e.max(axis=1) >= 1 / ALPHA).any(axis=1).mean())
    high = band(ALPHA, repeats)[1]
    assert false <= high
    assert uncorrected > high


def test_family_wise_error_beside_real_effects() -> None:
    """Real effects must not lend their evidence to nulls."""
    repeats, cells, n = 1000, 5, 25
    d = _studies(repeats, cells, n)
    d[:, :2] += 2.0
    e = np.exp(combined(*log_wealth(d, EFFECTS), "two-sided"))[:, :, -1]
    adjusted = np.array([adjust_e(row) for row in e])
    assert (adjusted[:, 2:].max(axis=1) >= 1 / ALPHA).mean() <= band(ALPHA, repeats)[1]
    assert (adjusted[:, 0] >= 1 / ALPHA).mean() > 0.95


def test_a_result_tells_cells_apart() -> None:
    rng = np.random.default_rng(3)
    up, flat = rng.normal(1.5, 1, 20), rng.normal(0, 1, 15)
    result = e_holm({"deep/algebra": up, "deep/recall": flat, "wide/algebra": -up})
    assert result.directions == ("superior", "", "inferior")
    assert result.rejected == (True, False, True)
    assert result.n == (20, 15, 20)
    assert result.e_values[0] == pytest.approx(e_process(up).e[-1])
    assert result.e_merged == pytest.approx(np.mean(result.e_values))
    assert result.p_adjusted[0] == pytest.approx(1 / result.e_adjusted[0])
    table = result.table()
    assert list(table["cell"]) == ["deep/algebra", "deep/recall", "wide/algebra"]
    assert table["e_adjusted"].tolist() == pytest.approx(adjust_e(result.e_values))
    assert result.to_dict()["cells"] == ["deep/algebra", "deep/recall", "wide/algebra"]
    text = result.summary()
    assert "2 of 3 cells differ" in text
    assert max(map(len, text.splitlines())) <= 100
    one_sided = e_holm({"a": -up}, "greater")
    assert one_sided.rejected == (False,)
    assert one_sided.p_adjusted[0] == 1.0


def test_mistakes_are_told() -> None:
    with pytest.raises(StatsError, match="cells: there are no cells"):
        e_holm({})
    with pytest.raises(StatsError, match="cell 'b': difference 2 is nan"):
        e_holm({"a": [1.0, 2.0], "b": [1.0, math.nan]})
    with pytest.raises(StatsError, match="e: e-values must be a list of numbers >= 0"):
        adjust_e([1.0, -0.1])
    with pytest.raises(StatsError, match="alpha: 5 is not between 0 and 1"):
        e_holm({"a": [1.0]}, alpha=5)
