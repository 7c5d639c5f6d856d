"""The answer in sentences, each generated from the verdicts that the tables show."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from stats.verdict import Verdict, describe

if TYPE_CHECKING:
    from ablate.report.findings import ArmInfo, Findings
    from stats.result import Comparison, Effect

    Sentence: TypeAlias = tuple[Effect | None, str]
    """A sentence and the effect that it speaks of; None where it counts several."""

MOST_CONTRASTS = 8
"""With more primary contrasts than this, the ones that settle nothing are counted, not spelled."""
MOST_NAMED = 6
MECHANISM, CONTROL = "mechanism", "control"
"""Groups of contrasts that are no axis: mechanism against adapter, mechanism against control."""
NOTHING_SAID = (Verdict.INCONCLUSIVE, Verdict.IDENTICAL, Verdict.UNDEFINED)

NO_MECHANISM = "The study has no arm with the mechanism."
NO_CONTROLS = "No control arms were run: add controls=yes."
NO_AXES = "No axis was varied: add axes=insertion,memory, or axes=all design=fraction."
NO_RETENTION = "Retention was not scored: add retention to benchmarks=."
NO_PROBES = (
    "No run was looked inside of: a study at one setting of the hyperparameters is, without "
    "probe=no and outside of synthetic worlds; or see python -m ablate probe."
)
"""What a section says of which the study has nothing."""


def caveats(findings: Findings) -> tuple[str, ...]:
    """What to know before believing any of it; empty for a report that confirms."""
    return tuple(f"Exploratory: {reason}" for reason in findings.exploratory)


def primary_sentences(findings: Findings) -> list[Sentence]:
    """The sentences on the primary family, each with its effect (None: a count of the others)."""
    effects = findings.main.primary
    spelled = [
        effect
        for effect in effects
        if len(effects) <= MOST_CONTRASTS
        or effect.group == MECHANISM
        or effect.verdict not in NOTHING_SAID
    ]
    lines: list[Sentence] = [
        (effect, _sentence(effect, findings.main, findings)) for effect in spelled
    ]
    silent = [effect for effect in effects if effect not in spelled]
    if silent:
        lines.append((None, f"Of the other {len(silent)} level contrasts: {counts(silent)}."))
    return lines


def mechanism_effects(effects: Iterable[Effect]) -> list[Effect]:
    """Those of a primary family that set the mechanism against an adapter."""
    return [effect for effect in effects if effect.group == MECHANISM]


def level_contrasts(effects: Iterable[Effect]) -> list[Effect]:
    """Those of a primary family that set a level, or a combination of levels, against another."""
    return [effect for effect in effects if effect.group not in (MECHANISM, CONTROL)]


def retention_sentences(findings: Findings) -> list[str]:
    """What retention says: the mechanism, what changed for certain, counts of the rest."""
    comparison = findings.retention_comparison
    if comparison is None:
        return []
    spelled = [
        effect
        for effect in comparison.primary
        if effect.group == MECHANISM or effect.verdict not in (*NOTHING_SAID, Verdict.EQUIVALENT)
    ]
    lines = [_sentence(effect, comparison, findings) for effect in spelled]
    others = [effect for effect in comparison.primary if effect not in spelled]
    if others:
        lines.append(f"Of the other {len(others)} level contrasts: {counts(others)}.")
    lines += cell_sentences(comparison, findings, "comparisons")
    return [f"Retention. {capital(line)}" for line in lines]


def control_sentences(findings: Findings) -> list[Sentence]:
    """What the mechanism at the reference point does beyond each control; nothing without any."""
    if findings.controls is None:
        return []
    comparison = findings.controls
    return [(effect, _sentence(effect, comparison, findings)) for effect in comparison.primary]


def _sentence(effect: Effect, comparison: Comparison, findings: Findings) -> str:
    text = describe(
        readable(effect, findings), comparison.units, comparison.sesoi, unit=findings.unit
    )
    return capital(text)


def cell_sentences(comparison: Comparison, findings: Findings, what: str) -> list[str]:
    """How often each verdict fell over the cells, and where one fell that says something."""
    if not comparison.cells:
        return []
    lines = [f"Of {len(comparison.cells)} {what}: {counts(comparison.cells)}."]
    for verdict in Verdict:
        found = [effect for effect in comparison.cells if effect.verdict == verdict]
        if verdict in NOTHING_SAID or not found:
            continue
        named = [
            f"{findings.label(e.name)} in {' × '.join((e.cell or {}).values())}"
            for e in sorted(found, key=lambda e: -abs(e.delta))[:MOST_NAMED]
        ]
        more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        lines.append(f"{capital(str(verdict))}: {'; '.join(named)}{more}.")
    return lines


def failure_sentence(findings: Findings) -> str:
    """How many runs gave no score, and what that cost in pairs."""
    table = findings.failures
    runs, done = int(table["runs"].sum()), int(table["done"].sum())
    if runs == done:
        return f"All {runs} runs gave scores; no pair is broken."
    lost = [
        f"{int(table[kind].sum())} {kind}" for kind in ("diverged", "failed") if table[kind].sum()
    ]
    other = runs - done - int(table["diverged"].sum()) - int(table["failed"].sum())
    if other:
        lost.append(f"{other} not run")
    comparisons = [findings.main]
    if findings.retention_comparison is not None:
        comparisons.append(findings.retention_comparison)
    effects = [effect for comparison in comparisons for effect in comparison.cells]
    hit = sum(effect.n_broken > 0 for effect in effects)
    return (
        f"{runs - done} of {runs} runs gave no score ({', '.join(lost)}); {hit} of {len(effects)} "
        "comparisons lost pairs."
    )


def counts(effects: Iterable[Effect]) -> str:
    """``3 superior, 69 inconclusive``, in the order of precedence of the verdicts."""
    found = Counter(effect.verdict for effect in effects)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in Verdict if found[verdict])


def readable(effect: Effect, findings: Findings) -> Effect:
    """The effect with its two sides called by what they share, for sentences.

    A level contrast weighs many arms: its sides are then called by the level they are at.
    """
    name, baseline = (
        _side(arms.split(", "), effect.group, findings) for arms in (effect.arm, effect.baseline)
    )
    if effect.group == CONTROL:
        return dataclasses.replace(effect, name=f"the mechanism at {name}", baseline=baseline)
    if effect.group not in findings.axes:
        return dataclasses.replace(effect, baseline=baseline)
    return dataclasses.replace(effect, name=name, baseline=baseline)


def _side(arms: Sequence[str], axis: str, findings: Findings) -> str:
    known: dict[str, ArmInfo] = {info.name: info for info in findings.arms}
    levels = {known[arm].levels.get(axis, "") for arm in arms if arm in known}
    if len(levels) == 1 and all(arm in known for arm in arms) and (level := levels.pop()):
        return f"{axis}={level}"
    if len(arms) <= 2:
        return " and ".join(findings.label(arm) for arm in arms)
    return f"the mean of {len(arms)} arms"


def points(value: float) -> str:
    """``1 point``, ``0.5 points``."""
    return f"{value:g} point" + ("" if value == 1 else "s")


def capital(text: str) -> str:
    """The text with its first letter a capital, unless its first word is a setting."""
    return text if "=" in text.split(" ")[0] else text[:1].upper() + text[1:]


def meanings(findings: Findings) -> list[tuple[Verdict, str]]:
    """What each verdict claims, in the order in which they are tried (the first that holds)."""
    alpha, sesoi = f"{findings.alpha:g}", points(findings.sesoi)
    texts = {
        Verdict.UNDEFINED: "No test is possible: too few pairs, or every pair differs by exactly "
        "the same amount. It stays in its family with an adjusted p of 1.",
        Verdict.IDENTICAL: "The two sides scored exactly the same in every pair. Nothing is left "
        "to test, so it leaves its family.",
        Verdict.SUPERIOR_AND_MEANINGFUL: f"Adjusted p ≤ {alpha} and the whole simultaneous "
        f"interval lies above +{sesoi}.",
        Verdict.EQUIVALENT: f"The whole simultaneous interval lies within ±{sesoi}. A difference "
        "may still be certain in direction; the verdict then says which. Never said where the "
        "baseline has no room.",
        Verdict.SUPERIOR: f"Adjusted p ≤ {alpha} and the difference is positive; it may be smaller "
        f"than {sesoi}.",
        Verdict.INFERIOR_AND_MEANINGFUL: f"Adjusted p ≤ {alpha} and the whole simultaneous "
        f"interval lies below -{sesoi}.",
        Verdict.INFERIOR: f"Adjusted p ≤ {alpha} and the difference is negative; it may be smaller "
        f"than {sesoi}.",
        Verdict.INCONCLUSIVE: "None of these holds. It is not evidence of no difference: the "
        "interval shows what remains possible, the pairs needed what would settle it.",
    }
    return [(verdict, texts[verdict]) for verdict in Verdict]
