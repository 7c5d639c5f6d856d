"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ablate.control_arms import CONTROLS
from ablate.report.answer import (
    MECHANISM,
    NO_AXES,
    NO_CONTROLS,
    NO_PROBES,
    NO_RETENTION,
    capital,
    cell_sentences,
    control_sentences,
    failure_sentence,
    meanings,
    points,
    primary_sentences,
    retention_sentences,
)
from ablate.report.costs import cost_table, overhead, standing_table
from ablate.report.figures import MOST_ARMS
from ablate.report.methods import spans
from ablate.report.panel import SECTIONS
from ablate.report.picture import Picture
from ablate.report.probes import section as probe_section
from ablate.report.rows import Row, cell_tables, primary_rows
from ablate.report.screen import first_screen
from ablate.report.settle import settle_table, settling
from ablate.report.tables import failure_table, split_primary
from stats.figures.comparison import MARKS

if TYPE_CHECKING:
    from jinja2 import Template

    from ablate.report.answer import Sentence
    from ablate.report.findings import Findings
    from stats.result import Comparison

MOST_BROKEN = 30
MOST_ROWS = 30
"""Rows of a panel's table that is open at first."""
MOST_OPEN = 100
"""Rows of all cells together up to which their tables are open at first."""


@dataclass(frozen=True)
class Bar:
    """A row's interval as a drawing on a shared scale; positions run from 0 to 100.

    An end that does not exist is None.
    """

    zero: float
    band: tuple[float, float]
    delta: float | None
    inner: tuple[float, float] | None
    outer: tuple[float, float] | None


@dataclass(frozen=True)
class Group:
    """Rows of one family with their bars; ``tests`` counts the family."""

    rows: tuple[Row, ...]
    bars: list[Bar]
    tests: int


def render(findings: Findings, pictures: Sequence[Picture]) -> str:
    """The page as HTML text; names are escaped, pictures are embedded."""
    retention = findings.retention_comparison
    spoken = primary_sentences(findings)
    plan = settling(findings)
    mechanism, levels = split_primary(findings.main, findings)
    drawn = bars([mechanism, levels], findings.sesoi)
    tests = findings.main.families["primary"].n_tests
    context: dict[str, Any] = {
        "f": findings,
        "facts": facts(findings),
        "screen": first_screen(findings),
        "sections": SECTIONS,
        "missing": {
            "mechanism": NO_CONTROLS,
            "axes": NO_AXES,
            "cost": NO_RETENTION,
            "inside": NO_PROBES,
        },
        "mechanism": Group(mechanism, drawn[0], tests),
        "mechanism_sentences": [line for line in spoken if _on_mechanism(line)],
        "levels": Group(levels, drawn[1], tests),
        "level_sentences": [line for line in spoken if not _on_mechanism(line)],
        "main": _cells(findings.main, findings),
        "cell_sentences": _plain(cell_sentences(findings.main, findings, "arm × cell comparisons")),
        "controls": _controls(findings),
        "control_sentences": control_sentences(findings),
        "retention": None if retention is None else _cells(retention, findings),
        "retention_primary": None if retention is None else _group(retention, findings),
        "retention_sentences": _plain(retention_sentences(findings)),
        "costs": cost_table(findings),
        "overhead": overhead(findings),
        "standing": standing_table(findings),
        "settling": plan,
        "settle_table": settle_table(plan, findings),
        "points": points,
        "pictures": {picture.name: picture for picture in pictures},
        "embed": _embed,
        "failures": failure_table(findings),
        "failure_sentence": failure_sentence(findings),
        "broken": _broken(findings),
        "meanings": meanings(findings),
        "marks": MARKS,
        "most_rows": MOST_ROWS,
        "estimands": [(effect.name, effect.estimand) for effect in findings.main.primary],
        "level": f"{findings.main.confidence_level * 100:g} %",
        "probes": None if findings.probes is None else probe_section(findings.probes),
        "seeds": spans(findings.seeds),
    }
    return _template().render(context)


def facts(findings: Findings) -> str:
    """The size of the study on one line."""
    draws = int(findings.results["hp"].nunique())
    units = f"{len(findings.seeds)} paired seeds"
    if draws > 1:
        units = f"{draws} " + (
            "searches of each arm" if findings.tuned else "draws of hyperparameters"
        )
    return " · ".join(
        (
            _many(len(findings.arms), "arm"),
            f"{_many(len(findings.backbones), 'backbone')} × "
            f"{_many(len(findings.benchmarks), 'benchmark')}",
            units,
            _many(int(findings.failures["runs"].sum()), "run"),
            f"smallest effect of interest {points(findings.sesoi)}",
            f"α = {findings.alpha:g}",
        )
    )


def bars(tables: Sequence[Sequence[Row]], sesoi: float) -> list[list[Bar]]:
    """A bar per row of each table, all on one scale that holds every interval and the SESOI."""
    effects = [row.effect for rows in tables for row in rows]
    ends = [-sesoi, sesoi]
    for e in effects:
        ends += [e.delta, e.ci_low, e.ci_high, e.simultaneous_low, e.simultaneous_high]
    finite = [end for end in ends if math.isfinite(end)]
    low, high = min(finite), max(finite)

    def place(value: float) -> float:
        return round(3 + 94 * (value - low) / (high - low), 2)

    def span(left: float, right: float) -> tuple[float, float] | None:
        if not (math.isfinite(left) and math.isfinite(right)):
            return None
        return place(left), place(right)

    return [
        [
            Bar(
                zero=place(0.0),
                band=(place(-sesoi), place(sesoi)),
                delta=place(row.effect.delta) if math.isfinite(row.effect.delta) else None,
                inner=span(row.effect.ci_low, row.effect.ci_high),
                outer=span(row.effect.simultaneous_low, row.effect.simultaneous_high),
            )
            for row in rows
        ]
        for rows in tables
    ]


@cache
def _template() -> Template:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    # The style sheet is that of the statistics' own page: one look for both.
    rooms = [PackageLoader(name, "templates") for name in ("ablate.report", "stats.report")]
    environment = Environment(
        loader=ChoiceLoader(rooms),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = lambda text: f"{capital(text)}."
    return environment.get_template("report.html")


def _embed(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")


def _many(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _on_mechanism(line: Sentence) -> bool:
    effect, _ = line
    return effect is not None and effect.group == MECHANISM


def _plain(lines: Sequence[str]) -> list[Sentence]:
    return [(None, line) for line in lines]


def _group(comparison: Comparison, findings: Findings) -> Group:
    """The whole primary family of a comparison."""
    rows = primary_rows(comparison, findings)
    return Group(rows, bars([rows], findings.sesoi)[0], comparison.families["primary"].n_tests)


def _cells(comparison: Comparison, findings: Findings) -> dict[str, Any]:
    """The tables of a family of cells; many rows are folded at first."""
    tables = cell_tables(comparison, findings)
    drawn = bars([table.rows for table in tables], findings.sesoi)
    rows = [row for table in tables for row in table.rows]
    return {
        "tests": sum(bool(row.method) for row in rows),
        "tables": list(zip(tables, drawn, strict=True)),
        "folded": len(rows) > MOST_OPEN or any(len(t.rows) > MOST_ARMS for t in tables),
    }


def _controls(findings: Findings) -> dict[str, Any] | None:
    """The family of the mechanism against its controls, and what each control is."""
    if findings.controls is None:
        return None
    group = _group(findings.controls, findings)
    known = [(name, control.help) for name, control in CONTROLS.items()]
    used = " ".join(row.label for row in group.rows)
    return vars(group) | {"what": [(name, text) for name, text in known if name in used]}


def _comparisons(findings: Findings) -> list[Comparison]:
    """Main, then retention where there is one: the order of the page."""
    found = [findings.main, findings.retention_comparison]
    return [comparison for comparison in found if comparison is not None]


def _broken(findings: Findings) -> dict[str, Any]:
    """Runs without a score that some comparison needed: a listing that stops, and the number."""
    outcomes = {
        tuple(str(row[name]) for name in ("arm", "backbone", "hp", "seed")): row["outcome"]
        for row in findings.results.to_dict("records")
    }
    lines: dict[str, list[str]] = {}
    for comparison in _comparisons(findings):
        for lost in comparison.broken:
            key = tuple(lost.pair.get(name, "") for name in ("backbone", "hp", "seed"))
            outcome = outcomes.get((lost.arm, *key), lost.reason)
            pair = ", ".join(f"{name} {value}" for name, value in lost.pair.items())
            run = f"{findings.label(lost.arm)} ({pair}), {outcome}"
            lines.setdefault(run, []).append(lost.cell.get("benchmark", "all"))
    listed = [f"{run}: {', '.join(where)}" for run, where in lines.items()]
    return {"lines": listed[:MOST_BROKEN], "more": max(0, len(listed) - MOST_BROKEN)}
