"""Partial conjunction: published values, identities, and the bound's validity by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.family import holm
from stats.replication.conjunction import count_effects, partial_conjunction
from tests.stats.test_rates import band

# Dror et al. 2017's example of six data sets.
DROR = [0.168, 0.297, 0.357, 0.019, 0.218, 0.001]


def test_published_values() -> None:
    assert partial_conjunction(DROR)[:3] == pytest.approx([0.006, 0.095, 0.672], abs=1e-12)
    fisher = [0.00102, 0.0399, 0.196, 0.274, 0.344, 0.357]
    assert partial_conjunction(DROR, "fisher") == pytest.approx(fisher, abs=5e-4)
    assert partial_conjunction(DROR, "fisher")[0] == pytest.approx(0.00102, abs=5e-6)
    assert count_effects(DROR).k == 1
    assert count_effects(DROR, form="fisher").k == 2


def test_it_is_not_deepsigs_correction() -> None:
    """There [.03, .01, .02] gave [.04, .03, .03]: unsorted wrongly, and called Bonferroni."""
    assert partial_conjunction([0.03, 0.01, 0.02]) == pytest.approx([0.03, 0.04, 0.04])


@pytest.mark.parametrize("size", [1, 2, 5, 16, 40])
def test_forms_against_their_definitions(size: int) -> None:
    p = np.random.default_rng(size).uniform(size=size) ** 3
    ordered = np.sort(p)
    running = 0.0
    for u in range(1, size + 1):
        running = max(running, min(1.0, (size - u + 1) * ordered[u - 1]))
        assert partial_conjunction(p)[u - 1] == pytest.approx(running, rel=1e-12)
    raw = [scipy.stats.combine_pvalues(ordered[u:], "fisher").pvalue for u in range(size)]
    assert partial_conjunction(p, "fisher") == pytest.approx(np.maximum.accumulate(raw), rel=1e-9)


def test_fisher_is_made_monotone() -> None:
    """Ten p-values of .5 combine to .84, one alone is .5: u = 10 cannot be easier than u = 1."""
    combined = partial_conjunction([0.5] * 10, "fisher")
    assert (np.diff(combined) >= 0).all()
    assert combined[-1] == combined[0] > 0.8


def test_the_bonferroni_count_is_holms() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.uniform(size=16) ** rng.integers(1, 6)
        assert count_effects(p).k == (holm(p) <= 0.05).sum()


def test_a_test_that_could_not_be_done_counts_as_no_effect() -> None:
    with_nan = count_effects([0.001, 0.002, np.nan])
    assert (with_nan.k, with_nan.n) == (2, 3)
    assert count_effects([np.nan, np.nan]).k == 0
    assert partial_conjunction([0.0, 0.5], "fisher")[0] == 0.0


def _one_sided(d: np.ndarray) -> np.ndarray:
    """p-values against "not above zero" of differences (repeats, tests, pairs)."""
    n = d.shape[-1]
    t = d.mean(axis=-1) / d.std(axis=-1, ddof=1) * np.sqrt(n)
    return np.asarray(scipy.stats.t.sf(t, n - 1))


@pytest.mark.parametrize("true", [0, 3, 8])
def test_the_bound_is_valid_under_dependence_and_fishers_is_not(true: int) -> None:
    """16 cells that share their pairs (correlation .6), ``true`` of them with a large effect.

    The Bonferroni bound exceeds the truth in at most 5 % of studies. Fisher's form, which asks for
    independence, is the mutant: it must leave the band.
    """
    repeats, cells, n = 2000, 16, 8
    rng = np.random.default_rng(true)
    shared = np.sqrt(0.6) * rng.normal(size=(repeats, 1, n))
    d = shared + np.sqrt(0.4) * rng.normal(size=(repeats, cells, n))
    d[:, :true] += 3
    p = _one_sided(d)
    over = np.mean([count_effects(x).k > true for x in p])
    wrong = np.mean([count_effects(x, form="fisher").k > true for x in p])
    _, high = band(0.05, repeats)
    assert over <= high
    assert wrong > high
    assert np.mean([count_effects(x).k for x in p]) > 0.8 * true  # and it is not empty


def test_fishers_bound_is_valid_and_sharper_for_independent_tests() -> None:
    repeats, cells, n, true = 2000, 8, 8, 4
    d = np.random.default_rng(9).normal(size=(repeats, cells, n))
    d[:, :true] += 0.9
    p = _one_sided(d)
    fisher = np.array([count_effects(x, form="fisher").k for x in p])
    bonferroni = np.array([count_effects(x).k for x in p])
    assert (fisher > true).mean() <= band(0.05, repeats)[1]
    assert fisher.mean() > bonferroni.mean() + 0.2


def test_two_sided_p_values_are_the_wrong_ones_for_a_direction() -> None:
    """Harm everywhere must not be counted as improvement."""
    d = np.random.default_rng(1).normal(-3, 1, (1, 16, 8))
    assert count_effects(_one_sided(d)[0]).k == 0
    assert count_effects(_one_sided(-d)[0], alternative="less").k > 10


def test_sentences() -> None:
    some = count_effects(DROR, form="fisher", observed=5)
    assert some.sentence == "improved in at least 2 of 6 with 95% confidence (observed: 5)"
    assert "independent" in some.method
    none = count_effects([0.5, 0.9], alternative="less")
    assert none.sentence == "harmed in none of 2 for sure"
    assert "all 2" in count_effects([0.001, 0.002]).sentence
    assert some.to_dict()["p"][0] == pytest.approx(0.00102, abs=5e-6)
    assert max(map(len, some.summary().splitlines())) <= 100


@pytest.mark.parametrize(
    ("p", "options", "message"),
    [
        ([], {}, "p: p-values must be a list of at least one"),
        ([[0.1]], {}, "not of shape (1, 1)"),
        ([0.1, 1.2], {}, "p: p-value 2 is 1.2, not between 0 and 1"),
        ([0.1], {"form": "fischer"}, "did you mean 'fisher'?"),
        ([0.1], {"alpha": 5}, "alpha: 5 is not between 0 and 1"),
        ([0.1], {"alternative": "grater"}, "did you mean 'greater'?"),
    ],
)
def test_refusals(p: list[float], options: dict[str, object], message: str) -> None:
    with pytest.raises(StatsError) as caught:
        count_effects(p, **options)  # type: ignore[arg-type]
    assert message in str(caught.value)
