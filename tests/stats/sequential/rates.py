"""Prints the figures that docs/method.md quotes on adding seeds: ``python -m
tests.stats.sequential.rates``. Takes about a minute on one core."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.special
import scipy.stats

from stats.sequential.confseq import confidence_sequence
from stats.sequential.eprocess import EFFECTS, combined, log_wealth
from stats.sequential.group import RULES, boundaries
from stats.sequential.operating import operating
from stats.sequential.plan import SequentialPlan
from tests.stats.sequential.bands import t_paths

Path = Callable[[np.ndarray], np.ndarray]


def ours(d: np.ndarray) -> np.ndarray:
    """Log e-values of the package, two-sided."""
    return combined(*log_wealth(d, EFFECTS), "two-sided")


def _sums(d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = np.arange(1, d.shape[1] + 1)
    return n, np.cumsum(d, axis=1), np.cumsum(d * d, axis=1)


def right_haar(d: np.ndarray) -> np.ndarray:
    """Mixture of t likelihood ratios, d_z ~ N(0, 1): not an e-process in the data's filtration."""
    n, total, square = _sums(d)
    rest = square - total**2 / (1 + n)
    return np.asarray(-0.5 * np.log(1 + n) - n / 2 * np.log(rest / square))


def universal(d: np.ndarray) -> np.ndarray:
    """Universal inference: normal-inverse-gamma mixture over the likelihood's maximum at mean 0."""
    n, total, square = _sums(d)
    rest = square - total**2 / (1 + n)
    return np.asarray(
        -n / 2 * np.log(2 * np.pi) - 0.5 * np.log(1 + n) + 0.5 * np.log(0.5)
        - math.lgamma(0.5) + scipy.special.gammaln(0.5 + n / 2)
        - (0.5 + n / 2) * np.log(0.5 + rest / 2)
        + n / 2 * (np.log(2 * np.pi * square / n) + 1)
    )  # fmt: skip


def plug_in(d: np.ndarray) -> np.ndarray:
    """Universal inference with the past's mean and variance plugged in, from the third pair on."""
    n, total, square = _sums(d)
    mean, out = total / n, np.zeros_like(d)
    spread = square / n - mean**2
    gain = -0.5 * np.log(2 * np.pi * spread[:, 1:-1])
    gain = gain - (d[:, 2:] - mean[:, 1:-1]) ** 2 / (2 * spread[:, 1:-1])
    late = (square[:, 2:] - square[:, 1:2]) / (n[2:] - 2)
    out[:, 2:] = np.cumsum(gain, axis=1) + (n[2:] - 2) / 2 * (np.log(2 * np.pi * late) + 1)
    return out


def self_normalised(d: np.ndarray) -> np.ndarray:
    """de la Pena's exp(x - x^2 / 2) at the package's stakes."""
    n, _, square = _sums(d)
    z = d / np.sqrt(square / n)
    bets = [s * a * math.sqrt(1 + a * a) * z for a in EFFECTS for s in (1, -1)]
    paths = scipy.special.logsumexp([np.cumsum(x - x * x / 2, axis=1) for x in bets], axis=0)
    return np.asarray(paths - math.log(len(bets)))


RIVALS: dict[str, Path] = {
    "sign bets": ours,
    "right-Haar (coarser)": right_haar,
    "universal, mixture": universal,
    "universal, plug-in": plug_in,
    "de la Pena": self_normalised,
}


def power(repeats: int) -> None:
    """Share of studies that have rejected by n pairs, and the median stopping time."""
    rng = np.random.default_rng(0)
    for dz in (0.5, 0.75, 1.0, 1.5):
        d = rng.normal(dz, 1, (repeats, 40))
        for name, path in RIVALS.items():
            hit = np.maximum.accumulate(path(d) >= math.log(20), axis=1)
            stop = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, 41)
            shares = "  ".join(f"{hit[:, n - 1].mean():.3f}" for n in (6, 8, 10, 15, 20, 30))
            print(f"  d_z {dz:4}, {name:21}: {shares}   median {np.median(stop):.0f}")
        mean, se = t_paths(d)
        fixed = [
            (np.abs(mean / se)[:, n - 1] >= scipy.stats.t.ppf(0.975, n - 1)).mean()
            for n in (6, 8, 10, 15, 20, 30)
        ]
        print(f"  d_z {dz:4}, {'t test at n alone':21}: " + "  ".join(f"{x:.3f}" for x in fixed))


def type_i(repeats: int) -> None:
    """Any rejection in 50 pairs, looking after each; skewed differences break the assumption."""
    rng = np.random.default_rng(1)
    draws = {
        "normal": rng.normal(0, 1, (repeats, 50)),
        "t, 3 df": rng.standard_t(3, (repeats, 50)),
        "Cauchy": rng.standard_cauchy((repeats, 50)),
        "exponential - 1 (skewed)": rng.exponential(1, (repeats, 50)) - 1,
    }
    for name, d in draws.items():
        hit = np.maximum.accumulate(ours(d) >= math.log(20), axis=1)
        print(f"  {name:25}: by 20 pairs {hit[:, 19].mean():.3f}, by 50 {hit[:, 49].mean():.3f}")
    mean, se = t_paths(draws["normal"][:, :20])
    critical = scipy.stats.t.ppf(0.975, np.arange(2, 20))
    peeking = (np.abs(mean / se)[:, 2:] >= critical).any(axis=1).mean()
    print(f"  fixed-n t after each of pairs 3 to 20: {peeking:.3f}")
    skewed, error = t_paths(draws["exponential - 1 (skewed)"])
    p = np.abs(skewed / error)[:, 19] >= scipy.stats.t.ppf(0.975, 19)
    print(f"  fixed-n t at 20 skewed pairs alone: {p.mean():.3f}")


def widths(repeats: int) -> None:
    """Median width of the confidence sequence, over that of the t interval at n alone."""
    rng = np.random.default_rng(2)
    ratios = []
    for d in rng.normal(0, 1, (repeats, 30)):
        sequence = confidence_sequence(d)
        _, se = t_paths(d[None])
        t = 2 * scipy.stats.t.ppf(0.975, np.arange(29) + 1) * se[0, 1:]
        ratios.append((sequence.high - sequence.low)[1:] / t)
    middle = np.median(ratios, axis=0)
    print("  " + ", ".join(f"n = {n}: {middle[n - 2]:.2f}" for n in (8, 10, 15, 20, 30)))


def looks(repeats: int) -> None:
    """Type I error of t tests at looks, at normal-theory levels and at the package's."""
    rng = np.random.default_rng(3)
    for times in ((8, 14, 20), (5, 10, 15), (3, 6, 9), (10, 20)):
        mean, se = t_paths(rng.normal(0, 1, (repeats, times[-1])))
        at = np.array(times)
        p = 2 * scipy.stats.t.sf(np.abs(mean / se)[:, at - 1], at - 1)
        for rule in RULES:
            found = boundaries(times, 0.05, rule)
            nominal = (p <= found.nominal).any(axis=1).mean()
            exact = (p <= found.levels).any(axis=1).mean()
            levels = ", ".join(f"{level:.4f}" for level in found.levels)
            print(f"  {times}, {rule:24}: normal {nominal:.4f}, t {exact:.4f}; levels {levels}")


def plans(repeats: int) -> None:
    """What plans of up to 20 pairs do."""
    for dz in (0.0, 0.5, 0.75, 1.0, 1.5):
        for name, plan in {
            "anytime": SequentialPlan(20),
            "obrien-fleming 8/14/20": SequentialPlan(20, (8, 14, 20)),
            "pocock 8/14/20": SequentialPlan(20, (8, 14, 20), rule="pocock"),
            "t test at 20": SequentialPlan(20, (20,)),
        }.items():
            o = operating(plan, dz, n_resamples=repeats)
            print(f"  d_z {dz:4}, {name:22}: power {o.power:.3f}, mean pairs {o.mean_n:.1f}")


def main() -> None:
    """Print every table."""
    print("Type I error while looking after every pair (nominal .05):")
    type_i(20_000)
    print("Power by 6, 8, 10, 15, 20, 30 pairs:")
    power(10_000)
    print("Width of the confidence sequence over the t interval at n alone:")
    widths(60)
    print("Type I error at planned looks (nominal .05):")
    looks(400_000)
    print("Plans of up to 20 pairs:")
    plans(10_000)


if __name__ == "__main__":
    main()
