"""Section "Equivalence, and what would settle it": TOST, and the pairs that are still needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stats.figures.comparison import MARKS, cell_title
from stats.report.section import Answer, Section, Table, interval, signed
from stats.verdict import Verdict
from stats.wording import amount, number, p_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stats.equivalence.result import EquivalenceTest
    from stats.planning.pilot import Pilot
    from stats.report.study import PairedStudy

MOST_ANSWERS = 12
POWER = 0.8
TITLE = "Equivalence, and what would settle it"


def what_would_settle(study: PairedStudy) -> Section:
    """With a SESOI: equivalence and the pairs needed. Without: what the pairs at hand find."""
    from stats.planning.pilot import pilot

    found = pilot(study.table, cells=study.contrasts, primary=study.contrasts)
    if study.options.sesoi is None:
        return _without_sesoi(study, found)
    return _with_sesoi(study, found, study.options.sesoi)


def _without_sesoi(study: PairedStudy, found: Pilot) -> Section:
    from stats.planning.power import detectable_effect

    units = study.table.units
    found_by: dict[str, float] = {}
    rows = []
    for s in found.primary:
        pairs = s.n_pairs // s.groups * s.groups  # plans spread pairs evenly over groups
        if s.usable and pairs > s.groups:
            found_by[s.name] = detectable_effect(
                s.sd_upper, pairs, power=POWER, alpha=study.options.alpha,
                tests=len(found.primary), groups=s.groups,
            )  # fmt: skip
            rows.append([s.name, s.n_pairs, s.sd, s.sd_upper, found_by[s.name]])
    answers = [
        Answer(
            "No smallest effect of interest was given, so that nothing is said of equivalence or "
            "of the pairs still needed: decide which difference would matter and name it by "
            "--sesoi."
        )
    ]
    if found_by:
        worst = max(found_by, key=lambda name: found_by[name])
        answers.append(
            Answer(
                f"The pairs at hand find a true difference of {number(found_by[worst])} {units}, "
                f"averaged over cells, with {POWER:.0%} power ({worst}, the widest spread)."
            )
        )
    table = Table.of(
        "What the pairs at hand find",
        ["contrast", "pairs", "SD of differences", "its upper 80 % limit", "found with 80 % power"],
        rows,
        f"In {units}, averaged over cells. From the spread alone, never from the difference found.",
    )
    return Section(TITLE, tuple(answers), (table,) if rows else (), (), (), found.to_dict())


def _with_sesoi(study: PairedStudy, found: Pilot, sesoi: float) -> Section:
    from stats.equivalence.analysis import equivalence
    from stats.planning.pilot_plan import plan_from_pilot

    o, units = study.options, study.table.units
    done = equivalence(
        study.table, cells=study.contrasts, primary=study.contrasts, margin=sesoi, alpha=o.alpha,
        n_resamples=o.n_resamples, rng=o.seed,
    )  # fmt: skip
    plan = plan_from_pilot(found, sesoi, alpha=o.alpha, power=POWER)
    size = amount(sesoi, units)
    answers = [Answer(_sentence(t, size)) for t in done.primary[:MOST_ANSWERS]]
    tables = [_tests("Averaged over cells", done.primary, done.confidence_level)]
    if any(t.effect.cell for t in done.cells):
        tables.append(_tests("In each cell", done.cells, done.confidence_level))
    tables.append(
        Table.of(
            f"Fresh pairs for {POWER:.0%} power",
            ["contrast", "where", "pairs now", "SD", "upper 80 % limit", "alone", "in the family",
             "for equivalence"],
            [
                [r.spread.name, cell_title(r.spread.cell), r.spread.n_pairs, r.spread.sd,
                 r.spread.sd_upper, r.pairs_single, r.pairs_family, r.pairs_equivalence]
                for r in (*plan.primary, *plan.cells)
            ],
            f"To find {size} (alone, or each test held to alpha / tests), and to show equivalence "
            "within it when the true difference is 0. Planned at the upper limit of the SD; the "
            "difference found plays no part.",
        )
    )  # fmt: skip
    notes = [
        done.method[0].upper() + done.method[1:] + ".",
        "“Is it real?” calls a difference equivalent where its whole simultaneous interval lies "
        "within the margin, this section where the adjusted TOST does. Near the border the two may "
        "differ: which one counts must be fixed before the data.",
    ]
    return Section(
        TITLE, tuple(answers), tuple(tables), (), tuple(notes),
        {"equivalence": done.to_dict(), "plan": plan.to_dict()},
    )  # fmt: skip


def _sentence(test: EquivalenceTest, size: str) -> str:
    """Whether equivalence is shown; else the pairs that would settle the question."""
    e, p = test.effect, f"adjusted p {p_value(test.p_adjusted, equals=True)}"
    who = f"{e.name} against {e.baseline}, averaged over cells"
    if e.verdict is Verdict.IDENTICAL:
        return f"{who}: identical scores."
    if test.tost.p != test.tost.p:
        return f"{who}: no test of equivalence is possible."
    if e.verdict is Verdict.EQUIVALENT:
        return f"{who}: equivalent within {size} ({p})."
    if e.verdict is not Verdict.INCONCLUSIVE:
        return f"{who}: a difference is shown ({e.verdict}), equivalence within {size} not ({p})."
    return (
        f"{who}: neither a difference nor equivalence is shown ({p}). About {e.pairs_needed} fresh "
        f"pairs would find {size}, {test.pairs_for_equivalence} would show equivalence if there is "
        "no difference."
    )


def _tests(title: str, tests: Sequence[EquivalenceTest], level: float) -> Table:
    in_cells = any(t.effect.cell is not None for t in tests)
    head = ["contrast", "difference", f"{level:.0%} interval", "p TOST", "p adjusted", "verdict",
            "below / within / above"]  # fmt: skip
    rows = []
    for t in tests:
        row = [
            t.effect.name, signed(t.effect.delta), interval(t.tost.ci_low, t.tost.ci_high),
            p_value(t.tost.p), p_value(t.p_adjusted),
            f"{MARKS[t.effect.verdict]} {t.effect.verdict}",
            " / ".join(f"{c:.2f}" for c in t.regions.confidence) if t.tost.p == t.tost.p else "–",
        ]  # fmt: skip
        rows.append([cell_title(t.effect.cell), *row] if in_cells else row)
    return Table.of(
        title,
        ["cell", *head] if in_cells else head,
        rows,
        "p adjusted: TOST by Holm. Below / within / above: the confidence distribution of the "
        "difference over the margin, a description of the estimate.",
    )
