"""The tables of matched draws, at most eight narrow columns each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablate.matched_draws.reading import AVERAGE, AdapterDraws
from stats.matched_draws.text import cell_name, percent
from stats.report.section import Table, interval, signed
from stats.wording import p_value

if TYPE_CHECKING:
    from stats.matched_draws.outcome import Reading

SOURCES = {
    "mechanism": "mechanism",
    "hp draw": "hyperparameters, both arms",
    "mechanism x hp draw": "mechanism × hp",
    "seed": "seed, both arms",
    "mechanism x seed (run) + residual": "run (residual)",
}
"""The sources of a decomposition for people."""


def source_name(name: str) -> str:
    """A source of variation for people."""
    return SOURCES.get(name, name)


def tables_of(found: AdapterDraws) -> tuple[Table, ...]:
    """All tables of an adapter."""
    made = [space_table(found)]
    if found.points:
        made.append(points_table(found))
    if found.parts:
        made.append(sources_table(found))
    if len(found.parts) > 1:
        made.append(cells_table(found))
    if found.mechanism.moderators:
        made.append(moderators_table(found))
    if found.importance:
        made.append(importance_table(found))
    return tuple(made)


def space_table(found: AdapterDraws) -> Table:
    """The effect over the space, on average and in each cell."""
    result = found.mechanism
    rows = [[cell_name(reading), *_row(reading)] for reading in result.readings]
    return Table.of(
        f"Mechanism minus {found.adapter} over {result.overall.mean.n} hyperparameter draws, "
        f"{result.units}",
        _head("where"), rows,
        "Mean: over draws, t with draws - 1 degrees of freedom, unadjusted. SD: of true effects "
        "over the space, seed noise taken off (mechanism × hp). Turns: share of the space in which "
        "the true effect has the sign opposite to the mean's, if effects are normal over it.",
    )  # fmt: skip


def points_table(found: AdapterDraws) -> Table:
    """The effect of each design point, averaged over cells."""
    rows = [[label, *_row(result.overall)] for label, result in found.points.items()]
    return Table.of(
        f"Each design point minus {found.adapter} over the draws, averaged over cells, "
        f"{found.mechanism.units}",
        _head("point"), rows, "Unadjusted: a description of where the mean comes from.",
    )  # fmt: skip


def _head(first: str) -> tuple[str, ...]:
    return (first, "draws", "mean", "95 % interval", "p", "SD", "its interval", "turns")


def _row(reading: Reading) -> list[object]:
    mean, spread = reading.mean, reading.interplay
    return [
        mean.n, signed(mean.mean), interval(mean.ci_low, mean.ci_high), mean.p, spread.sd,
        interval(spread.low, spread.high), percent(reading.sign.share),
    ]  # fmt: skip


def sources_table(found: AdapterDraws) -> Table:
    """Components on average over cells, largest first, and mechanism x cell."""
    part = found.parts.get(AVERAGE) or next(iter(found.parts.values()))
    rows: list[list[object]] = [
        [source_name(c.name), c.sd, interval(c.low, c.high), f"{round(100 * c.share)} %"]
        for c in sorted(part.components, key=lambda c: -c.sd)
    ]
    note = (
        "On the scale of a run's score, averaged over cells: two arms that differ by d points in "
        "every pair have the SD d / √2, and effects that vary over the space with an SD of t "
        "count as t / √2. Shares are of the sum of these variances."
    )
    if found.cells is not None:
        cells, root = found.cells, math.sqrt(2)
        rows.append(
            ["mechanism × cell", cells.sd / root, interval(cells.low / root, cells.high / root),
             "–"]
        )  # fmt: skip
        note += (
            " Mechanism × cell is the spread of mean effects over these cells: F("
            f"{cells.num_df}, {cells.den_df:.0f}), p {p_value(cells.p, equals=True)}."
        )
    return Table.of(
        f"Where scores vary: mechanism and {found.adapter} at the same draws, {part.units}",
        ("source", "SD", "95 % interval", "share"), rows, note,
    )  # fmt: skip


def cells_table(found: AdapterDraws) -> Table:
    """The SDs of the sources in each cell."""
    sources = [c.name for c in next(iter(found.parts.values())).components]
    rows = []
    for name, part in found.parts.items():
        sds = {c.name: c.sd for c in part.components}
        rows.append([name, *(sds.get(source, math.nan) for source in sources)])
    short = {"hp draw": "hp", "mechanism x hp draw": "mech. × hp", "seed": "seed",
             "mechanism x seed (run) + residual": "run"}  # fmt: skip
    return Table.of(
        "The same in each cell: SDs of a run's score",
        ("where", *(short.get(source, source) for source in sources)), rows,
        "Intervals are in the figure.",
    )  # fmt: skip


def moderators_table(found: AdapterDraws) -> Table:
    """Which hyperparameters the effect goes along with."""
    rows = [
        [
            m.name, m.quartile_low, m.quartile_high, signed(m.change),
            interval(m.change_low, m.change_high), signed(m.rho), m.p, m.p_adjusted,
        ]
        for m in found.mechanism.moderators
    ]  # fmt: skip
    return Table.of(
        f"Which hyperparameters the effect against {found.adapter} goes along with (exploratory)",
        ("hp", "from", "to", "change", "95 % interval", "rank corr.", "p", "p adj"), rows,
        "Change of the effect, in points, from the first to the third quartile of the draws along "
        "a straight line (in the logarithm where the draws are); p of the rank correlation by "
        "permutation, adjusted over hyperparameters by Holm.",
    )  # fmt: skip


def importance_table(found: AdapterDraws) -> Table:
    """Optuna's importances, as shares."""
    names = list(dict.fromkeys(name for one in found.importance for name in one.shares))
    head = [f"{_SHORT[one.target]} {one.evaluator.split('-')[0]}" for one in found.importance]
    rows = [
        [name, *(percent(one.shares.get(name, math.nan)) for one in found.importance)]
        for name in names
    ]
    return Table.of(
        "Hyperparameter importance on the draws (description)", ("hp", *head), rows,
        "Of the baseline's score (base), the mechanism's (mech.) and their difference (diff.). "
        "Shares add up to 100 %. Importance has no standard error and no term for interactions, "
        "and some hyperparameter always comes first, also where none matters. PED: PED-ANOVA, what "
        "sets the best quarter of the draws apart; fANOVA: variance that a forest explains.",
    )  # fmt: skip


_SHORT = {"baseline": "base", "mechanism": "mech.", "difference": "diff."}
