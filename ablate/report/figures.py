"""The report's figures, drawn by ``stats.figures.comparison`` from the findings."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

from ablate.report.answer import points
from ablate.report.findings import PAIR, Findings, paired_table
from ablate.report.picture import Picture, make_picture
from ablate.report.probes import probe_pictures
from ablate.report.rows import by_cell, cell_tables
from stats.figures import comparison as plots
from stats.table import PairedTable
from stats.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from stats.result import Comparison, Effect

MAX_COLUMNS = 4
MOST_ARMS = 16
"""Design points and controls up to which a picture shows every arm."""


def make_pictures(findings: Findings) -> tuple[Picture, ...]:
    """All figures: primary family, forest per cell, heat map, pairs, retention's forest, probes."""
    main = findings.main
    baseline = baseline_name(findings)
    sesoi = f"±{points(findings.sesoi)}"
    pictures = []
    if main.primary:
        pictures.append(
            make_picture(
                "primary",
                plots.forest(
                    main.primary,
                    baseline=f"{baseline} or reference level",
                    units=main.units,
                    sesoi=main.sesoi,
                ),
                "The primary family: differences averaged over cells, with simultaneous intervals.",
                f"Thin lines: simultaneous intervals; thick: unadjusted. Grey band: {sesoi}.",
            )
        )
    crowded = len(findings.arms) > MOST_ARMS + 1
    if main.cells and not crowded:
        pictures.append(
            make_picture(
                "forest",
                _forest(main, findings),
                "Forest plot: each arm's difference to its baseline in each cell.",
                f"Thin lines: simultaneous intervals; thick: unadjusted. Grey band: {sesoi}. "
                "The mark at the right of a row is its verdict.",
            )
        )
    if main.cells:
        pictures.append(
            make_picture(
                "heatmap",
                heatmap(findings),
                "Heat map of the mean differences: levels and arms down, cells across.",
                "Numbers are points, marks are verdicts (none: inconclusive). "
                + (
                    "Rows are means over the arms at that level; they describe, they are not "
                    f"tested. The {len(findings.arms)} arms are in the tables."
                    if crowded
                    else "Rows above the rule, where there is one, are means over the arms at that "
                    "level; they describe, they are not tested."
                ),
            )
        )
    table, shown = pairs_shown(findings, crowded)
    pictures.append(
        make_picture(
            "pairs",
            plots.paired_lines(
                table,
                arms=shown,
                cells=list(itertools.product(findings.backbones, findings.benchmarks)),
                label=findings.label,
                columns=_columns(findings.benchmarks),
            ),
            "Each seed's score in every arm, one panel per cell, with the mean over seeds.",
            "A coloured line is one pair: the same data order, adapter initialisation and batches "
            "in every arm. Lines that run in parallel are noise that pairing removes."
            + (" Design points are shown by their mean." * crowded),
        )
    )
    retention = findings.retention_comparison
    if retention is not None and retention.cells and not crowded:
        pictures.append(
            make_picture(
                "retention",
                _forest(retention, findings),
                "Forest plot of the retention benchmarks.",
                f"Retention is a family of its own. Grey band: {sesoi}.",
            )
        )
    if findings.probes is not None:
        pictures += probe_pictures(findings.probes)
    return tuple(pictures)


def baseline_name(findings: Findings) -> str:
    """The baseline's label, or a common word where there are several."""
    names = [info.label for info in findings.arms if not info.baseline]
    return names[0] if len(names) == 1 else "baseline"


def pairs_shown(findings: Findings, crowded: bool) -> tuple[PairedTable, list[str]]:
    """What the picture of pairs shows: every arm, or where they are too many the baselines, the
    mean over each adapter's design points, the reference point, and the controls."""
    if not crowded:
        return paired_table(findings), [info.name for info in findings.arms]
    import pandas as pd

    reference = {axis: levels[0] for axis, levels in findings.axes.items()}
    kept, frames, shown = findings.results, [findings.results], []
    for base in (info for info in findings.arms if not info.baseline):
        mine = [i for i in findings.arms if i.is_mechanism and i.baseline == base.name]
        name = f"{base.label} + mean of {len(mine)}"
        points = kept[kept["arm"].isin([info.name for info in mine])]
        keys = [*PAIR, "benchmark"]
        # A mean without one of its arms would be another mean: NaN takes the pair out.
        mean = points.groupby(keys, sort=False)["score"].agg(lambda s: s.mean(skipna=False))
        frames.append(mean.reset_index().assign(arm=name))
        shown += [base.name, name]
        shown += [info.name for info in mine if dict(info.levels) == reference]
    shown += [info.name for info in findings.arms if info.control]
    whole = dataclasses.replace(findings, results=pd.concat(frames, ignore_index=True))
    return paired_table(whole), shown


def heatmap(findings: Findings) -> Figure:
    """Arms x cells with verdict marks; above them, in a factorial, the means of each level."""
    import pandas as pd

    tables = cell_tables(findings.main, findings)
    deltas = pd.DataFrame(
        {t.title: {row.label: row.effect.delta for row in t.rows} for t in tables}
    )
    marks = pd.DataFrame(
        {
            t.title: {
                row.label: "" if row.effect.verdict == Verdict.INCONCLUSIVE else row.mark
                for row in t.rows
            }
            for t in tables
        }
    )
    levels = _level_means(findings, deltas)
    if len(levels) and len(deltas) > MOST_ARMS:
        deltas = levels
    elif len(levels):
        deltas = pd.concat([levels, deltas])
    return plots.level_heatmap(
        deltas,
        marks.reindex(index=deltas.index, columns=deltas.columns).fillna(""),
        baseline=baseline_name(findings),
        units=findings.main.units,
        sesoi=findings.sesoi,
        rule_after=len(levels),
    )


def _level_means(findings: Findings, deltas: pd.DataFrame) -> pd.DataFrame:
    """Each level's mean over its arms, where axes are crossed (else the arms are the levels)."""
    import pandas as pd

    if len(findings.axes) < 2:
        return pd.DataFrame()
    means: dict[str, pd.Series] = {}
    for axis, levels in findings.axes.items():
        for level in levels:
            arms = [
                info.label
                for info in findings.arms
                if info.levels.get(axis) == level and info.label in deltas.index
            ]
            if len(arms) < 2:
                return pd.DataFrame()
            means[f"{axis} {level}, mean"] = deltas.loc[arms].mean()
    return pd.DataFrame(means).T


def _forest(comparison: Comparison, findings: Findings) -> Figure:
    def label(effect: Effect) -> str:
        return findings.label(effect.name)

    cells = by_cell(comparison, findings)
    benchmarks = tuple(dict.fromkeys(key[-1] for key in cells))
    return plots.forest(
        [effect for effects in cells.values() for effect in effects],
        label=label,
        baseline=baseline_name(findings),
        units=comparison.units,
        sesoi=comparison.sesoi,
        columns=_columns(benchmarks) if len(benchmarks) > 1 else MAX_COLUMNS,
    )


def _columns(benchmarks: tuple[str, ...]) -> int:
    """A row of panels per backbone where that fits, else the fewest even rows."""
    n = len(benchmarks)
    return n if n <= MAX_COLUMNS + 1 else math.ceil(n / math.ceil(n / MAX_COLUMNS))
