"""``python -m tests.stats.gates``: every gate at its long size, as one table.

Progress goes to stderr, the table to stdout. ``--write docs/method.md`` replaces the table between
the marker lines of that page. The exit status is 1 where a gate fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.stats.gates.gate import Gate, Outcome, Simulation, every_gate
from tests.stats.gates.report import BEGIN, END, mark, markdown, text_table, write


def main(argv: Sequence[str] | None = None) -> int:
    """Run the gates asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.stats.gates", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="gates with TEXT in their name")
    parser.add_argument("--replicates", type=int, metavar="N", help="at most N replicates a gate")
    parser.add_argument("--short", action="store_true", help="the size at which tests run")
    parser.add_argument("--seed", type=int, default=0, help="another set of simulations")
    parser.add_argument("--times", action="store_true", help="seconds of every gate, on stderr")
    parser.add_argument("--list", action="store_true", help="print the names and run nothing")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page to put the table into")
    arguments = parser.parse_args(argv)
    gates = [gate for gate in every_gate().values() if arguments.only in gate.name]
    if not gates:
        parser.error(f"no gate has '{arguments.only}' in its name; see --list")
    if arguments.replicates is not None and arguments.replicates < 2:
        parser.error("--replicates must be 2 or more")
    if arguments.write and arguments.only:
        parser.error("--write needs all gates, not --only some")
    if arguments.write and not arguments.write.is_file():
        parser.error(f"there is no page '{arguments.write}' to write to")
    if arguments.list:
        print("\n".join(gate.name for gate in gates))
        return 0
    outcomes = run_all(gates, seed=arguments.seed, short=arguments.short, most=arguments.replicates)
    print(text_table(outcomes))
    if arguments.times:
        for o in sorted(outcomes, key=lambda o: -o.seconds):
            print(f"{o.seconds:8.1f} s  {o.replicates:7}  {o.gate.name}", file=sys.stderr)
    if arguments.write:
        write(arguments.write, markdown(outcomes))
        print(f"Written to {arguments.write}, between {BEGIN} and {END}.")
    return int(any(mark(o) for o in outcomes))


def run_all(
    gates: Sequence[Gate], *, seed: int = 0, short: bool = False, most: int | None = None
) -> list[Outcome]:
    """All gates: first one part of each, which tells how long the whole will take, then the rest.

    A gate that fails is told at once.
    """
    work = []
    for gate in gates:
        size = gate.short if short else gate.long
        work.append(Simulation(gate, min(size, most) if most else size, seed))
    for i, simulation in enumerate(work):
        simulation.step()
        _tell(f"first parts: {i + 1} of {len(work)}", simulation)
    _tell(f"left: {sum(simulation.left for simulation in work) / 60:.1f} min")
    for simulation in work:
        while simulation.done < simulation.replicates:
            simulation.step()
            left = sum(other.left for other in work)
            _tell(f"left: {left / 60:.1f} min", simulation)
    return [simulation.outcome() for simulation in work]


def _tell(state: str, simulation: Simulation | None = None) -> None:
    """The state on stderr: one line that is written over, or in a file a line per gate."""
    at_end, line = simulation is None, state
    if simulation is not None:
        at_end = simulation.done == simulation.replicates
        line += f"; {simulation.gate.name}: {simulation.done:,} of {simulation.replicates:,}"
        if at_end:
            line += f" {mark(simulation.outcome())}"
    if sys.stderr.isatty():
        print(f"\r{line[:99]:99}", end="\n" if simulation is None else "", file=sys.stderr)
    elif at_end:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
