"""What the plan of a settling study says: everything that is fixed before the first run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablate.adapters import find_adapter
from ablate.benchmarks import load_items
from ablate.errors import AblateError
from ablate.phases import CONFIRM
from ablate.plan import Plan, make_plan
from ablate.recipes import TRAIN_RECIPE
from ablate.spec import content_key
from ablate.study import SettleSettings, Study
from stats.record import plain
from stats.sequential.eprocess import EFFECTS

PLAN_VERSION = 1
"""Raised when the meaning of a plan's entries changes."""

MIN_PAIRS = 20
"""Pairs per cell of a settling study: d_z = .66 is found with 80 % power (two-sided .05)."""

FIXED, SEQUENTIAL = "fixed", "sequential"

EXCLUSION = (
    "No pair is left out for its scores.",
    "A run that diverges (a loss that is not finite or blows up) is an outcome and is not "
    "repeated. The primary analysis uses complete pairs; the sensitivity analysis gives a diverged "
    "run the scores of the unadapted backbone. A claim is shown only where both show it: its p is "
    "the larger of the two.",
    "A run lost to the machine (crash, out of memory) is repeated, at most three times a command; "
    "a pair that still lacks one is left out and counted.",
    "A pair whose runs were made under different package versions is left out and counted.",
)
"""What happens to runs without a score."""


def settling_plan(study: Study) -> Plan:
    """The plan of a settling study: one configuration of the mechanism, confirmation seeds.

    A sequential study's plan has the seeds of its whole budget.

    Raises:
        AblateError: too few pairs, more seeds than there are, hyperparameter draws, or several
            design points.
    """
    rule = study.settle
    if study.draws.count:
        raise AblateError(
            "a claim is settled at one setting of the hyperparameters, not over draws",
            place="hp.draws",
            value=study.draws.count,
            hint="leave it out here, and see what hyperparameters do with: ablate run hp.draws=...",
        )
    if rule.stopping == FIXED and rule.pairs < MIN_PAIRS:
        raise AblateError(
            f"{rule.pairs} pairs per cell are too few to settle a claim",
            place="settle.pairs",
            value=rule.pairs,
            hint=f"give {MIN_PAIRS} or more, or settle.stopping=sequential",
        )
    if rule.stopping == SEQUENTIAL and rule.budget < 2:
        raise AblateError(
            "a budget of one pair can decide nothing",
            place="settle.budget",
            value=rule.budget,
            hint=f"give {MIN_PAIRS} or more",
        )
    seeds = range(rule.first, rule.first + most_pairs(rule))
    if seeds[-1] not in CONFIRM:
        raise AblateError(
            f"{len(seeds)} seeds from {rule.first} on end beyond {CONFIRM[-1]}",
            place="settle.first",
            value=rule.first,
            hint="start earlier, or take fewer pairs",
        )
    plan = make_plan(dataclasses.replace(study, seeds=tuple(seeds)))
    points = [arm for arm in plan.design.arms if arm.is_design_point]
    if len(points) > len(study.adapters):
        raise AblateError(
            f"{len(points) // len(study.adapters)} configurations of the mechanism are compared; "
            "a claim is about one",
            place="axes",
            value=study.axes,
            hint="give axes=none and the levels by at.AXIS=..., chosen by: ablate search",
        )
    return plan


def most_pairs(rule: SettleSettings) -> int:
    """The pairs of each cell, at most."""
    return rule.budget if rule.stopping == SEQUENTIAL else rule.pairs


def main_benchmarks(plan: Plan) -> tuple[str, ...]:
    """The benchmarks of the cells that the claim is about."""
    return plan.main or plan.retention


def plan_content(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-able data, without the time at which it is written."""
    study = plan.study
    cells = f"{len(plan.backbones)} backbones x {len(main_benchmarks(plan))} benchmarks"
    return plain(
        {
            "version": PLAN_VERSION,
            "study": study.name,
            "question": study.question,
            "sesoi": study.sesoi,
            "alpha": study.alpha,
            "retention margin": study.retention_margin,
            "stopping": _stopping(study),
            "pairs per cell": most_pairs(study.settle),
            "adapters": study.adapters,
            "controls": study.controls,
            "hp": vars(study.hp),
            "block": vars(study.block),
            "device": plan.runs[0].spec.device,
            "precision": study.precision,
            "estimands": _estimands(plan),
            "claim": _claim(plan),
            "family": f"the claim over {cells}, in both directions; its error rate is alpha",
            "gates": _gates(study),
            "beside the gates": _beside(study, bool(plan.main and plan.retention)),
            "exclusion": EXCLUSION,
            "arms": [
                {"name": arm.name, "adapter": arm.adapter, "control": arm.control}
                | {"levels": arm.level_texts() if arm.point is not None else {}}
                for arm in plan.design.arms
            ],
            "backbones": {
                b.name: {"digest": b.digest, "layers": b.n_layers} for b in plan.backbones
            },
            "benchmarks": {
                part.benchmark: {
                    "digest": part.digest,
                    "split": part.split,
                    "items": len(load_items(part.source, part.split)),
                    "role": "main" if part.benchmark in main_benchmarks(plan) else "retention",
                }
                for part in plan.benchmarks
            },
            "mix": {part.benchmark: part.digest for part in plan.runs[0].spec.mix},
            "seeds": study.seeds,
            "plugins": study.plugins,
            "world": study.world,
            "recipes": {
                "train": TRAIN_RECIPE,
                "adapters": {name: find_adapter(name).recipe for name in study.adapters},
                "blocks": sorted(
                    {
                        f"{name} {version}"
                        for run in plan.runs
                        if run.spec.block is not None
                        for name, version in run.spec.block.recipes
                    }
                ),
            },
            "runs": {"count": len(plan.specs), "digest": content_key(sorted(plan.specs))},
        }
    )


def _claim(plan: Plan) -> str:
    names = plan.study.adapters
    if len(names) == 1:
        return f"the mechanism adds to {names[0]}"
    return f"the mechanism adds to each of {', '.join(names)}"


def _estimands(plan: Plan) -> dict[str, str]:
    study, rule = plan.study, plan.study.settle
    benchmarks = ", ".join(main_benchmarks(plan))
    difference = (
        "for each adapter, the expected score, in points, of the adapter with the mechanism minus "
        "that of the adapter alone, over training seeds, at the fixed hyperparameters and test "
        "items"
    )
    centre = (
        "; by the sequential rule the centre of symmetry of that difference"
        if rule.stopping == SEQUENTIAL
        else ""
    )
    said = {
        "average": f"{difference}, averaged over {benchmarks} within the pair, then over "
        f"{', '.join(b.name for b in plan.backbones)} with equal weights{centre}",
        "backbone": f"the same within one backbone, averaged over {benchmarks}",
        "cell": "the same in one cell (backbone x benchmark)",
        "population": "the mean of the average's difference over a population of backbones of "
        "which these are a sample",
        "new cell": "the difference that would be measured, with as many pairs, on one of these "
        "benchmarks on a further backbone",
    }
    if plan.main and plan.retention:
        said["retention"] = f"the average's difference on {', '.join(plan.retention)}"
    if study.controls:
        said["mechanism"] = (
            "for each adapter, the smallest of the average's differences between the mechanism and "
            "each of: the adapter alone, and its control arms"
        )
    return said


def _gates(study: Study) -> dict[str, Any]:
    sequential = study.settle.stopping == SEQUENTIAL
    test = (
        "anytime-valid p-value of the e-process of sign bets (one-sided)"
        if sequential
        else "one-sided paired t test on pair means (Satterthwaite over backbones)"
    )
    joined = " for each adapter, joined by intersection-union: p is the largest"
    return {
        "test": test + (joined if len(study.adapters) > 1 else ""),
        "order": ["average over all cells", "average of each backbone", "each cell"],
        "level": f"alpha / 2 = {study.alpha / 2:g} in each direction (better, worse)",
        "procedure": (
            "inheritance procedure on the tree all cells - backbones - cells (Goeman and Finos "
            "2012): the average gets the whole level; once it is shown, every backbone gets an "
            "equal share; once a backbone is shown, each of its cells gets an equal share of that; "
            "the share of a branch that is shown to its end goes to the branches that are not. "
            "The familywise error over all claims of both directions is at most alpha, whatever "
            "the dependence."
        ),
    }


def _beside(study: Study, retention: bool) -> tuple[str, ...]:
    """Statements that the plan announces, each at its own error rate."""
    secondary = (
        "the families of every report (the mechanism per adapter on average; arm x cell) are "
        "secondary: the gates decide on the claim"
    )
    if study.settle.stopping == SEQUENTIAL:
        return (
            "for each adapter: cells that differ, by closed testing with means of e-values, error "
            "rate alpha",
            "for each adapter: confidence sequence of the average at 1 - alpha",
            f"{secondary}; their t tests do not hold after a sequential stop",
        )
    said = [
        secondary,
        "for each adapter: a lower bound, at confidence 1 - alpha, on the number of cells improved "
        "and on the number harmed (the rejections of Holm's step-down procedure)",
        "for each adapter: t over backbone means, and a prediction interval for a further cell",
        "for each adapter: equivalence within +- SESOI by two one-sided t tests, by Holm over cells"
        ", on average",
    ]
    if retention:
        said.append(
            "for each adapter: retention, non-inferiority within the retention margin, one-sided "
            "at alpha / 2"
        )
    if study.controls:
        said.append(
            "for each adapter: it is the mechanism, if the average against the adapter and against "
            "every control is above zero, one-sided at alpha each (intersection-union)"
        )
    return tuple(said)


def _stopping(study: Study) -> dict[str, Any]:
    rule = study.settle
    if rule.stopping == FIXED:
        return {"rule": FIXED, "pairs": rule.pairs, "says": "all pairs are run; no look before"}
    return {
        "rule": SEQUENTIAL,
        "pairs per look": rule.look,
        "budget": rule.budget,
        "effects": EFFECTS,
        "says": (
            "after each look, the e-process of sign bets on the average over all cells, one value "
            "per seed, and the confidence sequence got from it, two-sided at alpha for each "
            "adapter; the study stops once every adapter has a verdict (superior, inferior or "
            "equivalent within SESOI) and gate 1 shows the claim where all are superior or all "
            "inferior, or with the budget"
        ),
    }


LONGEST_VALUE = 120
"""Characters of a value that a message on a changed plan repeats."""


@dataclass(frozen=True)
class Change:
    """An entry of a plan with its registered and its present value, as text."""

    key: str
    old: str
    new: str

    def __str__(self) -> str:
        if max(len(self.old), len(self.new)) > LONGEST_VALUE:
            return f"{self.key} is another text"
        return f"{self.key} was {self.old} and is {self.new}"


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """The entries in which two plans differ, what a user sets first."""
    before, after = dict(_entries(old)), dict(_entries(new))
    return tuple(
        Change(key, before.get(key, "absent"), after.get(key, "absent"))
        for key in [*after, *(key for key in before if key not in after)]
        if before.get(key) != after.get(key)
    )


def _entries(content: Any, prefix: str = "") -> list[tuple[str, str]]:
    """The values of a plan as text by dotted key; lists of plain values stay whole."""
    if isinstance(content, Mapping):
        return [
            entry
            for key, value in content.items()
            for entry in _entries(value, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(content, Sequence) and not isinstance(content, str):
        if any(isinstance(value, Mapping) for value in content):
            names = [str(value.get("name", i)) for i, value in enumerate(content)]
            inside = zip(names, content, strict=True)
            return [
                entry for name, value in inside for entry in _entries(value, f"{prefix}.{name}")
            ]
        return [(prefix, ", ".join(str(value) for value in content) or "none")]
    return [(prefix, f"{content}" if content != "" else "empty")]
