"""The item table: full crossing, and one sentence for everything that is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from stats.errors import StatsError
from stats.items.table import ItemTable
from tests.stats.items.outcomes import binary, long, table


def test_differences_are_seeds_by_items_in_natural_order() -> None:
    values = binary(seeds=11, items=12)
    d = table(values).differences("talan", "lora")
    assert d.values.shape == (11, 12)
    assert (d.pairs[2], d.pairs[10]) == (("2",), ("10",))
    assert d.columns[:3] == ("0", "1", "2")
    assert np.array_equal(d.values, values[1] - values[0])
    assert np.array_equal(
        table(values, percent=True).differences("talan", "lora").values, 100 * d.values
    )


def test_order_of_rows_does_not_matter() -> None:
    frame = long(binary())
    shuffled = pd.concat([frame.head(1), frame.iloc[1:].sample(frac=1, random_state=1)])
    one, two = ItemTable.from_frame(frame), ItemTable.from_frame(shuffled)
    assert (one.pairs, one.items, one.arms) == (two.pairs, two.items, two.arms)
    assert np.array_equal(one.values, two.values)


def test_a_cell_is_picked_and_truth_is_read_as_text_or_bool() -> None:
    frame = long(binary())
    other = long(binary(rng=1))
    both = pd.concat([frame.assign(benchmark="a"), other.assign(benchmark="b")])
    both["correct"] = both["correct"] == 1
    picked = ItemTable.from_frame(both, cell={"benchmark": "b"})
    assert np.array_equal(picked.values, ItemTable.from_frame(other).values)
    as_text = both.assign(correct=both["correct"].map(str))
    again = ItemTable.from_frame(as_text, cell={"benchmark": "b"})
    assert np.array_equal(picked.values, again.values)
    assert picked.differences("talan", "lora").place == "talan minus lora, in benchmark=b"


def _set(row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.assign(correct=frame["correct"].astype(object))
        frame.loc[row, "correct"] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda f: f.drop(index=7), {}, "arm 'lora' has no row for pair seed=0, item 7 (1 of 360"),
        (lambda f: f[~((f["arm"] == "talan") & (f["item"] == 3))], {}, "item 3 (6 of 360 rows are"),
        (
            lambda f: f[~((f["arm"] == "talan") & (f["seed"] == 3))],
            {},
            "pair seed=3, item 0 (30 of",
        ),
        (lambda f: pd.concat([f, f.iloc[[3]]]), {}, "rows 4 and 361: arm=lora, seed=0, item=3 app"),
        (lambda f: pd.concat([f, f]), {}, "pick a cell (cell={'benchmark': ...})"),
        (_set(4, "maybe"), {}, "column 'correct', row 5: 'maybe' is not a number"),
        (_set(4, np.nan), {}, "row 5: the score is missing; score the item, or drop it"),
        (_set(4, np.inf), {}, "row 5: the score is infinite"),
        (lambda f: f, {"item": "itm"}, "no column 'itm' (asked for as item); did you mean 'item'?"),
        (lambda f: f, {"cluster": "item"}, "column 'item' cannot be arm or item or outcome or clu"),
        (lambda f: f, {"pair": ()}, "no column identifies a pair"),
        (lambda f: f[f["arm"] == "lora"], {}, "there is only one arm, 'lora'"),
        (lambda f: f.iloc[:0], {}, "the table holds no rows"),
        (
            lambda f: f.assign(b="x"),
            {"cell": {"b": "y"}},
            "column 'b': there is no b 'y'; known: x",
        ),
        (
            lambda f: f.assign(passage=np.arange(len(f)) % 4),
            {"cluster": "passage"},
            "item 0 lies in clusters '0' and '2'; an item belongs to one cluster",
        ),
    ],
)
def test_refusals(
    change: Callable[[pd.DataFrame], pd.DataFrame], arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(StatsError) as caught:
        ItemTable.from_frame(change(long(binary())), **arguments)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_arms_and_an_arm_against_itself() -> None:
    made = table(binary())
    with pytest.raises(StatsError, match="there is no arm 'talen'; did you mean 'talan'"):
        made.differences("talen", "lora")
    with pytest.raises(StatsError, match="cannot be compared with itself"):
        made.differences("lora", "lora")
