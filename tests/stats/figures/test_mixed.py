from __future__ import annotations

import math
import sys
from subprocess import run

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from stats.errors import StatsError
from stats.figures.mixed import (
    decomposition_plot,
    interaction_plot,
    profile_plot,
    random_effects_plot,
    residual_plots,
)
from stats.mixed.fit import lmm
from stats.mixed.profile import Interval, Intervals
from tests.stats.mixed.cases import fitted
from tests.stats.mixed.designs import unbalanced


def words(figure: Figure) -> list[str]:
    """Every text in a figure, titles, labels and legends included."""
    found = [t.get_text() for t in figure.texts]
    for legend in figure.legends:
        found += [t.get_text() for t in legend.get_texts()]
    for axis in figure.axes:
        found += [axis.get_title(), axis.get_xlabel(), axis.get_ylabel()]
        found += [t.get_text() for t in axis.texts]
        found += [t.get_text() for t in (*axis.get_xticklabels(), *axis.get_yticklabels())]
    return found


def nothing_is_cut(figure: Figure) -> None:
    """Texts lie inside of the figure, and neither axis labels nor legends over tick labels."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw(renderer)
    whole = figure.bbox
    outer = [t for t in figure.texts if t.get_text()]
    outer += [t for legend in figure.legends for t in legend.get_texts()]
    ticks = []
    for axis in figure.axes:
        outer += [t for t in (axis.title, axis.xaxis.label, axis.yaxis.label) if t.get_text()]
        outer += list(axis.texts)
        ticks += [t for t in (*axis.get_xticklabels(), *axis.get_yticklabels()) if t.get_text()]
    boxes = [t.get_window_extent(renderer) for t in outer]
    for text, box in zip(outer, boxes, strict=True):
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 + 1, text  # noqa: PT018
        assert whole.y0 - 1 <= box.y0 and box.y1 <= whole.y1 + 1, text  # noqa: PT018
    shared = [t.get_window_extent(renderer) for t in figure.texts if t.get_text()]
    for tick in ticks:
        box = tick.get_window_extent(renderer)
        assert box.x0 >= whole.x0
        assert not any(box.overlaps(other) for other in shared), tick


def segments(axis: matplotlib.axes.Axes) -> np.ndarray:
    return np.array([s for c in axis.collections for s in c.get_segments()])  # type: ignore[attr-defined]


def lines_of(axis: matplotlib.axes.Axes) -> list[tuple[float, ...]]:
    return [tuple(np.asarray(line.get_xdata(), dtype=float)) for line in axis.lines]


def test_residuals_are_the_tables():
    fit = fitted("sleepstudy")
    figure = residual_plots(fit, units="ms", title="Sleep")
    left, right = figure.axes
    table = fit.residuals()
    points = left.lines[-1]
    assert np.array_equal(points.get_xdata(), table["fitted"])
    assert np.array_equal(points.get_ydata(), table["residual"])
    assert np.array_equal(right.lines[-1].get_xdata(), table["quantile"])
    assert {"fitted, ms", "residual, ms", "95% band, point by point", "Sleep"} <= set(words(figure))
    nothing_is_cut(figure)


def test_the_band_of_quantiles_holds_95_percent_point_by_point():
    """Of normal residuals 95 % lie inside; see the outliers of the sleep study leave it."""
    inside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"y": rng.normal(size=100), "x": rng.normal(size=100)})
        right = residual_plots(lmm("y ~ x", frame)).axes[1]
        (path,) = right.collections[0].get_paths()
        upper_and_lower = path.vertices
        points = right.lines[-1]
        order = np.argsort(points.get_xdata())
        x, y = points.get_xdata()[order], points.get_ydata()[order]
        low = np.array([upper_and_lower[np.isclose(upper_and_lower[:, 0], v), 1].min() for v in x])
        high = np.array([upper_and_lower[np.isclose(upper_and_lower[:, 0], v), 1].max() for v in x])
        inside.append(float(((low <= y) & (y <= high)).mean()))
        k = 10
        spread = y.std()
        assert low[k] == pytest.approx(
            spread * stats.norm.ppf(stats.beta.ppf(0.025, k + 1, 100 - k))
        )
    # Estimating the mean and spread takes points into the band; they move together.
    assert 0.93 < np.mean(inside) <= 1.0
    right = residual_plots(fitted("sleepstudy")).axes[1]
    vertices = right.collections[0].get_paths()[0].vertices
    assert right.lines[-1].get_ydata().max() > vertices[:, 1].max() + 1


def test_predicted_effects_in_order_with_their_sds():
    fit = fitted("sleepstudy")
    figure = random_effects_plot(fit, units="ms")
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("Subject", "Subject: Days")
    table = fit.effects().query("term == 'Days'").sort_values("value")
    assert np.allclose(second.lines[-1].get_xdata(), table["value"])
    assert [t.get_text() for t in second.get_yticklabels()] == list(table["level"])
    bars = segments(second)[:, :, 0]
    assert np.allclose(bars[:, 0], table["value"] - 1.959964 * table["sd"])
    assert np.allclose(bars[:, 1], table["value"] + 1.959964 * table["sd"])
    assert "predicted effect ±1.96 SD, ms" in words(figure)
    nothing_is_cut(figure)


def test_many_levels_are_counted_not_named():
    fit = fitted("study_medium")
    figure = random_effects_plot(fit, groups=("cell", "run"))
    assert [axis.get_title() for axis in figure.axes] == ["cell", "run (560 levels)"]
    assert not figure.axes[1].get_yticks().size
    assert len(figure.axes[0].get_yticklabels()) == 16
    nothing_is_cut(figure)
    with pytest.raises(StatsError, match="no random term over 'seed'"):
        random_effects_plot(fit, groups=("seed",))
    with pytest.raises(StatsError, match="the fit has no random term"):
        random_effects_plot(lmm("y ~ x", unbalanced()))


def test_profile_intervals():
    found = fitted("sleepstudy").intervals()
    figure = profile_plot(found, units="ms", title="Sleep")
    sds, correlations = figure.axes
    labels = [t.get_text() for t in sds.get_yticklabels()]
    assert labels == ["Subject", "Subject: Days", "Residual"]
    drawn = lines_of(sds)
    for row in found.rows:
        axis_lines = drawn if row.kind == "sd" else lines_of(correlations)
        assert (row.low, row.high) in axis_lines
        assert (row.estimate,) in axis_lines
    assert [t.get_text() for t in correlations.get_yticklabels()] == ["Subject: intercept ~ Days"]
    assert correlations.get_xlim() == (-1.04, 1.04)
    assert "estimate and 95% profile interval" in words(figure)
    nothing_is_cut(figure)


def test_profiles_of_a_fit_are_computed():
    (axis,) = profile_plot(fitted("dyestuff2"), confidence_level=0.9).axes
    found = fitted("dyestuff2").intervals(0.9)
    assert (0.0, found.rows[0].high) in lines_of(axis)
    hollow = [line for line in axis.lines if line.get_markerfacecolor() == "white"]
    assert [tuple(line.get_xdata()) for line in hollow] == [(0.0,)]


def test_an_open_end_is_an_arrow():
    rows = (
        Interval("g", "(Intercept)", "sd", 1.0, 0.2, math.inf),
        Interval("h", "(Intercept)", "sd", 1.0, 0.8, 1.3),
        Interval("Residual", "", "sd", 0.9, 0.8, 1.1),
    )
    (axis,) = profile_plot(Intervals(rows, "", "", 9, 0.95)).axes
    arrows = [line for line in axis.lines if line.get_marker() == ">"]
    assert len(arrows) == 1
    assert axis.get_xlim()[1] < 2


def test_interaction_of_two_factors():
    means = fitted("oats").emm(["Variety", "nitro"])
    figure = interaction_plot(means, units="bushels", title="Oats")
    (axis,) = figure.axes
    assert [t.get_text() for t in axis.get_xticklabels()] == ["0", "0.2", "0.4", "0.6"]
    assert axis.get_xlabel() == "nitro"
    table = means.table()
    for line, variety in zip(axis.lines, ("Golden Rain", "Marvellous", "Victory"), strict=True):
        assert np.allclose(line.get_ydata(), table[table["Variety"] == variety]["mean"])
    ends = segments(axis)[:, :, 1]
    assert np.allclose(np.sort(ends[:, 0]), np.sort(table["ci_low"]))
    assert np.allclose(np.sort(ends[:, 1]), np.sort(table["ci_high"]))
    looks = {(line.get_linestyle(), line.get_marker()) for line in axis.lines}
    assert len(looks) == 3, "lines differ not by colour alone"
    assert {"Variety Victory", "marginal mean, bushels", "Oats"} <= set(words(figure))
    nothing_is_cut(figure)
    (other,) = interaction_plot(means, x="Variety").axes
    assert len(other.lines) == 4


def test_interaction_with_an_empty_cell_and_long_names():
    frame = unbalanced()
    frame["model"] = frame["arm"].map(
        {"arm0": "llama-tiny-instruct-2025", "arm1": "qwen-deep-instruct-2025", "arm2": "moe"}
    )
    frame = frame[~((frame["model"] == "moe") & (frame["b"] == "b1"))]
    fit = lmm("y ~ model * b + (1 | a)", frame, aliased="drop")
    for x in ("model", "b"):
        figure = interaction_plot(fit.emm(["model", "b"]), x=x)
        nothing_is_cut(figure)
        drawn = np.concatenate([line.get_ydata() for line in figure.axes[0].lines])
        assert np.isnan(drawn).sum() == 1
        assert len(segments(figure.axes[0])) == 8


def test_means_of_one_factor_are_one_line():
    figure = interaction_plot(fitted("oats").emm("nitro"))
    assert len(figure.axes[0].lines) == 1
    assert not figure.legends
    nothing_is_cut(figure)


def test_interaction_mistakes():
    frame = unbalanced()
    means = lmm("y ~ arm * b * c", frame, aliased="drop").emm(["arm", "b", "c"])
    with pytest.raises(StatsError, match="the means are over 3 factors"):
        interaction_plot(means)
    two = lmm("y ~ arm * b", frame).emm(["arm", "b"])
    with pytest.raises(StatsError, match="the means are not over 'army'; did you mean 'arm'"):
        interaction_plot(two, x="army")


ROWS = pd.DataFrame(
    [
        ("backbone", "fixed", 3.2, 2.5, 3.9, math.nan),
        ("arm", "fixed", 0.6, 0.2, 0.9, 0.08),
        ("cell:arm", "random", 0.0, 0.0, 0.5, 0.0),
        ("residual", "random", 1.0, 0.97, 1.03, 0.37),
        ("hp draw", "random", 0.4, 0.0, math.inf, 0.004),
    ],
    columns=["component", "kind", "sd", "low", "high", "share"],
)


def test_decomposition():
    figure = decomposition_plot(ROWS, title="Where scores vary")
    (axis,) = figure.axes
    labels = [t.get_text() for t in axis.get_yticklabels()]
    assert labels == ["residual", "hp draw", "cell:arm", "backbone", "arm"]
    assert [t.get_text() for t in axis.texts] == ["37 %", "<1 %", "0 %", "", "8 %", "share"]
    drawn = lines_of(axis)
    assert (2.5, 3.9) in drawn
    assert (0.97, 1.03) in drawn
    assert [line.get_marker() for line in axis.lines].count(">") == 1
    markers = {line.get_marker() for line in axis.lines} - {">", "None", ""}
    assert markers == {"o", "s"}
    assert "standard deviation, points" in words(figure)
    assert "fixed: spread over these levels" in words(figure)
    nothing_is_cut(figure)


def test_decomposition_without_kinds_and_mistakes():
    figure = decomposition_plot(ROWS.drop(columns="kind"), units="logits")
    assert not figure.legends
    assert "standard deviation, logits" in words(figure)
    nothing_is_cut(figure)
    with pytest.raises(StatsError, match="there is no column 'share'"):
        decomposition_plot(ROWS.drop(columns="share"))
    with pytest.raises(StatsError, match="no component to draw"):
        decomposition_plot(ROWS.iloc[:0])


def test_a_fit_draws_itself():
    assert len(fitted("dyestuff").plot_residuals().axes) == 2


def test_figures_change_no_global_state():
    before = dict(matplotlib.rcParams)
    residual_plots(fitted("dyestuff"))
    random_effects_plot(fitted("dyestuff"))
    decomposition_plot(ROWS)
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_importing_the_module_loads_no_plotting_library():
    code = (
        "import sys, stats.figures.mixed; "
        "print([m for m in sys.modules if m in ('matplotlib', 'seaborn', 'pandas')])"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
