"""``ablate probe``: look inside the trained runs of a study, or inside the ones that are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.checkpoints import is_too_large, large_note
from ablate.conduct import make_executor, require_ledger, train_waiting
from ablate.errors import AblateError
from ablate.home import Home, driver_lock, find_home
from ablate.ledger import Ledger, open_ledger
from ablate.options import Options
from ablate.plan import Plan, PlannedRun, make_plan
from ablate.probing.choose import SHOWN, block_runs, named_runs, reference_arms
from ablate.probing.findings import ProbeFindings, make_probe_findings
from ablate.probing.run import gaps, probe_missing, probed, specs_of, to_probe
from ablate.study import Study

if TYPE_CHECKING:
    from rich.console import Group


@dataclass(frozen=True)
class Shown:
    """What the command found, where its table lies, and how many probes failed.

    ``spelled`` are the names of the arms whose summaries are also told in sentences.
    """

    findings: ProbeFindings
    spelled: tuple[str, ...]
    csv: Path
    failed: int


def probe_runs(study: Study, options: Options, names: Sequence[str], *, train: bool) -> Shown:
    """Probe the named runs, or all runs of the study with a block, and write table and plots.

    Args:
        study: whose runs and report folder are meant.
        options: where the home is, and how many workers probe.
        names: run keys or their beginnings; none means the whole study.
        train: train runs again whose checkpoint is missing.

    Raises:
        AblateError: see ``named_runs``; nothing to probe; a checkpoint is missing.
    """
    plan = make_plan(study)
    home = find_home(options.home)
    require_ledger(home)
    with driver_lock(home):
        ledger = open_ledger(home.ledger)
        try:
            runs = named_runs(names, plan, ledger) if names else block_runs(plan)
            failures = _probe(plan, runs, home, options, ledger, bool(names), train)
            found = probed(specs_of(runs), ledger)
            notes = gaps(runs, home.checkpoints, ledger, failures)
        finally:
            ledger.close()
    arms = list(dict.fromkeys(run.arm.name for run in runs))
    findings = make_probe_findings(runs, found, arms, notes)
    if findings is None:
        raise AblateError(notes[0].rstrip("."), place="probe")
    spelled = arms if names else [arm.name for arm in reference_arms(plan.design)]
    stem = _stem(runs) if names else "probes"
    csv = write_files(findings, spelled[0], home.report(study.name), stem)
    return Shown(findings, tuple(spelled), csv, len(failures))


def _probe(
    plan: Plan,
    runs: Sequence[PlannedRun],
    home: Home,
    options: Options,
    ledger: Ledger,
    named: bool,
    train: bool,
) -> dict[str, str]:
    """Train again what lacks a checkpoint, if asked to, and probe what is to be probed."""
    specs = specs_of(runs)
    have = probed(specs, ledger)
    ready, without = to_probe(specs, ledger, home.checkpoints)
    if without and not train and (named or not (ready or have)):
        first = without[0][:SHOWN]
        which = f"run {first} has" if named else f"the {len(without)} trained runs have"
        raise AblateError(
            f"{which} no checkpoint: an earlier version kept none, or it was deleted",
            place=str(home.checkpoints),
            value=without[0],
            hint=f"ablate probe {f'{first} ' if named else ''}--train, and the same arguments, "
            "trains again what lacks one",
        )
    if not (ready or without or have):
        if any(is_too_large(spec) for spec in specs.values()):
            raise AblateError(large_note(), place=f"study {plan.study.name}")
        raise AblateError(
            f"no run with a block of study {plan.study.name!r} has been trained yet",
            place=str(home.ledger),
            hint="start it with: ablate run, and the same arguments",
        )
    executor = make_executor(plan, home)
    try:
        if train and without:
            ledger.train_again(without)
            train_waiting([r for r in runs if r.key in without], options, ledger, executor)
        return probe_missing(runs, home.checkpoints, options, ledger, executor)
    finally:
        executor.close()


def _stem(runs: Sequence[PlannedRun]) -> str:
    keys = list(dict.fromkeys(run.key for run in runs))
    return f"probe-{keys[0][:SHOWN]}" if len(keys) == 1 else "probe-chosen"


def write_files(findings: ProbeFindings, first: str, folder: Path, stem: str) -> Path:
    """Write the tidy table and two plots per arm; the files of arm ``first`` have plain names."""
    from ablate.probing.table import KEYS
    from ablate.report.files import tidy_csv, write_bytes
    from ablate.report.probes import arm_pictures, slug

    own = "" if stem == "probes" else stem.removeprefix("probe")
    pictures = []
    for arm in dict.fromkeys(summary.arm for summary in findings.summaries):
        mine = [summary for summary in findings.summaries if summary.arm == arm]
        suffix = own if arm == first else f"{own}-{slug(mine[0].label)}"
        pictures += arm_pictures(mine, suffix)
    csv = folder / f"{stem}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            write_bytes(folder / f"{picture.name}.png", picture.png)
        write_bytes(csv, tidy_csv(findings.table, KEYS))
    except OSError as error:
        raise AblateError(
            f"cannot write the probes: {error.strerror}",
            place=str(folder),
            value=folder,
            hint="choose a folder you may write to",
        ) from error
    return csv


def printed(shown: Shown) -> Group:
    """The result as a rich renderable: a row per arm and backbone, then sentences."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from ablate.probing.answer import number, text
    from ablate.probing.summary import STATIC
    from ablate.report.terminal import probe_parts

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    table.add_column("arm", min_width=8)
    table.add_column("backbone", no_wrap=True)
    for header in ("n", "site", "rel_diff", "growth", "over random", "r", "r static"):
        table.add_column(header, justify="right", no_wrap=True)
    for summary in shown.findings.summaries:
        curve = summary.curve("rel_diff")
        table.add_row(
            summary.label,
            summary.backbone,
            str(len(summary.seeds)),
            f"{summary.site}/{summary.layers}",
            f"{number(curve[summary.site].mean)} to {number(curve[-1].mean)}",
            number(summary.number("amplification").mean),
            text(summary.number("amplification_over_random")),
            number(summary.number("curve_correlation").mean),
            number(summary.number("curve_correlation", STATIC).mean),
        )
    foot = (
        "n: seeds · rel_diff: at the site to at the last state · growth: their ratio · "
        "over random: growth over that of random directions of equal size · r: correlation of the "
        "curves of two benchmarks, of the block and with a static memory"
    )
    return Group(table, Text(foot, style="dim"), *probe_parts(shown.findings, shown.spelled))
