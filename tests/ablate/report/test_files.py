import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablate.errors import AblateError
from ablate.report import Findings, ReportFiles, write_report
from ablate.report.files import json_bytes, tidy_csv, write_bytes
from tests.ablate.report.reading import Outline
from tests.ablate.simulated import simulate


@pytest.fixture(scope="module")
def written(clean: Findings, tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return write_report(clean, tmp_path_factory.mktemp("report") / "new" / "folder")


def test_every_file_is_there_and_no_other(written: ReportFiles):
    folder = written.html.parent
    assert {path.name for path in written.all()} == {path.name for path in folder.iterdir()}
    assert {path.stem for path in written.pictures} == {
        "primary", "forest", "heatmap", "pairs", "retention",
    }  # fmt: skip
    for path in written.pictures:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_page_loads_nothing(written: ReportFiles):
    page = written.html.read_text(encoding="utf-8")
    outline = Outline(page)
    assert outline.loads
    assert all(source.startswith("data:image/png;base64,") for source in outline.loads)
    assert not {"script", "link", "iframe", "object"} & set(outline.tags)
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_page_is_well_formed_and_reachable(written: ReportFiles):
    page = written.html.read_text(encoding="utf-8")
    outline = Outline(page)
    assert outline.open == []
    assert {anchor[1:] for anchor in outline.anchors} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert len(outline.alts) == outline.tags.count("img")
    assert all(outline.alts)
    assert 'lang="en"' in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_json_is_strict_and_complete(written: ReportFiles, clean: Findings):
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    data = json.loads(written.json.read_text(encoding="utf-8"), parse_constant=refuse)
    assert len(data["sections"]["real"]["main"]["cells"]) == 72
    assert len(data["sections"]["cost"]["retention"]["cells"]) == 18
    assert data["design"]["axes"] == {name: list(levels) for name, levels in clean.axes.items()}
    assert [arm["name"] for arm in data["design"]["arms"]] == [arm.name for arm in clean.arms]
    assert data["provenance"]["torch"] == "2.13.0"
    first, effect = data["sections"]["real"]["main"]["cells"][0], clean.main.cells[0]
    assert (first["delta"], first["verdict"]) == (effect.delta, str(effect.verdict))


def test_json_turns_what_is_not_finite_into_null():
    data = {"a": math.nan, "b": [np.float64("inf"), np.int64(3)], "c": (True, None, "x")}
    assert json.loads(json_bytes(data)) == {"a": None, "b": [None, 3], "c": [True, None, "x"]}


def test_results_csv_reads_back_bit_for_bit(written: ReportFiles, clean: Findings):
    raw = written.results.read_bytes()
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    rows = list(csv.DictReader(io.StringIO(raw.decode())))
    assert list(rows[0]) == list(clean.results.columns)
    assert len(rows) == len(clean.results)
    key = ["backbone", "arm", "hp", "seed", "benchmark"]
    keys = [tuple(row[name] for name in key) for row in rows]
    assert keys == sorted(keys)
    scores = {(r["run_key"], r["benchmark"]): r["loglik"] for r in clean.results.to_dict("records")}
    assert all(float(row["loglik"]) == scores[row["run_key"], row["benchmark"]] for row in rows)


def test_results_csv_does_not_depend_on_the_order_of_rows(troubled: Findings):
    frame = troubled.results
    expected = tidy_csv(frame)
    for seed in range(3):
        shuffled = frame.sample(frac=1, random_state=np.random.default_rng(seed))
        assert tidy_csv(shuffled) == expected
    changed = frame.copy()
    changed.loc[0, "score"] = np.nextafter(changed.loc[0, "score"], 1)
    assert tidy_csv(changed) != expected, "the last bit counts"


def test_csv_seeds_sort_as_numbers_and_integers_stay_integers():
    frame = pd.DataFrame(
        {"backbone": "b", "arm": "a", "hp": 0, "seed": [10.0, 9.0], "benchmark": "x",
         "n_items": [500.0, np.nan], "score": [0.5, np.nan]}
    )  # fmt: skip
    assert tidy_csv(frame).decode().splitlines()[1:] == ["b,a,0,9,x,,", "b,a,0,10,x,500,0.5"]


def test_items_are_all_there(written: ReportFiles, clean: Findings):
    frame = pd.read_parquet(written.items)
    assert list(frame.columns) == ["run_key", "benchmark", "item", "correct", "loglik"]
    assert (frame["correct"].to_numpy() == clean.items["correct"].to_numpy()).all()
    assert (frame["loglik"].to_numpy() == clean.items["loglik"].to_numpy()).all()
    assert str(frame["loglik"].dtype) == "float32"
    one = clean.results.iloc[0]
    mine = frame[(frame["run_key"] == one["run_key"]) & (frame["benchmark"] == one["benchmark"])]
    assert mine["correct"].mean() == one["score"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "report.json"
    write_bytes(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("ablate.report.files.os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path):
    (tmp_path / "taken").write_text("a file")
    tiny = simulate(axes={"memory": ("16",)}, benchmarks=("code",), retention=(), n_items=20)
    with pytest.raises(AblateError, match="cannot write the report"):
        write_report(tiny, tmp_path / "taken")
