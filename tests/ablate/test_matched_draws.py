"""Matched draws in the report, on scores drawn from known models: nothing is trained."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from ablate.analyse import analyse
from ablate.collect import RESULT_COLUMNS, Tables
from ablate.matched_draws import panel
from ablate.matched_draws.importance import FANOVA, PED_ANOVA, importances
from ablate.parse import read_overrides
from ablate.plan import Plan, make_plan
from ablate.report.panel import Panel
from ablate.space import Between, OneOf, Space
from ablate.spec import UNADAPTED
from ablate.study import load_study
from stats.layout import columns
from stats.verdict import Verdict

REST = ("hp.alpha=16", "hp.steps=40", "hp.weight_decay=0", "hp.width=8", "hp.lr_multiplier=1")
DRAWS = ("hp.draws=20", "hp.seeds=2", "hp.lr=1e-4..1e-2", "hp.dropout=0..0.2", "hp.rank=8", *REST)
FEW = ("hp.draws=6", "hp.seeds=2", "hp.rank=8", "hp.dropout=0", *REST)
ONE = ("backbones=qwen3-tiny", "benchmarks=recall")

Effect = Callable[[Mapping[str, float]], float]


def make(*settings: str, axes: str = "none") -> Plan:
    return make_plan(load_study(read_overrides([f"axes={axes}", *settings])))


def tables_of(plan: Plan, effect: Effect, rng: int = 0, lost: float = 0.0) -> Tables:
    """Scores of every planned run: 50 points, 4 per decade of lr, seeds, and the effect."""
    generator = np.random.default_rng(rng)
    values = {draw.index: draw.values for draw in plan.draws}
    pairs: dict[tuple[str, int, int], float] = {}
    rows = []
    for run in plan.runs:
        if run.arm.name == UNADAPTED:
            continue
        at = values[run.hp]
        pair = pairs.setdefault((run.backbone, run.hp, run.seed), generator.normal(0, 1))
        failed = generator.random() < lost
        noise = generator.normal(0, 0.5)
        for part in plan.benchmarks:
            score = 50 + 4 * math.log10(at.get("lr", 1e-3) / 1e-3) + pair + noise
            score += generator.normal(0, 0.3)
            if not run.arm.is_baseline:
                score += effect(at)
            rows.append(
                {
                    "run_key": run.key, "arm": run.arm.name, "adapter": run.arm.adapter,
                    **run.arm.level_texts(), "backbone": run.backbone, "hp": run.hp,
                    "seed": run.seed, "benchmark": part.benchmark, "n_items": 100,
                    "outcome": "diverged" if failed else "done",
                    "score": math.nan if failed else score / 100, "loglik": -1.0,
                }
            )  # fmt: skip
    none = pd.DataFrame()
    return Tables(pd.DataFrame(rows, columns=list(RESULT_COLUMNS)), none, none, none, none, ())


def shown(plan: Plan, tables: Tables) -> Panel:
    found = panel(plan, tables, analyse(plan, tables))
    assert found is not None
    return found


@pytest.fixture
def words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures, no importance: what takes the time of a panel."""
    monkeypatch.setattr(importlib.import_module("ablate.matched_draws.panel"), "_pictures", _none)
    monkeypatch.setattr(
        importlib.import_module("ablate.matched_draws.reading"), "_importance", _none
    )


def _none(*given: object) -> tuple[()]:
    return ()


def helps_at_high_rates(values: Mapping[str, float]) -> float:
    return 1.0 + 3.0 * math.log10(values["lr"] / 1e-3)


@pytest.fixture(scope="module")
def interplay() -> tuple[Plan, Tables, Panel]:
    plan = make(*DRAWS, "backbones=qwen3-tiny", "benchmarks=recall,arithmetic")
    tables = tables_of(plan, helps_at_high_rates)
    return plan, tables, shown(plan, tables)


def test_the_panel_separates_mechanism_hp_interplay_and_seed(
    interplay: tuple[Plan, Tables, Panel],
) -> None:
    plan, _, found = interplay
    assert found.section == "mechanism"
    assert "its effect varies with hyperparameters" in found.headline
    assert found.headline.endswith(".")
    result = found.data["lora"]["mechanism"]["overall"]
    effects = [helps_at_high_rates(draw.values) for draw in plan.draws]
    lr = [4 * math.log10(draw.values["lr"] / 1e-3) for draw in plan.draws]
    assert result["mean"]["mean"] == pytest.approx(np.mean(effects), abs=0.4)
    for spread, truth in ((result["interplay"], effects), (result["hp"], lr)):
        assert spread["low"] < np.std(truth, ddof=1) < spread["high"]
        assert spread["low"] > 0
    parts = found.data["lora"]["components"]["average over cells"]["components"]
    assert {part["name"] for part in parts} == {
        "mechanism", "hp draw", "mechanism x hp draw", "seed", "mechanism x seed (run) + residual",
    }  # fmt: skip
    (lr_row,) = (m for m in found.data["lora"]["mechanism"]["moderators"] if m["name"] == "lr")
    assert lr_row["p_adjusted"] < 0.01
    assert lr_row["rho"] > 0.8
    assert all(
        max(one["shares"], key=one["shares"].__getitem__) == "lr"
        for one in found.data["lora"]["importance"]
    )
    json.dumps(found.data, allow_nan=False)


def test_tables_fit_a_terminal_and_pictures_are_there(
    interplay: tuple[Plan, Tables, Panel],
) -> None:
    found = interplay[2]
    assert len(found.tables) == 5
    for table in found.tables:
        assert len(table.head) <= 8
        assert max(map(len, columns(table.head, table.rows))) <= 100
        assert not any("…" in line for line in columns(table.head, table.rows))
    assert [picture.name for picture in found.pictures] == [
        "draws-sources", "draws-effects", "draws-hyperparameters",
    ]  # fmt: skip
    assert any("20 points of lr 0.0001..0.01" in note for note in found.notes)
    assert not any(note.startswith("Warning") for note in found.notes)


def test_the_verdict_is_the_primary_familys(interplay: tuple[Plan, Tables, Panel]) -> None:
    plan, tables, found = interplay
    effect = analyse(plan, tables).main.primary[0]
    assert found.verdict == effect.verdict
    assert effect.delta == pytest.approx(found.data["lora"]["mechanism"]["overall"]["mean"]["mean"])
    assert effect.p == pytest.approx(found.data["lora"]["mechanism"]["overall"]["mean"]["p"])


@pytest.mark.usefixtures("words_only")
def test_where_nothing_is_planted_nothing_is_said() -> None:
    plan = make(*FEW, *ONE, "hp.lr=1e-4..1e-2")
    found = shown(plan, tables_of(plan, lambda values: 0.0, rng=3))
    assert found.verdict in (Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)
    assert "its effect is not shown to vary with hyperparameters" in found.headline
    assert "turning" not in found.headline
    assert found.sentences[1].startswith("That the effect depends on hyperparameters is not shown")


def test_fixed_hyperparameters_have_no_panel() -> None:
    plan = make(*ONE, "seeds=6")
    tables = tables_of(plan, lambda values: 1.0)
    assert panel(plan, tables, analyse(plan, tables)) is None


def test_adapters_and_design_points_are_read_one_by_one() -> None:
    plan = make(
        "levels.memory=1,4", "adapters=lora,dora", "hp.lr=1e-4..1e-2", *FEW, *ONE, axes="memory"
    )
    tables = tables_of(plan, lambda values: 5.0)
    found = shown(plan, tables)
    assert list(found.data) == ["lora", "dora"]
    for one in found.data.values():
        means = [point["overall"]["mean"]["mean"] for point in one["points"].values()]
        assert len(means) == 2
        assert one["mechanism"]["overall"]["mean"]["mean"] == pytest.approx(np.mean(means))
    assert {sentence.split(":")[0] for sentence in found.sentences} == {
        "Against lora", "Against dora",
    }  # fmt: skip
    assert any("mean over its design points" in note for note in found.notes)
    assert len({picture.name for picture in found.pictures}) == 6


@pytest.mark.usefixtures("words_only")
def test_draws_of_equal_values_are_independent_and_not_warned_of() -> None:
    plan = make(*FEW, *ONE, "hp.lr=1e-3,3e-3")
    assert len({draw.hp for draw in plan.draws}) == 2
    found = shown(plan, tables_of(plan, lambda values: 1.0))
    assert not any("not independent" in note or "crossed" in note for note in found.notes)


def test_too_many_failures_are_said_not_raised() -> None:
    plan = make(*FEW, *ONE, "hp.lr=1e-4..1e-2")
    tables = tables_of(plan, lambda values: 1.0)
    inference = analyse(plan, tables)
    scores = tables.results
    scores.loc[(scores["arm"] != "lora") & (scores["seed"] >= 200), "score"] = math.nan
    found = panel(plan, tables, inference)
    assert found is not None
    assert found.verdict == Verdict.UNDEFINED
    assert "confounded with seed noise" in found.sentences[0]


@pytest.mark.usefixtures("words_only")
def test_a_seed_that_another_arm_lost_is_left_out_of_headline_and_sentences_alike() -> None:
    plan = make(
        "adapters=lora,dora", *FEW[2:], *ONE, "hp.lr=1e-4..1e-2", "hp.draws=6", "hp.seeds=3"
    )
    tables = tables_of(plan, lambda values: 1.0)
    scores = tables.results
    lost = (scores["arm"] == "dora") & (scores["seed"] == scores["seed"].min())
    scores.loc[lost, "score"] = math.nan
    inference = analyse(plan, tables)
    found = panel(plan, tables, inference)
    assert found is not None
    effect = next(e for e in inference.main.primary if e.baseline == "lora")
    mean = found.data["lora"]["mechanism"]["overall"]["mean"]["mean"]
    assert mean == pytest.approx(effect.delta, rel=1e-12)


def test_importance_goes_to_the_one_that_matters_and_spares_the_constant() -> None:
    space = Space(
        {
            "lr": Between(1e-4, 1e-2, log=True), "rank": Between(2, 16, whole=True),
            "dropout": OneOf((0.0, 0.1)), "steps": OneOf((50,)),
        }
    )  # fmt: skip
    draws = [space.draw(i) for i in range(40)]
    values = [draw["rank"] ** 2 for draw in draws]
    found = importances(
        space, draws, {"difference": (tuple(space.dimensions), values), "flat": (("lr",), [1] * 40)}
    )
    assert {one.evaluator for one in found} <= {PED_ANOVA, FANOVA}
    assert {one.target for one in found} == {"difference"}
    for one in found:
        assert max(one.shares, key=one.shares.__getitem__) == "rank"
        assert sum(one.shares.values()) == pytest.approx(1.0)
        assert "steps" not in one.shares
