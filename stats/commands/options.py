"""Arguments that several subcommands share, and what they are turned into."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stats.errors import StatsError

if TYPE_CHECKING:
    from stats.table import PairedTable

FILE = "CSV, TSV, JSONL or Parquet"


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")


def add_paired_table(parser: argparse.ArgumentParser) -> None:
    """The file and the columns of a table of paired runs."""
    parser.add_argument("file", help=f"{FILE}, one row per arm, pair and cell")
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
        "--allow-failed",
        action="store_true",
        help="count missing scores and rows as failed runs and leave their pairs out",
    )


def add_levels(parser: argparse.ArgumentParser) -> None:
    """``--sesoi``, ``--alpha`` and ``--confidence-level``."""
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


def add_resampling(parser: argparse.ArgumentParser) -> None:
    """``--n-resamples`` and ``--seed``."""
    parser.add_argument(
        "--n-resamples",
        type=int,
        default=10_000,
        help="bootstrap resamples, and flips beyond 20 pairs (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (%(default)s)")


def paired_table(args: argparse.Namespace) -> PairedTable:
    """The table that ``add_paired_table``'s arguments describe, checked."""
    from stats.table import PairedTable, read_table

    return PairedTable.from_frame(
        read_table(args.file),
        arm=args.arm,
        pair=names(args.pair),
        cell=names(args.cell),
        score=args.score,
        percent=args.percent,
        required_arms=[args.baseline],
        allow_failed=args.allow_failed,
    )


def seed(args: argparse.Namespace) -> int:
    """``--seed``; StatsError when it is negative."""
    if args.seed < 0:
        raise StatsError(f"{args.seed} is negative", place="--seed", value=args.seed)
    return int(args.seed)


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list of names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def to_json(value: dict[str, Any] | Sequence[Any]) -> str:
    """JSON text of plain values, NaN refused."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
