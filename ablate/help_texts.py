"""What ``--help`` says of every command: examples, keys, exit codes."""

from __future__ import annotations

import textwrap

from ablate.keys import KEYS
from ablate.options import OPTION_KEYS
from ablate.space import NAMES
from ablate.study import shipped_studies
from talan.axes import AXES

HELP_WIDTH = 98
EXIT_CODES = (
    "exit codes: 0 done, 1 crash, 2 wrong input (nothing was changed),\n"
    "  3 finished with failed runs, 130 interrupted"
)

EXAMPLES = {
    "run": """\
examples:
  ablate run axes=insertion,memory             the default study: 2 x 4 cells, 6 paired seeds
  ablate run axes=mixer seeds=20               twenty pairs, seeds 0 to 19
  ablate run axes=mixer seeds=0,3,7            these three
  ablate run axes=memory levels.memory=1,8,64  other levels
  ablate run axes=memory at.writeback=add      an axis that is not varied, set to a level
  ablate run axes=all                          every axis in turn around the default point
  ablate run study=paper_shape adapters=lora   a shipped study, one setting changed
  ablate run study=my.yaml home=runs workers=2 your own file, records in ./runs
  ablate run axes=memory backbones=llama-tiny,./my-model train.steps=120

The same command again resumes: finished runs are never trained twice, more seeds or levels run only
the difference, and a baseline is shared by all studies of a home.""",
    "settle": """\
examples:
  ablate settle study=settle                   20 pairs in 16 cells, on a plan written down before
  ablate settle my.yaml home=runs              your own claim, by the path of its file
  ablate settle study=settle controls=yes      and is it the mechanism?
  ablate settle study=settle settle.pairs=40   more pairs, decided before the first run
  ablate settle study=settle settle.stopping=sequential settle.budget=60

The plan is written and registered before the first run. The same command again resumes; with
another plan it is refused once runs exist, or goes on as exploratory with exploratory=yes.""",
    "search": """\
examples:
  ablate search axes=none backbones=qwen3-tiny 20 trials per arm, then 20 fresh seeds
  ablate search axes=none hp.lr=1e-3..3e-2     another range; hp.* names what is searched
  ablate search axes=memory,writeback          axis levels are chosen by the search too
  ablate search axes=none search.sampler=random search.trials=40 search.seeds=2
  ablate search axes=none search.replicates=5  an interval that includes what tuning varies

Each adapter is tuned with and without the mechanism, by validation items only; the winners are
then compared on fresh seeds and test items. The same command resumes with the same trials.""",
    "plan": """\
examples:
  ablate plan axes=insertion,memory            arms, runs, expected time; nothing is run
  ablate plan study=paper_shape --json         for scripts
  ablate plan axes=all design=fraction         with what the fraction confounds
  ablate plan axes=all budget=2h               the best design within two hours

Where the home has runs of the study, the plan says how many pairs their spread asks for.""",
    "status": """\
examples:
  ablate status                                all runs of the home
  ablate status axes=insertion,memory          the runs of one study
  ablate status --json home=runs               for scripts""",
    "report": """\
examples:
  ablate report axes=insertion,memory          the report again, from the records
  ablate report axes=insertion,memory sesoi=2  the same runs, another SESOI""",
    "probe": """\
examples:
  ablate probe axes=insertion,memory           every trained run with a block of the study
  ablate probe 3f2a91c0                        one run, by the beginning of its key
  ablate probe 3f2a91c0 b7 home=runs           two runs of another home
  ablate probe axes=mixer --train              train again first what lacks a checkpoint

`ablate run` probes the arm at the reference level of every axis by itself. What was probed once is
in the ledger and is not probed again. Keys are in results.csv of a report, as run_key.""",
    "ui": """\
examples:
  ablate ui                                    MLflow on http://127.0.0.1:5000
  ablate ui --port 5001 home=runs""",
    "doctor": """\
examples:
  ablate doctor                                versions, device, disk, write access
  ablate doctor home=runs""",
}

SUMMARIES = {
    "run": "run what is missing of a study, then report",
    "settle": "settle a claim: a plan written down first, fresh pairs, gatekept verdicts",
    "search": "tune every arm, then compare the winners on fresh seeds and test items",
    "plan": "show what run would do, take and be able to find; or the best design within a time",
    "status": "show done, running and failed runs",
    "report": "rebuild a report from the records",
    "probe": "look inside trained runs: does the mechanism do what it says",
    "ui": "serve MLflow's pages on this machine",
    "doctor": "check whether this machine is ready",
}


def key_help(takes_study: bool) -> str:
    """The keys that a command takes, wrapped to the help's width."""
    keys = OPTION_KEYS | KEYS if takes_study else {"home": OPTION_KEYS["home"]}
    lines = ["keys:"]
    lines += [
        _entry(name, key.help)
        for name, key in keys.items()
        if not name.startswith(("levels.", "at.")) and name.removeprefix("hp.") not in NAMES
    ]
    if takes_study:
        lines.append(_entry("levels.AXIS", "the levels to compare of an axis that is varied"))
        lines.append(_entry("at.AXIS", "the level of an axis that is not varied"))
        text = f"its range for draws and searches, 1e-3..1e-2 or 4,8,16: {', '.join(NAMES)}"
        lines.append(_entry("hp.NAME", text))
        lines.append("\naxes (default level first):")
        for axis in AXES.values():
            levels = ", ".join(axis.text(level) for level in axis.levels)
            lines.append(_entry(axis.name, f"{levels}: {axis.help}"))
        lines.append(f"\nshipped studies: {', '.join(shipped_studies())}")
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    """A name and what it means, wrapped to the help's width."""
    head = f"  {name:20} "
    return textwrap.fill(head + text, HELP_WIDTH, subsequent_indent=" " * len(head))
