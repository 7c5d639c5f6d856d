"""Effects as rows of text: the one source of the tables on the terminal and on the page.

Numbers are rounded here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.report.answer import counts
from stats.figures.comparison import MARKS

if TYPE_CHECKING:
    from ablate.report.findings import Findings
    from stats.result import Comparison, Effect

ABSENT = "–"
"""Stands for a number that does not exist."""

MOST_DIGITS = 9


@dataclass(frozen=True)
class Row:
    """One effect, every number as text. ``effect`` is what it was made from."""

    label: str
    baseline: str
    arm: str
    delta: str
    interval: str
    simultaneous: str
    bootstrap: str
    t: str
    p: str
    p_signflip: str
    p_adjusted: str
    method: str
    dz: str
    dz_interval: str
    n: str
    verdict: str
    mark: str
    pairs_needed: str
    effect: Effect


@dataclass(frozen=True)
class CellTable:
    """The rows of one cell; ``title`` names it."""

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def counts(self) -> str:
        """How often each verdict fell, for a table that is folded."""
        return counts(row.effect for row in self.rows)


def signed(value: float, digits: int = 2) -> str:
    """A difference with its sign; zero has none."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def plain(value: float, digits: int = 1) -> str:
    """A mean; no sign unless negative."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:.{digits}f}"
    return text[1:] if float(text) == 0 and text[0] == "-" else text


def interval(low: float, high: float, digits: int = 2) -> str:
    """``[+0.31, +2.53]``; absent unless both ends exist."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ABSENT
    return f"[{signed(low, digits)}, {signed(high, digits)}]"


def p_value(p: float, alpha: float = 0.05) -> str:
    """``<.001``, ``.031``, ``1``; more digits where three would hide the side of alpha."""
    if not math.isfinite(p):
        return ABSENT
    if p < 0.001:
        return "<.001"
    if p > 0.9995:
        return "1" if p >= 1 else ">.999"
    digits = 3
    while digits < MOST_DIGITS and (float(f"{p:.{digits}f}") <= alpha) != (p <= alpha):
        digits += 1
    return f"{p:.{digits}f}"[1:]


def count(n: float | None) -> str:
    """A whole number, absent where there is none."""
    return ABSENT if n is None or not math.isfinite(n) else f"{int(n):,}"


def verdict_words(effect: Effect) -> str:
    """The verdict's name with what else holds: a flag, or a cell without room."""
    words = str(effect.verdict)
    if effect.also:
        words += f", also {effect.also}"
    if effect.no_room:
        words += " (no room)"
    return words


def make_row(effect: Effect, label: str, alpha: float) -> Row:
    """Format one effect."""
    t = ABSENT
    if math.isfinite(effect.t):
        t = f"{signed(effect.t)} ({plain(effect.df, 0 if effect.df == int(effect.df) else 1)})"
    return Row(
        label=label,
        baseline=plain(effect.mean_baseline),
        arm=plain(effect.mean_arm),
        delta=signed(effect.delta),
        interval=interval(effect.ci_low, effect.ci_high),
        simultaneous=interval(effect.simultaneous_low, effect.simultaneous_high),
        bootstrap=interval(effect.boot_low, effect.boot_high),
        t=t,
        p=p_value(effect.p, alpha),
        p_signflip=p_value(effect.p_signflip, alpha),
        p_adjusted=p_value(effect.p_adjusted, alpha),
        method=effect.p_adjusted_method,
        dz=signed(effect.dz),
        dz_interval=interval(effect.dz_low, effect.dz_high),
        n=f"{effect.n_pairs}" + (f" (-{effect.n_broken})" if effect.n_broken else ""),
        verdict=verdict_words(effect),
        mark=MARKS[effect.verdict],
        pairs_needed=count(effect.pairs_needed),
        effect=effect,
    )


def primary_rows(comparison: Comparison, findings: Findings) -> tuple[Row, ...]:
    """The primary family, in the order it was declared."""
    return tuple(
        make_row(effect, findings.label(effect.name), comparison.alpha)
        for effect in comparison.primary
    )


def cell_tables(comparison: Comparison, findings: Findings) -> tuple[CellTable, ...]:
    """One table per cell, cells and arms in the order of the design."""
    grouped = by_cell(comparison, findings)
    return tuple(
        CellTable(
            title=" × ".join(key) or "all",
            rows=tuple(make_row(e, findings.label(e.name), comparison.alpha) for e in effects),
            notes=_cell_notes(effects, findings),
        )
        for key, effects in grouped.items()
    )


def by_cell(
    comparison: Comparison, findings: Findings
) -> dict[tuple[str, ...], tuple[Effect, ...]]:
    """The effects of each cell, keyed by (backbone, benchmark), in the order of the design."""
    order = [*findings.backbones, *findings.benchmarks, *findings.retention]

    def place(key: tuple[str, ...]) -> list[int]:
        return [order.index(part) if part in order else len(order) for part in key]

    keys = sorted({tuple((e.cell or {}).values()) for e in comparison.cells}, key=place)
    return {
        key: tuple(e for e in comparison.cells if tuple((e.cell or {}).values()) == key)
        for key in keys
    }


def _cell_notes(effects: Iterable[Effect], findings: Findings) -> tuple[str, ...]:
    broken = [f"{e.n_broken} of {findings.label(e.name)}" for e in effects if e.n_broken]
    return (f"Broken pairs left out: {', '.join(broken)}.",) if broken else ()


def methods(rows: Iterable[Row]) -> str:
    """The correction methods a table used, in order of first use."""
    return ", ".join(dict.fromkeys(row.method for row in rows if row.method)) or "none"
