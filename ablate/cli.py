"""The command line: ``ablate run key=value ...``, and its other commands."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from ablate.console import make_console
from ablate.errors import AblateError, NoInference, nearest
from ablate.help_texts import EXAMPLES, EXIT_CODES, SUMMARIES, key_help
from ablate.home import check_writable, find_home
from ablate.no_effect import refuse_other_keys
from ablate.options import OPTION_KEYS, Options, read_arguments
from ablate.study import Study
from stats.errors import StatsError
from talan.errors import TalanError

DONE, CRASH, WRONG_INPUT, FAILED_RUNS, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser()
    if arguments and not arguments[0].startswith("-") and arguments[0] not in SUMMARIES:
        print(
            f"ablate: unknown command {arguments[0]!r}; {nearest(arguments[0], SUMMARIES)}",
            file=sys.stderr,
        )
        return WRONG_INPUT
    # argparse itself takes settings only in one row, not before and after a flag
    parsed, rest = parser.parse_known_args(arguments)
    if any(text.startswith("-") for text in rest) or (rest and "settings" not in parsed):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        parsed.settings += rest
    if parsed.command is None:
        parser.print_help()
        return WRONG_INPUT
    try:
        refuse_other_keys(parsed.command, parsed.settings)
        return COMMANDS[parsed.command](parsed)
    except NoInference as error:
        print(f"ablate: {error}", file=sys.stderr)
        return FAILED_RUNS
    except (AblateError, StatsError, TalanError) as error:
        print(f"ablate: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("ablate: interrupted; the same command resumes", file=sys.stderr)
        return INTERRUPTED


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence, as all commands do."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with the code of wrong input."""
        self.exit(WRONG_INPUT, f"ablate: command line: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser; every command's help teaches by example."""
    parser = Parser(
        prog="ablate",
        description="Paired ablation studies: is the gain real, is it the mechanism, which axis?",
        epilog=f"start with:\n  ablate run axes=insertion,memory\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, summary in SUMMARIES.items():
        takes_study = name in ("run", "settle", "search", "plan", "status", "report", "probe")
        keys = f"\n\n{key_help(takes_study)}\n\n{EXIT_CODES}"
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=EXAMPLES[name] + keys,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        first = {"probe": "RUN", "settle": "FILE"}.get(name)
        metavar = f"{first} | key=value" if first else "key=value"
        command.add_argument("settings", nargs="*", metavar=metavar, help="see below")
        if name == "probe":
            text = "train runs again whose checkpoint is missing"
            command.add_argument("--train", action="store_true", help=text)
        if name in ("plan", "status"):
            command.add_argument("--json", action="store_true", help="for machines")
        if name == "ui":
            command.add_argument("--port", type=int, default=5000, help="default: 5000")
    return parser


def _run(parsed: argparse.Namespace) -> int:
    from ablate.conduct import run_study

    study, options = read_arguments(parsed.settings)
    check_writable(find_home(options.home))
    _print_plan(study, options)
    return _conclude(run_study, study, options, "run", parsed.settings)


def _settle(parsed: argparse.Namespace) -> int:
    from ablate.settle.command import settle_study
    from ablate.settle.plan_file import settling_plan

    named = [text for text in parsed.settings if "=" not in text]
    settings = [text for text in parsed.settings if "=" in text]
    if len(named) > 1:
        raise AblateError(
            f"{len(named)} studies are named", place="command line", value=named, hint="name one"
        )
    study, options = read_arguments([*(f"study={text}" for text in named), *settings])
    check_writable(find_home(options.home))
    _print_plan(settling_plan(study).study, options)
    return _conclude(settle_study, study, options, "settle", parsed.settings)


def _search(parsed: argparse.Namespace) -> int:
    from ablate.search.command import describe, search_study
    from ablate.search.plan import make_search_plan

    study, options = read_arguments(parsed.settings)
    check_writable(find_home(options.home))
    print("\n".join(describe(make_search_plan(study))), flush=True)
    return _conclude(search_study, study, options, "search", parsed.settings)


def _report(parsed: argparse.Namespace) -> int:
    from ablate.conduct import report_study, require_ledger

    study, options = read_arguments(parsed.settings)
    require_ledger(find_home(options.home))
    return _conclude(report_study, study, options, "report", parsed.settings)


def _conclude(
    conduct: Callable, study: Study, options: Options, name: str, settings: list[str]
) -> int:
    """Carry out, print the report; the last line is the path of the HTML page."""
    started = time.monotonic()
    command = shlex.join(["python", "-m", "ablate", name, *settings])
    done = conduct(study, options, command)
    from ablate.report import terminal_report

    console = make_console()
    console.print()
    console.print(terminal_report(done.findings))
    tally = done.tally
    print(
        f"\n{tally.trained} runs trained, {tally.diverged} diverged, {tally.failed} failed, "
        f"in {time.monotonic() - started:.0f} s"
    )
    print(done.html)
    return FAILED_RUNS if done.failed else DONE


def _plan(parsed: argparse.Namespace) -> int:
    study, options = read_arguments(parsed.settings)
    if options.budget is not None:
        return _propose(study, options, parsed.settings, as_json=parsed.json)
    _print_plan(study, options, as_json=parsed.json, with_pilot=True)
    return DONE


def _propose(study: Study, options: Options, settings: list[str], *, as_json: bool) -> int:
    from dataclasses import asdict

    from ablate import backbones
    from ablate.planning.budget import proposal_lines, proposals
    from ablate.planning.prepare import home_measured

    assert options.budget is not None
    found = proposals(
        study,
        [backbones.resolve(name) for name in study.backbones],
        options,
        options.budget,
        home_measured(find_home(options.home)),
    )
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        print("\n".join(proposal_lines(found, options.budget, settings)))
    return DONE


def _print_plan(
    study: Study, options: Options, *, as_json: bool = False, with_pilot: bool = False
) -> None:
    from ablate.planning.prepare import plan_view
    from ablate.planning.view import print_plan

    view = plan_view(study, options, with_pilot=with_pilot)
    if as_json:
        print(json.dumps(view.to_dict(), indent=2))
    else:
        print_plan(view)


def _status(parsed: argparse.Namespace) -> int:
    from ablate.conduct import require_ledger
    from ablate.ledger import open_ledger
    from ablate.plan import make_plan
    from ablate.status import make_status, status_lines

    study, options = read_arguments(parsed.settings)
    asked = [s for s in parsed.settings if s.partition("=")[0] not in OPTION_KEYS] or any(
        s.startswith("study=") for s in parsed.settings
    )
    home = find_home(options.home)
    require_ledger(home)
    ledger = open_ledger(home.ledger, read_only=True)
    try:
        keys = list(make_plan(study).specs) if asked else ledger.keys()
        status = make_status(list(ledger.records(keys).values()), len(keys) if asked else None)
    finally:
        ledger.close()
    if parsed.json:
        print(json.dumps(status.to_dict(), indent=2))
    else:
        print("\n".join(status_lines(status)))
    return DONE


def _probe(parsed: argparse.Namespace) -> int:
    names = [text for text in parsed.settings if "=" not in text]
    study, options = read_arguments([text for text in parsed.settings if "=" in text])
    from ablate.conduct import require_ledger

    require_ledger(find_home(options.home))
    from ablate.probing.command import printed, probe_runs

    shown = probe_runs(study, options, names, train=parsed.train)
    make_console().print(printed(shown))
    print(shown.csv)
    return FAILED_RUNS if shown.failed else DONE


def _ui(parsed: argparse.Namespace) -> int:
    from ablate.conduct import require_ledger
    from ablate.ui import serve

    home = find_home(_home_only(parsed.settings))
    require_ledger(home)
    return serve(home, parsed.port)


def _doctor(parsed: argparse.Namespace) -> int:
    from ablate.doctor import examine

    ok = True
    for finding in examine(find_home(_home_only(parsed.settings))):
        ok &= finding.ok
        mark = "ok  " if finding.ok else "BAD "
        advice = "" if finding.ok else f"; {finding.advice}"
        print(f"{mark} {finding.subject:14} {finding.seen}{advice}")
    print("ready" if ok else "not ready: see the lines marked BAD")
    return DONE if ok else CRASH


def _home_only(settings: list[str]) -> str | None:
    """The one key that ``ui`` and ``doctor`` take."""
    home = None
    for setting in settings:
        key, equals, value = setting.partition("=")
        if key != "home" or not equals:
            raise AblateError(
                f"unknown key {key!r}", place="command line", value=key, hint="known: home"
            )
        home = value
    return home


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "settle": _settle,
    "search": _search,
    "plan": _plan,
    "status": _status,
    "report": _report,
    "probe": _probe,
    "ui": _ui,
    "doctor": _doctor,
}
