"""What columns are taken for, and when that is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stats.errors import StatsError
from stats.reading import read_table
from stats.report.names import shared_part, without
from stats.report.roles import Given, PairedRoles, RepeatedRoles, find_roles
from tests.stats.tables import frame

HISTORY = Path(__file__).parents[4] / "shared" / "data" / "peft_metamath_history.csv"


def repeated(entry: str = "thing", occasion: str = "when", score: str = "result") -> pd.DataFrame:
    g = np.random.default_rng(0)
    rows = [
        (f"cfg{i}", f"v{j}", round(60 + i + g.normal(), 3))
        for i in range(8)
        for j in range(3)
        if (i + j) % 4
    ]
    return pd.DataFrame(rows, columns=[entry, occasion, score])


def paired(roles: PairedRoles | RepeatedRoles) -> PairedRoles:
    assert isinstance(roles, PairedRoles)
    return roles


def single(roles: PairedRoles | RepeatedRoles) -> RepeatedRoles:
    assert isinstance(roles, RepeatedRoles)
    return roles


def test_the_usual_names_need_no_options():
    roles = paired(find_roles(frame({"lora": 0.0, "talan": 1.0}), Given()))
    assert (roles.arm, roles.baselines, roles.score) == ("arm", ("lora",), "score")
    assert (roles.pair, roles.cell) == (("backbone", "seed"), ("backbone", "benchmark"))
    assert (roles.backbone, roles.benchmark, roles.hp, roles.seed) == (
        "backbone", "benchmark", "", ("seed",),
    )  # fmt: skip
    assert not roles.percent
    assert any("'lora' is the baseline" in text for text in roles.guesses)


def test_csv_text_is_read_like_numbers():
    table = frame({"lora": 0.0, "talan": 1.0}).astype(str)
    assert find_roles(table, Given()) == find_roles(frame({"lora": 0.0, "talan": 1.0}), Given())


def test_other_names_and_what_is_left_over():
    table = frame({"base": 0.0, "new": 1.0}).rename(
        columns={"arm": "Method", "backbone": "model", "benchmark": "task", "score": "Accuracy"}
    )
    roles = paired(find_roles(table, Given()))
    assert (roles.arm, roles.backbone, roles.benchmark) == ("Method", "model", "task")
    assert (roles.score, roles.baselines) == ("Accuracy", ("base",))
    alone = table.rename(columns={"Method": "recipe"})
    assert paired(find_roles(alone, Given())).arm == "recipe"


def test_a_model_is_the_arm_where_nothing_else_can_be():
    table = frame({"reference": 0.0, "new": 1.0}, backbones=["x"], benchmarks=["y"])
    table = table[["arm", "seed", "score"]].rename(columns={"arm": "model"})
    roles = paired(find_roles(table, Given()))
    assert (roles.arm, roles.pair, roles.cell) == ("model", ("seed",), ())


def test_axes_are_columns_that_do_not_vary_within_an_arm():
    table = frame({"lora": 0.0, "e1": 1.0, "e2": 1.0, "l1": 0.0, "l2": 0.0})
    table["site"] = table["arm"].str[0].replace("l", "late").where(table["arm"] != "lora", "")
    table["slots"] = table["arm"].str[1:].where(table["arm"] != "lora", "")
    table["run"] = range(len(table))
    assert paired(find_roles(table, Given())).axes == ("site", "slots")
    assert paired(find_roles(table, Given(axes=("slots",)))).axes == ("slots",)


def test_hyperparameter_draws_are_part_of_the_pair():
    table = frame({"lora": 0.0, "talan": 1.0}).assign(hp="0")
    roles = paired(find_roles(table, Given()))
    assert (roles.hp, roles.pair) == ("hp", ("backbone", "hp", "seed"))
    roles = paired(find_roles(table, Given(pair=("backbone", "seed"))))
    assert (roles.hp, roles.seed) == ("", ("seed",))


def test_several_baselines():
    table = frame({"lora": 0.0, "dora": 0.0, "talan": 1.0})
    assert paired(find_roles(table, Given(baselines=("dora", "lora")))).baselines == (
        "dora", "lora",
    )  # fmt: skip


def test_repeated_runs_by_name_and_by_shape():
    roles = single(find_roles(repeated("config", "campaign"), Given()))
    assert (roles.entry, roles.occasion, roles.score) == ("config", "campaign", "result")
    roles = single(find_roles(repeated(), Given()))
    assert (roles.entry, roles.occasion) == ("thing", "when")
    # The order of the columns does not matter; that entries repeat more often does.
    flipped = repeated()[["when", "result", "thing"]]
    assert single(find_roles(flipped, Given())).entry == "thing"
    assert single(find_roles(repeated(), Given(entry="when"))).occasion == "thing"


def test_fractions_are_points_and_said_to_be():
    table = repeated().assign(result=lambda t: t["result"] / 100)
    roles = single(find_roles(table, Given()))
    assert roles.percent
    assert any("reported in points" in text for text in roles.guesses)
    assert not single(find_roles(table, Given(percent=False))).percent
    assert not single(find_roles(repeated(), Given())).percent
    zeros = table.assign(result=0.0)
    assert not single(find_roles(zeros, Given(score="result"))).percent


def test_a_sesoi_on_fractions_needs_its_unit_said():
    table = frame({"lora": 0.0, "talan": 1.0})
    table["score"] /= 100
    with pytest.raises(StatsError, match="is not clear; say --percent"):
        find_roles(table, Given(sesoi=0.5))
    assert paired(find_roles(table, Given(sesoi=0.5, percent=True))).percent


@pytest.mark.parametrize(
    ("table", "given", "words"),
    [
        (frame({"x": 0.0, "y": 1.0}), Given(), "the arms are x, y; say --baseline"),
        (frame({"base": 0.0, "lora": 1.0}), Given(), "which arm is the baseline is not clear"),
        (frame({"lora": 0.0, "y": 1.0}), Given(baselines=("lorra",)), "did you mean 'lora'"),
        (frame({"lora": 0.0, "y": 1.0}), Given(baselines=("y", "lora")), "every arm is a baseline"),
        (frame({"lora": 0.0, "y": 1.0}), Given(arm="Arm"), "no column 'Arm'; did you mean 'arm'"),
        (frame({"lora": 0.0, "y": 1.0}), Given(arm="arm", entry="arm"), "for repeated single runs"),
        (repeated()[["thing", "result"]], Given(), "neither paired runs nor repeated single runs"),
        (repeated()[["thing", "when"]], Given(), "no column holds scores; found thing (8 levels)"),
        (
            repeated().assign(loss=0.5, other=1.5),
            Given(),
            "several columns may be the score: result, loss, other; say which: --score result",
        ),
        (
            repeated("config", "campaign").query("campaign == 'v1'"),
            Given(),
            "an entry that was run on several occasions",
        ),
    ],
)
def test_refusals(table: pd.DataFrame, given: Given, words: str):
    with pytest.raises(StatsError) as error:
        find_roles(table, given)
    assert words in str(error.value)


def test_the_shared_part_of_names():
    names = ["lora--llama-3.2-3B-rank32", "vera--llama-3.2-3B-default", "oft--llama-3.2-3B-rank32"]
    part = shared_part(names)
    assert part == "--llama-3.2-3B-"
    assert without(names[0], part) == "lora rank32"
    assert shared_part(["lora-r8", "lora-r16", "lora-r32"]) == ""  # a start is no inner part
    assert shared_part(["a--same--x", "a--same--x2"]) == ""  # too few to call it shared
    assert without("lora", "") == "lora"


@pytest.mark.skipif(not HISTORY.is_file(), reason=f"{HISTORY} is not here")
def test_the_published_comparison_needs_no_options():
    roles = single(find_roles(read_table(HISTORY), Given()))
    assert (roles.entry, roles.occasion, roles.score) == ("config", "campaign", "gsm8k_accuracy")
    assert roles.percent
