"""The driver's loop over probes: what the ledger lacks goes to the executor and comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ablate import checkpoints
from ablate.executors.base import PROBE, Executor, Failure
from ablate.ledger import Ledger
from ablate.options import Options
from ablate.plan import PlannedRun
from ablate.probing.prompts import prompts_digest
from ablate.probing.result import Probed
from ablate.progress import Reporter, make_reporter
from ablate.recipes import PROBE_RECIPE
from ablate.result import DONE
from ablate.runner import POLL_SECONDS, Pace
from ablate.spec import RunSpec


def probed(specs: Mapping[str, RunSpec], ledger: Ledger) -> dict[str, Probed]:
    """What the ledger has of the probes of runs on the benchmarks that each spec names."""
    digests = {key: prompts_digest(spec.benchmarks) for key, spec in specs.items()}
    return ledger.probes(digests, PROBE_RECIPE)


def to_probe(
    specs: Mapping[str, RunSpec], ledger: Ledger, folder: Path
) -> tuple[list[str], list[str]]:
    """The keys of trained runs that are yet to be probed: with a checkpoint, and without.

    Those of which no checkpoint is ever kept are in neither.
    """
    have, states = probed(specs, ledger), ledger.states(specs)
    missing = [
        key
        for key, spec in specs.items()
        if key not in have and states.get(key) == DONE and checkpoints.is_kept(spec)
    ]
    ready = [key for key in missing if checkpoints.find(folder, key) is not None]
    return ready, [key for key in missing if key not in ready]


def specs_of(runs: Iterable[PlannedRun]) -> dict[str, RunSpec]:
    """The distinct runs by key."""
    return {run.key: run.spec for run in runs}


def probe_missing(
    runs: Sequence[PlannedRun],
    folder: Path,
    options: Options,
    ledger: Ledger,
    executor: Executor,
) -> dict[str, str]:
    """Probe the trained runs of ``runs`` that the ledger has no probe of.

    Runs without a checkpoint in ``folder`` are passed over. Returns the reasons of those that
    could not be probed, by key; the driver's lock must be held.
    """
    specs = specs_of(runs)
    ready, _ = to_probe(specs, ledger, folder)
    if not ready:
        return {}
    executor.grow(min(options.workers, len(ready)))
    labels = {run.key: f"{run.arm.label}, {run.backbone}, seed {run.seed}" for run in runs}
    with make_reporter(options.progress, len(ready), "probes") as reporter:
        wanted = {key: specs[key] for key in ready}
        return probe_all(wanted, labels, ledger, executor, reporter)


def gaps(
    runs: Sequence[PlannedRun],
    folder: Path,
    ledger: Ledger,
    failures: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """What is missing of the probes of ``runs``, and how to get it, a sentence each."""
    if any(run.spec.world for run in runs):
        return ("Nothing was probed: a synthetic world has no trained blocks.",)
    ready, without = to_probe(specs_of(runs), ledger, folder)
    reasons = failures or {}
    notes = []
    if waiting := [key for key in ready if key not in reasons]:
        notes.append(
            f"{_runs(len(waiting))} not probed yet: python -m ablate probe, and the same arguments."
        )
    if without:
        notes.append(
            f"{_runs(len(without))} not probed, because no checkpoint of theirs was kept: "
            "python -m ablate probe --train, and the same arguments, trains them again."
        )
    if large := [run for run in specs_of(runs).values() if checkpoints.is_too_large(run)]:
        notes.append(f"{_runs(len(large))} not probed: {checkpoints.large_note()}.")
    if reasons:
        notes.append(
            f"{_runs(len(reasons))} not probed: {next(iter(reasons.values()))}. Where a checkpoint "
            "is at fault, delete its folder; --train then makes it anew."
        )
    return tuple(notes)


def _runs(count: int) -> str:
    return "1 run was" if count == 1 else f"{count} runs were"


def probe_all(
    specs: Mapping[str, RunSpec],
    labels: Mapping[str, str],
    ledger: Ledger,
    executor: Executor,
    reporter: Reporter,
) -> dict[str, str]:
    """Probe every run of ``specs``; returns the reasons of those that could not be, by key.

    Each is tried once. A probe that is interrupted leaves nothing behind.

    Args:
        specs: runs with a checkpoint, with the benchmarks whose prompts they are shown.
        labels: what to show for each key.
        ledger: where each result is recorded as it comes.
        executor: executes the probes; closing it is the caller's task.
        reporter: told of each end.
    """
    queue = list(specs)
    flying: set[str] = set()
    failures: dict[str, str] = {}
    done = 0
    pace = Pace(len(queue))
    while queue or flying:
        while queue and executor.free:
            key = queue.pop(0)
            flying.add(key)
            executor.submit([specs[key]], PROBE)
        for outcome in executor.poll(POLL_SECONDS):
            flying.remove(outcome.key)
            done += 1
            if isinstance(outcome, Probed):
                ledger.add_probe(outcome)
            elif isinstance(outcome, Failure):
                failures[outcome.key] = outcome.reason
            label = labels.get(outcome.key, outcome.key)
            reporter.update(done, len(failures), label, pace.seconds_left(done))
    return failures
