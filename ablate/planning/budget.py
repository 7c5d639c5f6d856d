"""The best design within a time: which terms it tells, with how many pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.errors import AblateError
from ablate.plan import make_plan
from ablate.planning.estimate import Measured
from ablate.planning.prepare import expected_time
from ablate.planning.typical import machine_speed
from ablate.progress import duration_text
from stats.planning.power import detectable_effect
from stats.reach import min_pairs

if TYPE_CHECKING:
    from ablate.design.alternatives import Alternative
    from ablate.options import Options
    from ablate.spec import Backbone
    from ablate.study import Study

ENOUGH_SEEDS = 6
"""Seeds on each backbone from which on a design is taken for what it tells, and no longer for its
pairs: with six an exact test reaches .05 on one backbone alone."""

MOST_SEEDS = 20
"""More seeds than this go into settling a claim, not into a design."""


@dataclass(frozen=True)
class Proposal:
    """A design with the seeds that a budget buys.

    ``seconds`` is its expected time, ``detectable`` the true effect, in standard deviations of a
    contrast's paired differences, that its pairs find with 80 % power at .05 in a single test.
    ``settings`` are the keys that ask for it.
    """

    settings: tuple[str, ...]
    points: int
    mains: int
    interactions: int
    estimates: str
    seeds: int
    pairs: int
    runs: int
    seconds: float
    detectable: float
    design: str


def proposals(
    study: Study,
    backbones: Sequence[Backbone],
    options: Options,
    budget: float,
    measured: Measured,
) -> list[Proposal]:
    """The designs of the study's axes that fit into ``budget`` seconds, the best first.

    The best is, among those with six seeds or more on each backbone, the one that tells most
    interactions, then main effects, then has most seeds; if none has six, the one with most seeds.

    Raises:
        AblateError: none fits; the message says what the smallest needs.
    """
    from ablate.design.alternatives import alternatives

    found, smallest = [], None
    speed = machine_speed(options.workers)

    def seconds(study: Study) -> float | None:
        plan = make_plan(study)
        return expected_time(plan, options, {}, measured, speed).seconds

    least = max(2, -(-min_pairs(study.alpha) // len(backbones)))
    for alternative in alternatives(study, backbones):
        at_least = _with_seeds(alternative, least)
        needed = seconds(at_least)
        if needed is None:
            raise AblateError(
                "no time can be told for these backbones before a run of each kind is measured",
                place="budget",
                value=budget,
                hint="run a small study on them first, such as: ablate run axes=none seeds=2",
            )
        if smallest is None or needed < smallest[0]:
            smallest = (needed, alternative)
        if needed > budget:
            continue
        more = seconds(_with_seeds(alternative, least + 1))
        assert more is not None
        seeds = min(MOST_SEEDS, least + int((budget - needed) / (more - needed)))
        pairs = seeds * len(backbones)
        plan = make_plan(_with_seeds(alternative, seeds))
        found.append(
            Proposal(
                settings=(*alternative.settings, f"seeds={seeds}"),
                points=alternative.points,
                mains=alternative.mains,
                interactions=alternative.interactions,
                estimates=alternative.estimates,
                seeds=seeds,
                pairs=pairs,
                runs=len(plan.specs),
                seconds=needed + (seeds - least) * (more - needed),
                detectable=detectable_effect(1.0, pairs, groups=len(backbones)),
                design=alternative.study.design,
            )
        )
    if not found:
        assert smallest is not None
        needed, alternative = smallest
        raise AblateError(
            f"{duration_text(budget)} is too little for any design: the smallest "
            f"({alternative.study.design}, {alternative.points} design points, {least} seeds) "
            f"needs about {duration_text(needed)}",
            place="budget",
            value=budget,
            hint="give more time, fewer axes, or fewer backbones",
        )
    return sorted(found, key=_rank, reverse=True)


def _rank(proposal: Proposal) -> tuple[bool, int, int, int]:
    enough = proposal.seeds >= ENOUGH_SEEDS
    told = (proposal.interactions, proposal.mains) if enough else (0, 0)
    return (enough, *told, proposal.seeds)


def _with_seeds(alternative: Alternative, seeds: int) -> Study:
    return dataclasses.replace(alternative.study, seeds=tuple(range(seeds)))


def proposal_lines(found: Sequence[Proposal], budget: float, asked: Sequence[str]) -> list[str]:
    """The proposals as lines for a terminal, and the command of the best."""
    best = found[0]
    lines = [
        f"within {duration_text(budget)}: {best.design}, {best.points} points, {best.seeds} seeds "
        f"on each backbone ({best.runs} runs, about {duration_text(best.seconds)})",
        f"it tells {best.estimates}",
        "",
        f"{'design':24} {'points':>6} {'mains':>5} {'2-way':>5} {'seeds':>5} {'runs':>6} "
        f"{'time':>7} {'finds d_z':>9}",
    ]
    for each in found:
        name = each.design + "".join(f" {key.partition('=')[2]}" for key in each.settings[1:-1])
        lines.append(
            f"{name:24} {each.points:6} {each.mains:5} {each.interactions:5} {each.seeds:5} "
            f"{each.runs:6} {duration_text(each.seconds):>7} {each.detectable:9.2f}"
        )
    keys = {text.partition("=")[0] for text in best.settings}
    kept = [text for text in asked if text.partition("=")[0] not in keys | {"budget"}]
    lines.append(
        "finds d_z: the true effect, in SDs of a contrast's own paired differences, found with "
        "80 % power;"
    )
    lines.append(
        "a contrast over more design points averages more runs, so that its SD is smaller."
    )
    return [*lines, "", "ablate run " + " ".join([*kept, *best.settings])]
