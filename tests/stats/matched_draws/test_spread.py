"""The spread over draws: known formulas, and simulated error rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from scipy import stats as reference

from stats.errors import StatsError
from stats.matched_draws.layout import Values, layout
from stats.matched_draws.sign import sign_share
from stats.matched_draws.spread import spread_over_draws
from stats.noncentral import nct_noncentrality
from stats.paired import paired_t
from tests.stats.matched_draws.draws import one_way


def _layout(groups: list[list[float]]):
    values = np.concatenate([np.asarray(g, float) for g in groups])
    names = tuple(str(h) for h, g in enumerate(groups) for _ in g)
    given = Values(values, names, ((),) * len(values), 10.0)
    return layout(given, [str(h) for h in range(len(groups))])


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3, 3), (2, 4, 1, 3, 5)])
def test_the_f_test_is_that_of_the_one_way_layout(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    groups = [list(rng.normal(h % 3, 1.0, n)) for h, n in enumerate(sizes)]
    spread = spread_over_draws(_layout(groups), "x")
    f, p = reference.f_oneway(*groups)
    assert (spread.F, spread.p) == pytest.approx((f, p))
    assert (spread.num_df, spread.den_df) == (len(sizes) - 1, sum(sizes) - len(sizes))


def test_the_variance_is_that_of_balanced_mean_squares() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(0, 1, (7, 3)) + rng.normal(0, 2, (7, 1))
    spread = spread_over_draws(_layout([list(row) for row in y]), "x")
    between, within = 3 * y.mean(axis=1).var(ddof=1), y.var(axis=1, ddof=1).mean()
    assert spread.variance == pytest.approx((between - within) / 3)
    assert spread.sd_seed == pytest.approx(np.sqrt(within))


def test_the_interval_holds_zero_exactly_where_f_does_not_reject_at_half_the_level() -> None:
    rng = np.random.default_rng(5)
    spreads = [spread_over_draws(one_way(rng, draws=8, tau=0.6), "x") for _ in range(40)]
    assert [s.low == 0 for s in spreads] == [s.p >= 0.025 for s in spreads]
    assert 0 < sum(s.low == 0 for s in spreads) < 40
    assert all(s.low <= s.sd <= s.high for s in spreads)


def test_without_seed_noise_it_is_the_interval_of_a_normal_sd() -> None:
    means = [0.3, 1.9, 2.2, -0.7, 0.4, 1.1]
    spread = spread_over_draws(_layout([[m - 1e-7, m + 1e-7] for m in means]), "x")
    square = np.var(means, ddof=1) * 5
    expected = np.sqrt(square / reference.chi2.ppf([0.975, 0.025], 5))
    assert (spread.low, spread.high) == pytest.approx(tuple(expected), rel=1e-5)


def test_seeds_that_do_not_vary_give_no_p() -> None:
    spread = spread_over_draws(_layout([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]), "x")
    assert np.isnan(spread.p)
    assert 0 < spread.low < spread.sd < spread.high
    nothing = spread_over_draws(_layout([[1.0, 1.0], [1.0, 1.0]]), "x")
    assert nothing.sd == 0
    assert np.isnan([nothing.low, nothing.high, nothing.p]).all()


# 150 repeats of a nominal .95 lie in 134..149 with probability .998.
@pytest.mark.parametrize(
    "settings",
    [
        {"tau": 0.7},
        {"tau": 0.5, "seeds": 3, "lost": 0.4},
        {"tau": 0.5, "draws": 12, "noise": (0.5, 1.5)},
    ],
    ids=["balanced", "lost runs", "two backbones"],
)
def test_coverage_of_the_interplay(settings: dict) -> None:
    rng = np.random.default_rng(11)
    spreads = [spread_over_draws(one_way(rng, **settings), "x") for _ in range(150)]
    covered = sum(s.low <= settings["tau"] <= s.high for s in spreads)
    assert 134 <= covered <= 149


def test_coverage_at_zero_is_one_minus_half_the_error() -> None:
    rng = np.random.default_rng(12)
    found = [spread_over_draws(one_way(rng, tau=0.0), "x") for _ in range(200)]
    # At zero the interval can only lie above: an error rate of .025, of the F test .05.
    assert 1 <= sum(s.low > 0 for s in found) <= 13
    assert 2 <= sum(s.p <= 0.05 for s in found) <= 20


def test_the_mean_over_draws_keeps_its_level_and_pooled_runs_do_not() -> None:
    rng = np.random.default_rng(13)
    over_draws = pooled = 0
    for _ in range(600):
        true = rng.normal(0, 1.5, (20, 1))
        runs = true + rng.normal(0, 1.0, (20, 4))
        data = _layout([list(row) for row in runs])
        over_draws += paired_t(data.means).p <= 0.05
        pooled += paired_t(runs.ravel()).p <= 0.05
    assert 15 <= over_draws <= 47  # nominal 30
    assert pooled > 120


def test_seeds_crossed_over_draws_make_the_mean_liberal() -> None:
    rng = np.random.default_rng(14)
    crossed = own = 0
    for _ in range(600):
        seed = rng.normal(0, 0.5 * np.sqrt(2), (1, 2))
        noise = rng.normal(0, 1.0, (20, 2))
        crossed += paired_t((noise + seed).mean(axis=1)).p <= 0.05
        seed = rng.normal(0, 0.5 * np.sqrt(2), (20, 2))
        own += paired_t((noise + seed).mean(axis=1)).p <= 0.05
    assert crossed > 100
    assert 15 <= own <= 47


def test_the_share_without_noise_is_that_of_the_noncentral_t() -> None:
    rng = np.random.default_rng(15)
    means = rng.normal(0.8, 1.0, 15)
    data = _layout([[m - 1e-6, m + 1e-6] for m in means])
    share = sign_share(data, means.var(ddof=1), rng=np.random.default_rng(0), n_resamples=20_000)
    t = means.mean() / means.std(ddof=1) * np.sqrt(15)
    exact = [special.ndtr(-nct_noncentrality(t, 14, p) / np.sqrt(15)) for p in (0.025, 0.975)]
    assert (share.low, share.high) == pytest.approx(tuple(exact), abs=0.01)
    assert share.opposite == int((means < 0).sum())


def test_coverage_of_the_share() -> None:
    rng = np.random.default_rng(16)
    covered = 0
    for _ in range(120):
        data = one_way(rng, mean=0.5, tau=0.6)
        spread = spread_over_draws(data, "x")
        share = sign_share(data, spread.variance, rng=rng, n_resamples=300)
        sign = 1 if data.means.mean() >= 0 else -1
        covered += share.low <= special.ndtr(-sign * 0.5 / 0.6) <= share.high
    assert 106 <= covered <= 119  # nominal 114


def test_one_pair_per_draw_and_single_draws_are_refused() -> None:
    with pytest.raises(StatsError, match="confounded with seed noise"):
        _layout([[1.0], [2.0], [3.0]])
    with pytest.raises(StatsError, match="needs two"):
        _layout([[1.0, 2.0]])
