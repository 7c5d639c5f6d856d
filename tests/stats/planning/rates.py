"""Prints what docs/method.md quotes on planning: ``python -m tests.stats.planning.rates``.

Takes about 45 s on one core. The tests of the rooms hold the same procedures to binomial bands.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from stats.equivalence.noninferiority import no_degradation, noninferiority
from stats.equivalence.tost import tost
from stats.planning.family_power import Layout, family_power, pairs_for_family
from stats.planning.power import detectable_effect, pairs_for_t
from stats.planning.spread import upper_sd

ALPHA = 0.05


def false_equivalence(n: int, repeats: int) -> None:
    """A true difference of one margin, one sd: how often each rule calls it equivalent."""
    d = np.random.default_rng(n).normal(1.0, 1.0, (repeats, n))
    results = [tost(x, -1.0, 1.0) for x in d]
    critical = -float(special.stdtrit(n - 1, 0.025))
    absence = np.mean([abs(r.mean) < critical * r.se for r in results])
    shown = np.mean([r.equivalent for r in results])
    print(f"  n = {n:2}: TOST {shown:.3f}, 'the t test did not reject' {absence:.3f}")


def hidden_loss(n: int, repeats: int) -> None:
    """One of three benchmarks loses exactly the margin, the others gain twice as much."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(repeats, 1, n)) + rng.normal(size=(repeats, 3, n))
    d = np.array([-1.0, 2.0, 2.0])[:, None] + 0.6 * noise
    joint = np.mean([no_degradation(dict(zip("abc", x, strict=True)), 1.0).holds for x in d])
    average = np.mean([noninferiority(x.mean(axis=0), 1.0).holds for x in d])
    print(f"  n = {n}: every benchmark tested {joint:.3f}, their average tested {average:.3f}")


def planned_power(pilot: int, repeats: int) -> None:
    """The share of studies planned from a pilot whose power reaches 80 %, effect 1 sd."""
    rng = np.random.default_rng(0)
    sds = rng.normal(0, 1, (repeats, pilot)).std(axis=1, ddof=1)
    enough = pairs_for_t(1.0, 1.0)
    own = np.mean([pairs_for_t(1.0, float(s)) >= enough for s in sds])
    safe = np.mean([pairs_for_t(1.0, upper_sd(float(s), pilot - 1)) >= enough for s in sds])
    print(f"  pilot of {pilot}: its sd {own:.2f}, its upper 80 % limit {safe:.2f}")


def families(effect: float) -> None:
    """Power of 16 correlated tests on two backbones against Bonferroni's, by formula."""
    layout = Layout(2, 4, 2)
    for n in (6, 8, 10, 12, 15):
        r = family_power(effect, 1.0, n, layout, n_studies=1000)
        print(
            f"  n = {n:2}: average {r.average_power:.3f}, any {r.any_power:.3f}, all "
            f"{r.all_power:.3f}; Bonferroni {r.bonferroni_average:.3f} (error "
            f"{r.se_average:.3f})"
        )
    found = pairs_for_family(effect, 1.0, layout, n_studies=500)
    print(
        f"  80 % on average: {found.n_pairs} pairs per backbone by simulation, "
        f"{pairs_for_t(effect, 1.0, tests=layout.tests)} by Bonferroni"
    )


def coarse_flips(n: int) -> None:
    """One true difference among four tests, at the size that Bonferroni's t finds with 80 %."""
    effect = detectable_effect(1.0, n, tests=4)
    alone = np.array([effect, 0.0, 0.0, 0.0]).reshape(1, 1, 4)
    one, every = (
        family_power(e, 1.0, n, Layout(1, 4, 1), n_studies=1000).average_power
        for e in (alone, effect)
    )
    print(f"  n = {n:2}: one true difference {one:.3f}, all four true {every:.3f}")


def main() -> None:
    """Print every table."""
    print("Called equivalent at a true difference of exactly the margin, 1 sd (nominal .05):")
    for n in (5, 10, 20):
        false_equivalence(n, 40_000)
    print("'No degradation' although one benchmark of three loses the margin (nominal .025):")
    hidden_loss(8, 4000)
    print("Studies planned from a pilot that have the power they promise:")
    for pilot in (4, 6, 12):
        planned_power(pilot, 2000)
    print("Sixteen tests (2 arms x 4 benchmarks x 2 backbones), all at 1.3 sd:")
    families(1.3)
    print("Max-T at four tests, where Bonferroni's t promises .800:")
    for n in (6, 7, 8, 10):
        coarse_flips(n)


if __name__ == "__main__":
    main()
