"""Prints the simulated error rates that docs/method quotes.

``python -m tests.stats.matched_draws.rates`` takes about a minute and a half on one core; the tests
in ``test_spread`` hold the same procedures to binomial bands with fewer repeats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from stats.matched_draws.sign import sign_share
from stats.matched_draws.spread import spread_over_draws
from stats.paired import paired_t
from tests.stats.matched_draws.draws import one_way

REPEATS = 1000
MEAN = 0.5

SETTINGS: dict[str, dict[str, Any]] = {
    "20 draws x 2 seeds, no interplay": {"tau": 0.0},
    "20 draws x 2 seeds, SD .3": {"tau": 0.3},
    "20 draws x 2 seeds, SD .7": {"tau": 0.7},
    "20 draws x 2 seeds, SD 2": {"tau": 2.0},
    "10 draws x 3 seeds, SD .7": {"tau": 0.7, "draws": 10, "seeds": 3},
    "20 draws x 3 seeds, 40 % of seeds lost": {"tau": 0.5, "seeds": 3, "lost": 0.4},
    "12 draws x 2, two backbones of noise 1 and 3": {"tau": 0.5, "draws": 12, "noise": (1.0, 3.0)},
}
"""Settings of ``one_way``; seed noise of one pair's difference is 1 unless said."""


def coverage(name: str, settings: dict[str, Any], repeats: int) -> None:
    """Coverage of the interplay's SD, the share of the other sign and the mean; size of F."""
    rng = np.random.default_rng(0)
    tau = settings["tau"]
    spread_in = share_in = mean_in = rejected = 0
    for _ in range(repeats):
        data = one_way(rng, mean=MEAN, **settings)
        spread = spread_over_draws(data, "x")
        share = sign_share(data, spread.variance, rng=rng, n_resamples=1000)
        t = paired_t(data.means)
        sign = 1 if t.mean >= 0 else -1
        true = float(special.ndtr(-sign * MEAN / tau)) if tau else float(sign < 0)
        spread_in += spread.low <= tau <= spread.high
        share_in += share.low <= true <= share.high
        mean_in += t.ci_low <= MEAN <= t.ci_high
        rejected += spread.p <= 0.05
    print(
        f"  {name:44}: interplay SD {spread_in / repeats:.3f}, "
        f"sign share {share_in / repeats:.3f}, mean {mean_in / repeats:.3f}, "
        f"F rejects {rejected / repeats:.3f}"
    )


def units(tau: float, arm_seed: float, repeats: int) -> None:
    """Type I error of the mean: t over draws, over pooled pairs, and with two crossed seeds.

    SDs are those of a run's score, its residual has 1; differences have sqrt(2) times as much.
    """
    rng = np.random.default_rng(1)
    over_draws = pooled = crossed = 0
    for _ in range(repeats):
        true = tau * np.sqrt(2) * rng.standard_normal((20, 1))
        noise = np.sqrt(2) * rng.standard_normal((20, 2))
        own = arm_seed * np.sqrt(2) * rng.standard_normal((20, 2))
        shared = arm_seed * np.sqrt(2) * rng.standard_normal((1, 2))
        runs = true + noise + own
        over_draws += paired_t(runs.mean(axis=1)).p <= 0.05
        pooled += paired_t(runs.ravel()).p <= 0.05
        crossed += paired_t((true + noise + shared).mean(axis=1)).p <= 0.05
    print(
        f"  interplay SD {tau}, arm x seed SD {arm_seed}: t over draws {over_draws / repeats:.3f}, "
        f"pooled pairs {pooled / repeats:.3f}, crossed seeds {crossed / repeats:.3f}"
    )


def main() -> None:
    """All rates."""
    print(f"Coverage of nominal .95 and size of a nominal .05 F test, {REPEATS} repeats:")
    for name, settings in SETTINGS.items():
        coverage(name, settings, REPEATS)
    print(f"Type I error of a nominal .05 test of the mean, 20 draws x 2 seeds, {4 * REPEATS}:")
    for tau, arm_seed in ((0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (0.0, 0.25), (0.0, 0.5)):
        units(tau, arm_seed, 4 * REPEATS)


if __name__ == "__main__":
    main()
