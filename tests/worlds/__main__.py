"""``python -m tests.worlds``: every campaign over many worlds, as one table of claims.

Progress goes to stderr, the table to stdout. ``--write docs/method/validation.md`` replaces the
table between the marker lines of that page. The exit status is 1 where a claim fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.stats.gates.gate import BAND, Outcome
from tests.stats.gates.report import mark, rows, text_table, write
from tests.worlds.campaign import Campaign, every_campaign

BEGIN, END = "<!-- worlds: begin -->", "<!-- worlds: end -->"
HEADING = "## What synthetic worlds say"
HEAD = ("claim", "expected", "found", "worlds", "mutant", "its rate")
TOLD_EVERY = 20.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaigns asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="campaigns with TEXT in a name")
    parser.add_argument("--worlds", type=int, metavar="N", help="N worlds for every campaign")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first")
    parser.add_argument("--list", action="store_true", help="print the names and run nothing")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page to put the table into")
    arguments = parser.parse_args(argv)
    campaigns = [c for c in every_campaign().values() if arguments.only in c.name]
    if not campaigns:
        parser.error(f"no campaign has '{arguments.only}' in its name; see --list")
    if arguments.worlds is not None and arguments.worlds < 2:
        parser.error("--worlds must be 2 or more")
    if arguments.first < 0:
        parser.error("--first must be 0 or more")
    if arguments.write and arguments.only:
        parser.error("--write needs all campaigns, not --only some")
    if arguments.write and not arguments.write.is_file():
        parser.error(f"there is no page '{arguments.write}' to write to")
    if arguments.list:
        print("\n".join(c.name for c in campaigns))
        return 0
    outcomes = [
        outcome
        for campaign in campaigns
        for outcome in _run(campaign, arguments.worlds or campaign.long, arguments.first)
    ]
    print(text_table(outcomes, HEAD).replace("gates hold.", "claims hold."))
    if arguments.write:
        write(arguments.write, markdown(outcomes), BEGIN, END, HEADING)
        print(f"Written to {arguments.write}, between {BEGIN} and {END}.")
    return int(any(mark(o) for o in outcomes))


def _run(campaign: Campaign, worlds: int, first: int) -> list[Outcome]:
    start = told = time.monotonic()

    def tell(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= TOLD_EVERY or done == worlds:
            told = now
            left = (now - start) / done * (worlds - done)
            print(
                f"{campaign.name}: {done} of {worlds} worlds, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    return campaign.run(worlds, first=first, tell=tell)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table with what is needed to read it."""
    chance = 1 - BAND ** len(outcomes)
    intro = (
        f"{len(outcomes)} claims, each held against many synthetic worlds that a study was carried "
        "through by the product's own functions, from the plan to the verdicts. A claim fails "
        "where it leaves the band that holds 999 of 1,000 such tables if it is true (exact "
        "binomial); the mutant, a plausible wrong analysis of the same tables, must leave it. If "
        f"all claims are true, at most {chance:.0%} of such tables show a failure. `python -m "
        "tests.worlds` prints the table; the tests run it over fewer worlds."
    )
    return "\n".join([intro, "", *rows(outcomes, HEAD)])


if __name__ == "__main__":
    raise SystemExit(main())
