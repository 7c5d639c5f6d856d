"""What the ledger holds: runs by state, with the reasons of those without a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ablate.ledger import FAILED, STATES, RunRecord
from ablate.result import DIVERGED

LISTED = 20
"""So many runs without a score are listed in the terminal; ``--json`` has all."""


@dataclass(frozen=True)
class Problem:
    """A run without a score."""

    key: str
    state: str
    attempts: int
    reason: str
    backbone: str
    adapter: str
    seed: int


@dataclass(frozen=True)
class Status:
    """Counts by state, and the runs that diverged or failed or had to be tried again."""

    counts: Mapping[str, int]
    missing: int
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "counts": dict(self.counts),
            "not_entered": self.missing,
            "problems": [asdict(problem) for problem in self.problems],
        }


def make_status(records: Sequence[RunRecord], planned: int | None) -> Status:
    """Count records; ``planned`` is the number of runs of the study asked about, if one was."""
    counts = {state: sum(r.state == state for r in records) for state in STATES}
    problems = tuple(
        Problem(
            r.key, r.state, r.attempts, r.reason, r.spec.backbone.name, r.spec.adapter, r.spec.seed
        )
        for r in records
        if r.state in (DIVERGED, FAILED) or (r.reason and r.state != "done")
    )
    return Status(counts, 0 if planned is None else planned - len(records), problems)


def status_lines(status: Status) -> list[str]:
    """The status as lines of text."""
    lines = ["  ".join(f"{state} {count}" for state, count in status.counts.items())]
    if status.missing:
        lines.append(f"{status.missing} planned runs have not been entered yet")
    for problem in status.problems[:LISTED]:
        lines.append(
            f"{problem.state}: {problem.adapter} on {problem.backbone}, seed {problem.seed} "
            f"(run {problem.key[:8]}, attempt {problem.attempts}): {problem.reason}"
        )
    if len(status.problems) > LISTED:
        lines.append(f"... and {len(status.problems) - LISTED} more; --json lists all")
    return lines
