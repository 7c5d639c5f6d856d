"""The report's panel on axes: what simulated factorials say, and what it does with lost runs."""

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ablate.analyse import analyse
from ablate.collect import Tables
from ablate.factorial import panel as make_panel
from ablate.factorial.analysis import analyse_factorial
from ablate.factorial.levels import acting_levels, acting_order
from ablate.parse import read_overrides
from ablate.plan import make_plan
from ablate.study import load_study
from stats.layout import columns
from stats.verdict import Verdict

FRACTION = ("axes=all", "design=fraction", "backbones=qwen3-tiny,llama-tiny", "seeds=4")
SMALL = (
    "axes=memory,mixer,scope", "design=fraction", "backbones=qwen3-tiny,llama-tiny", "seeds=4",
    "levels.memory=16,1", "levels.mixer=mlp,none",
)  # fmt: skip


def a_plan(*arguments):
    return make_plan(load_study(read_overrides(arguments)))


def made(plan, effect=lambda levels, backbone, benchmark: 0.0, *, lost=lambda run: "", rng=0):
    """Tables of a plan: pair noise, own noise of half a point, and what ``effect`` adds."""
    g = np.random.default_rng(rng)
    luck, rows = {}, []
    for run in plan.runs:
        if run.arm.name == "unadapted":
            continue
        levels, outcome = run.arm.level_texts(), lost(run) or "done"
        shared = luck.setdefault((run.backbone, run.seed), g.normal(0, 3, 9))
        for i, part in enumerate(plan.benchmarks):
            points = 45 + 5 * i + shared[i] + g.normal(0, 0.5)
            if run.arm.is_design_point:
                points += effect(levels, run.backbone, part.benchmark)
            good = outcome == "done"
            rows.append(
                {"run_key": run.key, "arm": run.arm.name, "adapter": run.arm.adapter, **levels,
                 "backbone": run.backbone, "hp": 0, "seed": run.seed, "benchmark": part.benchmark,
                 "n_items": 400, "outcome": outcome, "score": points / 100 if good else np.nan,
                 "loglik": -1.0}
            )  # fmt: skip
    unadapted = pd.DataFrame(
        [
            {"backbone": backbone.name, "benchmark": part.benchmark, "score": 0.1}
            for backbone in plan.backbones
            for part in plan.benchmarks
        ]
    )
    empty = pd.DataFrame()
    return Tables(pd.DataFrame(rows), empty, empty, unadapted, empty, ())


def panel(plan, tables, primary=()):
    return make_panel(plan, tables, SimpleNamespace(main=SimpleNamespace(primary=primary)))


def planted(levels, backbone, benchmark):
    """Insertion, memory x mixer, memory on recall, and writeback that hangs on the backbone."""
    points = 1.0 - 2.0 * (levels["insertion"] == "embedding")
    if levels["memory"] == "1":
        points -= 2.0 * (levels["mixer"] == "none") + 4.0 * (benchmark == "recall")
    if levels["writeback"] == "add":
        points += 1.0 if backbone == "qwen3-tiny" else -1.0
    return points


@pytest.fixture(scope="module")
def whole():
    plan = a_plan(*FRACTION)
    return plan, panel(plan, made(plan, planted))


@pytest.fixture
def no_pictures(monkeypatch):
    module = importlib.import_module("ablate.factorial.panel")  # its function has the same name
    monkeypatch.setattr(module, "pictures", lambda analysis: ())


def test_what_was_planted_is_what_the_headline_says(whole):
    _, found = whole
    assert found.section == "axes"
    moved, interactions = found.headline.split(". Of ")
    for axis in ("insertion embedding against early", "memory 1 against 16", "mixer none"):
        assert axis in moved
    for axis in ("writeback", "scope", "gradient_scale"):
        assert axis not in moved
    assert "memory × mixer" in interactions
    assert interactions.count(" × ") == 1


def test_sentences_tell_structure_heredity_and_where_effects_differ(whole):
    _, found = whole
    text = "\n".join(found.sentences)
    assert "32 points of 64 combinations" in text
    assert "Strong heredity holds" in text
    assert "memory 1 against 16 depends on benchmark" in text
    assert "-5" in next(line for line in found.sentences if "depends on benchmark" in line)
    assert "writeback add against gate depends on backbone" in text
    assert "scope readout against joint, averaged over cells: the same within 1 point" in text


def test_a_null_factorial_settles_no_axis(no_pictures):
    plan = a_plan(*SMALL)
    found = panel(plan, made(plan, rng=1))
    assert " move" not in found.headline
    assert " is there" not in found.headline
    assert any("No effect of an axis was shown to depend" in line for line in found.sentences)


def test_tables_fit_a_terminal_and_the_data_is_plain(whole):
    _, found = whole
    titles = [table.title for table in found.tables]
    assert len(titles) == len(set(titles)) >= 6
    for table in found.tables:
        assert len(table.head) <= 8
        lines = columns(table.head, table.rows)
        assert max(map(len, lines)) <= 100
        if table.title != "What the design confounds":
            assert "…" not in "\n".join(lines), table.title
    mains = found.tables[0]
    assert [row[0] for row in mains.rows][:2] == ["insertion", "memory"]
    data = json.loads(json.dumps(found.data))
    assert len(data["gates"]["mains"]) == 6
    assert data["verdicts"]["insertion: embedding vs early"] == "inferior-and-meaningful"


def test_pictures_are_as_wide_as_a_page(whole):
    _, found = whole
    names = [picture.name for picture in found.pictures]
    assert names == ["factorial-levels", "factorial-interactions", "factorial-cells"]
    assert all(picture.png.startswith(b"\x89PNG") for picture in found.pictures)
    assert found.pictures[1].width == 1000


def test_an_axis_is_averaged_where_it_acts(whole):
    plan, _ = whole
    factorial = plan.design.factorial
    assert acting_order(factorial)["insertion"] == ("early", "embedding")
    for arm, levels in acting_levels(factorial).items():
        assert (levels["gradient_scale"] is None) == ("insertion=embedding" in arm)
    means = analyse_factorial(plan, made(plan, planted)).means
    at = {m.levels[0]: m.delta for m in means.of("insertion")}
    assert at["early"] - at["embedding"] == pytest.approx(2.0, abs=0.2)
    # Where the gradient acts insertion is early, which is the better level here.
    assert all(m.delta > at["embedding"] + 1 for m in means.of("gradient_scale"))
    assert not means.of("insertion:gradient_scale")


def test_means_of_two_adapters_are_minus_their_own_baselines():
    plan = a_plan(*SMALL, "adapters=lora,dora")
    means = analyse_factorial(plan, made(plan, lambda *_: 3.0)).means
    assert all(m.delta == pytest.approx(3.0, abs=0.5) for m in means.overall)
    assert {"memory", "mixer", "scope"} <= {m.term for m in means.overall}


def test_a_claim_must_survive_diverged_runs_scored_as_unadapted(no_pictures):
    plan = a_plan(*SMALL)

    def better(levels, *_):
        return 2.0 * (levels["memory"] == "1")

    def diverges(run):
        gone = run.seed == 0 and run.arm.level_texts()["memory"] == "1"
        return "diverged" if gone else ""

    found = panel(plan, made(plan, better, lost=diverges))
    analysis = analyse_factorial(plan, made(plan, better, lost=diverges))
    name = "memory: 1 vs 16"
    alone = {term.effect.name: term.effect.verdict for term in analysis.gates.terms}
    assert alone[name] == Verdict.SUPERIOR_AND_MEANINGFUL
    assert analysis.verdicts[name] == Verdict.INCONCLUSIVE
    assert "memory" not in found.headline
    assert any("scored as the unadapted backbone this becomes" in s for s in found.sentences)
    assert any("2 pairs lack a run" in note for note in found.notes)


def test_without_whole_pairs_the_scored_runs_speak_or_nothing_does(no_pictures):
    plan = a_plan(*SMALL)

    def all_lost(state):
        def lost(run):
            return state if run.arm.level_texts()["memory"] == "1" else ""

        return lost

    found = panel(plan, made(plan, lost=all_lost("diverged")))
    assert "memory 1 against 16" in found.headline
    assert any("No two pairs have all their runs" in note for note in found.notes)
    found = panel(plan, made(plan, lost=all_lost("failed")))
    assert found.headline.startswith("No test of the factorial is possible")
    assert not found.pictures


def test_a_crossing_shows_means_and_leaves_tests_to_the_primary_family():
    plan = a_plan("axes=insertion,memory", "backbones=qwen3-tiny,llama-tiny", "seeds=3")
    tables = made(plan, lambda levels, *_: 2.0 * (levels["memory"] == "4"))
    primary = analyse(plan, tables).main.primary
    found = panel(plan, tables, primary)
    assert found.headline == ""
    assert found.data["gates"] is None
    (means,) = [table for table in found.tables if table.title.startswith("Means of the levels")]
    assert [row[1] for row in means.rows if row[0] == "memory"] == ["16", "1", "4"]
    assert [picture.name for picture in found.pictures][1] == "factorial-interactions"
    assert any("primary family" in note for note in found.notes)
    shown = analyse_factorial(plan, tables, primary).mains
    assert [effect.name for effect in shown] == [e.name for e in primary if ": " in e.name]


def test_a_study_of_simple_effects_has_no_such_panel():
    plan = a_plan("axes=all", "design=one-at-a-time", "backbones=qwen3-tiny", "seeds=3")
    assert panel(plan, made(plan)) is None
