"""A comparison as plain text for a terminal, at most 100 columns wide."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from stats.verdict import Verdict, describe
from stats.wording import amount, number, p_value

if TYPE_CHECKING:
    from stats.result import Comparison, Effect

WIDTH = 100
_NAME = 19
_HEAD = ("", "n", "base", "arm", "delta", "simultaneous", "p t", "p flip", "p adj", "d_z", "")
_MARK = {"max-T": "m", "Holm": "h"}


def render(comparison: Comparison) -> str:
    """The primary family first, then a table per cell, then what was lost and how it was done."""
    lines: list[str] = []
    if comparison.primary:
        lines += [f"Averaged over cells ({comparison.units})"]
        lines += [*_table(comparison.primary), ""]
        lines += [
            line
            for effect in comparison.primary
            for line in textwrap.wrap(
                "- " + describe(effect, comparison.units, comparison.sesoi),
                WIDTH,
                subsequent_indent="  ",
            )
        ] + [""]
    for key, effects in by_cell(comparison.cells).items():
        title = ", ".join(f"{name}={value}" for name, value in key) or "All"
        room = " (no room: the baseline is too close to a limit)" if effects[0].no_room else ""
        lines += [f"{title}{room}", *_table(effects), ""]
    return "\n".join(lines + _notes(comparison)) + "\n"


def by_cell(effects: tuple[Effect, ...]) -> dict[tuple[tuple[str, str], ...], list[Effect]]:
    """Effects by their cell, in order; the key is the cell's (column, value) pairs."""
    out: dict[tuple[tuple[str, str], ...], list[Effect]] = {}
    for effect in effects:
        out.setdefault(tuple((effect.cell or {}).items()), []).append(effect)
    return out


def _table(effects: list[Effect] | tuple[Effect, ...]) -> list[str]:
    head = _line(
        "", "n", "base", "arm", "delta", "simultaneous", "p t", "p flip", "p adj", "d_z", ""
    )
    lines = [head]
    for e in effects:
        interval = (
            f"[{number(e.simultaneous_low)}, {number(e.simultaneous_high)}]"
            if not math.isnan(e.simultaneous_low)
            else "-"
        )
        verdict = str(e.verdict).replace("superior-and-meaningful", "superior+")
        verdict = verdict.replace("inferior-and-meaningful", "inferior+")
        name = e.name
        if len(name) > _NAME:
            lines.append(name[:WIDTH])
            name = ""
        lines.append(
            _line(
                name,
                str(e.n_pairs),
                number(e.mean_baseline),
                number(e.mean_arm),
                number(e.delta, sign=True),
                interval,
                p_value(e.p),
                p_value(e.p_signflip),
                p_value(e.p_adjusted) + (_MARK.get(e.p_adjusted_method, "")),
                "-" if math.isnan(e.dz) else f"{e.dz:.2f}",
                verdict + ("*" if e.also else ""),
            )
        )
    return lines


def _line(*parts: str) -> str:
    name, n, base, arm, delta, interval, p_t, p_flip, p_adj, dz, verdict = parts
    return (
        f"{name:<{_NAME}}{n:>3}{base:>7}{arm:>7}{delta:>7}{interval:>17}"
        f"{p_t:>6}{p_flip:>7}{p_adj:>7}{dz:>7} {verdict}"
    ).rstrip()[:WIDTH]


def _notes(comparison: Comparison) -> list[str]:
    notes = []
    if comparison.broken:
        item = comparison.broken[0]
        place = ", ".join(f"{k}={v}" for k, v in {**item.pair, **item.cell}.items())
        notes.append(
            f"Scores lacking: {len(comparison.broken)} (the first: arm {item.arm}, {place}, "
            f"{item.reason}). Their pairs are left out."
        )
    for name, family in comparison.families.items():
        if not family.n_tests:
            continue
        flips = ""
        if family.n_flips:
            flips = f" ({'all' if family.exact else 'random'} {family.n_flips} sign flips)"
        label = {"cells": "cells", "primary": "averages"}[name]
        notes.append(
            f"Adjusted over {family.n_tests} tests of {label} by {' and '.join(family.methods)}"
            f"{flips}."
        )
    marks = "p adj: m = max-T, h = Holm. " if notes else ""
    sesoi = (
        f" + beyond the smallest effect of interest, {amount(comparison.sesoi, comparison.units)}."
        if comparison.sesoi is not None
        else ""
    )
    also = any(e.also for e in (*comparison.cells, *comparison.primary))
    star = " * equivalent, and yet different from zero." if also else ""
    notes.append(
        f"{marks}Intervals hold together at {1 - comparison.alpha:.0%}; p t and p flip are "
        f"unadjusted; verdicts use p adj and the intervals.{sesoi}{star}"
    )
    if any(e.verdict is Verdict.UNDEFINED for e in comparison.cells):
        notes.append("Undefined: too few pairs, or differences without any spread; p adj is 1.")
    return [line for note in notes for line in textwrap.wrap(note, WIDTH)]
