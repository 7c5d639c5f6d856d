"""``python -m stats report``: one page with everything that a table allows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stats.commands.options import FILE, add_json, add_resampling, names, seed, to_json
from stats.errors import StatsError

if TYPE_CHECKING:
    from stats.report.build import Report

LINE = "write an HTML page with everything that a results table allows"
EXAMPLES = """\
examples:
  python -m stats report results.csv
  python -m stats report results.csv --baseline lora --percent --sesoi 1 --out report.html
  python -m stats report runs.csv --arm method --pair model,seed --cell model,task \\
      --score accuracy --items items.parquet
  python -m stats report leaderboard.csv --entry config --occasion campaign --score accuracy

Two kinds of table are known. Paired runs, one row per arm, pair and cell (arm, seed, backbone,
benchmark, score): is a difference real, in how many cells, what would settle it, where variation
comes from. Repeated single runs, one row per entry and occasion, without seeds (config, campaign,
score): by how much two single runs must differ, and how far whole occasions are shifted. What the
columns are is guessed from names and shape where it is not told, and the page says what was.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", help=FILE)
    parser.add_argument("--out", default="report.html", help="the page to write (%(default)s)")
    parser.add_argument("--title", default="", help="the page's title")
    paired = parser.add_argument_group("paired runs")
    paired.add_argument("--arm", default="", help="the column that names the arm")
    paired.add_argument("--baseline", default="", help="the arm, or arms, that others are "
                        "compared with")  # fmt: skip
    paired.add_argument("--pair", default="", help="columns that identify a pair")
    paired.add_argument("--cell", default="", help="columns that identify a cell")
    paired.add_argument("--axes", default="", help="columns of the axes' levels")
    paired.add_argument(
        "--sesoi", type=float,
        help="smallest effect of interest, in reported units (points with --percent)",
    )  # fmt: skip
    paired.add_argument("--alpha", type=float, default=0.05, help="error rate (%(default)s)")
    paired.add_argument(
        "--allow-failed", action="store_true",
        help="count missing scores and rows as failed runs and leave their pairs out",
    )  # fmt: skip
    paired.add_argument("--items", default="", help="table of outcomes, one row per item")
    paired.add_argument("--item", default="item", help="its column of items (%(default)s)")
    paired.add_argument("--outcome", default="correct", help="its outcomes (%(default)s)")
    single = parser.add_argument_group("repeated single runs")
    single.add_argument("--entry", default="", help="the column of what is compared")
    single.add_argument("--occasion", default="", help="the column of when it was measured")
    both = parser.add_argument_group("both")
    both.add_argument("--score", default="", help="the column of scores")
    both.add_argument(
        "--percent", action=argparse.BooleanOptionalAction, default=None,
        help="scores are fractions: report them in points, x 100 (default: told by their range)",
    )  # fmt: skip
    both.add_argument(
        "--confidence-level", type=float, default=0.95, help="of the intervals (%(default)s)"
    )
    add_resampling(parser)
    parser.add_argument("--no-figures", action="store_true", help="leave the figures out")
    add_json(parser)


def run(args: argparse.Namespace) -> str:
    """Write the page; the answers and the path as text, or all results as JSON."""
    out = Path(args.out)
    if out.is_dir() or not out.parent.is_dir():
        what = "is a folder" if out.is_dir() else f"the folder {out.parent} does not exist"
        raise StatsError(what, place=f"--out {out}", value=str(out), hint="name a file to write")
    done = _report(args)
    try:
        out.write_text(done.html(), encoding="utf-8")
    except OSError as error:
        raise StatsError(
            f"cannot be written ({error.strerror or error})", place=f"--out {out}"
        ) from error
    if args.json:
        return to_json(done.to_dict() | {"page": str(out)})
    return f"{done.summary()}\nThe page with tables, figures and methods: {out}\n"


def _report(args: argparse.Namespace) -> Report:
    from stats.reading import read_table
    from stats.report.build import report
    from stats.report.roles import Given
    from stats.report.study import Options

    return report(
        read_table(args.file),
        Given(
            arm=args.arm,
            baselines=names(args.baseline),
            pair=names(args.pair),
            cell=names(args.cell),
            score=args.score,
            entry=args.entry,
            occasion=args.occasion,
            axes=names(args.axes),
            percent=args.percent,
            sesoi=args.sesoi,
        ),
        Options(
            sesoi=args.sesoi,
            alpha=args.alpha,
            confidence_level=args.confidence_level,
            n_resamples=args.n_resamples,
            seed=seed(args),
            allow_failed=args.allow_failed,
            figures=not args.no_figures,
            item=args.item,
            outcome=args.outcome,
        ),
        items=read_table(args.items) if args.items else None,
        title=args.title,
        source=Path(args.file).name,
        command=_command(args),
    )


def _command(args: argparse.Namespace) -> str:
    """The command as it was typed, without the interpreter's path."""
    import shlex

    typed = sys.argv[1:] if sys.argv[1:2] == ["report"] else ["report", args.file]
    return "python -m stats " + shlex.join(typed)
