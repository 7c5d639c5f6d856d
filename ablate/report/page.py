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
    cell_sentences,
    control_sentences,
    failure_sentence,
    meanings,
    points,
    primary_sentences,
    retention_sentences,
)
from ablate.report.picture import Picture
from ablate.report.probes import section as probe_section
from ablate.report.rows import (
    ABSENT,
    Row,
    cell_tables,
    count,
    plain,
    primary_rows,
)
from stats.figures.comparison import MARKS

if TYPE_CHECKING:
    from jinja2 import Template

    from ablate.report.findings import Findings
    from stats.result import Comparison

MOST_BROKEN = 30


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


def render(findings: Findings, pictures: Sequence[Picture]) -> str:
    """The page as HTML text; names are escaped, pictures are embedded."""
    context: dict[str, Any] = {
        "f": findings,
        "primary_sentences": primary_sentences(findings),
        "control_sentences": control_sentences(findings),
        "retention_sentences": retention_sentences(findings),
        "controls": _controls(findings),
        "points": points,
        "cell_sentences": cell_sentences(findings.main, findings, "arm × cell comparisons"),
        "families": _families(findings),
        "pictures": {picture.name: picture for picture in pictures},
        "embed": _embed,
        "failures": findings.failures.to_dict("records"),
        "failure_sentence": failure_sentence(findings),
        "label": findings.label,
        "broken": _broken(findings),
        "meanings": meanings(findings),
        "marks": MARKS,
        "standing": _standing(findings),
        "costs": _costs(findings),
        "estimands": [(effect.name, effect.estimand) for effect in findings.main.primary],
        "level": f"{findings.main.confidence_level * 100:g} %",
        "probes": None if findings.probes is None else probe_section(findings.probes),
        "runs": int(findings.failures["runs"].sum()),
    }
    return _template().render(context)


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
    return environment.get_template("report.html")


def _embed(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")


def _families(findings: Findings) -> list[dict[str, Any]]:
    """What the page shows of each family of cells: the main cells, then retention."""
    families = []
    for comparison in _comparisons(findings):
        primary = primary_rows(comparison, findings)
        tables = cell_tables(comparison, findings)
        drawn = bars([table.rows for table in tables], findings.sesoi)
        families.append(
            {
                "tests": sum(bool(row.method) for table in tables for row in table.rows),
                "primary": primary,
                "primary_bars": bars([primary], findings.sesoi)[0],
                "tables": list(zip(tables, drawn, strict=True)),
            }
        )
    return families


def _controls(findings: Findings) -> dict[str, Any] | None:
    """The family of the mechanism against its controls, and what each control is."""
    if findings.controls is None:
        return None
    rows = primary_rows(findings.controls, findings)
    known = [(name, control.help) for name, control in CONTROLS.items()]
    used = " ".join(row.label for row in rows)
    return {
        "rows": rows,
        "bars": bars([rows], findings.sesoi)[0],
        "what": [(name, text) for name, text in known if name in used],
    }


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


def _standing(findings: Findings) -> list[dict[str, str]]:
    """Where each cell stands: unadapted and baseline scores, so that room can be judged."""
    before = {
        (row["backbone"], row["benchmark"]): row["score"]
        for row in findings.unadapted.to_dict("records")
    }
    baselines = {info.name for info in findings.arms if not info.baseline}
    after = findings.results[findings.results["arm"].isin(baselines)]
    grouped = after.groupby(["backbone", "arm", "benchmark"], sort=False)["score"]
    scores = {key: (group.mean() * 100, group.std() * 100) for key, group in grouped}
    lines = []
    for backbone in findings.backbones:
        for benchmark in (*findings.benchmarks, *findings.retention):
            for info in (info for info in findings.arms if info.name in baselines):
                mean, sd = scores.get((backbone, info.name, benchmark), (math.nan, math.nan))
                lines.append(
                    {
                        "cell": f"{backbone} × {benchmark}",
                        "arm": info.label,
                        "before": plain(before.get((backbone, benchmark), math.nan) * 100),
                        "after": plain(mean),
                        "sd": plain(sd),
                    }
                )
    return lines


def _costs(findings: Findings) -> list[dict[str, str]]:
    """What a run of each arm cost: medians of seconds and memory, trainable parameters."""
    frame = findings.costs
    lines = []
    for info in findings.arms:
        mine = frame[frame["arm"] == info.name]
        if mine.empty:
            continue
        lines.append(
            {
                "arm": info.label,
                "runs": count(len(mine)),
                "train": _median(mine, "train_seconds", 1),
                "peak": _median(mine, "peak_mb", 0),
                "adapter": _range(mine, "adapter_parameters"),
                "block": _range(mine, "block_parameters"),
            }
        )
    return lines


def _median(frame: Any, column: str, digits: int) -> str:
    return plain(float(frame[column].median()), digits) if column in frame else ABSENT


def _range(frame: Any, column: str) -> str:
    if column not in frame or frame[column].isna().all():
        return ABSENT
    low, high = frame[column].min(), frame[column].max()
    return count(low) if low == high else f"{count(low)} to {count(high)}"
