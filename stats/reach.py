"""Whether a family can reach any verdict at a number of pairs; needs no data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stats.errors import StatsError

# A paired difference this many standard deviations from zero is beyond what training seeds show;
# a plan that needs more is told so.
PLAUSIBLE_DZ = 3.0


@dataclass(frozen=True)
class Reach:
    """What a family of ``n_tests`` tests with ``n_pairs`` pairs each can reach at level alpha.

    ``smallest_p`` is the smallest p-value of the sign-flip test and of max-T, 2 / 2^n; ``max_t``
    tells whether it is at most alpha. Else the family is corrected by Holm, whose first step
    needs |d_z| >= ``dz_holm`` in the data (NaN below two pairs). ``verdict`` is whether any
    significant verdict is within plausible reach, ``warning`` a sentence when it is not ("" else).
    """

    n_pairs: int
    n_tests: int
    alpha: float
    smallest_p: float
    max_t: bool
    holm_t: bool
    dz_holm: float
    method: str
    verdict: bool
    warning: str


def reach(n_pairs: int, n_tests: int, alpha: float = 0.05) -> Reach:
    """What a family of ``n_tests`` can reach with ``n_pairs`` pairs per test.

    Holm counts as out of reach when its first step needs an observed d_z above ``PLAUSIBLE_DZ``.
    Raises StatsError for fewer than one pair or test, and for a level outside (0, 1).
    """
    for name, value in (("n_pairs", n_pairs), ("n_tests", n_tests)):
        if value < 1:
            raise StatsError(f"{value} is less than 1", place=name, value=value)
    if not 0 < alpha < 1:
        raise StatsError(
            f"{alpha} is not between 0 and 1", place="alpha", value=alpha, hint="e.g. 0.05"
        )
    smallest = math.ldexp(2.0, -n_pairs)
    max_t = smallest <= alpha
    dz = math.nan
    if n_pairs > 1:
        from scipy.special import stdtrit

        dz = -float(stdtrit(n_pairs - 1, alpha / (2 * n_tests))) / math.sqrt(n_pairs)
    holm_t = dz <= PLAUSIBLE_DZ
    warning = ""
    if n_pairs == 1:
        warning = "one pair shows no spread, so no inference is possible: take 6 pairs or more"
    elif not max_t and not holm_t:
        warning = (
            f"{n_pairs} pairs cannot settle a family of {n_tests} tests at {alpha:g}: sign flips "
            f"reach p = {smallest:.3g} at best, and Holm needs |d_z| >= {dz:.1f}: take "
            f"{min_pairs(alpha)} pairs or more"
        )
    return Reach(
        n_pairs, n_tests, alpha, smallest, max_t, holm_t, dz,
        "max-T" if max_t else "Holm", max_t or holm_t, warning,
    )  # fmt: skip


def min_pairs(alpha: float = 0.05) -> int:
    """The smallest number of pairs at which a sign-flip p-value, 2 / 2^n, can be at most alpha."""
    if not 0 < alpha < 1:
        raise StatsError(f"{alpha} is not between 0 and 1", place="alpha", value=alpha)
    return math.ceil(1 - math.log2(alpha) - 1e-12)
