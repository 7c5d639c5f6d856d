import math
import sys
from subprocess import run

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from stats.compare import compare
from stats.contrast import versus
from stats.errors import StatsError
from stats.figures.comparison import _LOOKS, MARKS, forest, level_heatmap, paired_lines
from stats.result import Comparison
from stats.table import PairedTable
from stats.verdict import Verdict

ARMS = ("lora", "a", "b", "c")
CELLS = tuple((backbone, bench) for backbone in ("one", "two") for bench in ("x", "y", "z"))


@pytest.fixture(scope="module")
def table() -> PairedTable:
    generator = np.random.default_rng(1)
    rows = [
        {
            "arm": arm,
            "backbone": backbone,
            "benchmark": bench,
            "seed": seed,
            "score": 0.5 + generator.normal(0, 0.01) + (0.08 if (arm, bench) == ("a", "x") else 0),
        }
        for arm in ARMS
        for backbone, bench in CELLS
        for seed in range(7)
    ]
    frame = pd.DataFrame(rows)
    frame.loc[(frame["arm"] == "c") & (frame["backbone"] == "two"), "score"] = np.nan
    return PairedTable.from_frame(frame, percent=True, allow_failed=True)


@pytest.fixture(scope="module")
def comparison(table: PairedTable) -> Comparison:
    contrasts = [versus(arm, "lora") for arm in ARMS[1:]]
    return compare(table, cells=contrasts, primary=contrasts[:2], sesoi=1.0, n_resamples=1000)


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for axis in figure.axes for t in axis.texts]


def legend_texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.legends[0].get_texts()]


def test_every_verdict_has_its_own_mark_and_look():
    assert set(MARKS) == set(Verdict) == set(_LOOKS)
    assert len(set(MARKS.values())) == len(Verdict)
    assert len({(marker, filled) for _, marker, filled in _LOOKS.values()}) == len(Verdict)


def test_forest_has_a_panel_per_cell_and_a_row_per_arm(comparison: Comparison):
    figure = forest(comparison.cells, baseline="lora", sesoi=1.0, columns=3)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [f"{backbone} × {bench}" for backbone, bench in CELLS]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "b", "c"]
    assert [t.get_text() for t in figure.axes[1].get_yticklabels()] == ["", "", ""]
    assert "difference to lora, points" in [t.get_text() for t in figure.texts]
    assert len({axis.get_xlim() for axis in figure.axes}) == 1, "panels share one scale"


def test_forest_marks_are_the_verdicts(comparison: Comparison):
    figure = forest(comparison.cells, sesoi=1.0)
    assert texts(figure) == [MARKS[effect.verdict] for effect in comparison.cells]
    shown = {text.split("  ")[-1] for text in legend_texts(figure)}
    assert shown == {str(e.verdict) for e in comparison.cells} | {"within ±1"}


def test_forest_draws_every_interval_where_it_is(comparison: Comparison):
    effects = comparison.primary
    (axis,) = forest(effects, sesoi=1.0).axes
    drawn = [tuple(line.get_xdata()) for line in axis.lines]
    for effect in effects:
        assert (effect.ci_low, effect.ci_high) in drawn
        assert (effect.simultaneous_low, effect.simultaneous_high) in drawn
        assert (effect.delta,) in drawn
    low, high = axis.get_xlim()
    assert low < min(e.simultaneous_low for e in effects)
    assert high > max(e.simultaneous_high for e in effects)


def test_forest_survives_effects_without_a_difference(comparison: Comparison):
    nothing = [e for e in comparison.cells if math.isnan(e.delta)]
    assert nothing, "the fixture has an arm that failed everywhere on one backbone"
    (first, *_) = forest(nothing, sesoi=1.0).axes
    assert [t.get_text() for t in first.texts] == [MARKS[Verdict.UNDEFINED]]


def test_a_title_is_shown(comparison: Comparison):
    figure = forest(comparison.primary, title="Main")
    assert "Main" in [t.get_text() for t in figure.texts]
    taller = figure.get_figheight()
    assert taller > forest(comparison.primary).get_figheight()


def test_forest_without_sesoi_has_no_band(comparison: Comparison):
    figure = forest(comparison.primary)
    assert not figure.axes[0].patches
    assert not [text for text in legend_texts(figure) if "within" in text]
    with pytest.raises(StatsError, match="no effect"):
        forest([])


def test_lines_are_the_pairs(table: PairedTable):
    figure = paired_lines(table, arms=("lora", "a", "b"), columns=3)
    assert len(figure.axes) == len(CELLS)
    scores = table.scores()
    for axis, cell in zip(figure.axes, scores.cells, strict=True):
        assert len(axis.lines) == 7 + 1, "seven pairs and their mean"
        mean = axis.lines[-1].get_ydata()
        rows = [p for p, pair in enumerate(scores.pairs) if pair[0] == cell[0]]
        expected = scores.values[0, rows, scores.cells.index(cell)].mean()
        assert mean[0] == pytest.approx(expected, rel=1e-12)
    assert figure.axes[0].get_ylabel() == "score, points"
    assert legend_texts(figure) == [f"seed {i}" for i in range(7)] + ["mean"]
    labels = [[t.get_text() for t in axis.get_xticklabels()] for axis in figure.axes]
    assert labels[-1] == ["lora", "a", "b"]
    assert labels[0] == ["", "", ""], "only the lowest panels carry the labels"


def test_an_arm_that_failed_leaves_a_gap_and_the_others_their_mean(table: PairedTable):
    (axis,) = paired_lines(table, cells=[("two", "x")]).axes
    mean = np.asarray(axis.lines[-1].get_ydata())
    assert np.isfinite(mean[:3]).all()
    assert np.isnan(mean[3])


def test_cells_and_arms_keep_the_order_asked_for(table: PairedTable):
    order = [("two", "z"), ("one", "x")]
    figure = paired_lines(table, arms=("b", "lora"), cells=order, label=str.upper)
    assert [axis.get_title() for axis in figure.axes] == ["two × z", "one × x"]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["B", "LORA"]
    with pytest.raises(StatsError, match="no arm 'lore'; did you mean 'lora'"):
        paired_lines(table, arms=("lore",))
    with pytest.raises(StatsError, match="no cell"):
        paired_lines(table, cells=[("two", "w")])


def test_many_pairs_are_one_colour_and_one_legend_entry(table: PairedTable):
    frame = pd.concat([table.frame.assign(seed=table.frame["seed"] + f"{i}") for i in range(2)])
    many = PairedTable.from_frame(frame, percent=True, allow_failed=True)
    figure = paired_lines(many)
    assert legend_texts(figure) == ["a pair", "mean"]
    assert len({line.get_color() for line in figure.axes[0].lines}) == 2


def heat(values: list[list[float]], marks: list[list[str]], **more: object) -> Figure:
    columns = ["one × x", "one × y"]
    rows = ["early", "late"][: len(values)]
    return level_heatmap(
        pd.DataFrame(values, rows, columns), pd.DataFrame(marks, rows, columns), **more
    )


def test_heatmap_says_numbers_and_marks():
    figure = heat([[1.25, -0.5], [math.nan, -0.01]], [["++", ""], ["x", ""]], baseline="lora")
    axis, scale = figure.axes
    assert [t.get_text() for t in axis.texts] == ["+1.2 ++", "-0.5", "0.0", "–"]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["one\nx", "one\ny"]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["early", "late"]
    assert scale.get_ylabel() == "difference to lora, points"


def test_heatmap_scale_is_symmetric_and_not_below_the_sesoi():
    mesh = heat([[0.2, -0.1]], [["", ""]], sesoi=1.0).axes[0].collections[0]
    assert mesh.get_clim() == (-1.0, 1.0)
    mesh = heat([[0.2, -3.0]], [["", ""]], sesoi=1.0).axes[0].collections[0]
    assert mesh.get_clim() == (-3.0, 3.0)


def test_heatmap_rule_and_mismatched_labels():
    def rules(after: int) -> int:
        figure = heat([[1.0, 2.0], [3.0, 4.0]], [["", ""], ["", ""]], rule_after=after)
        return len(figure.axes[0].lines)

    assert (rules(0), rules(1)) == (0, 1)
    with pytest.raises(StatsError, match="same labels"):
        level_heatmap(pd.DataFrame([[1.0]]), pd.DataFrame([["+"]], ["other"]))


def test_figures_change_no_global_state(table: PairedTable, comparison: Comparison):
    before = dict(matplotlib.rcParams)
    forest(comparison.cells)
    paired_lines(table)
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_importing_the_module_loads_no_plotting_library():
    code = (
        "import sys, stats.figures.comparison; "
        "print([m for m in sys.modules if m in ('matplotlib', 'seaborn')])"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
