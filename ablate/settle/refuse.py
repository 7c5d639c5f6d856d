"""What must not enter a settling study: seeds and items that were seen before, leaked items."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from ablate.benchmarks import load_items
from ablate.benchmarks.registry import SPLITS
from ablate.errors import AblateError
from ablate.ledger import Registered, RunRecord
from ablate.phases import CONFIRM, SEARCH
from ablate.plan import Plan
from ablate.result import DIVERGED, DONE
from ablate.spec import UNADAPTED, Part


def confirmation_runs(
    records: Mapping[str, RunRecord],
    backbones: Collection[str],
    adapters: Collection[str],
    seeds: Collection[int],
    world: str,
) -> list[RunRecord]:
    """Runs with an outcome on these backbones (digests), adapters and confirmation seeds.

    Runs of another synthetic ``world`` ("" for none) say nothing of this one.
    """
    wanted = set(seeds) & set(CONFIRM)
    return [
        record
        for record in records.values()
        if record.state in (DONE, DIVERGED)
        and record.spec.adapter in adapters
        and record.spec.seed in wanted
        and record.spec.world == world
        and record.spec.backbone.digest in backbones
    ]


def refuse_used_seeds(
    plan: Plan, records: Mapping[str, RunRecord], registered: float | None
) -> None:
    """Refuse seeds that a run outside the registered plan has used.

    A run belongs to the plan if it is one of its runs and ended after ``registered`` (Unix time;
    None: nothing is registered yet). A run of the same adapter on the same backbone shares the
    seed's data order and initialisation, whatever its hyperparameters and block are.

    Raises:
        AblateError: names the first such seed and where to start instead.
    """
    specs, study = plan.specs, plan.study
    backbones = [b.digest for b in plan.backbones]
    runs = confirmation_runs(records, backbones, study.adapters, study.seeds, study.world)
    foreign = [
        record
        for record in runs
        if registered is None
        or record.key not in specs
        or (record.finished is not None and record.finished < registered)
    ]
    if foreign:
        first = min(foreign, key=lambda record: record.spec.seed)
        others = f" ({len(foreign)} such runs)" if len(foreign) > 1 else ""
        everywhere = confirmation_runs(records, backbones, study.adapters, CONFIRM, study.world)
        free = 1 + max(record.spec.seed for record in everywhere)
        raise AblateError(
            f"seed {first.spec.seed} was used before by a run of {first.spec.adapter} on "
            f"{first.spec.backbone.name} that is not of this plan{others}",
            place="settle.first",
            value=first.spec.seed,
            hint=f"take fresh seeds with settle.first={free}, or another home=DIR",
        )


def refuse_registered_seeds(plan: Plan, registrations: Iterable[Registered]) -> None:
    """Refuse seeds that the plan of another study has, on a backbone and an adapter of this one.

    Two plans for the same runs would let one choose between them by their results.
    ``registrations`` are those of all studies, oldest first; the last one of each counts.

    Raises:
        AblateError: names the first such seed, the study and where to start instead.
    """
    study = plan.study
    backbones = {backbone.digest for backbone in plan.backbones}
    taken: dict[int, Registered] = {}
    for other in {each.study: each for each in registrations if each.study != study.name}.values():
        theirs = json.loads(other.content)
        if (
            theirs["world"] == study.world
            and set(theirs["adapters"]) & set(study.adapters)
            and {b["digest"] for b in theirs["backbones"].values()} & backbones
        ):
            taken |= dict.fromkeys(theirs["seeds"], other)
    shared = sorted(set(study.seeds) & set(taken))
    if shared:
        raise AblateError(
            f"seed {shared[0]} is in the plan of {taken[shared[0]].study!r} too, on a backbone and "
            "an adapter of this one, and runs can follow one plan only",
            place="settle.first",
            value=study.settle.first,
            hint=f"go on with that study, or take fresh seeds with settle.first={1 + max(taken)}",
        )


def refuse_selected_items(plan: Plan, records: Mapping[str, RunRecord]) -> None:
    """Refuse test items that a selection run (a seed of the search's range) has scored.

    Raises:
        AblateError: names the benchmark.
    """
    seen: dict[str, Part] = {
        part.digest: part
        for record in records.values()
        if record.spec.seed in SEARCH
        and record.spec.world == plan.study.world
        and record.state in (DONE, DIVERGED)
        for part in record.spec.benchmarks
    }
    for part in plan.benchmarks:
        ours = _prompts(part.source, part.split)
        for digest, other in seen.items():
            shared = len(ours) if digest == part.digest else len(ours & _known_prompts(other))
            if shared:
                raise AblateError(
                    f"{shared} test items of {part.benchmark} were scored by a search, so that "
                    "what was selected has seen them",
                    place="benchmarks",
                    value=part.benchmark,
                    hint="settle on items that no search has scored",
                )


def refuse_leaks(plan: Plan) -> None:
    """Refuse a benchmark whose test items occur in its other splits, or in what is trained on.

    Items are compared by their prompts.

    Raises:
        AblateError: names the benchmark, the other split and how many items it shares.
    """
    mix = [(name, ("train",)) for name in plan.study.mix]
    for part in plan.benchmarks:
        ours = _prompts(part.source, part.split)
        for name, splits in [(part.source, tuple(s for s in SPLITS if s != part.split)), *mix]:
            for split in splits:
                shared = ours & _prompts(name, split)
                if shared:
                    raise AblateError(
                        f"{len(shared)} test items of {part.benchmark} occur in the {split} split "
                        f"of {name} too",
                        place="benchmarks",
                        value=part.benchmark,
                        hint=f"remove them from one of the two; the first is {min(shared)[:60]!r}",
                    )


def explored(plan: Plan, records: Mapping[str, RunRecord], scored: Mapping[str, set[str]]) -> int:
    """How many runs that are not of the plan have scored test items of its benchmarks: runs of
    ``run``, confirmations of a search, other settled claims.

    ``scored`` has the digests that each run has scores for.
    """
    digests, own = {part.digest for part in plan.benchmarks}, plan.specs
    return sum(
        key not in own
        and record.spec.world == plan.study.world
        and record.spec.adapter != UNADAPTED
        and bool(digests & scored.get(key, set()))
        for key, record in records.items()
    )


def explored_sentence(count: int) -> str:
    """What the report says of exploration on the test items."""
    if not count:
        return "No other run of this home has scored these test items."
    runs = "1 other run" if count == 1 else f"{count} other runs"
    return (
        f"{runs} of this home {'has' if count == 1 else 'have'} scored these test items: whoever "
        "chose the claim may have seen them."
    )


def _prompts(source: str, split: str) -> set[str]:
    """The prompts of a split; none where the benchmark has no such split."""
    try:
        return {item.prompt for item in load_items(source, split)}
    except AblateError:
        if split == "test":
            raise
        return set()


def _known_prompts(part: Part) -> set[str]:
    """The prompts that a recorded part has now; none where its file is gone."""
    try:
        return {item.prompt for item in load_items(part.source, part.split)}
    except AblateError:
        return set()


def seeds_text(seeds: Sequence[int] | Iterable[int]) -> str:
    """``10000-10019`` for a run of seeds, else a list."""
    ordered = sorted(seeds)
    if ordered and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}-{ordered[-1]}"
    return ", ".join(str(seed) for seed in ordered)
