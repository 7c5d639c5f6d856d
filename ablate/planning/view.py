"""The plan for people: what would run, what is done, how long it takes, what it can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.checkpoints import megabytes
from ablate.console import make_console
from ablate.plan import Plan
from ablate.planning.estimate import Estimate
from ablate.progress import duration_text
from ablate.result import DIVERGED, DONE
from stats.reach import reach
from stats.wording import plural
from talan.axes import AXES

if TYPE_CHECKING:
    from stats.planning.pilot_plan import PilotPlan

LISTED_ARMS = 12
"""Longer lists of arms are cut in the middle of the print, never in the study."""


@dataclass(frozen=True)
class PlanView:
    """The figures of a plan next to what the ledger has.

    ``checkpoint_bytes`` is what the checkpoints will take, those there are included. ``pilot`` is
    what the study's runs in the ledger say about the pairs needed, ``structure`` the lines on what
    the design can tell apart.
    """

    plan: Plan
    states: Mapping[str, str]
    estimate: Estimate
    workers: int
    home: Path
    checkpoint_bytes: float | None = None
    pilot: PilotPlan | None = None
    structure: Sequence[str] = ()

    @property
    def done(self) -> int:
        """Distinct runs with an outcome."""
        return sum(state in (DONE, DIVERGED) for state in self.states.values())

    @property
    def total(self) -> int:
        """Distinct runs."""
        return len(self.plan.specs)

    @property
    def to_do(self) -> int:
        """Distinct runs without an outcome."""
        return self.total - self.done

    def warnings(self) -> list[str]:
        """What this number of pairs cannot reach, family by family."""
        study, design = self.plan.study, self.plan.design
        n_cells = len(study.backbones) * len(self.plan.main or self.plan.retention)
        in_cell = study.draws.count or len(study.seeds)
        overall = study.draws.count or len(study.seeds) * len(study.backbones)
        families = {
            "per-cell verdicts": (in_cell, len(design.secondary) * n_cells),
            "primary family": (overall, len(design.primary)),
        }
        found = []
        for name, (pairs, tests) in families.items():
            warning = reach(pairs, tests, study.alpha).warning if tests else ""
            if warning:
                found.append(f"{name}: {warning}")
        return found

    def rows(self) -> list[tuple[str, str]]:
        """Label and text of each line."""
        plan, study = self.plan, self.plan.study
        levels = [f"{axis}: {', '.join(self._taken(axis))}" for axis in study.axes]
        arms = [arm.label for arm in plan.design.arms]
        shown = arms if len(arms) <= LISTED_ARMS else [*arms[:LISTED_ARMS], "..."]
        mains = len(study.backbones) * len(plan.main)
        cells = f"{len(study.backbones)} backbones x {len(plan.main)} benchmarks = {mains}"
        if plan.retention:
            cells += f" (+ {', '.join(plan.retention)})"
        axes = f"{'; '.join(levels)} ({study.design}; reference level first)"
        point = "none varied; the mechanism at its reference point"
        lines = [
            ("study", study.name + (f": {study.question}" if study.question else "")),
            ("axes", axes if study.axes else point),
            ("arms", f"{len(arms)}: {', '.join(shown)}"),
            ("backbones", ", ".join(study.backbones)),
            ("benchmarks", f"{', '.join(study.benchmarks)} (trained on: {', '.join(study.mix)})"),
            ("cells", cells),
            *self._draws(),
            ("seeds", f"{len(study.seeds)} ({_ranges(study.seeds)})"
             f"{' of each draw' if study.draws.count else ''}, paired over all arms"),
            ("families", self._families(mains)),
            ("runs", f"{self.total} distinct, {self.done} done, {self.to_do} to do"),
            ("time", self._time()),
            ("home", str(self.home)),
            ("disk", self._disk()),
        ]  # fmt: skip
        return lines

    def _taken(self, axis: str) -> list[str]:
        """The levels of an axis that some arm has: a fraction takes two of them."""
        used = {arm.level_texts().get(axis) for arm in self.plan.design.arms}
        named = map(AXES[axis].text, self.plan.study.levels[axis])
        return [name for name in named if name in used]

    def _families(self, cells: int) -> str:
        """The families of tests, with the factorial's where they stand beside the primary one."""
        design, study = self.plan.design, self.plan.study
        told = [f"primary {count_of(len(design.primary), 'contrast')} averaged over cells"]
        factorial = design.factorial
        if factorial is not None and factorial.own_families:
            from ablate.factorial.analysis import SHARE_OF_MAINS

            mains = SHARE_OF_MAINS * study.alpha
            told.append(
                f"{count_of(len(factorial.mains), 'main effect')} at {mains:g} and "
                f"{count_of(len(factorial.interactions), 'interaction')} at "
                f"{study.alpha - mains:.2g} (Holm each)"
            )
        told.append(f"secondary {count_of(len(design.secondary), 'comparison')} x {cells} cells")
        return f"{'; '.join(told)}; alpha {study.alpha:g}, SESOI {study.sesoi:g} points"

    def _draws(self) -> list[tuple[str, str]]:
        """The draws of hyperparameters; nothing where they are fixed."""
        study = self.plan.study
        if not study.draws.count:
            return []
        space, sampler = study.space.describe(), study.draws.sampler
        return [("draws", f"{study.draws.count} ({sampler}), shared by all arms: {space}")]

    def _time(self) -> str:
        if not self.to_do:
            return "nothing to run"
        if self.estimate.seconds is None:
            return f"unknown ({self.estimate.basis})"
        low, high = self.estimate.low, self.estimate.high
        assert low is not None
        assert high is not None
        basis = self.estimate.basis
        if duration_text(low) != duration_text(high):
            basis = f"{duration_text(low)} to {duration_text(high)}; {basis}"
        return f"about {duration_text(self.estimate.seconds)} ({basis})"

    def _disk(self) -> str:
        runs = sum(spec.block is not None for spec in self.plan.specs.values())
        if self.plan.study.world:
            return "no checkpoints: a synthetic world trains nothing"
        if self.checkpoint_bytes is None:
            size = "size unknown until one has been kept"
        else:
            size = f"about {megabytes(self.checkpoint_bytes)}"
        return f"checkpoints of {runs} runs with a block: {size}"

    def to_dict(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "study": self.plan.study.name,
            "design": self.plan.design_digest,
            "arms": [arm.name for arm in self.plan.design.arms],
            "seeds": list(self.plan.study.seeds),
            "runs": self.total,
            "done": self.done,
            "to_do": self.to_do,
            "low_seconds": self.estimate.low,
            "expected_seconds": self.estimate.seconds,
            "high_seconds": self.estimate.high,
            "basis": self.estimate.basis,
            "checkpoint_bytes": self.checkpoint_bytes,
            "notes": list(self.plan.design.notes),
            "warnings": self.warnings(),
            "structure": list(self.structure),
            "pilot": None if self.pilot is None else self.pilot.to_dict(),
        }


def print_plan(view: PlanView) -> None:
    """Print the plan on standard output."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for label, text in view.rows():
        table.add_row(label, Text(text))
    for note in view.plan.design.notes:
        table.add_row("note", Text(note))
    for warning in view.warnings():
        table.add_row("warning", Text(warning), style="dark_orange3")
    console = make_console()
    console.print(table)
    for line in view.structure:
        console.print(Text(line))
    for line in pilot_lines(view):
        console.print(Text(line))


def count_of(n: int, what: str) -> str:
    """``1 contrast``, ``6 contrasts``."""
    return f"{n} {plural(what, n)}"


def pilot_lines(view: PlanView) -> list[str]:
    """What the runs at hand say about the pairs needed, the widest contrast and cell."""
    pilot = view.pilot
    if pilot is None:
        return []
    study = view.plan.study
    found = [
        f"pairs needed for {study.sesoi:g} point{'' if study.sesoi == 1 else 's'} with 80 % power, "
        "from the spread of the runs at hand (upper 80 % limits):"
    ]
    rows = [("average", row) for row in pilot.primary]
    cells = [row for row in pilot.cells if row.spread.usable and row.pairs_family is not None]
    if cells:
        rows.append(("widest cell", max(cells, key=lambda row: row.spread.sd_upper)))
    for where, row in rows:
        cell = " × ".join((row.spread.cell or {}).values())
        name = f"{row.spread.name}{f', {cell}' if cell else ''} ({where})"
        if row.pairs_family is None:
            found.append(f"  {name}: its differences show no spread to plan with")
            continue
        found.append(
            f"  {name}: SD {row.spread.sd:.2g}, upper {row.spread.sd_upper:.2g}; "
            f"{row.pairs_family} to find it, {row.pairs_equivalence} to show equivalence"
        )
    return found


def _ranges(seeds: tuple[int, ...]) -> str:
    if len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))
