"""Section "Is it real?": the paired comparison, averaged and in cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stats.figures.comparison import MARKS, cell_title, forest, paired_lines
from stats.report.section import Answer, Picture, Section, Table, interval, signed
from stats.verdict import Verdict
from stats.wording import amount, number, p_value

if TYPE_CHECKING:
    from stats.report.study import PairedStudy
    from stats.result import Comparison, Effect

MOST_ANSWERS = 12
MOST_LINES = 20
ACROSS = 3
_METHODS = {"max-T": "max-T", "Holm": "Holm", "": "–"}


def is_it_real(study: PairedStudy) -> Section:
    """The primary family in sentences and a table, then every cell, forests, paired lines."""
    c = study.comparison
    answers = [
        Answer(c.sentence(e), MARKS[e.verdict], str(e.verdict)) for e in c.primary[:MOST_ANSWERS]
    ]
    if len(c.primary) > MOST_ANSWERS:
        answers.append(Answer(f"And {len(c.primary) - MOST_ANSWERS} more, in the table."))
    tables = [_table("Averaged over cells", c.primary, study)]
    if len({tuple((e.cell or {}).values()) for e in c.cells}) > 1:
        tables.append(_table("In each cell", c.cells, study))
    if c.broken:
        tables.append(_broken(c, study))
    tables.append(_meanings(c))
    return Section(
        "Is it real?",
        tuple(answers),
        tuple(tables),
        tuple(_figures(study)) if study.options.figures else (),
        tuple(_notes(c, study)),
        c.to_dict(),
    )


def _table(title: str, effects: Sequence[Effect], study: PairedStudy) -> Table:
    in_cells = any(e.cell is not None for e in effects)
    head = ["arm", "difference", "simultaneous", "p adjusted", "verdict", "pairs"]
    head += ["fresh pairs for 80 %"] if study.options.sesoi is not None else []
    head += ["baseline", "arm mean", "t (df)", "p t", "p flip", "d_z", "bootstrap-t", "method"]
    rows = []
    for e in effects:
        lost = f" (−{e.n_broken})" if e.n_broken else ""
        row = [
            e.name, signed(e.delta), interval(e.simultaneous_low, e.simultaneous_high),
            p_value(e.p_adjusted), f"{MARKS[e.verdict]} {e.verdict}", f"{e.n_pairs}{lost}",
        ]  # fmt: skip
        if study.options.sesoi is not None:
            row.append("–" if e.pairs_needed is None else str(e.pairs_needed))
        row += [
            number(e.mean_baseline), number(e.mean_arm),
            f"{number(e.t)} ({e.df:.3g})" if e.t == e.t else "–", p_value(e.p),
            p_value(e.p_signflip), number(e.dz), interval(e.boot_low, e.boot_high),
            _METHODS[e.p_adjusted_method],
        ]  # fmt: skip
        rows.append([cell_title(e.cell), *row] if in_cells else row)
    return Table.of(
        title,
        ["cell", *head] if in_cells else head,
        rows,
        f"{study.table.units[0].upper()}{study.table.units[1:]}. Simultaneous intervals and "
        "adjusted p hold over this table; t, sign flip and bootstrap-t are unadjusted and shown "
        "for comparison.",
    )


def _broken(c: Comparison, study: PairedStudy) -> Table:
    counts: dict[tuple[str, str], int] = {}
    for item in c.broken:
        key = (item.arm, item.reason)
        counts[key] = counts.get(key, 0) + 1
    return Table.of(
        "Scores lacking",
        ["arm", "reason", "scores"],
        [[arm, reason, n] for (arm, reason), n in counts.items()],
        "Their pairs are left out of every comparison that needs them. Whether arms fail at "
        "different rates is a question of its own.",
    )


def _meanings(c: Comparison) -> Table:
    bound = "" if c.sesoi is None else amount(c.sesoi, c.units)
    texts = {
        Verdict.SUPERIOR_AND_MEANINGFUL: f"adjusted p ≤ {c.alpha:g} and the whole simultaneous "
        f"interval above {bound}",
        Verdict.EQUIVALENT: f"the whole simultaneous interval within ±{bound}",
        Verdict.SUPERIOR: f"adjusted p ≤ {c.alpha:g}, the difference above zero",
        Verdict.INFERIOR_AND_MEANINGFUL: f"adjusted p ≤ {c.alpha:g} and the whole simultaneous "
        f"interval below −{bound}",
        Verdict.INFERIOR: f"adjusted p ≤ {c.alpha:g}, the difference below zero",
        Verdict.INCONCLUSIVE: "none of these: not settled, which is not the same as no difference",
        Verdict.IDENTICAL: "the same scores in all pairs",
        Verdict.UNDEFINED: "too few pairs, or differences without any spread: no test is possible",
    }
    present = {e.verdict for e in (*c.primary, *c.cells)}
    return Table.of(
        "How to read a verdict",
        ["verdict", "it holds where"],
        [[f"{MARKS[v]} {v}", text] for v, text in texts.items() if v in present],
    )


def _figures(study: PairedStudy) -> list[Picture]:
    c, units = study.comparison, study.table.units
    base = ", ".join(study.roles.baselines)
    band = "" if c.sesoi is None else f" Grey band: within ±{amount(c.sesoi, units)}."
    lines = f"Thin lines: simultaneous intervals; thick: unadjusted.{band}"
    out = [
        Picture.of(
            "forest-averaged",
            forest(c.primary, baseline=base, units=units, sesoi=c.sesoi),
            "Differences averaged over cells, one row per arm, with simultaneous intervals; the "
            "numbers are in the table above.",
            f"Differences to {base}, averaged over cells. {lines}",
        )
    ]
    if any(e.cell for e in c.cells):
        out.append(
            Picture.of(
                "forest-cells",
                forest(c.cells, baseline=base, units=units, sesoi=c.sesoi, columns=ACROSS),
                "Differences in each cell, one panel per cell, with simultaneous intervals; the "
                "numbers are in the table above.",
                f"Differences to {base}, cell by cell. {lines}",
            )
        )
    if len(study.table.arms) <= MOST_LINES:
        out.append(
            Picture.of(
                "pairs",
                paired_lines(study.table, columns=ACROSS),
                "Every pair's score in every arm, one panel per cell, one line per pair.",
                "A line is a pair; parallel lines show that pairing removes noise. Black: mean of "
                "the complete pairs.",
            )
        )
    return out


def _notes(c: Comparison, study: PairedStudy) -> list[str]:
    notes = []
    for name, label in (("primary", "averages"), ("cells", "cells")):
        family = c.families[name]
        if family.n_tests:
            flips = ""
            if family.n_flips:
                which = "all" if family.exact else "random"
                flips = f" ({which} {family.n_flips} sign flips)"
            notes.append(
                f"Adjusted over {family.n_tests} tests of {label} by "
                f"{' and '.join(family.methods)}{flips}."
            )
    notes += [f"What is estimated, for example: {e.estimand}." for e in c.primary[:1]]
    if c.sesoi is None:
        notes.append(
            "No smallest effect of interest is given (--sesoi), so that no difference is called "
            "meaningful and none equivalent."
        )
    if len(study.table.arms) > MOST_LINES:
        notes.append(f"Paired lines are left out: more than {MOST_LINES} arms.")
    return notes
