from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.factorial.many_to_one import critical_value, many_to_one, step_down
from stats.factorial.multivariate_t import MaxLaw


def _equal(k: int, rho: float = 0.5) -> np.ndarray:
    return np.full((k, k), rho) + (1 - rho) * np.eye(k)


@pytest.mark.parametrize(
    ("k", "df", "level", "alternative", "published"),
    [
        # Dunnett 1964 (Biometrics 20, 482-491), two-sided.
        (1, 20, 0.95, "two-sided", 2.09),
        (2, 20, 0.95, "two-sided", 2.38),
        (3, 20, 0.95, "two-sided", 2.54),
        (5, 20, 0.95, "two-sided", 2.73),
        (4, 30, 0.95, "two-sided", 2.58),
        # Dunnett 1955, tables 1a and 1b, one-sided (his last digit is off by one at times).
        (3, 10, 0.95, "greater", 2.34),
        (2, 30, 0.95, "less", 1.99),
        (5, 30, 0.95, "greater", 2.33),
        (4, 12, 0.99, "greater", 3.32),
        (7, 12, 0.99, "greater", 3.56),
    ],
)
def test_published_critical_values(
    k: int, df: int, level: float, alternative: str, published: float
) -> None:
    found = critical_value(_equal(k), df, level, alternative)
    assert found == pytest.approx(published, abs=0.0056)


# Dunnett 1955, blood counts (millions per cubic millimetre) of animals under two drugs.
CONTROL = [7.40, 8.50, 7.20, 8.24, 9.84, 8.32]
DRUGS = ([9.76, 8.80, 7.68, 9.36], [12.80, 9.68, 12.16, 9.20, 10.55])


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_dunnetts_own_data_as_scipy_has_them(alternative: str) -> None:
    theirs = scipy.stats.dunnett(
        *DRUGS, control=CONTROL, alternative=alternative, rng=np.random.default_rng(0)
    )
    interval = theirs.confidence_interval(0.95)
    n = np.array([len(drug) for drug in DRUGS])
    groups = [*DRUGS, CONTROL]
    pooled = math.sqrt(sum((len(g) - 1) * np.var(g, ddof=1) for g in groups) / 12)
    b = np.sqrt(n / (n + 6))
    correlation = np.outer(b, b)
    np.fill_diagonal(correlation, 1.0)
    ours = many_to_one(
        [np.mean(drug) - np.mean(CONTROL) for drug in DRUGS],
        pooled * np.sqrt(1 / n + 1 / 6),
        correlation,
        12,
        alternative=alternative,
        names=["A", "B"],
    )
    assert ours.t == pytest.approx(theirs.statistic)
    assert ours.p_adjusted == pytest.approx(theirs.pvalue, abs=5e-4)
    assert ours.low == pytest.approx(np.broadcast_to(interval.low, 2), abs=0.02)
    assert ours.high == pytest.approx(np.broadcast_to(interval.high, 2), abs=0.02)
    if alternative == "two-sided":
        assert ours.p_adjusted == pytest.approx([0.6201, 0.0059], abs=1e-4)


def test_quadrature_against_quasi_monte_carlo_and_scipy() -> None:
    law = MaxLaw.of(_equal(4), 12, True)
    other = MaxLaw(12, True, None, np.linalg.cholesky(_equal(4)))
    for bound in (1.0, 2.5):
        exact = law.below(bound)[0]
        value, error = other.below(bound)
        assert error < 1e-4
        assert value == pytest.approx(exact, abs=6 * error)
        theirs = scipy.stats.multivariate_t(np.zeros(4), _equal(4), df=12, seed=1)
        assert theirs.cdf([bound] * 4, lower_limit=[-bound] * 4) == pytest.approx(exact, abs=1e-3)


def test_correlations_that_are_no_products() -> None:
    """Neighbours on a line: quasi-Monte Carlo, and it says its error."""
    matrix = 0.7 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    law = MaxLaw.of(matrix, 15, False)
    assert law.loadings is None
    theirs = scipy.stats.multivariate_t(np.zeros(4), matrix, df=15, seed=1).cdf([1.5] * 4)
    value, error = law.below(1.5)
    assert value == pytest.approx(theirs, abs=2e-3)
    assert 0 < error < 1e-3
    result = many_to_one([1.0, 2, 3, 2], [1.0] * 4, matrix, 15)
    assert "quasi-Monte Carlo" in result.method
    assert 0 < result.error < 1e-3
    assert MaxLaw.of(matrix, 15, False).below(1.5) == (value, error)


def test_limits_of_the_correlation() -> None:
    """Independent: Sidak. One statistic repeated: no correction. Two: any correlation."""
    independent = critical_value(np.eye(3), math.inf)
    assert independent == pytest.approx(scipy.stats.norm.isf((1 - 0.95 ** (1 / 3)) / 2), abs=1e-7)
    alone = scipy.stats.t.ppf(0.975, 9)
    assert critical_value(np.ones((3, 3)), 9) == pytest.approx(alone, abs=1e-7)
    negative = _equal(2, -0.6)
    assert critical_value(negative, 9) == pytest.approx(critical_value(_equal(2, 0.6), 9))
    assert critical_value(negative, 9, 0.95, "greater") > critical_value(
        _equal(2, 0.6), 9, 0.95, "greater"
    )


def test_negative_loadings_are_found() -> None:
    b = np.array([0.8, -0.5, 0.6, 0.3])
    matrix = np.outer(b, b)
    np.fill_diagonal(matrix, 1.0)
    law = MaxLaw.of(matrix, 10, False)
    assert law.loadings is not None
    other = MaxLaw(10, False, None, np.linalg.cholesky(matrix))
    value, error = other.below(1.8)
    assert law.below(1.8)[0] == pytest.approx(value, abs=6 * error)


def test_step_down_lies_between_single_tests_and_single_step() -> None:
    result = many_to_one([3.0, 2.2, 0.4, -2.4], [1.0] * 4, _equal(4), 20)
    raw = 2 * scipy.stats.t.sf(np.abs(result.t), 20)
    assert (result.p_step_down <= result.p_adjusted + 1e-12).all()
    assert (result.p_step_down >= raw - 1e-12).all()
    assert result.p_step_down[0] == pytest.approx(result.p_adjusted[0])
    assert result.p_step_down[2] == pytest.approx(raw[2], abs=1e-7)
    order = np.argsort(-np.abs(result.t))
    assert (np.diff(result.p_step_down[order]) >= 0).all()


def test_far_tails_keep_digits() -> None:
    result = many_to_one([40.0, 0.1], [1.0, 1.0], _equal(2), 30)
    raw = 2 * scipy.stats.t.sf(40, 30)
    assert raw <= result.p_adjusted[0] <= 2 * raw
    assert result.p_adjusted[0] > 0


@pytest.mark.parametrize("true_effects", [[0.0, 0, 0, 0], [0.0, 0, 3, 5]])
def test_error_and_coverage(true_effects: list[float]) -> None:
    """Four levels and a reference, five runs each; the single t test must leave the band."""
    repeats, n, df = 4000, 5, 20
    rng = np.random.default_rng(1)
    means = np.array([0.0, *true_effects])
    y = means[:, None] + rng.normal(size=(repeats, 5, n))
    effect = y.mean(axis=2)[:, 1:] - y.mean(axis=2)[:, :1]
    se = np.sqrt(y.var(axis=2, ddof=1).mean(axis=1, keepdims=True) * 2 / n)
    off = np.abs((effect - np.array(true_effects)) / se).max(axis=1)
    low, high = scipy.stats.binom.interval(0.999, repeats, 0.95)
    assert low <= (off <= critical_value(_equal(4), df)).sum() <= high
    assert (off <= scipy.stats.t.ppf(0.975, df)).sum() < low


def test_step_down_keeps_the_family_wise_error_beside_real_effects() -> None:
    """With equal correlations, step-down compares ordered |t| with the critical values of 4, 3,
    2 and 1 comparisons. The mutant takes the last of them throughout."""
    repeats, n = 4000, 5
    rng = np.random.default_rng(2)
    y = np.array([0.0, 0, 0, 4, 6])[:, None] + rng.normal(size=(repeats, 5, n))
    effect = y.mean(axis=2)[:, 1:] - y.mean(axis=2)[:, :1]
    t = np.abs(effect) / np.sqrt(y.var(axis=2, ddof=1).mean(axis=1, keepdims=True) * 2 / n)
    steps = np.array([critical_value(_equal(k), 20) for k in (4, 3, 2, 1)])
    order = np.argsort(-t, axis=1)
    passed = np.logical_and.accumulate(np.take_along_axis(t, order, axis=1) >= steps, axis=1)
    rejected = np.zeros_like(passed)
    np.put_along_axis(rejected, order, passed, axis=1)
    low, high = scipy.stats.binom.interval(0.999, repeats, 0.05)
    assert low <= rejected[:, :2].any(axis=1).sum() <= high
    assert (t[:, :2] >= steps[-1]).any(axis=1).sum() > high
    for one, found in zip(t[:40], rejected[:40], strict=True):
        assert ((step_down(one, _equal(4), 20, True) <= 0.05) == found).all()


def test_a_table_and_a_text() -> None:
    result = many_to_one([1.0, 2.0], [0.5, 0.5], _equal(2), 12, names=["none", "attention"])
    assert list(result.table().columns) == [
        "comparison", "estimate", "se", "t", "p_adjusted", "p_step_down", "low", "high"
    ]  # fmt: skip
    assert "attention" in result.summary()
    assert max(map(len, result.summary().splitlines())) <= 100
    assert result.to_dict()["p_adjusted"] == pytest.approx(result.p_adjusted.tolist())
    assert result.high == pytest.approx(result.estimates + result.critical * result.se)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [1.0, 1], np.eye(2), 9), "estimates: 1 values, but 2 comparisons"),
        (([1.0, 2], [1.0, 0], np.eye(2), 9), "se: a standard error is not positive"),
        (([1.0, math.nan], [1.0, 1], np.eye(2), 9), "estimates: a value is not finite"),
        (([1.0, 2], [1.0, 1], _equal(2, 1.5), 9), "correlation: this is not a correlation matrix"),
        (([1.0, 2], [1.0, 1], np.eye(2), 0), "df: 0 is not positive"),
        (([1.0], [1.0], np.array([[2.0]]), 9), "correlation: this is not a correlation matrix"),
    ],
)
def test_mistakes_are_told(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(StatsError) as error:
        many_to_one(*arguments)  # type: ignore[arg-type]
    assert str(error.value).startswith(message)


def test_a_singular_matrix_is_refused() -> None:
    """All differences of three means: the third follows from the other two."""
    contrast = np.array([[1.0, -1, 0], [1, 0, -1], [0, 1, -1]])
    matrix = contrast @ contrast.T / 2
    with pytest.raises(StatsError, match="singular: one comparison follows from others"):
        critical_value(matrix, 10)
