"""The first screen: one sentence per question, each generated from the verdicts below it.

Headlines of panels take the place of the sentence that the study's own families give. Of several
with a verdict the worst comes first and gives the answer's word and mark, then the others.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.report.answer import (
    CONTROL,
    MECHANISM,
    NO_AXES,
    NO_CONTROLS,
    NO_MECHANISM,
    NO_RETENTION,
    NOTHING_SAID,
    capital,
    counts,
    level_contrasts,
    mechanism_effects,
    readable,
)
from ablate.report.costs import overhead
from ablate.report.panel import SECTIONS
from ablate.report.settle import Settling, settling
from stats.verdict import Verdict, describe

if TYPE_CHECKING:
    from ablate.report.findings import Findings
    from stats.result import Comparison, Effect

FAVOUR = (
    Verdict.SUPERIOR_AND_MEANINGFUL,
    Verdict.SUPERIOR,
    Verdict.EQUIVALENT,
    Verdict.IDENTICAL,
    Verdict.INCONCLUSIVE,
    Verdict.UNDEFINED,
    Verdict.INFERIOR,
    Verdict.INFERIOR_AND_MEANINGFUL,
)
"""From the best to the worst for the claim; of several verdicts the worst speaks for all."""

REAL = {
    Verdict.SUPERIOR_AND_MEANINGFUL: "Yes",
    Verdict.SUPERIOR: "Yes, though perhaps small",
    Verdict.EQUIVALENT: "No difference that matters",
    Verdict.IDENTICAL: "No difference at all",
    Verdict.INCONCLUSIVE: "Not settled",
    Verdict.UNDEFINED: "No test is possible",
    Verdict.INFERIOR: "No, it is worse",
    Verdict.INFERIOR_AND_MEANINGFUL: "No, it is worse",
}
COST = {
    Verdict.SUPERIOR_AND_MEANINGFUL: "No, retention rises",
    Verdict.SUPERIOR: "No, retention rises",
    Verdict.EQUIVALENT: "Not in retention",
    Verdict.IDENTICAL: "Not in retention",
    Verdict.INCONCLUSIVE: "Retention is not settled",
    Verdict.UNDEFINED: "No test is possible",
    Verdict.INFERIOR: "Yes, retention falls",
    Verdict.INFERIOR_AND_MEANINGFUL: "Yes, retention falls",
}


@dataclasses.dataclass(frozen=True)
class Line:
    """An answer: the section it belongs to, a word or two, a sentence, what it rests on.

    ``verdict`` is None where the answer rests on none. ``command`` is what to run next.
    """

    section: str
    word: str
    text: str
    verdict: Verdict | None
    command: str = ""

    @property
    def question(self) -> str:
        """The section's title."""
        return SECTIONS[self.section]


def first_screen(findings: Findings) -> tuple[Line, ...]:
    """Five answers, in the order of the sections; what probes say is no verdict and stays below."""
    plan = settling(findings)
    own = (
        real_line(findings),
        mechanism_line(findings),
        axes_line(findings),
        cost_line(findings),
        settle_line(plan),
    )
    answers = (_headline(findings, line.section) or line for line in own)
    return tuple(_qualified(findings, line) for line in answers)


def _headline(findings: Findings, section: str) -> Line | None:
    panels = [
        panel
        for panel in findings.panels
        if panel.section == section and panel.headline and not panel.qualifies
    ]
    if not panels:
        return None
    judged = [panel for panel in panels if panel.verdict is not None] or panels[:1]
    ranked = sorted(judged, key=lambda p: -FAVOUR.index(p.verdict) if p.verdict else 0)
    text = " ".join(panel.headline for panel in ranked)
    if section == "cost":
        text = f"{text} {overhead(findings)}".strip()
    word, verdict = ranked[0].word, ranked[0].verdict
    if not word and verdict is not None and section in ("real", "mechanism"):
        word = REAL[verdict]
    return Line(section, word, text, verdict)


def _qualified(findings: Findings, line: Line) -> Line:
    """The answer with what qualifies it."""
    more = [
        panel.headline
        for panel in findings.panels
        if panel.section == line.section and panel.qualifies and panel.headline
    ]
    return dataclasses.replace(line, text=" ".join((line.text, *more)))


def real_line(findings: Findings) -> Line:
    """Whether the mechanism adds anything: the worst of its verdicts over the adapters."""
    effects = mechanism_effects(findings.main.primary)
    if not effects:
        return Line("real", "", NO_MECHANISM, None)
    worst = _worst(effects)
    return Line("real", REAL[worst], _said(effects, findings.main, findings), worst)


def mechanism_line(findings: Findings) -> Line:
    """Whether the mechanism is better than each of its controls: the weakest of them speaks."""
    comparison = findings.controls
    if comparison is None or not comparison.primary:
        return Line("mechanism", "Not tested", NO_CONTROLS, None)
    effects = [effect for effect in comparison.primary if not is_null(effect)]
    if not effects:
        text = "Of the controls, only the noisy null was run: add controls=yes."
        return Line("mechanism", "Not tested", text, None)
    worst = _worst(effects)
    better = [e for e in effects if str(e.verdict).startswith("superior") or e.also == "superior"]
    many = len(effects) > 1
    weakest = min(
        (e for e in effects if e.verdict == worst),
        key=lambda e: e.delta if math.isfinite(e.delta) else -math.inf,
    )
    told = _describe(weakest, comparison, findings)
    if len(better) == len(effects):
        each = f"better than each of its {len(effects)} controls" if many else "better than it"
        text = f"The mechanism is {each}; the closest: {told}" if many else capital(told)
        return Line("mechanism", "Yes, by its controls", text, worst)
    text = f"Better than {len(better)} of {len(effects)} controls; {told}" if many else told
    return Line("mechanism", "Not shown", capital(text), worst)


def axes_line(findings: Findings) -> Line:
    """The largest level contrast that says something; counts of the others."""
    effects = level_contrasts(findings.main.primary)
    if not effects:
        return Line("axes", "Not tested", NO_AXES, None)
    loud = sorted(
        (e for e in effects if e.verdict not in (*NOTHING_SAID, Verdict.EQUIVALENT)),
        key=lambda e: -abs(e.delta),
    )
    if not loud:
        text = f"Of {len(effects)} level contrasts: {counts(effects)}."
        same = all(e.verdict in (Verdict.EQUIVALENT, Verdict.IDENTICAL) for e in effects)
        if same:
            return Line("axes", "None", text, Verdict.EQUIVALENT)
        widest = max(effects, key=lambda e: abs(e.delta) if math.isfinite(e.delta) else -1.0)
        if math.isfinite(widest.delta):
            text += f" The largest: {_describe(widest, findings.main, findings)}"
        return Line("axes", "None stands out", text, Verdict.INCONCLUSIVE)
    told = capital(_describe(loud[0], findings.main, findings))
    if len(effects) > 1:
        told += f" The other level contrasts: {counts(e for e in effects if e is not loud[0])}."
    names = ", ".join(dict.fromkeys(e.group for e in loud))
    return Line("axes", capital(names), told, loud[0].verdict)


def cost_line(findings: Findings) -> Line:
    """What the mechanism does to retention, and what it takes in parameters and time."""
    more = overhead(findings)
    comparison = findings.retention_comparison
    effects = mechanism_effects(comparison.primary) if comparison is not None else []
    if comparison is None or not effects:
        return Line("cost", "Not tested", f"{NO_RETENTION} {more}".strip(), None)
    worst = _worst(effects)
    text = f"Retention: {_said(effects, comparison, findings, first=False)}"
    return Line("cost", COST[worst], f"{text} {more}".strip(), worst)


def settle_line(plan: Settling) -> Line:
    """What remains open, and the command that would close it."""
    verdict = _worst([need.effect for need in plan.mechanism]) if plan.mechanism else None
    command = plan.steps[0].command if plan.steps else ""
    return Line("settle", plan.word, plan.sentence, verdict, command)


def is_null(effect: Effect) -> bool:
    """Whether a control is the noisy null, which no mechanism has to beat."""
    return effect.name.removesuffix(")").endswith("reseed")


def _worst(effects: Sequence[Effect]) -> Verdict:
    return max((effect.verdict for effect in effects), key=FAVOUR.index)


def _said(
    effects: Sequence[Effect], comparison: Comparison, findings: Findings, first: bool = True
) -> str:
    texts = [_describe(effect, comparison, findings) for effect in effects]
    return " ".join(capital(text) if first or i else text for i, text in enumerate(texts))


def _describe(effect: Effect, comparison: Comparison, findings: Findings) -> str:
    """The verdict's sentence, with the mechanism called so."""
    shown = readable(effect, findings)
    if effect.group == MECHANISM:
        shown = dataclasses.replace(shown, name="the mechanism")
    elif effect.group == CONTROL:
        name, at = shown.name, shown.baseline
        shown = dataclasses.replace(shown, name=name, baseline=f"the control {at}")
    return describe(shown, comparison.units, comparison.sesoi, unit=findings.unit)
