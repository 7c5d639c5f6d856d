import pandas as pd
import pytest

from ablate.plan import make_plan
from studies.cells import cell_table, page, time_table, two_arms
from tests.ablate.toys import make_toys


def results(scores):
    """Rows of two arms and four seeds in one cell, plus the unadapted score."""
    rows = [
        {"backbone": "qwen3-tiny", "benchmark": "code", "arm": arm, "seed": seed, "score": score}
        for arm, values in scores.items()
        for seed, score in enumerate(values)
    ]
    unadapted = pd.DataFrame([{"backbone": "qwen3-tiny", "benchmark": "code", "score": 0.3}])
    return pd.DataFrame(rows), unadapted


@pytest.mark.parametrize(
    ("lora", "block", "useful"),
    [
        ((0.50, 0.52, 0.54, 0.56), (0.51, 0.52, 0.53, 0.58), True),
        ((0.20, 0.22, 0.24, 0.26), (0.21, 0.22, 0.23, 0.28), False),  # below the unadapted score
        ((0.90, 0.92, 0.94, 0.96), (0.91, 0.92, 0.93, 0.98), False),  # above the band
        ((0.50, 0.52, 0.54, 0.56), (0.40, 0.60, 0.45, 0.70), False),  # differences vary too much
    ],
)
def test_a_cell_is_useful_in_the_band_above_the_start_with_steady_differences(lora, block, useful):
    (row,) = cell_table(*results({"lora": lora, "lora+talan": block})).itertuples()
    assert row.useful == useful
    assert row.after == pytest.approx(100 * sum(lora) / 4)
    differences = pd.Series(block) - pd.Series(lora)
    assert row.sd_difference == pytest.approx(100 * differences.std())
    assert row.n == 4


def test_the_page_counts_main_cells_and_lists_times():
    table = cell_table(*results({"lora": (0.5, 0.52), "lora+talan": (0.51, 0.52)}))
    costs = pd.DataFrame(
        {
            "backbone": ["qwen3-tiny"] * 4,
            "block_parameters": [0, 0, 9, 9],
            "train_seconds": [1.0, 3.0, 4.0, 6.0],
            "eval_seconds": [1.0, 1.0, 2.0, 2.0],
        }
    )
    text = page(table, time_table(costs), "command", "here")
    assert "**1 of 1 main cells are useful**" in text
    assert "| qwen3-tiny | 2.0 | 1.0 | 5.0 | 2.0 |" in text


def test_only_the_baseline_and_the_default_point_are_run(tmp_path):
    plan = two_arms(make_plan(make_toys(tmp_path).study(levels__memory="16,1,2")))
    names = {run.arm.name for run in plan.runs}
    assert names == {"unadapted", "lora", "lora+talan/memory=16"}
