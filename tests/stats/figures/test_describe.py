"""Figures of descriptions show what the results hold, and change nothing else."""

from __future__ import annotations

import sys
from subprocess import run

import matplotlib
import numpy as np
import pytest

from stats.describe.best_of_n import best_of_n
from stats.describe.profiles import Profile, performance_profile
from stats.describe.running_best import running_best
from stats.errors import StatsError
from stats.figures.describe import budget_plot, component_plot, profile_plot
from stats.items.twoway import two_way
from stats.table import PairedTable
from tests.stats.describe.test_budget import searches, trials
from tests.stats.items.outcomes import binary, table
from tests.stats.tables import frame


@pytest.fixture(scope="module")
def profile() -> Profile:
    made = PairedTable.from_frame(frame({"lora": 0.0, "talan": 1.0}))
    return performance_profile(made, "talan", "lora", n_resamples=199)


def legend_texts(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_profile_plot_draws_both_arms_and_their_difference(profile: Profile) -> None:
    figure = profile_plot(profile, title="Profiles", label=str.upper)
    left, right = figure.axes
    base, arm = left.lines
    assert np.array_equal(base.get_ydata(), profile.baseline_share)
    assert np.array_equal(arm.get_ydata(), profile.arm_share)
    assert base.get_linestyle() != arm.get_linestyle()
    assert base.get_marker() != arm.get_marker()
    assert np.array_equal(right.lines[1].get_ydata(), profile.delta)
    assert legend_texts(figure) == ["95% band, point by point", "LORA", "TALAN"]
    assert {"Profiles", "threshold, score units"} <= {t.get_text() for t in figure.texts}
    assert (len(left.collections), len(right.collections)) == (2, 1)


def test_budget_plot_has_a_curve_per_arm_and_a_panel_of_differences() -> None:
    curve = best_of_n(
        trials(30, ("lora", "dora", "talan")), sampler="random", baseline="lora", n_resamples=99
    )
    figure = budget_plot(curve)
    best, minus = figure.axes
    thick = [line for line in best.lines if line.get_linewidth() > 1]
    assert [line.get_label() for line in thick] == ["lora", "dora", "talan"]
    expected = [p.expected for p in curve.points if p.arm == "dora"]
    assert thick[1].get_ydata().tolist() == expected
    assert len({(line.get_linestyle(), line.get_marker()) for line in thick}) == 3
    assert len([line for line in minus.lines if line.get_linewidth() > 1]) == 2
    assert minus.get_title() == "minus lora"
    low, high = best.get_ylim()
    assert low < min(p.expected for p in curve.points)
    assert high > max(p.expected for p in curve.points)
    assert best.get_xscale() == "log"


def test_budget_plot_of_searches_and_of_undefined_bands() -> None:
    figure = budget_plot(running_best(searches(length=6)))
    (axis,) = figure.axes
    assert axis.get_title() == "best score so far"
    assert axis.get_xscale() == "linear"
    flat = budget_plot(best_of_n(trials(10).assign(score=1.0), sampler="random", n_resamples=99))
    assert np.isfinite(flat.axes[0].get_ylim()).all()


def test_component_plot_marks_negative_estimates_hollow() -> None:
    result = two_way(table(binary(seeds=5, items=40), percent=True), "talan", "lora")
    (axis,) = component_plot(result).axes
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["seed", "item", "seed x item"]
    for dot, part in zip(dots, result.components, strict=True):
        assert dot.get_xdata()[0] == part.sd
        assert (dot.get_markerfacecolor() == "white") == (part.raw <= 0)
    same = np.stack([np.ones((3, 4))] * 2)
    with pytest.raises(StatsError, match="the differences do not vary"):
        component_plot(two_way(table(same), "talan", "lora"))


def test_figures_change_no_global_state(profile: Profile) -> None:
    before = dict(matplotlib.rcParams)
    profile_plot(profile)
    budget_plot(running_best(searches()))
    assert dict(matplotlib.rcParams) == before


def test_importing_loads_no_plotting_library_and_no_pandas() -> None:
    code = (
        "import sys, stats.figures.describe, stats.describe.best_of_n, stats.describe.iqm, "
        "stats.describe.improvement, stats.describe.profiles, stats.describe.running_best, "
        "stats.items.twoway, stats.items.pigeonhole, stats.items.checkpoints; "
        "print([m for m in sys.modules if m in "
        "('matplotlib', 'seaborn', 'pandas', 'statsmodels')])"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
