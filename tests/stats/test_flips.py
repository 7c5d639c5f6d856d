"""Sign flips: counts against loops written by hand, ties, Monte Carlo, degenerate data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from stats.errors import StatsError
from stats.flips import FlipModel, enumerated_signs, random_signs
from stats.sample import Sample, estimate
from stats.signflip import sign_flip, sign_flips


def by_hand(d: list[float], alternative: str = "two-sided") -> int:
    """Exact integer arithmetic, so that ties are ties."""
    scale = [round(v * 1000) for v in d]
    observed = sum(scale)
    count = 0
    for signs in itertools.product((1, -1), repeat=len(scale)):
        total = sum(s * v for s, v in zip(signs, scale, strict=True))
        if alternative == "two-sided":
            count += abs(total) >= abs(observed)
        else:
            count += total >= observed if alternative == "greater" else total <= observed
    return count


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize(
    "d",
    [
        [0.2, 0.4, -0.2, 0.6, 0.2],
        [0.1, 0.2, -0.3, 0.0, 0.0, 0.0],  # sums to zero, with zeros
        [0.1] * 7,
        [0.1, 0.1, 0.1, -0.1, 0.1, 0.1],
        [-0.7, 0.3],
    ],
)
def test_counts_with_ties(d: list[float], alternative: str) -> None:
    assert sign_flip(d, alternative).count == by_hand(d, alternative)


def test_counts_do_not_depend_on_the_scale() -> None:
    d = np.random.default_rng(1).integers(-5, 9, 11) * 0.2
    assert {sign_flip(d * s).count for s in (1e-9, 1.0, 1e9)} == {sign_flip(d).count}


def test_enumeration_is_complete_and_starts_with_the_data() -> None:
    rows = np.vstack(list(enumerated_signs(5, 3)))
    assert rows.shape == (16, 5)
    assert (rows[0] == 1).all()
    assert len({tuple(r) for r in np.vstack([rows, -rows])}) == 32


def test_random_signs_include_the_data_once_in_front() -> None:
    chunks = list(random_signs(4, 10, np.random.default_rng(0), 3))
    assert sum(len(c) for c in chunks) == 11
    assert (chunks[0][0] == 1).all()
    assert set(np.unique(np.vstack(chunks))) == {-1.0, 1.0}


def test_beyond_twenty_pairs_the_plus_one_rule_holds() -> None:
    d = np.full(25, 1.0) + np.random.default_rng(0).normal(0, 0.01, 25)
    result = sign_flip(d, n_resamples=999, rng=0)
    assert (result.count, result.n_flips, result.exact) == (1, 1000, False)
    assert result.p == 0.001


def test_monte_carlo_agrees_with_enumeration() -> None:
    d = np.random.default_rng(5).normal(0.35, 1, 14)
    exact = sign_flip(d).p
    model = FlipModel.of([Sample.of([d])])
    t = np.concatenate(
        [model.t(s) for s in random_signs(14, 40_000, np.random.default_rng(0), 999)]
    )
    drawn = float((np.abs(t) >= abs(t[0]) * (1 - 1e-9)).mean())
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 40_000))


def test_the_same_seed_gives_the_same_p() -> None:
    d = np.random.default_rng(5).normal(0.2, 1, 23)
    assert sign_flip(d, rng=4) == sign_flip(d, rng=4)
    assert sign_flip(d, rng=4).p != sign_flip(d, rng=5).p


def test_many_samples_give_what_each_gives_alone() -> None:
    rng = np.random.default_rng(2)
    samples = [Sample.of([rng.normal(0.3, 1, n)]) for n in (6, 6, 9, 6)]
    assert sign_flips(samples) == [sign_flip(s) for s in samples]


def test_model_gives_the_t_of_the_flipped_data() -> None:
    rng = np.random.default_rng(0)
    sample = Sample.of([rng.normal(0.5, 1, 4), rng.normal(0.1, 2, 5)])
    model = FlipModel.of([sample])
    for signs in rng.choice([-1.0, 1.0], size=(20, 9)):
        flipped = Sample.of([sample.values[0] * signs[:4], sample.values[1] * signs[4:]])
        e = estimate(flipped)
        assert model.t(signs[None])[0, 0] == pytest.approx(e.mean / e.se, rel=1e-9)


def test_without_spread_t_is_infinite_or_zero() -> None:
    model = FlipModel.of([Sample.of([[0.3] * 4]), Sample.of([[0.0] * 4])])
    assert model.t(np.ones((1, 4)))[0].tolist() == [math.inf, 0.0]


def test_one_pair_is_refused() -> None:
    with pytest.raises(StatsError, match="fewer than two pairs"):
        sign_flip([0.3])


def test_values_must_be_finite_and_flat() -> None:
    with pytest.raises(StatsError, match="difference 2 is nan"):
        sign_flip([0.3, math.nan])
    with pytest.raises(StatsError, match=r"shape \(2, 2\)"):
        sign_flip(np.ones((2, 2)))


def test_unknown_alternative_names_the_nearest() -> None:
    with pytest.raises(StatsError, match="did you mean 'greater'"):
        sign_flip([1.0, 2.0], "greatr")
