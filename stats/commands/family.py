"""``python -m stats family``: every arm against every baseline, in every cell and beyond."""

from __future__ import annotations

import argparse

from stats.commands.options import (
    add_json,
    add_levels,
    add_paired_table,
    add_resampling,
    names,
    paired_table,
    seed,
    to_json,
)
from stats.errors import StatsError

LINE = "in how many cells an arm beats its baselines, on average, and in a cell to come"
EXAMPLES = """\
examples:
  python -m stats family results.csv --baseline lora --cell backbone,benchmark --percent
  python -m stats family results.csv --baseline lora,dora --cell backbone,benchmark
  python -m stats family results.csv --baseline lora,matched,static,shuffled,random \\
      --cell backbone,benchmark --alternative greater --json > family.json

Every arm that is not a baseline is compared with each baseline, in every cell: one family,
corrected by step-down max-T or Holm. With several baselines, the claim "better than all of them"
is tested too, in each cell and on average (intersection-union: nothing is paid for their number).
Beside the tests: a lower bound on the number of cells improved and harmed, the average over these
cells, over a population of backbones (the columns that --pair and --cell share), and where the
effect in a cell of one more backbone is expected to lie.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_paired_table(parser, several=True)
    parser.add_argument(
        "--alternative",
        default="two-sided",
        help="of the adjusted p-values: two-sided, greater or less (%(default)s)",
    )
    add_levels(parser, sesoi=False)
    add_resampling(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> str:
    """The replication as text, or as JSON."""
    from stats.contrast import against
    from stats.replication.replicate import replicate

    rng, table = seed(args), paired_table(args, several=True)
    baselines = names(args.baseline)
    if not set(table.arms) - set(baselines):
        raise StatsError("every arm is a baseline", place="--baseline", value=args.baseline)
    contrasts = [
        contrast
        for arm in table.arms
        if arm not in baselines
        for contrast in against(arm, baselines)
    ]
    outcome = replicate(
        table,
        contrasts,
        alternative=args.alternative,
        alpha=args.alpha,
        confidence_level=args.confidence_level,
        n_resamples=args.n_resamples,
        rng=rng,
    )
    return to_json(outcome.to_dict()) if args.json else outcome.summary()
