"""The table of cells: scores before and after adaptation, and how much seeds vary.

python -m studies.cells [seeds=20] [home=DIR] [workers=2] [out=docs/cells.md]

Runs LoRA alone and LoRA with the block at its default point, 20 paired seeds on every embedded
backbone, and writes the table. Running it again resumes.
"""

from __future__ import annotations

import dataclasses
import math
import os
import platform
import sys
from pathlib import Path

import pandas as pd

from ablate.backbones import BACKBONES
from ablate.benchmarks import BENCHMARKS
from ablate.collect import make_tables
from ablate.conduct import train_missing
from ablate.design import points
from ablate.errors import AblateError
from ablate.home import driver_lock, find_home
from ablate.ledger import open_ledger
from ablate.options import read_arguments
from ablate.plan import Plan, make_plan

TRANSFER = "llama-tiny"
"""The backbone outside the main cells: the paper's transfer probe used a Llama."""

LOW, HIGH, LARGEST_SD = 20.0, 80.0, 4.5
"""A cell is useful where LoRA scores between LOW and HIGH per cent, above the unadapted backbone,
and the SD of paired differences stays below LARGEST_SD points, so that 20 pairs detect 3 points."""


def two_arms(plan: Plan) -> Plan:
    """The plan without arms other than the baseline and the default design point."""
    centre = next(iter(points(plan.study)))
    keep = [r for r in plan.runs if r.arm.point is None or r.arm.point == centre]
    arms = tuple(a for a in plan.design.arms if a.point is None or a.point == centre)
    return dataclasses.replace(
        plan, runs=tuple(keep), design=dataclasses.replace(plan.design, arms=arms)
    )


def cell_table(results: pd.DataFrame, unadapted: pd.DataFrame) -> pd.DataFrame:
    """One row per backbone x benchmark, scores in per cent, spreads in points.

    Columns: backbone, benchmark, chance, before, after (mean), sd (over seeds), difference (block
    minus LoRA, mean of pairs), sd_difference (of paired differences), n (pairs), useful.
    """
    before = unadapted.set_index(["backbone", "benchmark"])["score"]
    rows = []
    for backbone in dict.fromkeys(results["backbone"]):
        for benchmark in dict.fromkeys(results["benchmark"]):
            cell = results[(results["backbone"] == backbone) & (results["benchmark"] == benchmark)]
            wide = 100 * cell.pivot(index="seed", columns="arm", values="score")
            block = next(arm for arm in wide.columns if arm != "lora")
            difference = (wide[block] - wide["lora"]).dropna()
            after, start = wide["lora"].mean(), 100 * before[backbone, benchmark]
            sd = difference.std()
            rows.append(
                {
                    "backbone": backbone,
                    "benchmark": benchmark,
                    "chance": 100 * BENCHMARKS[benchmark].chance,
                    "before": start,
                    "after": after,
                    "sd": wide["lora"].std(),
                    "difference": difference.mean(),
                    "sd_difference": sd,
                    "n": len(difference),
                    "useful": LOW <= after <= HIGH and after > start and sd < LARGEST_SD,
                }
            )
    return pd.DataFrame(rows)


def time_table(costs: pd.DataFrame) -> pd.DataFrame:
    """Median seconds of a run by backbone: training and scoring, without and with the block."""
    costs = costs.assign(block=costs["block_parameters"] > 0)
    found = costs.groupby(["backbone", "block"], sort=False)[["train_seconds", "eval_seconds"]]
    return found.median().unstack("block")


def page(table: pd.DataFrame, times: pd.DataFrame, command: str, environment: str) -> str:
    """The tables as a Markdown page."""
    main = table[(table["backbone"] != TRANSFER) & (table["benchmark"] != "retention")]
    lines = [
        "# The embedded cells",
        "",
        f"Made by `{command}` ({environment}).",
        "",
        "Scores are per cent of 500 test items answered exactly. *before*: the backbone as it is;",
        "*after*: LoRA, mean over seeds; *SD*: over seeds, in points; *SD of differences*: of LoRA",
        "with the block at its default point minus LoRA, pair by pair; *useful*: LoRA between"
        f" {LOW:g} and {HIGH:g} %,",
        f"above the unadapted backbone, and the SD of differences below {LARGEST_SD:g} points.",
        "",
        f"**{int(main['useful'].sum())} of {len(main)} main cells are useful** "
        f"({int(main['after'].between(LOW, HIGH).sum())} in the band, "
        f"{int((main['after'] > main['before']).sum())} above the unadapted backbone, "
        f"{int((main['sd_difference'] < LARGEST_SD).sum())} below the largest SD).",
        "",
        "| backbone | benchmark | chance | before | after | SD | SD of differences | pairs "
        "| useful |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in table.itertuples():
        mark = "" if row.benchmark == "retention" else "yes" if row.useful else "no"
        lines.append(
            f"| {row.backbone} | {row.benchmark} | {row.chance:.1f} | {row.before:.1f} | "
            f"{row.after:.1f} | {row.sd:.1f} | {_number(row.sd_difference)} | {row.n} | {mark} |"
        )
    lines += [
        "",
        "Median seconds of a run (two at a time, one thread each), without and with the block:",
        "",
        "| backbone | training | scoring | training with block | scoring with block |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in times.iterrows():
        cells = [
            row[part, block]
            for block in (False, True)
            for part in ("train_seconds", "eval_seconds")
        ]
        lines.append(f"| {name} | " + " | ".join(f"{seconds:.1f}" for seconds in cells) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"


def main(arguments: list[str]) -> int:
    """Run what is missing and write the page."""
    out = [a.removeprefix("out=") for a in arguments if a.startswith("out=")]
    settings = [a for a in arguments if not a.startswith("out=")]
    defaults = {"axes": "memory", "backbones": ",".join(BACKBONES), "seeds": "20"}
    given = {setting.partition("=")[0] for setting in settings}
    settings += [f"{key}={value}" for key, value in defaults.items() if key not in given]
    study, options = read_arguments(settings)
    plan, home = two_arms(make_plan(study)), find_home(options.home)
    with driver_lock(home):
        ledger = open_ledger(home.ledger)
        train_missing(plan, home, options, ledger)
        tables = make_tables(plan, ledger.records(plan.specs), ledger.scores(plan.specs))
        environment = next(iter(ledger.environments().values()))
        ledger.close()
    table = cell_table(tables.results, tables.unadapted)
    versions = ", ".join(
        f"{name} {environment[name]}" for name in ("torch", "transformers", "peft")
    )
    text = page(
        table,
        time_table(tables.costs),
        " ".join(["python -m studies.cells", *arguments]),
        f"{versions}, {platform.machine()}, {os.cpu_count()} cores",
    )
    path = Path(out[0] if out else "docs/cells.md")
    path.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AblateError as error:
        print(f"cells: {error}", file=sys.stderr)
        sys.exit(2)
