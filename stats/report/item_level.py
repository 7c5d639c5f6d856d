"""Section "Items": inference beyond the items of each cell, where their outcomes are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stats.report.section import Answer, Picture, Section, Table, interval, signed
from stats.wording import number, p_value

if TYPE_CHECKING:
    from stats.items.twoway import TwoWay
    from stats.report.study import PairedStudy

MOST_FIGURES = 2


def items(study: PairedStudy) -> Section:
    """Every arm in every cell: seeds random, items random, both random; where differences vary."""
    from pandas.api.types import is_numeric_dtype as is_numeric

    from stats.figures.comparison import cell_title
    from stats.figures.describe import component_plot
    from stats.items.table import ItemTable
    from stats.items.twoway import two_way
    from stats.reading import typed

    assert study.items is not None
    r, o = study.roles, study.options
    cells = study.items[list(r.cell)].drop_duplicates().to_dict("records") if r.cell else [{}]
    values = typed(study.items[[o.outcome]])[o.outcome] if o.outcome in study.items else None
    # Right and wrong, and shares, are reported in points; anything else as it is.
    points = values is None or not is_numeric(values) or bool(values.between(0, 1).all())
    results: list[TwoWay] = []
    for cell in cells:
        named = {str(name): str(value) for name, value in cell.items()}
        table = ItemTable.from_frame(
            study.items, arm=r.arm, pair=[n for n in r.pair if n not in named] or list(r.pair),
            item=o.item, outcome=o.outcome, cell=named, percent=points,
        )  # fmt: skip
        results += [
            two_way(table, arm, r.baselines[0], confidence_level=o.confidence_level)
            for arm in study.arms
            if arm in table.arms
        ]
    units = results[0].units
    rows = [
        [t.arm, cell_title(dict(t.cell)), i.random, signed(t.delta), number(i.se), number(i.df),
         interval(i.ci_low, i.ci_high), p_value(i.p)]
        for t in results
        for i in t.inferences
    ]  # fmt: skip
    parts = [
        [t.arm, cell_title(dict(t.cell)), c.name, c.sd, interval(c.low, c.high)]
        for t in results
        for c in t.components
    ]
    beyond = sum(t.both_random.p <= o.alpha for t in results)
    here = sum(t.seeds_random.p <= o.alpha for t in results)
    answers = (
        Answer(
            f"Of {len(results)} differences (arm x cell), {here} hold for other seeds on these "
            f"items and {beyond} for other seeds on other items of the kind (p ≤ {o.alpha:g}, "
            "unadjusted)."
        ),
    )
    figures: tuple[Picture, ...] = ()
    if o.figures:
        figures = tuple(
            Picture.of(
                f"items-{k + 1}",
                component_plot(t),
                f"Where the differences of {t.arm} vary in {cell_title(dict(t.cell))}: seeds, "
                "items, and both together.",
                f"{t.arm} minus {t.baseline}, {cell_title(dict(t.cell))}: SDs of the differences.",
            )
            for k, t in enumerate(
                [t for t in results if any(c.high == c.high for c in t.components)][:MOST_FIGURES]
            )
        )
    return Section(
        "Items",
        answers,
        (
            Table.of(
                "Three inferences on each difference",
                ["arm", "cell", "random", "difference", "se", "df", "interval", "p"],
                rows,
                f"{units[0].upper()}{units[1:]}. Seeds: other seeds on these items. Items: other "
                "items for these checkpoints. Both: other seeds and other items. Unadjusted.",
            ),
            Table.of(
                "Where the differences vary", ["arm", "cell", "source", "SD", "interval"], parts
            ),
        ),
        figures,
        tuple(dict.fromkeys(t.method[0].upper() + t.method[1:] + "." for t in results)),
        {"two_way": [t.to_dict() for t in results]},
    )
