"""Which runs are probed: the reference arms of a study, all of it, or the ones that are named."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict

from ablate.design import Arm, Design
from ablate.errors import AblateError
from ablate.ledger import Ledger
from ablate.options import Options
from ablate.plan import Plan, PlannedRun
from ablate.result import DONE
from ablate.spec import RunSpec, content_key

SHOWN = 8
"""Digits of a key that messages show."""


def reference_arms(design: Design) -> tuple[Arm, ...]:
    """The arm at the reference level of every varied axis, one for each adapter."""
    arms: dict[str, Arm] = {}
    for arm in design.arms:
        if arm.is_design_point:
            arms.setdefault(arm.adapter, arm)
    return tuple(arms.values())


def looks_inside(plan: Plan, options: Options) -> bool:
    """Whether a study's runs are probed: not over matched draws, each of which is another
    mechanism, and not in a synthetic world."""
    return options.probe != "no" and not plan.study.draws.count and not plan.study.world


def block_runs(plan: Plan, arms: Sequence[Arm] | None = None) -> list[PlannedRun]:
    """The places of a study whose run has a block; those of ``arms`` only, where given."""
    names = None if arms is None else {arm.name for arm in arms}
    return [
        run
        for run in plan.runs
        if run.spec.block is not None and (names is None or run.arm.name in names)
    ]


def named_runs(texts: Sequence[str], plan: Plan, ledger: Ledger) -> list[PlannedRun]:
    """The runs of the ledger whose keys begin with ``texts``, at their places in the study.

    A run that is no part of the study gets a place of its own, named by what its block is.

    Raises:
        AblateError: no run, or more than one, begins so; a run without a block or an outcome.
    """
    known = ledger.keys()
    keys = list(dict.fromkeys(_find(text, known) for text in texts))
    records = ledger.records(keys)
    for key in keys:
        record = records[key]
        name = f"run {key[:SHOWN]} ({record.spec.adapter}, seed {record.spec.seed})"
        if record.spec.block is None:
            raise AblateError(
                f"{name} has no block, so there is nothing to probe",
                place="command line",
                value=key,
                hint="name a run of an arm with the block: results.csv has their run_key",
            )
        if record.state != DONE:
            raise AblateError(
                f"{name} is {record.state}",
                place="command line",
                value=key,
                hint="only a run that was trained to its end can be probed",
            )
    places = {key: [run for run in plan.runs if run.key == key] for key in keys}
    return [run for key in keys for run in places[key] or [_own_place(records[key].spec)]]


def _find(text: str, known: Sequence[str]) -> str:
    found = [key for key in known if key.startswith(text.lower())] if text else []
    if len(found) == 1:
        return found[0]
    if found:
        raise AblateError(
            f"{len(found)} runs begin with {text!r}",
            place="command line",
            value=text,
            hint=f"give more digits, for example {found[0][: max(SHOWN, len(text) + 2)]}",
        )
    heads = sorted({key[: max(SHOWN, len(text))] for key in known})
    close = difflib.get_close_matches(text.lower(), heads, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise AblateError(
        f"no run's key begins with {text!r}",
        place="command line",
        value=text,
        hint=f"{guess}results.csv of a report has the keys as run_key",
    )


def _own_place(spec: RunSpec) -> PlannedRun:
    """A place for a run that the study does not plan."""
    block = spec.block
    assert block is not None
    control = f" {block.control}" if block.control else ""
    text = f"site {block.site}, {block.memory} {block.mixer} {block.writeback}{control}"
    name = f"{spec.adapter}+talan ({text}, hp {content_key(asdict(spec.hp))[:6]})"
    arm = Arm(name, f"{spec.adapter} + {text}", spec.adapter, None)
    return PlannedRun(arm, spec.backbone.name, 0, spec.seed, spec, spec.key)
