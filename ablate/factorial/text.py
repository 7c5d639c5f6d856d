"""What a factorial says, in sentences made from its verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.factorial.levels import sides
from stats.report.section import interval
from stats.verdict import Verdict, describe
from stats.wording import amount, number, p_value

if TYPE_CHECKING:
    from ablate.factorial.analysis import Analysis
    from stats.factorial.gates import FactorialEffects, FactorialTerm
    from stats.factorial.heterogeneity import HeterogeneityTest
    from stats.result import Effect

MOVED = (
    Verdict.SUPERIOR_AND_MEANINGFUL,
    Verdict.SUPERIOR,
    Verdict.INFERIOR,
    Verdict.INFERIOR_AND_MEANINGFUL,
)
MOST_NAMED = 3
TIMES = "×"


def headline(analysis: Analysis) -> str:
    """Which axes move the score and which interactions do; "" without families of their own."""
    found = analysis.shown
    if found is None:
        return ""
    axes = {term.effect.group for term in found.mains}
    what = f"{len(axes)} axes" if len(axes) > 1 else "one axis"
    if len(found.mains) > len(axes):
        what = f"{len(found.mains)} level contrasts of {what}"
    text = f"Of {what}, {_told(analysis, found.mains, found, 'moves the mean score')}."
    if found.interactions:
        count = len(found.interactions)
        which = f"Of {count} interactions of two axes, " if count > 1 else "Their interaction: "
        text += f" {which}{_told(analysis, found.interactions, found, 'is there')}."
    return text


def _told(
    analysis: Analysis, terms: Sequence[FactorialTerm], found: FactorialEffects, claim: str
) -> str:
    """``insertion moves the mean score (...), 2 have no effect beyond 1 point, 3 are open``."""
    moved = [t.effect for t in terms if analysis.verdicts[t.effect.name] in MOVED]
    same = sum(analysis.verdicts[t.effect.name] == Verdict.EQUIVALENT for t in terms)
    rest = len(terms) - len(moved) - same
    parts = []
    named = sorted(moved, key=lambda effect: -abs(effect.delta))[:MOST_NAMED]
    if moved:
        names = [f"{label(e)} ({size(e, found.units)})" for e in named]
        if len(moved) > len(named):
            names.append(f"{len(moved) - len(named)} more")
        told = _joined_words(names, "and")
        verb = claim if len(moved) == 1 else {"moves": "move", "is": "are"}[claim.split()[0]]
        if len(moved) > 1:
            verb = " ".join([verb, *claim.split()[1:]])
        parts.append(f"{told} {verb}")
    if same:
        has = "has" if same == 1 else "have"
        parts.append(f"{same} {has} no effect beyond {amount(analysis.sesoi, found.units)}")
    if rest:
        open_ = "is" if rest == 1 else "are"
        none = "none is settled" if rest == len(terms) else f"{rest} {open_} not settled"
        parts.append(none)
    return "; ".join(parts)


def label(effect: Effect) -> str:
    """``memory 4 against 16``, ``insertion × memory``."""
    if ":" in effect.group:
        return effect.name.replace(":", f" {TIMES} ", 1)
    axis, level, reference = sides(effect.name)
    return f"{axis} {level} against {reference}"


def size(effect: Effect, units: str) -> str:
    """``-0.80 points [-1.2, -0.4], Holm p = .002``."""
    bounds = interval(effect.simultaneous_low, effect.simultaneous_high)
    p = p_value(effect.p_adjusted, equals=True)
    return f"{number(effect.delta, sign=True)} {units} {bounds}, Holm p {p}"


def sentences(analysis: Analysis) -> list[str]:
    """Each main effect, the interactions that are settled, heredity, and where effects differ."""
    found = analysis.shown
    lines: list[str] = []
    if found is not None:
        lines += [_main_sentence(analysis, term, found) for term in found.mains]
        lines += _interaction_sentences(analysis, found)
    lines += _place_sentences(analysis)
    return lines


def _main_sentence(analysis: Analysis, term: FactorialTerm, found: FactorialEffects) -> str:
    axis, level, reference = sides(term.effect.name)
    effect = dataclasses.replace(term.effect, name=f"{axis} {level}", baseline=reference)
    text = describe(effect, found.units, found.sesoi).replace("adjusted p", "Holm p")
    joined = analysis.verdicts[term.effect.name]
    if joined != term.effect.verdict:
        text += f" With diverged runs scored as the unadapted backbone this becomes: {joined}."
    return text


def _interaction_sentences(analysis: Analysis, found: FactorialEffects) -> list[str]:
    moved = [t.effect for t in found.interactions if analysis.verdicts[t.effect.name] in MOVED]
    mains = {t.effect.group for t in found.mains if analysis.verdicts[t.effect.name] in MOVED}
    lines = []
    for effect in moved:
        a, b = effect.group.split(":")
        at = {mean.levels: mean.delta for mean in analysis.means.of(effect.group)}
        text = f"{label(effect)}: {size(effect, found.units)} (half the difference of differences)"
        if len(at) == 4:
            (lo, hi), (first, second) = (list(dict.fromkeys(x[i] for x in at)) for i in (0, 1))
            steps = [number(at[hi, y] - at[lo, y], sign=True) for y in (first, second)]
            text += (
                f": {a} {hi} against {lo} is {steps[0]} at {b} {first}, {steps[1]} at {b} {second}"
            )
        missing = [axis for axis in (a, b) if axis not in mains]
        lines.append(
            f"{text}. Strong heredity holds: both axes move the mean."
            if not missing
            else f"{text}. Without a settled main effect of {' and '.join(missing)} (no strong "
            "heredity): believe it less, and read effects at each level, not the averages."
        )
    return lines


def _place_sentences(analysis: Analysis) -> list[str]:
    places = analysis.places
    if places is None or not places.tests:
        return []
    kinds = _joined_words(places.over)
    found = places.found()
    if not found:
        return [
            f"No effect of an axis was shown to depend on {kinds} ({len(places.tests)} tests, "
            f"Holm at {places.alpha:g}); that is no proof that none does."
        ]
    return [place_sentence(test, places.units) for test in found]


def place_sentence(test: HeterogeneityTest, units: str) -> str:
    """Where an effect is largest and least."""
    low, high = (pick(test.effects, key=lambda at: test.effects[at]) for pick in (min, max))
    axis, level, reference = sides(test.contrast)
    return (
        f"{axis} {level} against {reference} depends on {test.over} (Holm p "
        f"{p_value(test.p_adjusted, equals=True)}): from {number(test.effects[low], sign=True)} "
        f"{units} on {low} to {number(test.effects[high], sign=True)} on {high}. Read it there, "
        "not on average."
    )


def notes(analysis: Analysis) -> list[str]:
    """How the tests were made and what they do not say."""
    found, lines = analysis.shown, []
    if found is not None:
        lines.append(
            f"Two gates: {len(found.mains)} main effects at {found.alpha_mains:g} and "
            f"{len(found.interactions)} interactions at {found.alpha_interactions:g}, Holm in "
            "each, so that any false claim has a chance of at most "
            f"{found.alpha_mains + found.alpha_interactions:g}. The unit is the run (its mean over "
            "benchmarks), pairs are blocks, and each effect is tested against its own variation "
            "over pairs. Holm rejects at least what simultaneous intervals (Bonferroni) leave out."
        )
        lines.append(
            "eta² and omega² are partial shares of the variance of runs within blocks, from the "
            f"pooled pair × arm error ({number(found.pooled.sd)} {found.units}, {found.pooled.df} "
            "df). They describe. own/pooled is the effect's own standard error over the pooled "
            "one: where it is far above 1, the luck of a pair acts on all arms at a level alike, "
            "and the pooled error would find effects of nothing."
        )
    else:
        lines.append(
            "Differences between levels are tested in the study's primary family; means and "
            "interaction plots describe. design=fraction tests interactions."
        )
    lines.append(
        "Level means are differences to the baseline, which stands outside the factorial. Their "
        "intervals are each for itself; whether two levels differ is what the main effect says, "
        "not whether intervals overlap."
    )
    if analysis.scored_alone:
        lines.append(
            "No two pairs have all their runs, so that the analysis is of all pairs with diverged "
            "runs scored as the unadapted backbone."
        )
    elif found is not None and (lost := max(t.effect.n_broken for t in found.terms)):
        lines.append(
            f"{lost} pairs lack a run and are left out: in a factorial every effect weighs every "
            "design point."
        )
    return lines


def _joined_words(words: Sequence[str], last: str = "or") -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
