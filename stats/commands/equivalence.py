"""``python -m stats equivalence``: is a difference small enough not to matter?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stats.commands.options import (
    add_alpha,
    add_json,
    add_paired_table,
    add_resampling,
    paired_table,
    seed,
    to_json,
)
from stats.errors import StatsError

if TYPE_CHECKING:
    from stats.equivalence.noninferiority import NoDegradation
    from stats.table import PairedTable

LINE = "show that arms differ by less than a margin, or are no worse than one"
EXAMPLES = """\
examples:
  python -m stats equivalence results.csv --baseline lora --margin 1
  python -m stats equivalence results.csv --baseline lora --cell backbone,benchmark \\
      --low -0.5 --high 1 --percent
  python -m stats equivalence retention.csv --baseline lora --cell backbone,benchmark \\
      --margin 1 --non-inferiority

Two one-sided paired t tests (TOST) of every arm against the baseline, in every cell and averaged
over cells, adjusted by Holm over each of the two families. That a test of no difference does not
reject is no proof of equivalence; a 1 - 2 alpha interval inside the margin is.

--non-inferiority asks only that nothing beyond the margin is lost: a one-sided test at alpha / 2
in each cell, and "no degradation" of an arm where all its cells pass (intersection-union).
The margin is the largest difference that does not matter, in reported units, fixed before the data.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_paired_table(parser)
    parser.add_argument("--margin", type=float, help="the margin, the same on both sides")
    parser.add_argument("--low", type=float, help="its lower bound (negative) where sides differ")
    parser.add_argument("--high", type=float, help="its upper bound where sides differ")
    parser.add_argument(
        "--non-inferiority", action="store_true", help="test the lower side alone, in all cells"
    )
    add_alpha(parser)
    add_resampling(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> str:
    """The analysis as text, or as JSON."""
    from stats.contrast import versus

    low, high = _margin(args)
    rng, table = seed(args), paired_table(args)
    if args.non_inferiority:
        done = _retention(args, table, -low)
        if args.json:
            return to_json({arm: result.to_dict() for arm, result in done.items()})
        return "\n".join(
            f"{arm} against {args.baseline} ({table.units})\n{result.summary()}"
            for arm, result in done.items()
        )
    from stats.equivalence.analysis import equivalence

    contrasts = [versus(arm, args.baseline) for arm in table.arms if arm != args.baseline]
    outcome = equivalence(
        table,
        cells=contrasts,
        primary=contrasts,
        margin=(low, high),
        alpha=args.alpha,
        n_resamples=args.n_resamples,
        rng=rng,
    )
    return to_json(outcome.to_dict()) if args.json else outcome.summary()


def _margin(args: argparse.Namespace) -> tuple[float, float]:
    from stats.equivalence.analysis import checked_margin

    if args.margin is not None and (args.low is not None or args.high is not None):
        raise StatsError(
            "both a margin and its bounds are given",
            place="--margin",
            value=args.margin,
            hint="give --margin, or --low and --high",
        )
    if args.margin is not None:
        return checked_margin(args.margin)
    if args.non_inferiority and args.low is not None and args.high is None:
        return checked_margin((args.low, -args.low))
    if args.low is None or args.high is None:
        raise StatsError(
            "there is no margin",
            place="--margin",
            hint="give --margin 1, or --low -1 --high 2: the largest difference that does not "
            "matter",
        )
    return checked_margin((args.low, args.high))


def _retention(
    args: argparse.Namespace, table: PairedTable, margin: float
) -> dict[str, NoDegradation]:
    """Per arm, non-inferiority in every cell it ran in."""
    from stats.contrast import versus
    from stats.equivalence.noninferiority import no_degradation
    from stats.paired import check_level
    from stats.prepare import Room, each_test

    check_level(args.alpha, "alpha")
    out = {}
    scores = table.scores()
    for arm in table.arms:
        if arm == args.baseline:
            continue
        tests, _ = each_test(
            table, scores, Room({}, None), cells=[versus(arm, args.baseline)], primary=[]
        )
        out[arm] = no_degradation(
            {"/".join(test.cell or ()) or "all": test.sample for test in tests},
            margin,
            confidence_level=1 - args.alpha / 2,
        )
    return out
