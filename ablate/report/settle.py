"""What would settle it: pairs needed, what the pairs at hand could find, the next command.

Plans rest on the spread of the paired differences and never on the difference that was found.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablate.report.answer import (
    MECHANISM,
    NO_MECHANISM,
    NOTHING_SAID,
    capital,
    level_contrasts,
    points,
)
from ablate.report.findings import PAIR, paired_table
from ablate.report.rows import count, plain
from ablate.space import NAMES
from stats.contrast import versus
from stats.errors import StatsError
from stats.planning.pilot import pilot
from stats.planning.power import detectable_effect, pairs_for_t
from stats.planning.spread import upper_sd
from stats.planning.tost_power import pairs_needed_for_equivalence
from stats.reach import reach
from stats.report.section import Table
from stats.verdict import POWER, Verdict

if TYPE_CHECKING:
    from ablate.report.findings import Findings
    from stats.result import Comparison, Effect

FEWEST = 20
"""Pairs of each cell that a settling study takes at least."""
DRAWS, REPLICATES = 20, 5
OF_DRAWS = ("hp.draws", "hp.seeds", "hp.sampler")
PERCENT = f"{100 * POWER:g} %"
"""The power that plans aim at, in words."""


@dataclass(frozen=True)
class Need:
    """What one contrast of the primary family could show, and needs.

    ``sd`` of paired differences, its one-sided upper 80 % limit ``upper`` and ``found``, the true
    difference that ``n`` pairs find with 80 % power in the family, are in points; NaN where there
    is no spread. ``pairs`` and ``same`` are fresh pairs in all: to find the smallest effect of
    interest, and to show equivalence within it if there is no difference.
    """

    effect: Effect
    n: int
    sd: float
    upper: float
    found: float
    pairs: int | None
    same: int | None


@dataclass(frozen=True)
class Step:
    """Something the study has not answered, and the command that would."""

    why: str
    command: str


@dataclass(frozen=True)
class Settling:
    """The section: a row per primary contrast, a sentence for the first screen, next steps.

    ``groups`` of pairs (backbones) share the pairs evenly; ``warning`` tells that the family is
    out of reach ("" else).
    """

    needs: tuple[Need, ...]
    tests: int
    groups: int
    word: str
    sentence: str
    steps: tuple[Step, ...]
    warning: str

    @property
    def mechanism(self) -> tuple[Need, ...]:
        """The rows on the mechanism against its adapters."""
        return tuple(need for need in self.needs if need.effect.group == MECHANISM)


def settling(findings: Findings) -> Settling:
    """Everything the section says."""
    comparison = findings.main
    groups = len(findings.backbones) if "backbone" in findings.pair else 1
    tests = max(1, comparison.families["primary"].n_tests)
    needs = tuple(
        _need(effect, comparison, findings.sesoi, tests, groups) for effect in comparison.primary
    )
    mechanism = [need for need in needs if need.effect.group == MECHANISM]
    least = min((need.n for need in needs), default=0)
    word, sentence = _answer(mechanism, findings, groups)
    return Settling(
        needs=needs,
        tests=tests,
        groups=groups,
        word=word,
        sentence=sentence,
        steps=next_steps(findings, mechanism, groups),
        warning=reach(least, tests, comparison.alpha).warning if least else "",
    )


def next_steps(findings: Findings, mechanism: list[Need], groups: int) -> tuple[Step, ...]:
    """What the study has not answered, the most pressing first."""
    unsettled = [need for need in mechanism if need.effect.verdict in NOTHING_SAID]
    settle, fixed = _settle_command(findings, mechanism, groups), "by a plan fixed beforehand."
    point = " at its reference point" if findings.axes else ""
    steps = []
    tuned = findings.tuned  # each arm has settings of its own; a claim has one
    if tuned and findings.unit == "pairs":
        replicated = extended(findings.command, "search", **{"search.replicates": REPLICATES})
        steps.append(Step("Put into the interval what another search would choose.", replicated))
    if unsettled and not tuned:
        steps.append(Step(f"Settle the mechanism{point} on fresh seeds, {fixed}", settle))
    if findings.controls is None:
        steps.append(
            Step(
                "Tell the mechanism from parameters, perturbation and a memory that sees nothing.",
                extended(findings.command, "run", controls="yes"),
            )
        )
    if findings.results["hp"].nunique() < 2:
        steps.append(
            Step(
                f"Tell the mechanism{point} from hyperparameters that happen to suit it.",
                extended(findings.command, "run", **at_reference(findings), **{"hp.draws": DRAWS}),
            )
        )
    if not findings.axes:
        steps.append(
            Step(
                "See which axes carry the effect.",
                extended(findings.command, "run", axes="all", design="fraction"),
            )
        )
    if findings.retention_comparison is None:
        names = ",".join((*findings.benchmarks, "retention"))
        steps.append(
            Step("See what was unlearned.", extended(findings.command, "run", benchmarks=names))
        )
    if mechanism and not unsettled and not tuned and " settle " not in findings.command:
        steps.append(Step(f"Confirm the mechanism{point} on fresh seeds, {fixed}", settle))
    return tuple(steps)


def at_reference(findings: Findings) -> dict[str, str]:
    """The settings of a study of the reference point alone."""
    levels = {f"at.{axis}": levels[0] for axis, levels in findings.axes.items()}
    return {"axes": "none", **levels}


def extended(command: str, verb: str, **settings: object) -> str:
    """The command with another verb and settings; those it names already are replaced.

    Where no axis is to vary, what tells how they vary goes too, and the seeds and the name of the
    study, which belong to what was asked before; so do the draws of hyperparameters, unless draws
    are asked for, and the settings of searches and of settling under another verb.
    """
    words = shlex.split(command)
    at = words.index("ablate") + 1 if "ablate" in words else len(words)
    if at >= len(words):
        words, at = ["python", "-m", "ablate", verb], 3
    words[at] = verb
    words[at + 1 :] = [word if "=" in word else f"study={word}" for word in words[at + 1 :]]
    foreign = tuple(f"{other}." for other in ("search", "settle") if other != verb)
    gone = {*settings, *(("design", "seeds", "name") if settings.get("axes") == "none" else ())}
    if "axes" in settings and "hp.draws" not in settings:
        gone |= set(OF_DRAWS)
    if "hp.draws" in settings:  # what is drawn cannot be given, and draws have their own seeds
        gone |= {"seeds", *(f"{group}.{name}" for group in ("train", "block") for name in NAMES)}
    kept = [
        word
        for word in words
        if (key := word.split("=", 1)[0]) not in gone
        and not key.startswith(foreign)
        and not (key.startswith("levels.") and settings.get("axes") == "none")
    ]
    return shlex.join([*kept, *(f"{key}={value}" for key, value in settings.items())])


def settle_table(plan: Settling, findings: Findings) -> Table | None:
    """A row per primary contrast; None without any."""
    if not plan.needs:
        return None
    family = f"a family of {plan.tests}" if plan.tests > 1 else "a single test"
    over = f", spread evenly over {plan.groups} backbones" if plan.groups > 1 else ""
    return Table.of(
        f"{capital(findings.unit)} that would settle each primary contrast",
        ("contrast", findings.unit, "SD", "upper SD", "found", "to find", "for same", "verdict"),
        [
            (
                findings.label(need.effect.name),
                str(need.n),
                plain(need.sd, 2),
                plain(need.upper, 2),
                plain(need.found, 2),
                count(need.pairs),
                count(need.same),
                str(need.effect.verdict),
            )
            for need in plan.needs
        ],
        f"Points, in {family}, {PERCENT} power. SD: of the paired differences, with its upper "
        f"80 % limit, on which plans rest. Found: the true difference that the {findings.unit} at "
        f"hand find. To find: fresh {findings.unit}{over} that find {points(findings.sesoi)}; for "
        f"same: that show equivalence within ±{points(findings.sesoi)} if there is no difference.",
    )


def settling_dict(plan: Settling) -> dict[str, Any]:
    """The section as plain data, unrounded."""
    return {
        "power": POWER,
        "tests": plan.tests,
        "groups": plan.groups,
        "warning": plan.warning,
        "contrasts": [
            {
                "name": need.effect.name,
                "pairs": need.n,
                "sd": need.sd,
                "sd_upper": need.upper,
                "detectable": need.found,
                "pairs_needed": need.pairs,
                "pairs_needed_for_equivalence": need.same,
                "verdict": str(need.effect.verdict),
            }
            for need in plan.needs
        ],
        "next": [{"why": step.why, "command": step.command} for step in plan.steps],
    }


def _need(effect: Effect, comparison: Comparison, sesoi: float, tests: int, groups: int) -> Need:
    found, upper = math.nan, math.nan
    same = None
    level = comparison.alpha / tests
    if effect.verdict not in (Verdict.IDENTICAL, Verdict.UNDEFINED) and effect.sd > 0:
        upper = upper_sd(effect.sd, effect.df)
        even = effect.n_pairs // groups * groups  # plans spread pairs evenly over groups
        if even > groups:
            found = detectable_effect(upper, even, alpha=level, power=POWER, groups=groups)
        try:
            same = pairs_needed_for_equivalence(
                effect.sd, effect.df, -sesoi, sesoi, level, groups=groups
            )
        except StatsError:
            same = None
    return Need(effect, effect.n_pairs, effect.sd, upper, found, effect.pairs_needed, same)


def _answer(mechanism: list[Need], findings: Findings, groups: int) -> tuple[str, str]:
    if not mechanism:
        return "Not tested", NO_MECHANISM
    unsettled = [need for need in mechanism if need.effect.verdict in NOTHING_SAID]
    widest = max(mechanism, key=lambda need: need.found if math.isfinite(need.found) else -1.0)
    could = ""
    if math.isfinite(widest.found):
        could = (
            f" The {widest.n} {findings.unit} at hand find a true average of "
            f"{plain(widest.found, 2)} points with {PERCENT} power."
        )
    if not unsettled:
        levels = level_contrasts(findings.main.primary)
        n_open = sum(effect.verdict in NOTHING_SAID for effect in levels)
        rest = f" Level contrasts not settled: {n_open} of {len(levels)}." if n_open else ""
        how = ", as far as an exploratory study can" if findings.exploratory else ""
        if findings.tuned and findings.unit == "pairs":
            chosen = "for the settings that one search of each arm chose"
            return (
                "Settled for these settings",
                f"The average effect is settled {chosen}{how}.{could}{rest}",
            )
        return "Settled on average", f"The average effect is settled{how}.{could}{rest}"
    needed = max((need.pairs for need in unsettled if need.pairs is not None), default=None)
    if needed is None:
        return (
            f"More {findings.unit}",
            f"The {findings.unit} at hand show no spread to plan with.{could}",
        )
    each = f" ({math.ceil(needed / groups)} on each backbone)" if groups > 1 else ""
    return (
        f"{count(needed)} fresh {findings.unit}",
        f"About {count(needed)} fresh {findings.unit}{each} would find {points(findings.sesoi)} "
        f"with {PERCENT} power.{could}",
    )


def _settle_command(findings: Findings, mechanism: list[Need], groups: int) -> str:
    """Pairs of each cell: what the widest spread needs, and no fewer than a settling study's.

    The spread of draws or searches says nothing of that of pairs at one setting.
    """
    paired = findings.unit == "pairs"
    needed = [need.pairs for need in mechanism if need.pairs is not None and paired]
    if findings.axes and needed:
        needed = _pairs_at_reference(findings) or needed
    pairs = max([FEWEST, *(math.ceil(n / groups) for n in needed)])
    return extended(findings.command, "settle", **at_reference(findings), **{"settle.pairs": pairs})


def _pairs_at_reference(findings: Findings) -> list[int]:
    """Fresh pairs in all for each adapter's reference point, which varies more than the mean over
    design points; empty where the table has no such arm or its differences no spread."""
    reference = {axis: levels[0] for axis, levels in findings.axes.items()}
    contrasts = [
        versus(info.name, info.baseline)
        for info in findings.arms
        if info.is_mechanism and dict(info.levels) == reference
    ]
    if not contrasts or findings.pair != PAIR:
        return []
    try:
        spreads = pilot(paired_table(findings), cells=(), primary=contrasts).primary
    except StatsError:  # no pair is complete: the table says so already
        return []
    return [
        pairs_for_t(
            findings.sesoi, spread.sd_upper, alpha=findings.alpha, power=POWER,
            groups=spread.groups,
        )
        for spread in spreads
        if spread.usable
    ]  # fmt: skip
