"""Arguments that several subcommands share, and what they are turned into."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stats.errors import StatsError

if TYPE_CHECKING:
    from stats.mixed.fit import LmmFit
    from stats.table import PairedTable

FILE = "CSV, TSV, JSONL or Parquet"


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")


def add_paired_table(
    parser: argparse.ArgumentParser, *, several: bool = False, optional: bool = False
) -> None:
    """The file and the columns of a table of paired runs; ``several`` baselines or one.

    ``optional``: the command works without a file too, and then needs no baseline.
    """
    parser.add_argument(
        "file",
        nargs="?" if optional else None,
        help=f"{FILE}, one row per arm, pair and cell",
    )
    parser.add_argument("--arm", default="arm", help="the column that names the arm (%(default)s)")
    baseline = "the arms, separated by commas," if several else "the arm"
    parser.add_argument(
        "--baseline", required=not optional, help=f"{baseline} that others are compared with"
    )
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


def add_alpha(parser: argparse.ArgumentParser) -> None:
    """``--alpha``."""
    parser.add_argument("--alpha", type=float, default=0.05, help="error rate (%(default)s)")


def add_levels(parser: argparse.ArgumentParser, *, sesoi: bool = True) -> None:
    """``--sesoi`` (where it plays a part), ``--alpha`` and ``--confidence-level``."""
    if sesoi:
        parser.add_argument(
            "--sesoi",
            type=float,
            help="smallest effect of interest, in reported units (points with --percent)",
        )
    add_alpha(parser)
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


def add_model(parser: argparse.ArgumentParser) -> None:
    """The file, the formula and how to fit it."""
    parser.add_argument("file", help=FILE)
    parser.add_argument("formula", help='lme4\'s syntax, e.g. "score ~ arm + (1 | seed)"')
    parser.add_argument(
        "--ddf",
        default="auto",
        help="degrees of freedom: auto (Kenward-Roger, capped on the boundary), kenward-roger, "
        "satterthwaite, containment (%(default)s)",
    )
    parser.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    parser.add_argument("--contrasts", default="treatment", help="treatment or sum (%(default)s)")
    parser.add_argument(
        "--factor", nargs="+", action="extend", default=[], metavar="COLUMN",
        help="numeric columns that are factors",
    )  # fmt: skip
    parser.add_argument(
        "--drop-missing", action="store_true", help="leave out rows that lack a value"
    )
    parser.add_argument(
        "--drop-aliased", action="store_true",
        help="leave out fixed effects that others determine",
    )  # fmt: skip


def fitted(args: argparse.Namespace) -> LmmFit:
    """The fit that ``add_model``'s arguments ask for."""
    from stats.mixed.fit import lmm
    from stats.reading import read_table, typed

    return lmm(
        args.formula,
        typed(read_table(args.file)),
        reml=not args.ml,
        contrasts=args.contrasts,
        factors=args.factor,
        missing="drop" if args.drop_missing else "raise",
        aliased="drop" if args.drop_aliased else "raise",
    )


def paired_table(args: argparse.Namespace, *, several: bool = False) -> PairedTable:
    """The table that ``add_paired_table``'s arguments describe, checked."""
    from stats.table import PairedTable, read_table

    return PairedTable.from_frame(
        read_table(args.file),
        arm=args.arm,
        pair=names(args.pair),
        cell=names(args.cell),
        score=args.score,
        percent=args.percent,
        required_arms=names(args.baseline) if several else [args.baseline],
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
