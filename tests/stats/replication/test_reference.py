"""Many arms against one: the same numbers as max-T by hand, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stats.errors import StatsError
from stats.family import HOLM, max_t
from stats.paired import paired_t
from stats.replication.reference import dunnett
from stats.sample import Sample
from stats.table import PairedTable
from tests.stats.tables import frame

ARMS = {"lora": 0.0, "talan": 1.5, "static": 0.2, "shuffled": 0.0001}


def table(seeds: int = 6, **options: object) -> PairedTable:
    return PairedTable.from_frame(frame(ARMS, seeds=seeds, **options))  # type: ignore[arg-type]


def _means(data: PairedTable, arm: str) -> Sample:
    """Differences from lora, within the pair first, by pandas alone."""
    wide = data.frame.pivot_table(index=["backbone", "seed"], columns="arm", values="score")
    d = wide[arm] - wide["lora"]
    groups = [d[b].to_numpy() for b in ("deep", "wide")]
    return Sample.of(groups)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_averages_against_the_reference(alternative: str) -> None:
    data = table()
    result = dunnett(data, "lora", alternative=alternative)
    samples = [_means(data, arm) for arm in ("talan", "static", "shuffled")]
    expected = max_t(samples, alternative)
    assert [row.arm for row in result.arms] == ["talan", "static", "shuffled"]
    assert [row.p_adjusted for row in result.arms] == pytest.approx(expected.p_adjusted.tolist())
    for row, sample in zip(result.arms, samples, strict=True):
        t = paired_t(sample)
        assert (row.delta, row.p, row.ci_low, row.ci_high) == pytest.approx(
            (t.mean, t.p, t.ci_low, t.ci_high)
        )
        assert row.p_greater + row.p_less == pytest.approx(1)
        if alternative != "less":
            assert row.simultaneous_low == pytest.approx(t.mean - expected.critical * t.se)
        else:
            assert row.simultaneous_low == -math.inf
    assert (result.arms[0].p_adjusted <= 0.05) == (alternative != "less")


def test_in_one_cell() -> None:
    data = table(8)
    result = dunnett(data, "lora", arms=["talan", "static"], cell=("deep", "recall"))
    here = data.frame.query("backbone == 'deep' and benchmark == 'recall'")
    wide = here.pivot(index="seed", columns="arm", values="score")
    t = paired_t((wide["talan"] - wide["lora"]).to_numpy())
    assert (result.arms[0].delta, result.arms[0].p) == pytest.approx((t.mean, t.p))
    assert result.arms[0].cell == {"backbone": "deep", "benchmark": "recall"}
    assert result.estimand == "mean difference of each arm from lora, in cell deep/recall"
    assert (result.n_flips, result.exact) == (256, True)


def test_correction_costs_less_than_holm_because_arms_share_the_baseline() -> None:
    """Twenty arms that differ from the baseline by nearly the same amounts."""
    rng = np.random.default_rng(0)
    base = rng.normal(0, 1, 10)
    near = {f"a{i}": -base + 1 + 0.01 * rng.normal(size=10) for i in range(20)}
    p = max_t([Sample.of([d]) for d in near.values()]).p_adjusted
    assert p.min() < 3 * max(paired_t(d).p for d in near.values())


def test_five_pairs_go_by_holm() -> None:
    result = dunnett(table(5), "lora", cell=("deep", "recall"))
    assert {row.p_adjusted_method for row in result.arms} == {HOLM}
    assert "Holm on the t tests" in result.method
    assert result.n_flips == 0


def test_rows_and_text() -> None:
    result = dunnett(table(), "lora")
    rows = result.table()
    assert rows["arm"].tolist() == ["talan", "static", "shuffled"]
    assert rows["verdict"].tolist()[0] == "superior"
    assert "cell" not in rows.columns
    text = result.summary()
    assert max(map(len, text.splitlines())) <= 100
    assert "Mean difference of each arm from lora, averaged over 4 cells" in text
    assert "adjusted over 3 arms by step-down max-T (all 4096 joint sign flips)" in text.replace(
        "\n", " "
    )
    assert result.to_dict()["arms"][0]["verdict"] == "superior"
    assert "tabular" in result.to_latex("Arms")


@pytest.mark.parametrize(
    ("baseline", "options", "message"),
    [
        ("lorra", {}, "did you mean 'lora'?"),
        ("lora", {"arms": ["talen"]}, "did you mean 'talan'?"),
        ("lora", {"arms": ["lora"]}, "arm 'lora' cannot be compared with itself"),
        ("lora", {"arms": []}, "arms: there is no arm to compare"),
        ("lora", {"cell": ("deep", "logic")}, "there is no cell ('deep', 'logic')"),
        (
            "lora",
            {"cell": ("deep", "recall"), "average_over": [("deep", "recall")]},
            "a cell and cells to average over exclude each other",
        ),
        ("lora", {"alternative": "more"}, "'more' is not an alternative"),
        ("lora", {"n_resamples": 10}, "10 resamples leave p-values too coarse"),
    ],
)
def test_refusals(baseline: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(StatsError) as caught:
        dunnett(table(), baseline, **options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_arms_without_pairs_are_refused() -> None:
    data = table()
    one = PairedTable.from_frame(data.frame[data.frame["seed"] == "0"])
    with pytest.raises(StatsError, match="no arm has two complete pairs that differ"):
        dunnett(one, "lora")


def test_an_arm_that_was_not_run_in_the_cell() -> None:
    data = table().frame
    part = data[~((data["arm"] == "static") & (data["benchmark"] == "recall"))]
    partial = PairedTable.from_frame(part, allow_failed=True)
    with pytest.raises(StatsError, match="'static' or 'lora' was not run there"):
        dunnett(partial, "lora", cell=("deep", "recall"))
