"""Failures known of other packages, which this one must not show.

Those that are rates are gates: the side chosen after looking (autorank), adjusted p-values put back
in the wrong order (deepsig), forgotten pairs (rliable), Wald's z (statsmodels). Each was verified
by running or reading the package named.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from stats.bootstrap import bootstrap_t
from stats.compare import compare
from stats.contrast import versus
from stats.equivalence.tost import tost
from stats.errors import StatsError
from stats.family import correct, holm, max_t
from stats.mixed.fit import lmm
from stats.paired import paired_t
from stats.replication.exploratory import benjamini_hochberg
from stats.sample import Sample
from stats.sequential.eholm import adjust_e
from stats.signflip import sign_flip
from stats.table import PairedTable
from tests.stats.gates.draws import arms
from tests.stats.gates.mixed import fitted
from tests.stats.tables import frame

D = np.random.default_rng(0).normal(0.3, 1, (6, 24))


def _samples() -> list[Sample]:
    return [Sample.of([d]) for d in D]


def _compared(rng: int | np.random.Generator) -> Any:
    table = PairedTable.from_frame(frame({"lora": 0, "talan": 1}, seeds=24))
    made = compare(table, cells=[versus("talan", "lora")], primary=[], n_resamples=999, rng=rng)
    return [(e.p_signflip, e.p_adjusted, e.boot_low, e.boot_high) for e in made.cells]


RANDOM: dict[str, Callable[[int], Any]] = {
    "sign flips": lambda seed: sign_flip(D[0], n_resamples=999, rng=seed).p,
    "bootstrap-t": lambda seed: bootstrap_t(D[0], n_resamples=999, rng=seed).low,
    "max-T": lambda seed: max_t(_samples(), n_resamples=999, rng=seed).p_adjusted.tolist(),
    "compare": _compared,
}


@pytest.mark.parametrize("function", RANDOM.values(), ids=list(RANDOM))
def test_a_seed_repeats_the_result_whatever_the_global_state(
    function: Callable[[int], Any],
) -> None:
    """rliable draws from NumPy's global generator and ignores the seed it is given."""
    first = function(3)
    np.random.seed(77)
    before = np.random.get_state()[1].copy()
    assert function(3) == first
    assert function(4) != first
    assert np.array_equal(np.random.get_state()[1], before)


P = np.array([0.03, 0.001, 0.2, 0.02, 0.6, 0.01])
ADJUSTED: dict[str, Callable[[list[int]], np.ndarray]] = {
    "Holm": lambda at: holm(P[at]),
    "Benjamini-Hochberg": lambda at: benjamini_hochberg(P[at]),
    "e-values": lambda at: adjust_e(1 / P[at]),
    "max-T": lambda at: max_t([Sample.of([D[i, :10]]) for i in at]).p_adjusted,
}


@pytest.mark.parametrize("adjusted", ADJUSTED.values(), ids=list(ADJUSTED))
def test_every_adjusted_value_stays_with_its_test(
    adjusted: Callable[[list[int]], np.ndarray],
) -> None:
    """deepsig un-sorts by the forward permutation: [.03, .01, .02] became [.04, .03, .03]."""
    in_order = adjusted(list(range(6)))
    assert len(set(in_order)) > 2
    for order in ([2, 0, 1, 4, 5, 3], [5, 4, 3, 2, 1, 0], [1, 2, 3, 4, 5, 0]):
        assert adjusted(order) == pytest.approx(in_order[order], rel=1e-9)


@pytest.mark.parametrize("tests", [1, 10])
def test_a_family_is_held_to_its_share_of_alpha(tests: int) -> None:
    """deepsig sets the level of ten comparisons to .955, and that of a single one to 1."""
    d = np.random.default_rng(1).normal(size=(tests, 5))
    samples = [Sample.of([x]) for x in d]
    ts = [paired_t(sample) for sample in samples]
    found = correct(samples, [t.p for t in ts], [t.df for t in ts])
    assert found.critical == pytest.approx(scipy.stats.t.ppf(1 - 0.05 / tests / 2, 4))
    assert found.p_adjusted.min() == pytest.approx(min(1.0, tests * min(t.p for t in ts)))


def test_the_data_choose_neither_the_test_nor_its_side() -> None:
    """autorank tests for normality first, and then the side of the larger median."""
    rng = np.random.default_rng(2)
    methods = set()
    for noise in (rng.normal(size=(2, 12)), rng.exponential(size=(2, 12)) ** 3):
        rows = [
            {"arm": arm, "backbone": "b", "seed": s, "benchmark": "x", "score": noise[a, s]}
            for a, arm in enumerate(("lora", "talan"))
            for s in range(12)
        ]
        table = PairedTable.from_frame(pd.DataFrame(rows))
        one, other = (
            compare(table, cells=[versus(*pair)], primary=[]).cells[0]
            for pair in (("talan", "lora"), ("lora", "talan"))
        )
        methods.add((one.p_adjusted_method, one.estimand.split(" of ")[0]))
        assert (one.p, one.p_signflip) == pytest.approx((other.p, other.p_signflip), rel=1e-9)
    assert len(methods) == 1


def test_unequal_numbers_of_runs_are_never_compared_unpaired() -> None:
    """pingouin warns that the lengths differ and switches to the unpaired test."""
    whole = frame({"lora": 0, "talan": 1}, backbones=("deep",), benchmarks=("algebra",), seeds=8)
    short = whole.drop(index=whole.index[(whole["arm"] == "talan") & (whole["seed"] == 3)])
    with pytest.raises(StatsError, match="has no row for pair"):
        PairedTable.from_frame(short)
    table = PairedTable.from_frame(short, allow_failed=True)
    effect = compare(table, cells=[versus("talan", "lora")], primary=[]).cells[0]
    wide = short.pivot(index="seed", columns="arm", values="score").dropna()
    expected = paired_t((wide["talan"] - wide["lora"]).to_numpy())
    assert (effect.n_pairs, effect.n_broken, effect.df) == (7, 1, 6)
    assert effect.p == pytest.approx(expected.p)


def test_intervals_are_there_and_not_rounded() -> None:
    """pingouin rounds intervals to two decimals by a global option, and gives TOST none."""
    t, n = paired_t(D[0]), D.shape[1]
    half = scipy.stats.t.ppf(0.975, n - 1) * D[0].std(ddof=1) / math.sqrt(n)
    assert t.ci_high - D[0].mean() == pytest.approx(half, rel=1e-12)
    made = tost(D[0], -1, 1)
    assert made.ci_low < made.mean < made.ci_high


def test_a_variance_has_an_interval_and_no_standard_error() -> None:
    """statsmodels prints standard errors of variances, in another unit, also at zero."""
    base, arm = arms(np.random.default_rng(3), 1, 8, -0.4)[:, 0]
    fit = fitted(base, arm)
    assert fit.boundary
    assert set(fit.random().columns) == {"group", "term", "variance", "sd"}
    row = fit.intervals().rows[0]
    assert row.estimate == row.low == 0 < row.high < math.inf


def test_two_arms_and_five_seeds_have_four_degrees_of_freedom() -> None:
    """The formula of Kenward and Roger has a pole there; one study in ten met it exactly."""
    for seed in range(40):
        base, arm = arms(np.random.default_rng(seed), 1, 5, 0.5)[:, 0]
        tests = fitted(base, arm).fixed("kenward-roger").tests
        assert tests[1].df == pytest.approx(4, rel=1e-6)
        assert math.isfinite(tests[1].p)


def test_at_the_ceiling_no_spread_is_no_proof() -> None:
    """Five pairs on 50 items of accuracy .99: differences often agree, and p is never 0."""
    rng = np.random.default_rng(4)
    d = np.subtract(*rng.binomial(50, 0.99, (2, 2000, 5))) / 50
    p = np.array([paired_t(x).p for x in d])
    constant = np.ptp(d, axis=1) == 0
    assert constant.sum() > 20
    assert np.array_equal(np.isnan(p), constant)
    assert not (p[~constant] <= 0).any()
    assert (p[~constant] <= 0.05).sum() <= scipy.stats.binom.ppf(0.9995, 2000, 0.05)


def test_a_model_is_not_fitted_from_a_table_with_gaps_unless_asked() -> None:
    """Rows that lack a score do not go away silently."""
    table = frame({"lora": 0, "talan": 1})
    table.loc[3, "score"] = math.nan
    with pytest.raises(StatsError, match="missing"):
        lmm("score ~ arm + (1 | backbone:seed)", table)
