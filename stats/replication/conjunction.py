"""In how many of N tests there is an effect, at least: partial conjunction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from stats.errors import StatsError, nearest
from stats.family import holm
from stats.paired import check_alternative, check_level
from stats.record import Record

FORMS = ("bonferroni", "fisher")
_DEPENDENCE = {
    "bonferroni": "Bonferroni form (any dependence between the tests)",
    "fisher": "Fisher form (valid for independent tests only)",
}
_WORD = {"greater": "improved", "less": "harmed", "two-sided": "changed"}
_EFFECT = {
    "greater": "a true effect above zero",
    "less": "a true effect below zero",
    "two-sided": "a true effect that is not zero",
}


def partial_conjunction(p: Sequence[float] | np.ndarray, form: str = "bonferroni") -> np.ndarray:
    """The p-values p^(u/N), u = 1 ... N, of "fewer than u of the N effects are real".

    ``p`` (N,) are the tests' p-values in any order, one-sided for a directional count; a NaN counts
    as 1. The null hypothesis of each u is rejected at level alpha where the u-th value returned is
    at most alpha. "bonferroni": (N - u + 1) p_(u), valid under any dependence. "fisher": -2 times
    the sum of ln p_(i) over i >= u, against chi-squared with 2 (N - u + 1) degrees of freedom,
    valid for independent tests only. Both are made non-decreasing in u by their running maximum,
    for whoever shows u effects shows u - 1 (Benjamini and Heller 2008, Biometrics 64, 1215-1222).
    The Bonferroni form is Holm's adjusted p-values in rising order.

    Raises StatsError for an unknown form, an empty list and values outside [0, 1].
    """
    if form not in FORMS:
        raise StatsError(
            f"'{form}' is not a form of partial conjunction",
            place="form",
            value=form,
            hint=nearest(form, FORMS),
        )
    ordered = np.sort(check_p(p))
    if form == "bonferroni":
        return np.sort(holm(ordered))
    with np.errstate(divide="ignore"):
        logs = np.log(ordered)
    statistic = -2 * np.cumsum(logs[::-1])[::-1]
    df = 2.0 * np.arange(ordered.size, 0, -1)
    return np.asarray(np.maximum.accumulate(special.chdtrc(df, statistic)))


@dataclass(frozen=True)
class EffectCount(Record):
    """At least ``k`` of ``n`` effects are real, with confidence 1 - ``alpha``.

    ``p`` (n,) are the partial-conjunction p-values: ``k`` is the number of them at most ``alpha``.
    ``observed`` is how many of the estimates point that way (None: not told). ``alternative`` is
    the tests'.
    """

    k: int
    n: int
    observed: int | None
    alternative: str
    form: str
    alpha: float
    estimand: str
    method: str
    p: np.ndarray = field(repr=False)

    @property
    def sentence(self) -> str:
        """The statement in words, without the final stop."""
        word, sure = _WORD[self.alternative], f"with {1 - self.alpha:.0%} confidence"
        seen = "" if self.observed is None else f" (observed: {self.observed})"
        if self.k == 0:
            return f"{word} in none of {self.n} for sure{seen}"
        if self.k == self.n:
            return f"{word} in all {self.n} {sure}{seen}"
        return f"{word} in at least {self.k} of {self.n} {sure}{seen}"

    def summary(self) -> str:
        """The statement and how it was reached."""
        from stats.layout import wrap

        text = f"{self.sentence[0].upper()}{self.sentence[1:]}. {self.method}."
        return "\n".join(wrap(text)) + "\n"


def count_effects(
    p: Sequence[float] | np.ndarray,
    *,
    alpha: float = 0.05,
    form: str = "bonferroni",
    alternative: str = "greater",
    observed: int | None = None,
    what: str = "tests",
) -> EffectCount:
    """The largest u with p^(u/N) <= alpha: a lower confidence bound on the number of real effects.

    ``p`` (N,) are p-values of ``alternative``, so that "greater" counts improvements and "less"
    harm. ``observed``, the number of estimates in that direction, is only told. ``what`` is the
    plural noun for the tests. The bound exceeds the true number k with probability alpha at most,
    because it does so only where p^((k+1)/N), whose null hypothesis is true, is at most alpha
    (Benjamini and Heller 2008; over data sets in language processing: Dror et al. 2017,
    Transactions of the ACL 5, 471-486). With the Bonferroni form it is the number of tests that
    Holm rejects.

    Raises StatsError as ``partial_conjunction`` does, and for a wrong alpha or alternative.
    """
    check_level(alpha, "alpha")
    check_alternative(alternative)
    values = check_p(p)
    combined = partial_conjunction(values, form)
    return EffectCount(
        k=int((combined <= alpha).sum()),
        n=values.size,
        observed=observed,
        alternative=alternative,
        form=form,
        alpha=alpha,
        estimand=f"the number of these {values.size} {what} with {_EFFECT[alternative]}",
        method=f"partial conjunction, {_DEPENDENCE[form]}; lower bound at level {1 - alpha:g}",
        p=combined,
    )


def check_p(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values as a 1-D array, NaN (a test that could not be done) as 1; StatsError if wrong."""
    values = np.asarray(p, dtype=float)
    if values.ndim != 1 or values.size == 0:
        raise StatsError(
            f"p-values must be a list of at least one, not of shape {values.shape}",
            place="p",
            value=values.shape,
        )
    wrong = np.flatnonzero((values < 0) | (values > 1))
    if wrong.size:
        raise StatsError(
            f"p-value {int(wrong[0]) + 1} is {values[wrong[0]]:g}, not between 0 and 1",
            place="p",
            value=float(values[wrong[0]]),
        )
    return np.where(np.isnan(values), 1.0, values)
