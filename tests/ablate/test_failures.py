"""What failed runs do to verdicts, on worlds whose failures are planted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ablate.failures import panel, rates, rescore, scored_at_unadapted, surviving
from ablate.failures.rescored import SETTLED
from ablate.replicability import mechanism_panel
from ablate.replicability import panel as cells_panel
from ablate.worlds import WORLDS, Noise, Planted, world
from stats.verdict import Verdict
from tests.worlds.carry import carry, few_resamples

STUDY = {
    "backbones": "qwen3-tiny,qwen2-tiny",
    "benchmarks": "arithmetic,recall,retention",
    "axes": "none",
    "seeds": "6",
}


def in_a_world(planted: Planted, monkeypatch: pytest.MonkeyPatch, **more: str):
    """A study carried through a world made for the test."""
    monkeypatch.setattr("ablate.worlds.registry.WORLDS", dict(WORLDS))
    from ablate.worlds import registry

    registry.find_world.cache_clear()
    world("made", "for a test")(lambda rng: planted)
    try:
        settings = STUDY | {key.replace("__", "."): value for key, value in more.items()}
        return carry("made", [f"{key}={value}" for key, value in settings.items()])
    finally:
        registry.find_world.cache_clear()


@pytest.fixture(scope="module")
def lucky():
    """The mechanism adds 3 points where it trains, but half of its runs diverge."""
    with pytest.MonkeyPatch.context() as patch:
        planted = Planted(mechanism=3.0, diverging=0.5, noise=Noise(own=0.8))
        return in_a_world(planted, patch, seeds="12", controls="static,same")


def made_panel(carried):
    with few_resamples():
        return panel(carried.plan, carried.tables, carried.inference)


def test_nothing_is_said_where_nothing_failed(monkeypatch):
    assert made_panel(in_a_world(Planted(mechanism=2.0), monkeypatch)) is None


def test_diverged_runs_get_the_unadapted_score_of_their_cell(lucky):
    before, after = lucky.tables.results, scored_at_unadapted(lucky.plan, lucky.tables)
    lost = before["outcome"] == "diverged"
    assert lost.any()
    assert before.loc[lost, "score"].isna().all()
    assert (after.loc[~lost, "score"] == before.loc[~lost, "score"]).all()
    known = lucky.tables.unadapted.set_index(["backbone", "benchmark"])["score"]
    for row in after[lost].itertuples():
        assert row.score == known[row.backbone, row.benchmark]


def test_runs_lost_by_the_machine_stay_missing(lucky):
    results = lucky.tables.results.copy()
    results.loc[results["outcome"] == "diverged", "outcome"] = "failed"
    tables = dataclasses.replace(lucky.tables, results=results)
    assert scored_at_unadapted(lucky.plan, tables)["score"].isna().any()
    machine = made_panel(dataclasses.replace(lucky, tables=tables))
    assert machine.headline == ""
    assert "no run diverged" in machine.sentences[0]


def test_a_backbone_without_an_unadapted_score_keeps_its_failures_missing(lucky):
    known = lucky.tables.unadapted
    tables = dataclasses.replace(lucky.tables, unadapted=known[known["backbone"] != "qwen2-tiny"])
    after = scored_at_unadapted(lucky.plan, tables)
    lost = after[after["outcome"] == "diverged"]
    assert (lost["score"].isna() == (lost["backbone"] == "qwen2-tiny")).all()


def test_rates_are_compared_with_the_baseline_and_checks_stay_out(lucky):
    found = rates(lucky.plan, lucky.tables)
    by_arm = {rate.arm: rate for rate in found.arms}
    (mechanism,) = [arm.name for arm in lucky.plan.design.arms if arm.is_design_point]
    diverged = lucky.tables.failures.set_index("arm")["diverged"]
    assert by_arm[mechanism].failed == diverged[mechanism] > 6
    assert [rate.arm for rate in found.differing] == [mechanism]
    assert not any("same" in arm for arm in by_arm)
    assert found.unit == "pair"


def test_a_gain_of_the_runs_that_are_left_is_withdrawn(lucky):
    with few_resamples():
        again = rescore(lucky.plan, lucky.tables, lucky.inference)
    (present,) = again.primary
    assert present.complete.delta > 2
    assert present.complete.verdict in (Verdict.SUPERIOR, Verdict.SUPERIOR_AND_MEANINGFUL)
    assert present.scored.delta < 0
    assert present.verdict == Verdict.INCONCLUSIVE
    assert present in again.withdrawn
    assert present.scored.n_pairs == 24
    assert again.n_missing == 0
    assert all(claim.complete.verdict in SETTLED for claim in again.withdrawn)


def test_the_claim_against_all_controls_and_counts_of_cells_are_withdrawn_too(lucky):
    whole = lucky.tables.results.copy()
    whole.loc[whole["outcome"] == "diverged", "outcome"] = "failed"
    lost = dataclasses.replace(lucky.tables, results=whole)
    for made, shown in ((lost, True), (lucky.tables, False)):
        claim = mechanism_panel(lucky.plan, made, lucky.inference)
        assert claim.verdict == (Verdict.SUPERIOR if shown else Verdict.INCONCLUSIVE)
        (table,) = cells_panel(lucky.plan, made, lucky.inference).tables
        assert (int(table.rows[0][table.head.index("improved ≥")]) > 0) == shown


def test_tables_show_the_verdicts_that_survive_and_the_numbers_of_whole_pairs(lucky):
    with few_resamples():
        again = rescore(lucky.plan, lucky.tables, lucky.inference)
    shown = surviving(lucky.inference, again)
    for family in ("main", "controls", "retention", "averages"):
        before, after = getattr(lucky.inference, family), getattr(shown, family)
        for kind in ("primary", "cells"):
            assert len(before.effects(kind)) == len(after.effects(kind))
            for old, new in zip(before.effects(kind), after.effects(kind), strict=True):
                assert dataclasses.replace(new, verdict=old.verdict, also=old.also) == old
    assert shown.main.primary[0].verdict == Verdict.INCONCLUSIVE
    joined = (*again.primary, *again.cells)
    effects = (*shown.main.primary, *shown.main.cells)
    assert [e.verdict for e in effects] == [claim.verdict for claim in joined]


def test_the_panel_says_so(lucky):
    shown = made_panel(lucky)
    assert shown.section == "real"
    assert "do not hold, among them mechanism present" in shown.headline
    assert "Arm lora + talan fails more often than lora" in shown.sentences[0]
    assert shown.data["scored_as_unadapted"] == int(lucky.tables.failures["diverged"].sum())
    verdicts = {(c["name"], str(c["cell"])): c["verdict"] for c in shown.data["claims"]}
    assert verdicts["mechanism present", "None"] == "inconclusive"
    for table in shown.tables:
        widths = [max(map(len, column)) for column in zip(table.head, *table.rows, strict=True)]
        assert sum(widths) + 2 * len(widths) <= 100
        assert len(table.head) <= 8


def test_accidents_of_all_arms_alike_change_nothing(monkeypatch):
    carried = in_a_world(
        Planted(mechanism=0.0, accidents=0.1, noise=Noise(own=0.3, own_cell=0.3)), monkeypatch
    )
    found = rates(carried.plan, carried.tables)
    assert found.failed > 0
    assert found.differing == ()
    assert "No arm is shown to fail" in made_panel(carried).sentences[0]


def test_over_draws_the_draw_is_the_unit(monkeypatch):
    carried = in_a_world(
        Planted(diverging=0.3), monkeypatch, hp__draws="6", hp__seeds="2", benchmarks="arithmetic"
    )
    found = rates(carried.plan, carried.tables)
    assert found.unit == "draw"
    assert {rate.n_units for rate in found.arms} == {6}
    assert np.isfinite(rescore(carried.plan, carried.tables, carried.inference).primary[0].scored.p)
