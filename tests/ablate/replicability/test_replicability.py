"""How far an effect replicates: planted effects, a null, and the claim against every control."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from ablate.collect import Tables
from ablate.parse import read_overrides
from ablate.plan import make_plan
from ablate.replicability import mechanism_panel, panel
from ablate.replicability.cells import replicated_contrasts
from ablate.replicability.controls import claims
from ablate.report.files import json_bytes
from ablate.study import load_study
from stats.layout import columns
from stats.verdict import Verdict

STUDY = (
    "axes=memory", "levels.memory=16,1", "backbones=qwen3-tiny,qwen2-tiny,llama-tiny", "seeds=8",
    "benchmarks=arithmetic,code", "controls=yes",
)  # fmt: skip


def a_plan(*arguments):
    return make_plan(load_study(read_overrides(arguments)))


def made(plan, *, gain=lambda arm, backbone, benchmark: 0.0, lost=lambda run: False, rng=0):
    """Tables of a plan: what pairs share, half a point of noise of each run's own, the gain."""
    g = np.random.default_rng(rng)
    shared, rows = {}, []
    for run in plan.runs:
        if run.arm.name == "unadapted":
            continue
        luck = shared.setdefault((run.backbone, run.hp, run.seed), g.normal(0, 3, 9))
        for i, part in enumerate(plan.benchmarks):
            points = 45 + 5 * i + luck[i] + g.normal(0, 0.5)
            points += gain(run.arm, run.backbone, part.benchmark)
            rows.append(
                {"run_key": run.key, "arm": run.arm.name, "adapter": run.arm.adapter,
                 "backbone": run.backbone, "hp": run.hp, "seed": run.seed,
                 "benchmark": part.benchmark, "n_items": 400, "outcome": "done",
                 "score": math.nan if lost(run) else points / 100}
            )  # fmt: skip
    empty = pd.DataFrame()
    return Tables(pd.DataFrame(rows), empty, empty, empty, empty, ())


def on_arithmetic(arm, backbone, benchmark):
    return 4.0 if arm.is_design_point and benchmark == "arithmetic" else 0.0


@pytest.fixture(scope="module")
def plan():
    return a_plan(*STUDY)


def test_cells_with_an_effect_are_counted_and_no_others(plan):
    found = panel(plan, made(plan, gain=on_arithmetic), None)
    assert (found.section, found.headline) == ("real", "")
    (table,) = found.tables
    assert [row[0] for row in table.rows] == ["mechanism present", "reference point"]
    for row in table.rows:
        assert (row[1], row[3], row[4]) == ("6", "3", "0")
    assert "improved in at least 3 of 6 with 95% confidence" in found.sentences[0]
    assert "harmed in none of 6 for sure" in found.sentences[0]


def test_a_null_improves_and_harms_nowhere_for_sure(plan):
    found = panel(plan, made(plan, rng=3), None)
    for row in found.tables[0].rows:
        assert (row[3], row[4]) == ("0", "0")


def test_the_population_counts_backbones_not_cells(plan):
    gains = {"qwen3-tiny": 3.0, "qwen2-tiny": 0.0, "llama-tiny": -3.0}
    found = panel(
        plan,
        made(plan, gain=lambda arm, b, _: gains[b] if arm.is_design_point else 0.0),
        None,
    )
    mean = found.data["contrasts"][0]["population"]
    assert (mean["n"], mean["df"]) == (3, 2)
    assert mean["p"] > 0.3
    assert mean["ci_low"] < -5 < 5 < mean["ci_high"]
    prediction = found.data["contrasts"][0]["prediction"]
    assert prediction["low"] < mean["ci_low"]
    assert "2 degrees of freedom" in " ".join(found.sentences)


def test_the_reference_point_is_not_told_twice():
    alone = a_plan("axes=none", "seeds=3", "backbones=qwen3-tiny,llama-tiny")
    (contrast,) = replicated_contrasts(alone.design)
    assert contrast.group == "mechanism"


def test_one_cell_cannot_replicate():
    alone = a_plan("axes=none", "seeds=3", "backbones=qwen3-tiny", "benchmarks=code")
    assert panel(alone, made(alone), None) is None
    assert mechanism_panel(alone, made(alone), None) is None


def test_matched_draws_say_nothing_of_a_population():
    drawn = a_plan("axes=none", "hp.draws=6", "hp.seeds=2", "backbones=qwen3-tiny,llama-tiny")
    found = panel(drawn, made(drawn, gain=on_arithmetic), None)
    assert found.tables[0].head == ("contrast", "cells", "better", "improved ≥", "harmed ≥")
    assert not any("population" in line for line in found.sentences)
    assert any("population" in note for note in found.notes)


def test_the_claim_holds_against_adapter_and_controls_but_the_noisy_null(plan):
    (contrasts,) = claims(plan.design).values()
    assert [c.name.removeprefix("mechanism vs ") for c in contrasts] == [
        "lora", "static", "shuffled", "random", "matched",
    ]  # fmt: skip


def test_it_is_the_mechanism_where_it_beats_them_all(plan):
    found = mechanism_panel(plan, made(plan, gain=on_arithmetic), None)
    assert (found.section, found.verdict) == ("mechanism", Verdict.SUPERIOR)
    assert found.word.startswith("Yes")
    assert "is better than all of lora, static, shuffled, random, matched" in found.headline
    assert "with 95% confidence" in found.headline
    assert any("at least 3 of 6 cells" in line for line in found.sentences)
    (table,) = found.tables
    assert [row[0] for row in table.rows] == ["lora", "static", "shuffled", "random", "matched"]
    assert all(row[3] == "<.001" for row in table.rows)


def test_one_control_that_does_as_well_is_enough_to_refuse(plan):
    def gain(arm, backbone, benchmark):
        return 4.0 if arm.is_design_point or arm.control == "static" else 0.0

    found = mechanism_panel(plan, made(plan, gain=gain), None)
    assert (found.verdict, found.word) == (Verdict.INCONCLUSIVE, "Not shown")
    assert found.headline.startswith("It is not shown that the mechanism is better than all of")
    assert "over static" in found.headline


def test_of_two_adapters_the_weaker_claim_speaks():
    two = a_plan(*STUDY, "adapters=lora,dora")

    def gain(arm, backbone, benchmark):
        return 3.0 if arm.is_design_point and arm.adapter == "lora" else 0.0

    found = mechanism_panel(two, made(two, gain=gain), None)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.headline.startswith("It is not shown")
    assert "dora" in found.headline
    assert any("is better than all of lora, " in line for line in found.sentences)
    assert len(found.tables) == 2


def test_a_control_without_any_run_leaves_no_test(plan):
    tables = made(plan, gain=on_arithmetic, lost=lambda run: run.arm.control == "matched")
    found = mechanism_panel(plan, tables, None)
    assert found.verdict is Verdict.UNDEFINED
    assert found.headline.startswith("No test is possible")


def test_panels_fit_the_terminal_and_are_plain_data(plan):
    tables = made(plan, gain=on_arithmetic)
    for found in (panel(plan, tables, None), mechanism_panel(plan, tables, None)):
        for table in found.tables:
            assert max(map(len, columns(table.head, table.rows))) <= 100
        assert json.loads(json_bytes(dict(found.data)))
