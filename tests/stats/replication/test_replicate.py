"""``replicate`` on tables with known truth: every statement against its own definition."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from stats.compare import compare
from stats.contrast import against, mean_versus, versus
from stats.errors import StatsError
from stats.family import holm
from stats.replication.outcome import Replication
from stats.replication.replicate import replicate
from stats.table import PairedTable
from tests.stats.tables import frame

ARMS = {"lora": 0.0, "dora": 0.1, "talan": 1.2}
BACKBONES = ("deep", "wide", "moe", "llama")


def table(**options: object) -> PairedTable:
    settings: dict[str, object] = {"backbones": BACKBONES, "seeds": 7} | options
    return PairedTable.from_frame(frame(ARMS, **settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def outcome() -> Replication:
    return replicate(table(), against("talan", ["lora", "dora"]))


def _differences(data: PairedTable, arm: str, baseline: str) -> pd.Series:
    wide = data.frame.pivot(index=["backbone", "benchmark", "seed"], columns="arm", values="score")
    return wide[arm] - wide[baseline]


def test_cells_are_one_family_with_compares_numbers(outcome: Replication) -> None:
    contrasts = against("talan", ["lora", "dora"])
    theirs = compare(table(), cells=contrasts, primary=contrasts)
    p = {(e.name, *e.cell.values()): e.p_adjusted for e in theirs.cells if e.cell}
    rows = outcome.table()
    assert len(rows) == 16 == outcome.n_tests
    for row in rows.itertuples():
        assert row.p_adjusted == pytest.approx(p[row.contrast, row.backbone, row.benchmark])
    average = {e.name: e for e in theirs.primary}
    for item in outcome.contrasts:
        other = average[item.contrast]
        assert (item.average.mean, item.average.p, item.average.p_signflip) == pytest.approx(
            (other.delta, other.p, other.p_signflip)
        )


def test_one_sided_and_two_sided_p_values(outcome: Replication) -> None:
    d = _differences(table(), "talan", "dora")
    for test in outcome.contrast("talan vs dora").cells:
        assert test.cell is not None
        x = d[test.cell["backbone"], test.cell["benchmark"]]
        for alternative, p in (
            ("two-sided", test.p), ("greater", test.p_greater), ("less", test.p_less)
        ):  # fmt: skip
            assert p == pytest.approx(scipy.stats.ttest_1samp(x, 0, alternative=alternative).pvalue)


def test_counts_are_holms_on_one_sided_p_values(outcome: Replication) -> None:
    for item in outcome.contrasts:
        greater = [test.p_greater for test in item.cells]
        assert item.improved.k == (holm(greater) <= 0.05).sum() > 0
        assert item.improved.observed == sum(test.delta > 0 for test in item.cells)
        assert item.harmed.k == 0
        assert item.improved_fisher is None  # benchmarks of a backbone share their pairs


def test_fishers_form_is_offered_where_cells_share_no_pair() -> None:
    data = table(benchmarks=("recall",))
    (item,) = replicate(data, [versus("talan", "lora")]).contrasts
    assert item.improved_fisher is not None
    assert item.improved_fisher.k >= item.improved.k
    assert item.improved_fisher.p == pytest.approx(
        np.maximum.accumulate(
            [
                scipy.stats.combine_pvalues(sorted(t.p_greater for t in item.cells)[u:]).pvalue
                for u in range(4)
            ]
        )
    )
    assert "By Fisher's form" in item.summary()


def test_the_three_averages(outcome: Replication) -> None:
    d = _differences(table(), "talan", "lora")
    item = outcome.contrast("talan vs lora")
    pairs = d.groupby(["backbone", "seed"]).mean()
    means = pairs.groupby("backbone").mean()
    assert item.average.mean == pytest.approx(means.mean())
    theirs = scipy.stats.ttest_1samp(means, 0)
    assert (item.population.t, item.population.p) == pytest.approx(
        (theirs.statistic, theirs.pvalue)
    )
    assert item.population.df == 3
    assert item.population.warning.startswith("4 backbones leave 3 degrees of freedom")
    cells = d.groupby(["backbone", "benchmark"]).mean().unstack()
    total = cells.mean(axis=1).var() * 5 / 4 + cells.var(axis=1).mean() * 1 / 2
    assert item.prediction.se == pytest.approx(math.sqrt(total))
    assert item.prediction.n_cells == 8


def test_claims_join_the_baselines_of_an_arm(outcome: Replication) -> None:
    better, worse = outcome.claims
    assert (better.alternative, worse.alternative) == ("greater", "less")
    assert better.baselines == ("lora", "dora")
    lora, dora = (outcome.contrast(f"talan vs {b}").cells for b in ("lora", "dora"))
    p = [max(a.p_greater, b.p_greater) for a, b in zip(lora, dora, strict=True)]
    assert [test.p for test in better.cells] == pytest.approx(p)
    assert better.p_adjusted == pytest.approx(tuple(holm(p)))
    assert better.count.k == (holm(p) <= 0.05).sum()
    assert better.average.shown
    assert not worse.average.shown
    rows = better.table()
    assert len(rows) == 9
    assert rows["over"].tolist() == ["cell"] * 8 + ["average"]


def test_a_claim_is_observed_where_every_baseline_is_beaten() -> None:
    """dora lies between: above lora in most cells, below talan in all."""
    better, worse = replicate(table(), against("dora", ["lora", "talan"])).claims
    lora = replicate(table(), [versus("dora", "lora")]).contrasts[0]
    assert lora.improved.observed > 0
    assert better.count.observed == 0
    assert worse.count.observed == lora.harmed.observed


def test_one_direction_asks_one_claim_and_one_sided_bounds() -> None:
    data = table()
    outcome = replicate(data, against("talan", ["lora", "dora"]), alternative="greater")
    assert [claim.alternative for claim in outcome.claims] == ["greater"]
    test = outcome.contrasts[0].cells[0]
    assert test.simultaneous_high == math.inf
    assert test.p_adjusted >= test.p_signflip
    assert outcome.contrasts[0].average.alternative == "greater"
    two = replicate(data, against("talan", ["lora", "dora"]))
    assert test.p_adjusted < two.contrasts[0].cells[0].p_adjusted
    harm = replicate(data, [versus("lora", "talan")], alternative="less")
    assert harm.contrasts[0].harmed.k > 0
    assert harm.claims == ()


def test_q_is_over_the_contrasts_cells_and_marked(outcome: Replication) -> None:
    item = outcome.contrasts[0]
    assert item.exploratory.exploratory
    assert item.exploratory.names[0] == "deep/algebra"
    expected = scipy.stats.false_discovery_control([test.p for test in item.cells])
    assert item.table()["q"].to_numpy() == pytest.approx(expected)


def test_undefined_and_identical_cells_count_as_not_improved() -> None:
    data = table().frame
    for backbone, benchmark, gain in (("deep", "algebra", 1.0), ("wide", "recall", 0.0)):
        here = (data["backbone"] == backbone) & (data["benchmark"] == benchmark)
        lora = data.loc[here & (data["arm"] == "lora"), "score"].to_numpy()
        data.loc[here & (data["arm"] == "talan"), "score"] = lora + gain
    changed = PairedTable.from_frame(data)
    (item,) = replicate(changed, [versus("talan", "lora")]).contrasts
    rows = item.table().set_index(["backbone", "benchmark"])
    assert rows.loc[("deep", "algebra"), "verdict"] == "undefined"
    assert rows.loc[("deep", "algebra"), "p_adjusted"] == 1.0
    assert rows.loc[("wide", "recall"), "verdict"] == "identical"
    assert math.isnan(rows.loc[("wide", "recall"), "p_adjusted"])
    assert item.improved.n == 8
    assert item.improved.k <= 6
    assert "Undefined:" in replicate(changed, [versus("talan", "lora")]).summary()


def test_a_contrast_skips_cells_in_which_an_arm_was_not_run() -> None:
    data = table().frame
    gone = (data["arm"] == "dora") & (data["backbone"] == "moe")
    partial = PairedTable.from_frame(data[~gone], allow_failed=True)
    outcome = replicate(partial, against("talan", ["lora", "dora"]))
    assert [item.improved.n for item in outcome.contrasts] == [8, 6]
    assert outcome.contrasts[1].average.n_pairs == 21
    assert len(outcome.claims[0].cells) == 6
    assert outcome.claims[0].average.n_pairs == 21
    assert not outcome.broken
    assert "in their cells" in outcome.method


def test_broken_pairs_are_counted_and_shown() -> None:
    data = table().frame
    data.loc[(data["arm"] == "talan") & (data["seed"] == "2"), "score"] = math.nan
    outcome = replicate(PairedTable.from_frame(data, allow_failed=True), [versus("talan", "lora")])
    assert {test.n_broken for test in outcome.contrasts[0].cells} == {1}
    assert len(outcome.broken) == 8
    assert "Scores lacking: 8" in outcome.summary()


def test_chosen_cells_and_a_contrast_of_means() -> None:
    data = table()
    mean = mean_versus("adapters", ["talan", "dora"], ["lora"])
    outcome = replicate(data, [mean], cells=[("deep", "recall"), ("wide", "recall")])
    assert [test.cell for test in outcome.contrasts[0].cells] == [
        {"backbone": "deep", "benchmark": "recall"},
        {"backbone": "wide", "benchmark": "recall"},
    ]
    assert outcome.contrasts[0].arm == "talan, dora"
    assert outcome.contrasts[0].population.n == 2


def test_without_shared_columns_there_is_no_population() -> None:
    data = PairedTable.from_frame(
        frame(ARMS, backbones=("deep",)), pair=["seed"], cell=["benchmark"]
    )
    (item,) = replicate(data, [versus("talan", "lora")]).contrasts
    assert item.population.warning == (
        "undefined: one group shows nothing of how effects vary between groups"
    )
    assert math.isnan(item.prediction.low)


def test_text_rows_and_json(outcome: Replication) -> None:
    text = outcome.summary()
    assert max(map(len, text.splitlines())) <= 100
    assert "talan is better than both baselines" in text
    assert "is worse" not in text  # nothing points that way
    plain = " ".join(text.split())
    assert plain.count("4 backbones leave 3 degrees of freedom") == 2  # once per contrast
    assert "q is exploratory" in text
    out = json.loads(json.dumps(outcome.to_dict(), allow_nan=False))
    assert out["contrasts"][0]["improved"]["k"] == outcome.contrasts[0].improved.k
    assert out["rng_seed"] == 0
    assert outcome.table("contrasts")["improved_at_least"].tolist() == [
        item.improved.k for item in outcome.contrasts
    ]
    assert len(outcome.table("claims")) == 18
    assert outcome.to_latex().count("superior") >= 1
    for item in (*outcome.contrasts, *outcome.claims):
        assert max(map(len, item.summary().splitlines())) <= 100


def test_the_seed_repeats_random_flips() -> None:
    data = table(seeds=22, backbones=("deep",))
    one, two, other = (
        replicate(data, [versus("dora", "lora")], n_resamples=999, rng=rng) for rng in (1, 1, 2)
    )
    assert one.to_dict() == two.to_dict()
    assert one.table()["p_adjusted"].tolist() != other.table()["p_adjusted"].tolist()
    assert not one.exact


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contrasts": []}, "contrasts: there is no contrast"),
        ({"contrasts": [versus("talen", "lora")]}, "did you mean 'talan'?"),
        (
            {"contrasts": [versus("talan", "lora"), versus("talan", "dora")]},
            "two contrasts are called 'talan'",
        ),
        ({"alternative": "higher"}, "'higher' is not an alternative"),
        ({"alpha": 2}, "alpha: 2 is not between 0 and 1"),
        ({"confidence_level": 0}, "confidence_level: 0 is not between 0 and 1"),
        ({"n_resamples": 5}, "5 resamples leave p-values too coarse"),
        ({"cells": [("deep", "logic")]}, "there is no cell ('deep', 'logic')"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"contrasts": [versus("talan", "lora")]} | change
    with pytest.raises(StatsError) as caught:
        replicate(table(), **arguments)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_arms_that_never_met() -> None:
    data = table().frame
    dora, talan = data["arm"] == "dora", data["arm"] == "talan"
    deep = data["backbone"] == "deep"
    apart = PairedTable.from_frame(data[~(dora & deep) & ~(talan & ~deep)], allow_failed=True)
    with pytest.raises(StatsError, match="its arms were run together in no cell"):
        replicate(apart, [versus("talan", "dora")])
    lora_deep = PairedTable.from_frame(
        data[~(dora & deep) & ~((data["arm"] == "lora") & ~deep)], allow_failed=True
    )
    with pytest.raises(StatsError, match="the baselines of 'talan' were run together in no cell"):
        replicate(lora_deep, against("talan", ["lora", "dora"]))


def test_one_pair_is_no_inference() -> None:
    data = table().frame
    with pytest.raises(StatsError, match="no contrast has two complete pairs"):
        replicate(PairedTable.from_frame(data[data["seed"] == "0"]), [versus("talan", "lora")])


def test_against_needs_other_arms() -> None:
    with pytest.raises(StatsError, match="no baseline is given"):
        against("talan", [])
    with pytest.raises(StatsError, match="cannot be compared with itself"):
        against("talan", ["lora", "talan"])
    assert [c.name for c in against("talan", ["lora", "dora"], group="g")] == [
        "talan vs lora",
        "talan vs dora",
    ]
