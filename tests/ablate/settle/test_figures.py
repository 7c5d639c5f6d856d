"""The figures of a settled claim, drawn once from simulated scores."""

import itertools

import numpy as np
import pandas as pd
import pytest

from ablate.report.picture import make_picture
from ablate.settle.figures import MARKS, small_study_strips, verdict_map
from stats.contrast import Contrast
from stats.gatekeeping.gatekeep import gatekeep
from stats.gatekeeping.small_studies import small_studies
from stats.table import PairedTable

CONTRAST = Contrast("lora", {"lora+m": 1.0, "lora": -1.0})


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    rows = []
    for b, seed, j in itertools.product(("deep", "tiny"), range(8), ("x", "y")):
        base = rng.normal(50, 2)
        rows += [
            ("lora", b, seed, j, base),
            ("lora+m", b, seed, j, base + rng.normal(4 * (b == "deep"), 1)),
        ]
    names = ["arm", "backbone", "seed", "benchmark", "score"]
    return PairedTable.from_frame(pd.DataFrame(rows, columns=names))


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_the_map_has_a_box_with_mark_and_difference_for_every_claim(table):
    kept = gatekeep(table, [CONTRAST], n_resamples=400)
    figure = verdict_map(kept)
    boxes = texts(figure)
    assert len(boxes) == len(kept.gates) == 7
    for gate in kept.gates:
        assert any(box.startswith(MARKS[gate.verdict]) for box in boxes)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "all cells", "deep", "tiny",
    ]  # fmt: skip
    assert make_picture("map", figure, "alt", "caption").png.startswith(b"\x89PNG")


def test_the_strips_tell_what_each_size_would_have_claimed(table):
    found = small_studies(table, CONTRAST)
    figure = small_study_strips([found])
    assert len(texts(figure)) == 3
    assert any(f"gain claimed in {found.average(3).gain:.0%}" in text for text in texts(figure))
    assert make_picture("strips", figure, "alt", "caption").png.startswith(b"\x89PNG")
