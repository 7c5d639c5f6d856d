"""The long table: what is accepted, and one sentence for everything that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stats.errors import StatsError, nearest
from stats.table import PairedTable, read_table
from tests.stats.tables import frame, write

ARMS = {"lora": 0.0, "talan": 1.0}


def test_scores_are_an_array_of_arms_pairs_cells_in_reported_units() -> None:
    table = PairedTable.from_frame(frame(ARMS, seeds=11), percent=True)
    scores = table.scores()
    assert scores.values.shape == (2, 22, 4)
    assert scores.pairs[2] == ("deep", "2")
    assert scores.pairs[10] == ("deep", "10")  # natural order, not text order
    assert scores.cells[0] == ("deep", "algebra")
    assert scores.present.sum() == 2 * 22 * 2
    row = table.frame.iloc[0]
    assert scores.values[0, 0, 0] == row["score"] * 100
    assert table.groups == ("backbone",)
    assert table.units == "points"


def test_order_of_rows_does_not_matter() -> None:
    data = frame(ARMS)
    one = PairedTable.from_frame(data).scores()
    shuffled = data[data["arm"] == "lora"]
    shuffled = pd.concat([shuffled[::-1], data[data["arm"] != "lora"].sample(frac=1)])
    two = PairedTable.from_frame(shuffled).scores()
    assert (one.pairs, one.cells, one.arms) == (two.pairs, two.cells, two.arms)
    assert np.array_equal(one.values, two.values, equal_nan=True)


def test_a_seed_column_that_became_float_stays_the_same_pair() -> None:
    data = frame(ARMS)
    assert (
        PairedTable.from_frame(data.assign(seed=data["seed"].astype(float))).scores().pairs
        == PairedTable.from_frame(data).scores().pairs
    )


def test_no_cell_columns_means_one_cell() -> None:
    table = PairedTable.from_frame(frame(ARMS, benchmarks=["x"]), cell=())
    assert table.scores().cells == ((),)


def _drop(data: pd.DataFrame) -> pd.DataFrame:
    return data.drop(index=5)


def _set(row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(data: pd.DataFrame) -> pd.DataFrame:
        data = data.assign(score=data["score"].astype(object))
        data.loc[row, "score"] = value
        return data

    return change


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda d: d.rename(columns={"score": "scores"}), {}, "did you mean 'scores'?"),
        (lambda d: d, {"cell": ("bacbone",)}, "no column 'bacbone' (asked for as cell)"),
        (lambda d: d, {"arm": "seed", "pair": ("seed",)}, "cannot be arm or score and something"),
        (lambda d: d, {"pair": ()}, "no column identifies a pair"),
        (lambda d: pd.concat([d, d.iloc[[3]]]), {}, "rows 4 and 49: arm=talan, backbone=deep"),
        (lambda d: d, {"cell": ()}, "appears more than once; one row per arm, pair and cell"),
        (_set(4, "good"), {}, "column 'score', row 5: 'good' is not a number"),
        (_set(4, [1.0]), {}, "row 5: '[1.0]' is not a number"),
        (_set(4, np.inf), {}, "row 5: the score is infinite"),
        (_set(4, np.nan), {}, "row 5: the score is missing; allow failed runs"),
        (_set(4, ""), {}, "row 5: the score is missing"),
        (lambda d: d[d["arm"] == "lora"], {}, "there is only one arm, 'lora'"),
        (lambda d: d, {"required_arms": ["dora"]}, "there is no arm 'dora'; did you mean 'lora'?"),
        (lambda d: d.iloc[:0], {}, "the table holds no rows"),
        (lambda d: d.assign(seed=d["seed"].where(d.index != 7)), {}, "'seed', row 8: the label is"),
        (
            _drop,
            {},
            "arm 'talan' has no row for pair backbone=deep, seed=1 in cell backbone=deep, "
            "benchmark=algebra, which arm 'lora' has (gaps in all: 1)",
        ),
    ],
)
def test_refusals(
    change: Callable[[pd.DataFrame], pd.DataFrame], arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(StatsError) as caught:
        PairedTable.from_frame(change(frame(ARMS)), **arguments)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_failed_runs_are_allowed_on_request() -> None:
    data = _drop(_set(1, np.nan)(frame(ARMS)))
    scores = PairedTable.from_frame(data, allow_failed=True).scores()
    assert np.isnan(scores.values[scores.present]).sum() == 1
    assert (scores.present.sum(), 2 * 12 * 2) == (47, 48)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_table(tmp_path: Path, suffix: str) -> None:
    data = frame(ARMS)
    path = tmp_path / f"results{suffix}"
    if suffix == ".jsonl":
        data.to_json(path, orient="records", lines=True, double_precision=15)
    elif suffix == ".parquet":
        data.to_parquet(path)
    else:
        data.to_csv(path, index=False, sep="," if suffix == ".csv" else "\t")
    read = PairedTable.from_frame(read_table(path)).scores()
    made = PairedTable.from_frame(data).scores()
    assert read.pairs == made.pairs
    assert read.values == pytest.approx(made.values, abs=1e-12, nan_ok=True)


def test_labels_in_a_csv_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("arm,seed,score\nNone,010,1\nNone,10,2\nNA,010,3\nNA,10,4.5\n")
    scores = PairedTable.from_frame(read_table(path), pair=["seed"], cell=[]).scores()
    assert scores.arms == ("None", "NA")
    assert set(scores.pairs) == {("010",), ("10",)}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("r.csv", "", "is empty"),
        ("r.csv", "arm,score\n", "holds no rows"),
        ("r.csv", "arm,arm\n1,2\n", "line 1: column 'arm' appears twice"),
        ("r.csv", "arm,score\na,1\nb,2,3\n", "line 3: 3 fields where the header has 2"),
        ("r.csv", 'arm,score\n"a,1\n', "malformed"),
        ("r.jsonl", '{"arm": "a"}\n{"arm": \n', "line 2: is not JSON"),
        ("r.jsonl", "[1, 2]\n", "line 1: holds a list, not an object"),
        ("r.parquet", "no parquet", "is malformed"),
        ("r.xlsx", "", "cannot read the suffix '.xlsx'; use one of .csv"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(StatsError) as caught:
        read_table(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_names_a_neighbour(tmp_path: Path) -> None:
    write(frame(ARMS), tmp_path / "results.csv")
    with pytest.raises(StatsError, match=r"no such file; did you mean 'results\.csv'"):
        read_table(tmp_path / "result.csv")
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(StatsError, match="is a folder"):
        read_table(tmp_path / "x.csv")


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b"arm,score\n\xff\xfe,1\n")
    with pytest.raises(StatsError, match="UTF-8"):
        read_table(tmp_path / "r.csv")


def test_error_shape() -> None:
    error = StatsError("is odd", place="here", value=3, hint="try even")
    assert (str(error), error.value) == ("here: is odd; try even", 3)
    assert str(StatsError("is odd")) == "is odd"
    assert nearest("memroy", ["memory", "mixer"]) == "did you mean 'memory'? known: memory, mixer"
    assert nearest("zzz", ["memory"]) == "known: memory"
