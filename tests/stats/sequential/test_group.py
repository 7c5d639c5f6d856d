"""Boundaries against published constants; levels of t tests against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.sequential.group import boundaries, crossing
from tests.stats.sequential.bands import band, t_paths


@pytest.mark.parametrize(
    ("rule", "z"),
    [
        # Jennison and Turnbull 2000, tables 2.1 and 2.3 (alpha .05, two-sided).
        ("classical-pocock", [2.178] * 2),
        ("classical-pocock", [2.289] * 3),
        ("classical-pocock", [2.413] * 5),
        ("classical-obrien-fleming", [2.797, 1.977]),
        ("classical-obrien-fleming", [3.471, 2.454, 2.004]),
        ("classical-obrien-fleming", [4.562, 3.226, 2.634, 2.281, 2.040]),
        # Reboussin, DeMets, Kim and Lan 2000, five equally spaced looks (their fourth decimal is
        # that of a coarser integration).
        ("obrien-fleming", [4.877, 3.357, 2.680, 2.290, 2.031]),
        ("pocock", [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_published_boundaries(rule: str, z: list[float]) -> None:
    looks = [10 * (k + 1) for k in range(len(z))]
    found = boundaries(looks, 0.05, rule)
    assert found.z == pytest.approx(z, abs=5.5e-4)
    assert crossing(found.fractions, found.z, True).sum() == pytest.approx(0.05, abs=1e-9)
    assert found.nominal == pytest.approx(2 * scipy.stats.norm.sf(found.z))


@pytest.mark.parametrize(
    ("rule", "z"),
    [("obrien-fleming", [3.7103, 2.5114, 1.9930]), ("pocock", [2.2794, 2.2949, 2.2959])],
)
def test_published_one_sided_boundaries(rule: str, z: list[float]) -> None:
    """R's gsDesign, sfLDOF and sfLDPocock, three looks at one-sided .025."""
    found = boundaries([10, 20, 30], 0.025, rule, "greater")
    assert found.z == pytest.approx(z, abs=1e-4)


def test_two_looks_agree_with_the_bivariate_normal() -> None:
    found = boundaries([7, 20], 0.05, "pocock")
    rho = math.sqrt(7 / 20)
    joint = scipy.stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    a, b = found.z
    inside = joint.cdf([a, b], lower_limit=[-a, -b])
    assert 1 - inside == pytest.approx(0.05, abs=1e-6)
    assert found.spent[0] == pytest.approx(2 * scipy.stats.norm.sf(a), abs=1e-12)


def test_spending_does_not_depend_on_later_looks() -> None:
    """Which is why looks may move: the first boundaries stay what they were."""
    planned = boundaries([8, 14, 20], 0.05)
    moved = boundaries([8, 14, 17, 20], 0.05)
    assert moved.z[:2] == pytest.approx(planned.z[:2], abs=1e-9)
    assert moved.spent[-1] == pytest.approx(0.05)


def test_a_look_too_early_to_spend_anything() -> None:
    found = boundaries([2, 100], 0.05)
    assert found.levels[0] < 1e-12
    assert found.levels[1] == pytest.approx(0.05, abs=1e-3)
    assert boundaries([12], 0.05).levels == pytest.approx([0.05])


def _rejections(looks: tuple[int, ...], levels: np.ndarray, repeats: int, seed: int) -> float:
    d = np.random.default_rng(seed).normal(0, 1, (repeats, looks[-1]))
    mean, se = t_paths(d)
    at = np.array(looks)
    p = 2 * scipy.stats.t.sf(np.abs(mean / se)[:, at - 1], at - 1)
    return float((p <= levels).any(axis=1).mean())


@pytest.mark.parametrize("looks", [(8, 14, 20), (3, 6, 9)])
@pytest.mark.parametrize("rule", ["obrien-fleming", "pocock", "classical-pocock"])
def test_t_tests_at_small_n_keep_alpha(looks: tuple[int, ...], rule: str) -> None:
    repeats = 60_000
    rate = _rejections(looks, boundaries(looks, 0.05, rule).levels, repeats, 1)
    low, high = band(0.05, repeats)
    assert low <= rate <= high


def test_normal_levels_and_unspent_levels_leave_the_band() -> None:
    looks, repeats = (3, 6, 9), 60_000
    found = boundaries(looks, 0.05, "pocock")
    high = band(0.05, repeats)[1]
    assert _rejections(looks, found.nominal, repeats, 1) > high
    assert _rejections(looks, np.full(3, 0.05), repeats, 1) > 0.1


def test_repeated_confidence_intervals_cover_at_all_looks() -> None:
    looks, repeats = (5, 10, 15), 20_000
    found = boundaries(looks, 0.05, "pocock")
    at = np.array(looks)
    mean, se = t_paths(np.random.default_rng(2).normal(4, 3, (repeats, 15)))
    half = scipy.stats.t.ppf(1 - found.levels / 2, at - 1) * se[:, at - 1]
    covered = (np.abs(mean[:, at - 1] - 4) <= half).all(axis=1).mean()
    low, high = band(0.95, repeats)
    assert low <= covered <= high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([8, 8, 20],), "looks: [8, 8, 20] are not looks; give ascending numbers of pairs"),
        (([1, 20],), "looks: [1, 20] are not looks"),
        (([8.5, 20],), "looks: [8.5, 20] are not looks"),
        (([],), "looks: [] are not looks"),
        (([8, 20], 0.05, "pokock"), "rule: 'pokock' is not a rule; did you mean 'pocock'?"),
        (([8, 20], 0.6), "alpha: 0.6 is too large"),
        (([8, 20], 0.05, "pocock", "up"), "alternative: 'up' is not an alternative"),
    ],
)
def test_mistakes_are_told(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(StatsError) as error:
        boundaries(*arguments)  # type: ignore[arg-type]
    assert str(error.value).startswith(message)
