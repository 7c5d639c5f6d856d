"""Verdicts: one rule, one order of precedence, and the sentence that says each."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING

from stats.errors import StatsError
from stats.planning.power import pairs_at_level
from stats.planning.spread import upper_sd
from stats.wording import amount, number, p_value

if TYPE_CHECKING:
    from stats.result import Effect

POWER = 0.8


class Verdict(StrEnum):
    """What may be said about a difference, in order of precedence (the first that holds)."""

    UNDEFINED = "undefined"
    IDENTICAL = "identical"
    SUPERIOR_AND_MEANINGFUL = "superior-and-meaningful"
    EQUIVALENT = "equivalent"
    SUPERIOR = "superior"
    INFERIOR_AND_MEANINGFUL = "inferior-and-meaningful"
    INFERIOR = "inferior"
    INCONCLUSIVE = "inconclusive"


def decide(
    *,
    delta: float,
    p_adjusted: float,
    low: float,
    high: float,
    alpha: float,
    sesoi: float | tuple[float, float] | None = None,
    undefined: bool = False,
    identical: bool = False,
    no_room: bool = False,
    p_equivalent: float | None = None,
) -> tuple[Verdict, str]:
    """The verdict, and what else holds ("superior" or "inferior" beside equivalent, "" mostly).

    ``low`` and ``high`` are the ends of the simultaneous 1 - alpha interval of ``delta``, in the
    units of ``sesoi``, which is one bound for both sides or (below zero, above zero). Equivalence
    asks that whole interval to lie within the bounds, which is stricter than two one-sided tests
    at alpha; where their adjusted p-value is given as ``p_equivalent``, it decides instead.
    ``no_room``: the baseline is so close to chance or to the maximum that a difference of interest
    could not show; equivalence is then not said.
    """
    if undefined:
        return Verdict.UNDEFINED, ""
    if identical:
        return Verdict.IDENTICAL, ""
    significant = p_adjusted <= alpha
    better, worse = significant and delta > 0, significant and delta < 0
    if sesoi is not None:
        below, above = bounds(sesoi)
        if better and low > above:
            return Verdict.SUPERIOR_AND_MEANINGFUL, ""
        inside = below < low and high < above if p_equivalent is None else p_equivalent <= alpha
        if inside and not no_room:
            return Verdict.EQUIVALENT, "superior" if better else "inferior" if worse else ""
    if better:
        return Verdict.SUPERIOR, ""
    if worse and sesoi is not None and high < bounds(sesoi)[0]:
        return Verdict.INFERIOR_AND_MEANINGFUL, ""
    return (Verdict.INFERIOR, "") if worse else (Verdict.INCONCLUSIVE, "")


def bounds(sesoi: float | tuple[float, float]) -> tuple[float, float]:
    """The smallest effects of interest below and above zero."""
    return sesoi if isinstance(sesoi, tuple) else (-sesoi, sesoi)


def pairs_needed(
    sd: float, n: int, sesoi: float, alpha: float, *, df: float | None = None, groups: int = 1
) -> int:
    """The number of fresh pairs that give 80 % power to find a true difference of ``sesoi``.

    ``sd`` of paired differences was estimated from ``n`` pairs with ``df`` (n - 1 unless given);
    the plan takes its one-sided upper 80 % confidence limit, sd sqrt(df / chi2_{.2, df}), because
    a pilot's sd is as often too small as too large. ``alpha`` is the two-sided level of the single
    test (alpha / tests in a family). ``groups``: pairs are spread evenly over so many groups, and
    the answer is a multiple of it. The observed difference plays no part: power "at the effect
    found" says nothing that p did not. Power by the noncentral t.

    Raises StatsError unless sd and sesoi are positive, n >= 2 and 0 < alpha < 1.
    """
    for name, ok, value in (
        ("sd", sd > 0, sd),
        ("sesoi", sesoi > 0, sesoi),
        ("n", n >= 2, n),
        ("alpha", 0 < alpha < 1, alpha),
    ):
        if not ok or not math.isfinite(value):
            raise StatsError(f"{value} is out of range", place=name, value=value)
    upper = upper_sd(sd, n - 1 if df is None else df)
    return pairs_at_level(sesoi, upper, alpha, POWER, groups=groups)


def describe(
    effect: Effect,
    units: str = "score units",
    sesoi: float | tuple[float, float] | None = None,
    *,
    proof: str = "",
    unit: str = "pairs",
) -> str:
    """The verdict on an effect as one sentence, the only place where verdicts become prose.

    The brackets behind the claim hold delta with its simultaneous interval, the adjusted p and
    the number of pairs, or delta and ``proof`` where the verdict rests on something else. ``unit``
    is what a pair is called, in the plural ("draws" over matched draws of hyperparameters).
    """
    where = " in " + "/".join(effect.cell.values()) if effect.cell else ", averaged over cells"
    subject = f"{effect.name} against {effect.baseline}{where}"
    size = f"{number(effect.delta, sign=True)} {units}"
    if not proof:
        if not math.isnan(effect.simultaneous_low):
            size += f" [{number(effect.simultaneous_low)}, {number(effect.simultaneous_high)}]"
        proof = f"adjusted p {p_value(effect.p_adjusted, equals=True)}, {effect.n_pairs} {unit}"
    bound = drop = found = within = ""
    if sesoi is not None:
        below, above = bounds(sesoi)
        bound, drop = amount(above, units), amount(-below, units)
        found = amount(min(above, -below), units)
        within = bound if above == -below else f"{below:g} and {above:+g} {units}"
    match effect.verdict:
        case Verdict.UNDEFINED:
            why = (
                f"{effect.n_pairs} {unit} are too few for a spread"
                if math.isnan(effect.sd)
                else f"all {effect.n_pairs} {unit} differ by exactly {size}"
            )
            return f"{subject}: no test is possible, {why}."
        case Verdict.IDENTICAL:
            return f"{subject}: identical scores in all {effect.n_pairs} {unit}."
        case Verdict.SUPERIOR_AND_MEANINGFUL:
            claim = f"better, and by more than {bound}"
        case Verdict.INFERIOR_AND_MEANINGFUL:
            claim = f"worse, and by more than {drop}"
        case Verdict.SUPERIOR:
            claim = "better" + (f", though perhaps by less than {bound}" if bound else "")
        case Verdict.INFERIOR:
            claim = "worse" + (f", though perhaps by less than {drop}" if drop else "")
        case Verdict.EQUIVALENT:
            side = {"superior": ", though better", "inferior": ", though worse"}.get(
                effect.also, ""
            )
            claim = f"the same within {within}{side}"
        case Verdict.INCONCLUSIVE:
            claim = "not settled"
            if effect.no_room:
                what = "" if effect.cell else "one of its cells is "
                claim += f" ({what}too close to chance or the maximum to show a difference)"
            elif effect.pairs_needed:
                claim += f"; about {effect.pairs_needed} fresh {unit} would find {found}"
    return f"{subject}: {claim} ({size}, {proof})."
