"""``python -m stats decompose``: the share of every source of variation."""

from __future__ import annotations

import argparse

from stats.commands.options import FILE, add_json, names, to_json

LINE = "separate mechanism, axes, hyperparameters, backbones, benchmarks, seeds and items"
EXAMPLES = """\
examples:
  python -m stats decompose results.csv --baseline lora --percent
  python -m stats decompose results.csv --baseline lora --hp draw --axes insertion,memory
  python -m stats decompose results.csv --baseline lora --items items.parquet --json

One row per arm, pair and cell. The model is chosen from the design: backbone, benchmark, cell and
hp draw each enter with their interaction with the arm, fixed where they have fewer than five
levels, random else; pairs and runs are random. It is printed, in lme4's syntax, and --formula
replaces it. Whether the mechanism helps is said by the effects under the table.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", help=f"{FILE}, one row per arm, pair and cell")
    parser.add_argument("--arm", default="arm", help="the column that names the arm (%(default)s)")
    parser.add_argument("--baseline", default="", help="the arm without the mechanism")
    parser.add_argument(
        "--backbone", default="backbone", help="column of the backbone, or '' (%(default)s)"
    )
    parser.add_argument(
        "--benchmark", default="benchmark", help="column of the benchmark, or '' (%(default)s)"
    )
    parser.add_argument("--hp", default="", help="column of the hyperparameter draw")
    parser.add_argument("--seed", default="seed", help="columns of the seed (%(default)s)")
    parser.add_argument("--axes", default="", help="columns of the axes' levels")
    parser.add_argument("--score", default="score", help="the column of scores (%(default)s)")
    parser.add_argument(
        "--percent", action="store_true", help="scores are fractions: report them in points, x 100"
    )
    parser.add_argument(
        "--allow-failed", action="store_true", help="leave out rows without a score"
    )
    parser.add_argument("--items", default="", help="table of outcomes, one row per item")
    parser.add_argument("--item", default="item", help="its column of items (%(default)s)")
    parser.add_argument("--outcome", default="correct", help="its outcomes (%(default)s)")
    parser.add_argument(
        "--items-redrawn", type=int, default=0,
        help="every run was scored on this many fresh items",
    )  # fmt: skip
    parser.add_argument("--formula", default="", help="replaces the model chosen from the design")
    parser.add_argument(
        "--confidence-level", type=float, default=0.95, help="of the intervals (%(default)s)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> str:
    """The decomposition as text, or as JSON."""
    from stats.decompose.analysis import decompose
    from stats.reading import read_table

    outcome = decompose(
        read_table(args.file),
        arm=args.arm,
        baseline=args.baseline,
        backbone=args.backbone,
        benchmark=args.benchmark,
        hp=args.hp,
        seed=names(args.seed),
        axes=names(args.axes),
        score=args.score,
        percent=args.percent,
        allow_failed=args.allow_failed,
        items=read_table(args.items) if args.items else None,
        item=args.item,
        outcome=args.outcome,
        items_redrawn=args.items_redrawn,
        formula=args.formula,
        confidence_level=args.confidence_level,
    )
    return to_json(outcome.to_dict()) if args.json else outcome.summary()
