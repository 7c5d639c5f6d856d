"""A fraction of six axes: 33 arms in 8 cells must stay readable and quick."""

import re
import time

import pytest

from ablate.report import Findings, ReportFiles, write_report
from ablate.report.figures import heatmap, pairs_shown
from tests.ablate.report.reading import printed
from tests.ablate.simulated import simulate


@pytest.fixture(scope="module")
def large() -> Findings:
    axes = {name: (f"{name}1", f"{name}2") for name in "abcde"}
    return simulate(axes=axes, n_items=40, n_resamples=500)


@pytest.fixture(scope="module")
def timed(large: Findings, tmp_path_factory) -> tuple[ReportFiles, float]:
    begin = time.process_time()
    files = write_report(large, tmp_path_factory.mktemp("large"))
    return files, time.process_time() - begin


def test_it_is_written_in_time(timed):
    assert timed[1] < 15


def test_its_cells_are_folded_and_complete(timed, large: Findings):
    html = timed[0].html.read_text(encoding="utf-8")
    assert len(large.main.cells) == 256
    assert html.count("<details><summary>llama-tiny × ") == 4 + 1
    assert html.count('<svg class="bar') == 256 + 6 + 64 + 6


def test_pictures_show_means_not_33_arms(timed, large: Findings):
    assert {path.stem for path in timed[0].pictures} == {"primary", "heatmap", "pairs"}
    labels = [text.get_text() for text in heatmap(large).axes[0].get_yticklabels()]
    assert labels == [
        f"{axis} {level}, mean" for axis, both in large.axes.items() for level in both
    ]


def test_the_mean_line_is_the_mean_of_the_design_points(large: Findings):
    table, shown = pairs_shown(large, crowded=True)
    assert shown == ["lora", "lora + mean of 32", "lora+talan/a=a1/b=b1/c=c1/d=d1/e=e1"]
    scores = table.scores()
    cell, pair = scores.cells.index(("llama-tiny", "code")), 0
    at = dict(zip(table.pair, scores.pairs[pair], strict=True))
    frame = large.results
    mine = frame[
        (frame["backbone"] == at["backbone"])
        & (frame["seed"] == int(at["seed"]))
        & (frame["benchmark"] == "code")
        & (frame["arm"] != "lora")
    ]
    assert len(mine) == 32
    value = scores.values[scores.arms.index(shown[1]), pair, cell]
    assert value == pytest.approx(100 * mine["score"].mean())


def test_the_terminal_counts_the_cells(large: Findings):
    text = printed(large)
    assert re.search(r"llama-tiny × code: \d+ ", text)
    assert "a1 · b1" not in text.split("Is it the mechanism ─")[0].split("Is it real ─")[1]
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) < 200
