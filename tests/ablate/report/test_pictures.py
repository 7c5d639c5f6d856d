import numpy as np

from ablate.report import Findings
from ablate.report.figures import heatmap
from tests.ablate.simulated import simulate


def test_the_heat_map_shows_levels_above_arms(clean: Findings):
    axis = heatmap(clean).axes[0]
    labels = [t.get_text() for t in axis.get_yticklabels()]
    assert labels[:6] == [
        f"{axis_name} {level}, mean" for axis_name, levels in clean.axes.items() for level in levels
    ]
    assert labels[6:] == [arm.label for arm in clean.arms[1:]]
    numbers = np.array([float(t.get_text().split()[0]) for t in axis.texts]).reshape(15, 8)
    early = [i for i, arm in enumerate(clean.arms[1:]) if arm.levels["insertion"] == "early"]
    assert np.allclose(numbers[0], numbers[6:][early].mean(axis=0), atol=0.11)


def test_one_axis_needs_no_means_of_levels():
    findings = simulate(axes={"memory": ("16", "1")}, benchmarks=("code",), n_items=50)
    labels = [t.get_text() for t in heatmap(findings).axes[0].get_yticklabels()]
    assert labels == ["16", "1"]
