"""``methods.md``: what was run and how it was analysed, ready for a paper's appendix.

Every sentence is generated from the findings; the two that describe training and scoring belong to
the recipe that enters the identity of runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ablate.control_arms import CONTROLS
from ablate.recipes import TRAIN_RECIPE
from ablate.report.answer import failure_sentence, points
from ablate.report.settle import PERCENT

if TYPE_CHECKING:
    from ablate.report.findings import ArmInfo, Findings
    from stats.result import Comparison, Family

MOST_ARMS = 40
"""Design points that are named one by one; more are counted."""

TRAINING = {
    1: "A run trains the adapter and, where the arm has one, the block, on equal shares of the "
    "benchmarks of the training mix, with AdamW, a learning rate that decays linearly to zero, and "
    "the cross-entropy of the answer's tokens. The gradients of adapter and block are clipped "
    "separately. A run whose loss is no number, or above ten times ln(vocabulary), is stopped and "
    "counts as diverged.",
}
SCORING = {
    1: "An item is right if greedy decoding gives exactly its reference answer; for a fixed answer "
    "this is the case if and only if the arg-max of the teacher-forced logits is right at every "
    "position of the answer, the end token included, which is how it was computed. A score is the "
    "share of right items, times 100 in points.",
}
"""By the recipe in the identity of runs (``ablate.recipes.TRAIN_RECIPE``)."""

PAIRING = (
    "The runs of a pair share the order of the data, the initial adapter (bit for bit) and the "
    "dropout, each from a random stream of its own that is keyed by the pair; the block draws from "
    "another stream."
)


def methods_text(findings: Findings) -> str:
    """The appendix as Markdown: a heading and a paragraph per subject."""
    parts = [f"# Methods: {findings.title}"]
    for title, sentences in paragraphs(findings).items():
        parts.append(f"**{title}.** " + " ".join(sentences))
    return "\n\n".join(parts) + "\n"


def paragraphs(findings: Findings) -> dict[str, list[str]]:
    """The sentences of each paragraph that has any."""
    found = {
        "Study": _study(findings),
        "Backbones": _backbones(findings),
        "Benchmarks": _benchmarks(findings),
        "Arms": _arms(findings),
        "Hyperparameters": _hyperparameters(findings),
        "Pairs and seeds": _pairs(findings),
        "Training and scoring": _training(findings),
        "Estimands and tests": _tests(findings),
        "Verdicts": _verdicts(findings),
        "Failures": _failures(findings),
        "Further analyses": list(findings.methods),
        "Design notes": [_sentence(note) for note in findings.notes],
        "Exploratory": [f"Statements are exploratory: {why}." for why in findings.exploratory],
        "Software": _software(findings),
    }
    return {title: sentences for title, sentences in found.items() if sentences}


def _study(findings: Findings) -> list[str]:
    runs = int(findings.failures["runs"].sum())
    question = [f"The question: {_sentence(findings.question)}"] if findings.question else []
    axes = [
        f"Varied were {_and(f'{axis} ({_and(levels)})' for axis, levels in findings.axes.items())},"
        " the first level of each being its reference."
    ]
    return [
        *question,
        f"The command was `{findings.command}`; it comprises {runs} runs.",
        *(axes if findings.axes else ["No axis was varied."]),
    ]


def _backbones(findings: Findings) -> list[str]:
    told = {name: findings.provenance.get(f"backbone {name}", "") for name in findings.backbones}
    named = [f"{name} ({text})" if text else name for name, text in told.items()]
    return [f"{_count(len(named), 'backbone')}: {_and(named)}."]


def _benchmarks(findings: Findings) -> list[str]:
    sizes = findings.results.groupby("benchmark", sort=False)["n_items"].max()

    def told(names: Sequence[str]) -> str:
        return _and(
            f"{name} ({int(sizes[name])} items)" if sizes.get(name, 0) else name for name in names
        )

    mix = findings.provenance.get("train.mix", "")
    lines = [f"Scored were {told(findings.benchmarks)}; the items are the same in all runs."]
    if findings.retention:
        lines.append(f"Retention, a family of its own, was scored on {told(findings.retention)}.")
    if mix:
        lines.append(f"The training mix was {mix}.")
    return lines


def _arms(findings: Findings) -> list[str]:
    baselines = [info for info in findings.arms if not info.baseline]
    blocks = [info for info in findings.arms if info.is_mechanism]
    controls = [info for info in findings.arms if info.control]
    lines = [f"{_count(len(baselines), 'baseline')}: {_and(i.label for i in baselines)}."]
    if blocks:
        named = (_point(info) for info in blocks)
        names = "" if len(blocks) > MOST_ARMS else f": {_and(named, '; ')}"
        arms = _count(len(blocks), "arm")
        each = "each " if len(blocks) > 1 else ""
        lines.append(f"{arms} with the mechanism, {each}beside its baseline{names}.")
    if controls:
        told = [f"{i.label} ({CONTROLS[i.control].help})" for i in controls]
        lines.append(f"{_count(len(controls), 'control')}: {_and(told, '; ')}.")
    return lines


def _point(info: ArmInfo) -> str:
    levels = ", ".join(f"{axis}={level}" for axis, level in info.levels.items())
    return f"{info.adapter} + {levels}" if levels else info.label


def _hyperparameters(findings: Findings) -> list[str]:
    if findings.tuned:
        return list(findings.hyperparameters)
    adapter = _settings(findings.provenance, "train.", skip=("mix",))
    block = _settings(findings.provenance, "block.")
    draws = int(findings.results["hp"].nunique())
    lines = []
    if draws > 1:
        seeds = _count(len(findings.seeds), "seed")
        lines.append(
            f"{draws} draws of the hyperparameters, shared by all arms, have {seeds} each of their "
            "own."
        )
    if adapter:
        lines.append(f"In all arms: {_and(adapter, '; ')}.")
    if block:
        lines.append(f"The block's own: {_and(block, '; ')}.")
    return lines


def _pairs(findings: Findings) -> list[str]:
    unit = _and(findings.pair)
    effects = (*findings.main.primary, *findings.main.cells)
    n = [effect.n_pairs for effect in effects]
    used = f"{min(n)} to {max(n)}" if n and min(n) != max(n) else str(max(n, default=0))
    if findings.unit == "pairs":
        rule = f"A pair is the runs that share {unit}; it is the unit of independence."
    else:
        unit_name = "search of all arms" if findings.tuned else "draw"
        rule = (
            f"The unit of independence is the {unit_name}: scores are averaged over its seeds, and "
            f"backbones share it (the runs that share {unit})."
        )
    return [
        f"Seeds {spans(findings.seeds)}.",
        rule,
        f"The tests below used {used} {findings.unit} each.",
        *([] if "world" in findings.provenance else [PAIRING]),
    ]


def _training(findings: Findings) -> list[str]:
    if "world" in findings.provenance:
        world = findings.provenance["world"]
        return [f"No model was trained: scores were drawn from the synthetic world {world}."]
    return [TRAINING[TRAIN_RECIPE], SCORING[TRAIN_RECIPE]]


def _tests(findings: Findings) -> list[str]:
    main = findings.main
    lines = [
        "Every test is a paired t test on the differences of pairs, with the sign-flip test beside "
        "it."
    ]
    if main.primary:
        lines.append(
            f"The primary family holds {_count(len(main.primary), 'contrast')} averaged over "
            f"cells, within the pair first: {_and(e.name for e in main.primary)}."
        )
        lines.append(_correction("It", main, "primary"))
    if main.cells:
        lines.append(
            f"The secondary family compares arms with their baselines in every cell, "
            f"{_count(len(main.cells), 'comparison')}."
        )
        lines.append(_correction("It", main, "cells"))
    if findings.controls is not None and findings.controls.primary:
        names = _and(effect.name for effect in findings.controls.primary)
        lines.append(f"A further family, averaged over cells: {names}.")
        lines.append(_correction("It", findings.controls, "primary"))
    if findings.retention_comparison is not None:
        lines.append("The same contrasts on retention are families of their own, corrected alike.")
    lines.append(
        f"Each family holds its error rate at {main.alpha:g}. Unadjusted intervals are at "
        f"{100 * main.confidence_level:g} %."
    )
    return [line for line in lines if line]


def _correction(what: str, comparison: Comparison, name: str) -> str:
    family: Family = comparison.families[name]
    if not family.n_tests:
        return ""
    flips = ""
    if family.n_flips:
        kind = "all" if family.exact else "random"
        flips = f" ({kind} {family.n_flips:,} joint sign flips of pairs)"
    used = " and ".join(family.methods)
    return f"{what} was corrected over {_count(family.n_tests, 'test')} by {used}{flips}."


def _verdicts(findings: Findings) -> list[str]:
    size = points(findings.sesoi)
    return [
        f"The smallest effect of interest is {size}.",
        "A verdict rests on the adjusted p-value and the simultaneous interval: meaningful where "
        f"the whole interval lies beyond {size}, equivalent where it lies within ±{size}, "
        "inconclusive where nothing is shown.",
        f"Pairs still needed are those that give {PERCENT} power for {size} at the upper 80 % "
        "limit of the standard deviation of differences.",
    ]


def _failures(findings: Findings) -> list[str]:
    lines = [failure_sentence(findings)]
    if findings.failures["diverged"].sum():
        lines.append(
            "Every family was tested on complete pairs, and again with diverged runs scored as the "
            "unadapted backbone; a verdict stands only where both analyses support it."
        )
    return lines


def _software(findings: Findings) -> list[str]:
    known = ("train.", "block.", "backbone ")
    settings = [
        f"{name} {value}"
        for name, value in findings.provenance.items()
        if value and not name.startswith(known)
    ]
    main = findings.main
    inference = _and(f"{name} {value}" for name, value in main.versions.items())
    seed = "" if main.rng_seed is None else f", random seed {main.rng_seed}"
    lines = [f"Runs: {_and(settings)}."] if settings else []
    return [*lines, f"Inference: {inference}{seed}."]


def spans(seeds: Iterable[int]) -> str:
    """``0 to 5, 9``: runs of consecutive seeds."""
    parts = []
    for _, group in groupby(enumerate(sorted(seeds)), key=lambda pair: pair[1] - pair[0]):
        members = [seed for _, seed in group]
        wide = len(members) > 2
        parts += [f"{members[0]} to {members[-1]}"] if wide else [str(seed) for seed in members]
    return ", ".join(parts)


def _settings(provenance: Mapping[str, str], prefix: str, skip: Sequence[str] = ()) -> list[str]:
    named = ((k.removeprefix(prefix), v) for k, v in provenance.items() if k.startswith(prefix))
    return [f"{name} {value}" for name, value in named if name not in skip]


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _and(parts: Iterable[str], between: str = ", ") -> str:
    return between.join(parts)


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
