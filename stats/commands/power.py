"""``python -m stats power``: how many pairs a question needs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stats.commands.options import (
    add_alpha,
    add_json,
    add_paired_table,
    names,
    paired_table,
    to_json,
)
from stats.errors import StatsError

if TYPE_CHECKING:
    from stats.planning.detectable import Detectable
    from stats.planning.pilot_plan import PilotPlan

LINE = "plan the number of pairs, from a spread or from a pilot's file"
EXAMPLES = """\
examples:
  python -m stats power
  python -m stats power --sd 1.2 --sesoi 1 --tests 16
  python -m stats power --sd 1.2 --sesoi 1 --n 6,10,20
  python -m stats power pilot.csv --baseline lora --cell backbone,benchmark --percent --sesoi 1

Without a file, --sd is the standard deviation of paired differences; effects are in its units, or
in standard deviations where it is not given. With a pilot's file, each cell's and each average's
standard deviation is taken at its upper 80 % limit; the difference that the pilot found plays no
part. Tables give the smallest difference found, and the smallest margin within which equivalence is
shown (TOST) when the true difference is 0. --tests counts the tests of the family: each is held to
alpha / tests.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_paired_table(parser, optional=True)
    parser.add_argument("--sd", type=float, help="standard deviation of paired differences")
    parser.add_argument(
        "--sesoi",
        type=float,
        help="smallest effect of interest, in the units of --sd or in reported ones",
    )
    parser.add_argument(
        "--tests", type=int, help="tests in the family (1, or the cells' number in the file)"
    )
    parser.add_argument("--power", type=float, default=0.8, help="power (%(default)s)")
    parser.add_argument("--n", default="", help="numbers of pairs to show, separated by commas")
    add_alpha(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> str:
    """The plan as text, or as JSON."""
    pairs = tuple(_count(text) for text in names(args.n))
    result = _from_pilot(args, pairs) if args.file else _from_numbers(args, pairs)
    return to_json(result.to_dict()) if args.json else result.summary()


def _from_numbers(args: argparse.Namespace, pairs: tuple[int, ...]) -> Detectable:
    from stats.planning.detectable import PAIRS, STANDARD, detectable

    if args.baseline is not None:
        raise StatsError(
            "a baseline is given and no file",
            place="--baseline",
            value=args.baseline,
            hint="name the pilot's file first, or leave --baseline out",
        )
    return detectable(
        1.0 if args.sd is None else args.sd,
        pairs=pairs or PAIRS,
        sesoi=args.sesoi,
        tests=1 if args.tests is None else args.tests,
        alpha=args.alpha,
        power=args.power,
        units=STANDARD if args.sd is None else "score units",
    )


def _from_pilot(args: argparse.Namespace, pairs: tuple[int, ...]) -> PilotPlan:
    from stats.contrast import versus
    from stats.planning.pilot import pilot
    from stats.planning.pilot_plan import plan_from_pilot

    for name, given, hint in (
        ("--baseline", args.baseline, "name the arm that others are compared with"),
        ("--sesoi", args.sesoi, "the smallest difference that matters, in reported units"),
    ):
        if given is None:
            raise StatsError(f"a plan from a file needs {name}", place=name, hint=hint)
    if args.sd is not None:
        raise StatsError(
            "both a standard deviation and a file to take it from are given",
            place="--sd",
            value=args.sd,
            hint="leave one of them out",
        )
    table = paired_table(args)
    contrasts = [versus(arm, args.baseline) for arm in table.arms if arm != args.baseline]
    return plan_from_pilot(
        pilot(table, cells=contrasts, primary=contrasts),
        args.sesoi,
        power=args.power,
        alpha=args.alpha,
        tests=args.tests,
        pairs=pairs,
    )


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise StatsError(
            f"'{text}' is not a number of pairs", place="--n", value=text, hint="e.g. 6,10,20"
        ) from None
