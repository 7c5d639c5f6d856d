"""Benjamini-Hochberg: the published list, an independent implementation, and its label."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from stats.errors import StatsError
from stats.replication.exploratory import benjamini_hochberg, discoveries
from tests.stats.test_ground_truths import BENJAMINI_HOCHBERG


def test_the_published_list() -> None:
    """Benjamini and Hochberg 1995: four of fifteen, where Bonferroni rejects three."""
    found = discoveries(BENJAMINI_HOCHBERG)
    assert found.n_listed == 4
    assert found.listed[:5] == (True, True, True, True, False)
    assert found.q[3] == pytest.approx(15 * 0.0095 / 4)


def test_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 40):
        p = rng.uniform(size=size) ** 3
        p[rng.integers(size)] = p[0]  # a tie
        assert benjamini_hochberg(p) == pytest.approx(
            multipletests(p, method="fdr_bh")[1], rel=1e-12
        )


def test_the_false_discovery_rate_holds_where_the_family_wise_one_does_not() -> None:
    repeats, n_true, n_null = 2000, 5, 15
    rng = np.random.default_rng(2)
    p = rng.uniform(size=(repeats, n_true + n_null))
    p[:, :n_true] *= 1e-4
    listed = np.array([benjamini_hochberg(x) <= 0.05 for x in p])
    false = listed[:, n_true:].sum(axis=1)
    share = false / np.maximum(1, listed.sum(axis=1))
    nominal = 0.05 * n_null / (n_true + n_null)
    error = share.std() / np.sqrt(repeats)
    assert abs(share.mean() - nominal) < 3.3 * error
    assert (false > 0).mean() > 0.15  # that is why it is exploratory


def test_a_missing_test_is_never_listed() -> None:
    found = discoveries([0.001, np.nan], ["a", "b"])
    assert found.listed == (True, False)
    assert found.q[1] == 1.0


def test_it_says_that_it_is_exploratory() -> None:
    found = discoveries([0.04, 0.001], ["second", "first"])
    assert found.to_dict()["exploratory"] is True
    text = found.summary()
    assert "Exploratory: 2 of 2 tests" in text
    assert text.index("first") < text.index("second")
    assert found.table()["test"].tolist() == ["second", "first"]


def test_refusals() -> None:
    with pytest.raises(StatsError, match="names: 1 names for 2 p-values"):
        discoveries([0.1, 0.2], ["one"])
    with pytest.raises(StatsError, match="alpha: 0 is not between"):
        discoveries([0.1], alpha=0)
