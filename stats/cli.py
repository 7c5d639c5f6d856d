"""``python -m stats``: the analyses of the package on anybody's results file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

from stats.commands import anova, decompose, equivalence, family, lmm, paired, power, report
from stats.errors import StatsError

COMMANDS: dict[str, ModuleType] = {
    "paired": paired,
    "family": family,
    "equivalence": equivalence,
    "lmm": lmm,
    "anova": anova,
    "decompose": decompose,
    "power": power,
    "report": report,
}
"""Subcommand -> its module (see ``stats.commands``)."""


def parser() -> argparse.ArgumentParser:
    """The command line, with one subparser for each entry of ``COMMANDS``."""
    layout = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="python -m stats",
        description="Honest inference on paired runs, from a results file.",
        epilog=paired.EXAMPLES,
        formatter_class=layout,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=module.LINE,
            description=module.LINE,
            epilog=module.EXAMPLES,
            formatter_class=layout,
        )
        module.declare(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 2 wrong input (one sentence on stderr)."""
    args = parser().parse_args(argv)
    try:
        text = args.run(args)
    except StatsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough; a second flush at exit would complain again.
        sys.stderr.close()
    return 0
