"""``python -m stats``: the analyses of the package on anybody's results file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from stats.errors import StatsError

# A subcommand: its name, one line on it, how to declare its arguments, and what to do.
Declare = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], str]

_EXAMPLES = """\
examples:
  python -m stats paired results.csv --baseline lora
  python -m stats paired results.csv --baseline lora --percent --sesoi 1
  python -m stats paired runs.jsonl --arm method --baseline baseline \\
      --pair model,seed --cell model,task --score accuracy --json > paired.json

results.csv holds one row per arm, pair and cell:
  arm,backbone,seed,benchmark,score
  lora,qwen3-tiny,0,arithmetic,0.512
  talan,qwen3-tiny,0,arithmetic,0.534

A pair is one set of runs that share everything but the arm (backbone, seed). It is the unit of
independence: all its benchmarks move together. If --pair leaves out a column of --cell that
separates runs (--pair seed with --cell backbone,benchmark), runs of one seed on different backbones
count as one pair. Every arm is compared with the baseline, in every cell and averaged over cells.
Averages go over the cells of a pair first, then over the columns that --pair and --cell share.
"""


def _declare_paired(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="CSV, TSV, JSONL or Parquet, one row per arm, pair and cell")
    parser.add_argument("--arm", default="arm", help="the column that names the arm (%(default)s)")
    parser.add_argument("--baseline", required=True, help="the arm that others are compared with")
    parser.add_argument(
        "--pair", default="backbone,seed", help="columns that identify a pair (%(default)s)"
    )
    parser.add_argument("--cell", default="", help="columns that identify a cell (none: one cell)")
    parser.add_argument("--score", default="score", help="the column of scores (%(default)s)")
    parser.add_argument(
        "--percent", action="store_true", help="scores are fractions: report them in points, x 100"
    )
    parser.add_argument(
        "--sesoi",
        type=float,
        help="smallest effect of interest, in reported units (points with --percent)",
    )
    parser.add_argument("--alpha", type=float, default=0.05, help="error rate (%(default)s)")
    parser.add_argument(
        "--confidence-level",
        type=float,
        default=0.95,
        help="of the unadjusted intervals (%(default)s)",
    )
    parser.add_argument(
        "--n-resamples",
        type=int,
        default=10_000,
        help="bootstrap resamples, and flips beyond 20 pairs (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (%(default)s)")
    parser.add_argument(
        "--allow-failed",
        action="store_true",
        help="count missing scores and rows as failed runs and leave their pairs out",
    )
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")


def _run_paired(args: argparse.Namespace) -> str:
    from stats.compare import compare
    from stats.contrast import versus
    from stats.table import PairedTable, read_table

    if args.seed < 0:
        raise StatsError(f"{args.seed} is negative", place="--seed", value=args.seed)
    table = PairedTable.from_frame(
        read_table(args.file),
        arm=args.arm,
        pair=_names(args.pair),
        cell=_names(args.cell),
        score=args.score,
        percent=args.percent,
        required_arms=[args.baseline],
        allow_failed=args.allow_failed,
    )
    contrasts = [versus(arm, args.baseline) for arm in table.arms if arm != args.baseline]
    outcome = compare(
        table,
        cells=contrasts,
        primary=contrasts,
        sesoi=args.sesoi,
        alpha=args.alpha,
        confidence_level=args.confidence_level,
        n_resamples=args.n_resamples,
        rng=args.seed,
    )
    if args.json:
        return json.dumps(outcome.to_dict(), indent=2, allow_nan=False) + "\n"
    return outcome.summary()


COMMANDS: dict[str, tuple[str, Declare, Run]] = {
    "paired": ("compare every arm with a baseline, pair by pair", _declare_paired, _run_paired),
}


def parser() -> argparse.ArgumentParser:
    """The command line, with one subparser for each entry of ``COMMANDS``."""
    layout = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="python -m stats",
        description="Honest inference on paired runs, from a results file.",
        epilog=_EXAMPLES,
        formatter_class=layout,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (line, declare, run) in COMMANDS.items():
        sub = commands.add_parser(
            name, help=line, description=line, epilog=_EXAMPLES, formatter_class=layout
        )
        declare(sub)
        sub.set_defaults(run=run)
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


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
