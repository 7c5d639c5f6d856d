"""Plans from a pilot's table."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from stats.compare import compare
from stats.contrast import versus
from stats.errors import StatsError
from stats.planning.detectable import STANDARD, detectable
from stats.planning.pilot import Pilot, pilot
from stats.planning.pilot_plan import plan_from_pilot
from stats.planning.power import detectable_effect, pairs_for_t, power_of_t
from stats.planning.spread import upper_sd
from stats.planning.tost_power import equivalence_margin, pairs_for_tost
from stats.table import PairedTable
from tests.stats.tables import frame

ARMS = {"lora": 0.0, "talan": 3.0, "static": 0.2}


def made(data: pd.DataFrame, *, allow_failed: bool = False) -> Pilot:
    table = PairedTable.from_frame(data, allow_failed=allow_failed)
    contrasts = [versus(arm, "lora") for arm in table.arms if arm != "lora"]
    return pilot(table, cells=contrasts, primary=contrasts)


def test_spreads_are_those_of_the_paired_comparison() -> None:
    data = frame(ARMS)
    table = PairedTable.from_frame(data)
    contrasts = [versus(arm, "lora") for arm in ("talan", "static")]
    outcome = compare(table, cells=contrasts, primary=contrasts, n_resamples=400, sesoi=0.5)
    result = made(data)
    for spreads, effects in ((result.cells, outcome.cells), (result.primary, outcome.primary)):
        for s, e in zip(spreads, effects, strict=True):
            assert (s.name, s.cell, s.n_pairs) == (e.name, e.cell, e.n_pairs)
            assert (s.sd, s.df) == pytest.approx((e.sd, e.df))
            assert s.sd_upper == pytest.approx(upper_sd(e.sd, e.df))
    assert [s.groups for s in result.primary] == [2, 2]
    plan = plan_from_pilot(result, 0.5)
    for row, e in zip(plan.cells, outcome.cells, strict=True):
        assert row.pairs_family == e.pairs_needed
    for row, e in zip(plan.primary, outcome.primary, strict=True):
        assert row.pairs_family == e.pairs_needed


def test_the_difference_found_plays_no_part() -> None:
    data = frame(ARMS)
    moved = data.assign(score=data["score"] + 40.0 * (data["arm"] == "talan"))
    one, two = made(data), made(moved)
    assert [s.sd for s in one.cells] == pytest.approx([s.sd for s in two.cells])
    assert one.cell_correlation == pytest.approx(two.cell_correlation)
    named = {f.name for f in dataclasses.fields(one.cells[0])}
    assert not {"mean", "delta", "t", "p", "dz"} & named


def test_correlations_are_recovered() -> None:
    """Benchmarks of a training share half their variance, arms the baseline's noise."""
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(400):
        base = rng.normal(0, 1, 2)
        for arm in ("lora", "talan", "static"):
            train = rng.normal(0, 1)
            for k, name in enumerate(("x", "y")):
                own = 0.0 if arm == "lora" else math.sqrt(0.5) * (train + rng.normal(0, 1))
                rows.append((arm, "one", seed, name, 50 + own - (arm != "lora") * base[k]))
    data = pd.DataFrame(rows, columns=["arm", "backbone", "seed", "benchmark", "score"])
    result = made(data)
    # d has variance 1 from the arm and 1 from the baseline: .25 between benchmarks, .5 of arms.
    assert result.cell_correlation == pytest.approx(0.25, abs=0.08)
    assert result.contrast_correlation == pytest.approx(0.5, abs=0.06)
    assert (result.n_cell_correlations, result.n_contrast_correlations) == (2, 2)


def test_correlations_match_pairs_by_name_when_some_are_broken() -> None:
    data = frame({"lora": 0.0, "talan": 1.0}, backbones=("deep",), seeds=8)
    data.loc[(data.seed == 2) & (data.arm == "talan") & (data.benchmark == "recall"), "score"] = (
        math.nan
    )
    wide = data.pivot(index="seed", columns=["benchmark", "arm"], values="score")
    d = pd.DataFrame({k: wide[k]["talan"] - wide[k]["lora"] for k in ("algebra", "recall")})
    result = made(data, allow_failed=True)
    assert result.cell_correlation == pytest.approx(d.dropna().corr().iloc[0, 1])
    assert [s.n_pairs for s in result.cells] == [8, 7]


def test_what_does_not_vary_gives_nothing_to_plan_with() -> None:
    data = frame(ARMS | {"same": 0.0})
    data.loc[data.arm == "same", "score"] = data.loc[data.arm == "lora", "score"].to_numpy()
    shifted = data["score"].where(data.arm != "static", 0)
    shifted[data.arm == "static"] = data.loc[data.arm == "lora", "score"].to_numpy() + 0.5
    plan = plan_from_pilot(made(data.assign(score=shifted)), 1.0)
    rows = {(row.spread.name, row.spread.cell is None): row for row in plan.cells + plan.primary}
    for name in ("same", "static"):
        row = rows[name, False]
        assert (row.pairs_single, row.pairs_family, row.pairs_equivalence) == (None, None, None)
    assert rows["same", False].spread.identical
    assert not rows["static", False].spread.identical
    assert rows["talan", False].tests == 8  # identical arms leave the family, constant ones do not
    assert rows["talan", True].tests == 2
    assert "no spread to plan with" in plan.summary()
    table = plan.table()
    assert table["pairs_family"].isna().sum() == 10


def test_a_family_of_another_size_and_the_rows_asked_for() -> None:
    result = made(frame(ARMS))
    plan = plan_from_pilot(result, 0.5, tests=40, pairs=(6, 12))
    assert {row.tests for row in plan.cells} == {40}
    assert plan.detectable is not None
    assert [row.n for row in plan.detectable.rows] == [6, 12]
    assert plan.detectable.sd == max(s.sd_upper for s in result.cells)
    with pytest.raises(StatsError, match="sesoi: 0 is not a positive number"):
        plan_from_pilot(result, 0.0)
    with pytest.raises(StatsError, match="tests: 0 is less than 1"):
        plan_from_pilot(result, 0.5, tests=0)


def test_detectable_collects_what_the_parts_say() -> None:
    result = detectable(1.2, pairs=(5, 10), sesoi=1.0, tests=16, units="points")
    row = result.rows[1]
    assert row.effect == detectable_effect(1.2, 10)
    assert row.effect_family == detectable_effect(1.2, 10, tests=16)
    assert row.margin == equivalence_margin(1.2, 10)
    assert row.margin_family == equivalence_margin(1.2, 10, tests=16)
    assert row.power == power_of_t(1.0, 1.2, 10, tests=16)
    assert [r.flips_reach for r in result.rows] == [False, True]
    assert result.pairs_single == pairs_for_t(1.0, 1.2)
    assert result.pairs_family == pairs_for_t(1.0, 1.2, tests=16)
    assert result.pairs_equivalence_family == pairs_for_tost(-1.0, 1.0, 1.2, tests=16)
    assert "below 6 pairs no sign flip reaches p = 0.05" in result.warnings[-1]
    assert len(result.table()) == 2
    at_six = detectable(1.2, pairs=(6, 7)).warnings
    assert len(at_six) == 1
    assert "at 6 pairs a sign flip, and so max-T, reaches p = 0.05 only when all" in at_six[0]


def test_detectable_without_a_smallest_effect() -> None:
    result = detectable(1.0, units=STANDARD)
    assert result.pairs_single is None
    assert all(math.isnan(row.power) for row in result.rows)
    assert "power TOST" not in result.summary()
    assert result.to_dict()["rows"][0]["power"] is None
    with pytest.raises(StatsError, match="the list of numbers of pairs is empty"):
        detectable(1.0, pairs=())


def test_texts_are_narrow() -> None:
    result = made(frame(ARMS))
    for text in (result.summary(), plan_from_pilot(result, 0.5).summary()):
        assert max(map(len, text.splitlines())) <= 100
    assert "booktabs" not in plan_from_pilot(result, 0.5).to_latex()
    assert r"\toprule" in plan_from_pilot(result, 0.5).to_latex()
