"""Prints the simulated error rates that docs/method.md quotes: ``python -m tests.stats.rates``.

Takes about a minute on one core. The tests in ``test_rates`` hold the same procedures to binomial
bands with fewer repeats.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.stats

from stats.family import correct, max_t
from stats.paired import paired_t, t_quantile
from stats.sample import Sample, estimate

ALPHA = 0.05


def intervals(n: int, effect: float, repeats: int) -> None:
    """Coverage and median critical value of simultaneous intervals, 18 tests on two backbones."""
    rng = np.random.default_rng(0)
    names = ("centred flips", "flips of the data", "Bonferroni t")
    covered = dict.fromkeys(names, 0)
    critical: dict[str, list[float]] = {name: [] for name in names}
    truth = np.tile([0.0, effect, 0.0], 3)
    for _ in range(repeats):
        samples = []
        for b in range(2):
            shared = rng.normal(0, 0.7, n)
            d = truth[:, None] + shared + rng.normal(0, 0.7, (9, n))
            where = [np.arange(n) + n * b]
            samples += [Sample.of([x], where) for x in d]
        es = [estimate(s) for s in samples]
        off = np.array([abs(e.mean - m) / e.se for e, m in zip(es, np.tile(truth, 2), strict=True)])
        values = {
            "centred flips": max_t(samples, alpha=ALPHA).critical,
            "flips of the data": _uncentred(samples, n),
            "Bonferroni t": t_quantile(1 - ALPHA / 36, n - 1),
        }
        for name, value in values.items():
            covered[name] += bool((off <= value).all())
            critical[name].append(value)
    for name in names:
        print(
            f"  n = {n:2}, effect {effect:g} sd, {name:17}: coverage "
            f"{covered[name] / repeats:.3f}, median critical {np.median(critical[name]):.2f}"
        )


def _uncentred(samples: list[Sample], n: int) -> float:
    """The .95 quantile of max |t| over all joint flips of the data, by plain enumeration."""
    signs = 1.0 - 2.0 * ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1)
    below = []
    for half in (samples[:9], samples[9:]):
        x = np.array([s.values[0] for s in half])
        flipped = signs[:, None, :] * x
        t = flipped.mean(axis=2) / flipped.std(axis=2, ddof=1) * math.sqrt(n)
        below.append(np.sort(np.abs(t).max(axis=1)))
    atoms = np.sort(np.concatenate(below))[::-1]
    for atom in atoms:
        reached = 1 - math.prod(np.searchsorted(part, atom) / part.size for part in below)
        if reached > ALPHA:
            return float(atom)
    return float(atoms[-1])


def averages(correlation: float, repeats: int) -> None:
    """Type I error of the average over four benchmarks, and of calling cells independent."""
    rng = np.random.default_rng(0)
    right = wrong = 0
    for _ in range(repeats):
        shared = rng.normal(0, 1, (2, 1, 6))
        d = math.sqrt(correlation) * shared
        d = d + math.sqrt(1 - correlation) * rng.normal(0, 1, (2, 4, 6))
        right += paired_t(Sample.of(list(d.mean(axis=1)))).p <= ALPHA
        wrong += paired_t(Sample.of(list(d.reshape(-1, 6)))).p <= ALPHA
    print(
        f"  correlation {correlation:g}: within the pair first {right / repeats:.3f}, "
        f"cells as independent {wrong / repeats:.3f}"
    )


def family_wise(n: int, repeats: int) -> None:
    """Any false rejection among 12 null tests, corrected and not."""
    rng = np.random.default_rng(0)
    hits = raw = 0
    for _ in range(repeats):
        shared = rng.normal(0, 0.7, (2, 1, n))
        d = shared + rng.normal(0, 0.7, (2, 6, n))
        samples = [Sample.of([x], [np.arange(n) + n * b]) for b in range(2) for x in d[b]]
        ts = [paired_t(s) for s in samples]
        fixed = correct(samples, [t.p for t in ts], [t.df for t in ts], alpha=ALPHA)
        hits += fixed.p_adjusted.min() <= ALPHA
        raw += min(t.p for t in ts) <= ALPHA
    print(
        f"  n = {n}, {fixed.method[0]}: corrected {hits / repeats:.3f}, "
        f"uncorrected {raw / repeats:.3f}"
    )


def pairing(n: int, repeats: int) -> None:
    """Power at a true difference of one standard deviation of differences, paired and unpaired."""
    rng = np.random.default_rng(0)
    luck = rng.normal(0, 2, (repeats, n))
    noise = rng.normal(0, math.sqrt(0.5), (2, repeats, n))
    arm, base = luck + noise[0] + 1.0, luck + noise[1]
    paired = np.mean([paired_t(d).p <= ALPHA for d in arm - base])
    unpaired = (scipy.stats.ttest_ind(arm, base, axis=1).pvalue <= ALPHA).mean()
    print(f"  n = {n}: paired {paired:.3f}, unpaired {unpaired:.3f}")


def main() -> None:
    """Print every table."""
    print("Power at d_z = 1 with a pair's luck of SD 2 (SD of paired differences: 1):")
    pairing(10, 4000)
    print("Type I error of an average over benchmarks (nominal .05), 2 backbones x 6 pairs:")
    for correlation in (0.0, 0.2, 0.5):
        averages(correlation, 8000)
    print("Family-wise error, 12 correlated null tests on two backbones (nominal .05):")
    for n in (5, 6, 8):
        family_wise(n, 2000)
    print("Simultaneous intervals of 18 tests (nominal .95):")
    for n in (6, 10):
        for effect in (0.0, 4.0):
            intervals(n, effect, 600)


if __name__ == "__main__":
    main()
