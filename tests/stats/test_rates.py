"""Error rates and coverage by simulation, against a binomial band; mutants must leave the band.

Each test states its band: the central 99.9 % of the binomial at the nominal rate, so that a right
procedure fails one seed in a thousand. Seeds are fixed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from stats.bootstrap import bootstrap_t
from stats.effect import effect_size
from stats.family import correct, max_t
from stats.paired import paired_t
from stats.sample import Sample, estimate
from stats.signflip import sign_flips

ALPHA = 0.05


def band(rate: float, repeats: int) -> tuple[float, float]:
    low, high = scipy.stats.binom.interval(0.999, repeats, rate)
    return low / repeats, high / repeats


@pytest.mark.parametrize("n", [5, 10, 20])
def test_type_i_error_of_the_paired_t_and_of_its_unpaired_mutant(n: int) -> None:
    """Arms share the pair's luck (correlation .8): ignoring pairs makes the test too shy."""
    repeats = 2000
    rng = np.random.default_rng(n)
    luck = rng.normal(0, 2, (repeats, n))
    arm, base = luck + rng.normal(0, 1, (2, repeats, n))
    p = np.array([paired_t(d).p for d in arm - base])
    low, high = band(ALPHA, repeats)
    assert low <= (p <= ALPHA).mean() <= high
    unpaired = scipy.stats.ttest_ind(arm, base, axis=1).pvalue
    assert (unpaired <= ALPHA).mean() < low


@pytest.mark.parametrize("n", [6, 10, 24])
def test_type_i_error_of_sign_flips(n: int) -> None:
    """The attainable level is the largest multiple of 2 / 2^n below alpha; n = 24 is drawn."""
    repeats = 2000 if n < 20 else 300
    level = math.floor(ALPHA * 2**n / 2) * 2 / 2**n
    d = np.random.default_rng(n).normal(0, 1, (repeats, n))
    # Tails as heavy as Laplace's are no matter: only symmetry is asked.
    d = np.sign(d) * d**2
    p = np.array([f.p for f in sign_flips([Sample.of([x]) for x in d], n_resamples=999, rng=0)])
    low, high = band(level, repeats)
    assert low <= (p <= ALPHA).mean() <= high


@pytest.mark.parametrize("n", [5, 10])
def test_coverage_of_intervals(n: int) -> None:
    """t and d_z keep 95 %; bootstrap-t does so approximately (.954 and .949 in the literature)."""
    repeats, effect = 700, 0.7
    rng = np.random.default_rng(n)
    t_in = dz_in = boot_in = 0
    for d in rng.normal(effect, 1, (repeats, n)):
        t, dz = paired_t(d), effect_size(d)
        boot = bootstrap_t(d, n_resamples=999, rng=rng)
        t_in += t.ci_low < effect < t.ci_high
        dz_in += dz.low < effect < dz.high
        boot_in += boot.low < effect < boot.high
    low, high = band(0.95, repeats)
    assert low <= t_in / repeats <= high
    assert low <= dz_in / repeats <= high
    assert low - 0.01 <= boot_in / repeats <= high + 0.01


def _study(
    rng: np.random.Generator, n: int, *, correlation: float, backbones: int = 2
) -> np.ndarray:
    """Null differences (backbones, arms=2, benchmarks=3, n): a pair's benchmarks and arms move
    together, as arms share the baseline's run and benchmarks share a training."""
    shared = rng.normal(0, 1, (backbones, 1, 1, n))
    own = rng.normal(0, 1, (backbones, 2, 3, n))
    return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own


@pytest.mark.parametrize(("n", "correlation"), [(6, 0.5), (8, 0.8), (5, 0.5)])
def test_family_wise_error(n: int, correlation: float) -> None:
    """Any false rejection among 12 tests: at most alpha (n = 5 goes by Holm)."""
    repeats = 700
    rng = np.random.default_rng(n)
    hits = uncorrected = 0
    for _ in range(repeats):
        d = _study(rng, n, correlation=correlation)
        samples = [
            Sample.of([x], [np.arange(n) + n * b]) for b in range(2) for x in d[b].reshape(-1, n)
        ]
        ts = [paired_t(s) for s in samples]
        p = correct(samples, [t.p for t in ts], [t.df for t in ts], alpha=ALPHA).p_adjusted
        hits += p.min() <= ALPHA
        uncorrected += min(t.p for t in ts) <= ALPHA
    _, high = band(ALPHA, repeats)
    assert hits / repeats <= high
    assert uncorrected / repeats > high


def test_family_wise_error_with_one_real_effect() -> None:
    """Step-down must not spend on the real effect what it owes the nulls."""
    repeats, n = 600, 8
    rng = np.random.default_rng(1)
    false = found = 0
    for _ in range(repeats):
        d = _study(rng, n, correlation=0.5, backbones=1).reshape(-1, n)
        d[0] += 4
        p = max_t([Sample.of([x]) for x in d]).p_adjusted
        false += p[1:].min() <= ALPHA
        found += p[0] <= ALPHA
    assert false / repeats <= band(ALPHA, repeats)[1]
    assert found / repeats > 0.9


def test_simultaneous_intervals_cover_together() -> None:
    repeats, n = 700, 6
    rng = np.random.default_rng(4)
    truth = np.array([0.0, 0.0, 1.0, 4.0, 4.0, 4.0])
    covered = single = 0
    for _ in range(repeats):
        d = _study(rng, n, correlation=0.5, backbones=1).reshape(-1, n) + truth[:, None]
        samples = [Sample.of([x]) for x in d]
        critical = max_t(samples, alpha=ALPHA).critical
        es = [estimate(s) for s in samples]
        off = np.array([abs(e.mean - m) / e.se for e, m in zip(es, truth, strict=True)])
        covered += (off <= critical).all()
        single += (off <= scipy.stats.t.ppf(0.975, n - 1)).all()
    low, high = band(0.95, repeats)
    assert low <= covered / repeats <= high
    assert single / repeats < low


@pytest.mark.parametrize("correlation", [0.2, 0.5])
def test_average_over_benchmarks_and_the_mutant_that_calls_cells_independent(
    correlation: float,
) -> None:
    repeats, n, backbones, benchmarks = 2000, 6, 2, 4
    rng = np.random.default_rng(int(10 * correlation))
    shared = rng.normal(0, 1, (repeats, backbones, 1, n))
    own = rng.normal(0, 1, (repeats, backbones, benchmarks, n))
    d = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
    right = np.array([paired_t(Sample.of(list(x.mean(axis=1)))).p for x in d])
    wrong = np.array([paired_t(Sample.of(list(x.reshape(-1, n)))).p for x in d])
    low, high = band(ALPHA, repeats)
    # Satterthwaite's df err slightly to the safe side with so few pairs.
    assert low - 0.01 <= (right <= ALPHA).mean() <= high
    assert (wrong <= ALPHA).mean() > high
