"""What the plan announces beside the gates, as panels: looks, equivalence, smaller studies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablate.report.answer import capital
from ablate.report.panel import Panel
from ablate.report.picture import Picture, make_picture
from ablate.settle.figures import small_study_strips
from stats.gatekeeping.small_studies import SIZES
from stats.report.section import Table, interval, signed
from stats.verdict import Verdict
from stats.wording import amount, number, p_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ablate.settle.analysis import Settled
    from stats.equivalence.result import Equivalence, EquivalenceTest
    from stats.gatekeeping.small_studies import SmallStudies, SmallStudy
    from stats.sequential.eholm import EHolm

SHORT = {
    Verdict.SUPERIOR_AND_MEANINGFUL: "superior +",
    Verdict.INFERIOR_AND_MEANINGFUL: "inferior +",
}
"""Verdicts that would not fit a column."""


def looks_panel(found: Settled) -> Panel:
    """The sequential rule, seed by seed."""
    tables = []
    for name, replay in found.replays.items():
        steps = [step for step in replay.steps if step.n >= 2]
        rows = [
            [step.n, signed(step.mean), number(step.e_value), step.p,
             interval(step.low, step.high), SHORT.get(step.verdict, str(step.verdict))]
            for step in steps
        ]  # fmt: skip
        tables.append(
            Table.of(
                f"Mechanism vs {name}, averaged over all cells",
                ["pairs", "mean", "e", "p", "confidence sequence", "verdict"],
                rows,
                "Valid at every row, whenever one stops, for differences symmetric about their "
                "centre.",
            )
        )
    return Panel(
        section="settle",
        title="The sequential rule, pair by pair",
        sentences=tuple(
            f"Against {name}: {replay.sentence()}" for name, replay in found.replays.items()
        )
        + tuple(_cells_sentence(name, cells) for name, cells in found.cells.items())
        + ((_waiting(found.waiting),) if found.waiting else ()),
        tables=tuple(tables),
        notes=tuple(dict.fromkeys(replay.method for replay in found.replays.values())),
        data={
            "replays": {name: replay.to_dict() for name, replay in found.replays.items()},
            "cells": {name: cells.to_dict() for name, cells in found.cells.items()},
            "waiting": list(found.waiting),
        },
    )


def _waiting(seeds: Sequence[int]) -> str:
    """Which seeds the rule has not looked at."""
    later = len(seeds) - 1
    and_later = f", and {later} later seeds wait for it" if later > 1 else ""
    and_later = ", and 1 later seed waits for it" if later == 1 else and_later
    return (
        f"Seed {seeds[0]} lacks a run that the machine lost{and_later}: the rule looks at seeds in "
        "order. The same command tries it again."
    )


def _cells_sentence(name: str, cells: EHolm) -> str:
    """In which cells e-values show a difference."""
    sides = zip(cells.cells, cells.directions, strict=True)
    where = ", ".join(f"{side} in {cell}" for cell, side in sides if side)
    return (
        f"Against {name}, cell by cell: {sum(cells.rejected)} of {len(cells.cells)} cells differ "
        f"(familywise error {cells.alpha:g}, whenever one stops)"
        + (f": {where}." if where else ".")
    )


def equivalence_panel(done: Equivalence, n_diverged: int = 0) -> Panel:
    """Whether differences are as good as none, and the fresh pairs that would settle the rest.

    ``n_diverged`` runs of the claim diverged; verdicts are those that hold with them scored too.
    """
    size = amount(done.margin_high, done.units)
    cells = {_place(test) for test in done.cells}
    cramped = sorted({_place(test) for test in done.cells if test.effect.no_room})
    by_contrast = [
        (mean, [test for test in done.cells if test.effect.name == mean.effect.name])
        for mean in done.primary
    ]
    sentences = [_equivalent(mean, tests, size) for mean, tests in by_contrast]
    if cramped:
        sentences.append(
            f"{len(cramped)} of {len(cells)} cells have no room: their baseline is so close to "
            f"chance or the maximum that {size} might not show ({', '.join(cramped)})."
        )
    return Panel(
        section="settle",
        title="Equivalence, and the pairs still needed",
        sentences=tuple(sentences),
        tables=tuple(
            _equivalence_table([mean, *tests], done.confidence_level) for mean, tests in by_contrast
        ),
        notes=(
            f"{capital(done.method)}.",
            "Fresh pairs that find the SESOI with 80 % power in that test of its family, and that "
            "show equivalence if there is no difference; from the upper 80 % limit of the spread, "
            "never from the difference found. Those of the average are spread over all backbones.",
            *(
                [
                    "A verdict stands only where it holds on complete pairs and with diverged runs "
                    f"({n_diverged}) scored as the unadapted backbone, and p is the larger: arms "
                    "that fail unequally are not the same. The other numbers are of complete pairs."
                ]
                if n_diverged
                else []
            ),
        ),
        data=done.to_dict(),
    )


def _equivalent(mean: EquivalenceTest, tests: Sequence[EquivalenceTest], size: str) -> str:
    e = mean.effect
    same = sum(test.effect.verdict is Verdict.EQUIVALENT for test in tests)
    cells = f"equivalent within {size} in {same} of {len(tests)} cells"
    if math.isnan(mean.tost.p):
        return f"Against {e.baseline}: no test of equivalence is possible on average; {cells}."
    p = f"TOST p {p_value(mean.p_adjusted, equals=True)}, adjusted"
    if e.verdict is Verdict.EQUIVALENT:
        also = {"superior": ", though better", "inferior": ", though worse"}.get(e.also, "")
        said = f"the same within {size} on average{also} ({p})"
    elif e.verdict is Verdict.INCONCLUSIVE:
        said = f"on average neither a difference nor equivalence within {size} is shown ({p})"
        if e.pairs_needed and mean.pairs_for_equivalence:
            said += (
                f"; {e.pairs_needed} fresh pairs would find {size}, {mean.pairs_for_equivalence} "
                "would show equivalence if there is no difference"
            )
    else:
        said = f"on average not shown to be the same within {size} ({p})"
    return f"Against {e.baseline}: {said}; {cells}."


def _place(test: EquivalenceTest) -> str:
    return "average" if test.effect.cell is None else "/".join(test.effect.cell.values())


def _equivalence_table(tests: Sequence[EquivalenceTest], level: float) -> Table:
    rows = [
        [
            _place(t),
            signed(t.effect.delta),
            interval(t.tost.ci_low, t.tost.ci_high),
            p_value(t.p_adjusted),
            SHORT.get(t.effect.verdict, str(t.effect.verdict)) + " *" * t.effect.no_room,
            t.effect.pairs_needed,
            t.pairs_for_equivalence,
        ]
        for t in tests
    ]
    return Table.of(
        f"Mechanism vs {tests[0].effect.baseline}",
        [
            "where",
            "difference",
            f"{level:.0%} interval",
            "p TOST",
            "verdict",
            "to find",
            "to equal",
        ],
        rows,
        "p TOST: adjusted by Holm over cells. to find, to equal: fresh pairs for the SESOI, and "
        "for equivalence. *: no room. +: beyond the SESOI.",
    )


def small_panel(found: Sequence[SmallStudies], lacking: Mapping[str, str]) -> Panel:
    """What would have been seen with fewer seeds; ``lacking`` says where that cannot be told."""
    sentences = [
        f"Against {each.contrast}: {_lower(each.sentence(size))}"
        for each in found
        for size in each.sizes
    ]
    sentences += [f"Against {name}: {reason}." for name, reason in lacking.items()]
    tables: list[Table] = []
    pictures: list[Picture] = []
    if found:
        tables = [_small_averages(found), *(_small_cells(each) for each in found)]
        caption = "Every subset of seeds as a study of its own: its mean, and what it would claim."
        strips = small_study_strips(found)
        pictures = [make_picture("small_studies", strips, " ".join(sentences), caption)]
    return Panel(
        section="settle",
        title=f"What {_listed(found[0].sizes if found else SIZES)} seeds would have shown",
        sentences=tuple(sentences),
        tables=tuple(tables),
        pictures=tuple(pictures),
        notes=(
            "Subsets of one data set overlap: these shares describe these pairs and are no "
            "estimate of what fresh studies would do.",
            *(
                f"Against {each.contrast}: {each.n_left_out} seeds are not whole in every cell and "
                "are left out."
                for each in found
                if each.n_left_out
            ),
        ),
        data={each.contrast: each.to_dict() for each in found},
    )


def _small_averages(found: Sequence[SmallStudies]) -> Table:
    rows = [
        [
            f"vs {each.contrast}",
            size,
            _share(s.gain),
            _share(s.loss),
            _share(s.higher),
            interval(s.smallest, s.largest),
            s.exaggeration,
            _share(each.sweeps[size][2]),
        ]
        for each in found
        for size in each.sizes
        for s in [each.average(size)]
    ]
    return Table.of(
        "Studies of fewer seeds, averaged over all cells",
        ["contrast", "seeds", "gain", "loss", "mean > 0", "means", "times", "sweep"],
        rows,
        "gain, loss: share of subsets with p < alpha, uncorrected; mean > 0: what a table of means "
        "would claim; times: size of significant means over that of all seeds (-: all seeds "
        "together show none); sweep: no cell's mean is below zero.",
    )


def _small_cells(each: SmallStudies) -> Table:
    smallest = each.sizes[0]
    rows = [
        [
            "/".join((s.cell or {}).values()),
            signed(s.full),
            *(_claims(t) for size in each.sizes for t in each.in_cells(size) if t.cell == s.cell),
            _share(s.higher),
            interval(s.smallest, s.largest),
        ]
        for s in each.in_cells(smallest)
    ]
    return Table.of(
        f"Cell by cell, mechanism vs {each.contrast}",
        [
            "cell",
            "all seeds",
            *(f"{size} seeds" for size in each.sizes),
            f"mean > 0 ({smallest})",
            f"means ({smallest})",
        ],
        rows,
        "Share of subsets that would have claimed a gain / a loss in the cell; the last two "
        f"columns are of {smallest} seeds.",
    )


def _claims(study: SmallStudy) -> str:
    return f"{_share(study.gain)} / {_share(study.loss)}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _listed(sizes: Sequence[int]) -> str:
    *most, last = map(str, sizes)
    return f"{', '.join(most)} and {last}" if most else last


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
