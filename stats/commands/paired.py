"""``python -m stats paired``: every arm against a baseline, pair by pair."""

from __future__ import annotations

import argparse

from stats.commands.options import (
    add_json,
    add_levels,
    add_paired_table,
    add_resampling,
    paired_table,
    seed,
    to_json,
)

LINE = "compare every arm with a baseline, pair by pair"
EXAMPLES = """\
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


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_paired_table(parser)
    add_levels(parser)
    add_resampling(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> str:
    """The comparison as text, or as JSON."""
    from stats.compare import compare
    from stats.contrast import versus

    rng, table = seed(args), paired_table(args)
    contrasts = [versus(arm, args.baseline) for arm in table.arms if arm != args.baseline]
    outcome = compare(
        table,
        cells=contrasts,
        primary=contrasts,
        sesoi=args.sesoi,
        alpha=args.alpha,
        confidence_level=args.confidence_level,
        n_resamples=args.n_resamples,
        rng=rng,
    )
    return to_json(outcome.to_dict()) if args.json else outcome.summary()
