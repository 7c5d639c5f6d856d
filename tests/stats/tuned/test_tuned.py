"""Tuned against tuned: hand values, what each interval holds, shrinkage, bad tables."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.tuned import Effort, Tuned, search_curve, tuned_versus_tuned

ARMS = {"lora": 0.50, "talan": 0.53}
BACKBONES, BENCHMARKS = ("deep", "shallow"), ("recall", "code")


def tables(
    *,
    searches: int = 1,
    seeds: int = 4,
    tuning: float = 0.0,
    seed_sd: float = 0.02,
    curse: float = 0.03,
    rng: int | np.random.Generator = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Confirmed and selected scores: a gain of 3 points, winners chosen ``curse`` too high."""
    generator = np.random.default_rng(rng)
    confirmed, selected = [], []
    for r, (name, level) in itertools.product(range(searches), ARMS.items()):
        at = level + generator.normal(0, tuning)
        for backbone in BACKBONES:
            selected.append((name, r, backbone, at + curse))
            for s in range(seeds):
                noise = generator.normal(0, seed_sd)
                for benchmark in BENCHMARKS:
                    row = (name, r, backbone, 10_000 + 10 * r + s, benchmark)
                    confirmed += [(*row, "validation", at + noise), (*row, "test", at + noise)]
    columns = ["arm", "search", "backbone", "seed", "benchmark", "split", "score"]
    return (
        pd.DataFrame(confirmed, columns=columns),
        pd.DataFrame(selected, columns=["arm", "search", "backbone", "score"]),
    )


def compared(data: tuple[pd.DataFrame, pd.DataFrame], **more: object) -> Tuned:
    kwargs = {"arm": "talan", "baseline": "lora", "percent": True, "n_resamples": 999, **more}
    return tuned_versus_tuned(*data, **kwargs)  # type: ignore[arg-type]


def pair_differences(confirmed: pd.DataFrame) -> pd.Series:
    test = confirmed[confirmed["split"] == "test"]
    wide = test.pivot_table(index=["search", "backbone", "seed"], columns="arm", values="score")
    return 100 * (wide["talan"] - wide["lora"])


def test_one_search_is_the_paired_t_within_backbones() -> None:
    confirmed, selected = tables()
    result = compared((confirmed, selected))
    d = pair_differences(confirmed)
    groups = [group.to_numpy() for _, group in d.groupby("backbone")]
    mean = np.mean([g.mean() for g in groups])
    shares = np.array([g.var(ddof=1) / g.size for g in groups])
    se = math.sqrt(shares.sum()) / 2
    df = shares.sum() ** 2 / (shares**2 / 3).sum()
    half = scipy.stats.t.ppf(0.975, df) * se
    assert not result.includes_tuning
    assert result.headline is result.conditional
    assert result.headline.mean == pytest.approx(mean)
    assert (result.headline.ci_low, result.headline.ci_high) == pytest.approx(
        (mean - half, mean + half)
    )
    assert math.isnan(result.over_searches.p)
    assert math.isnan(result.sd_tuning)
    assert "conditional on the two settings" in " ".join(result.sentences())
    assert (result.n_pairs, result.n_broken) == (8, 0)


def test_several_searches_are_the_sample() -> None:
    confirmed, selected = tables(searches=5, tuning=0.02)
    result = compared((confirmed, selected))
    means = pair_differences(confirmed).groupby(["search", "backbone"]).mean()
    means = means.groupby("search").mean()
    expected = scipy.stats.ttest_1samp(means, 0)
    interval = expected.confidence_interval(0.95)
    assert result.includes_tuning
    assert result.headline.df == 4
    assert result.headline.p == pytest.approx(expected.pvalue)
    assert (result.headline.ci_low, result.headline.ci_high) == pytest.approx(tuple(interval))
    assert result.sd_tuning == pytest.approx(
        math.sqrt(means.var(ddof=1) - 5 * result.conditional.se**2)
    )
    assert [name for name, _ in result.by_search] == list("01234")
    assert result.by_search[3][1].mean == pytest.approx(means.iloc[3])
    fresh = confirmed[(confirmed["arm"] == "lora") & (confirmed["split"] == "validation")]
    before = selected[selected["arm"] == "lora"].groupby("search")["score"].mean()
    falls = 100 * (fresh.groupby("search")["score"].mean() - before)
    interval = scipy.stats.ttest_1samp(falls, 0).confidence_interval(0.95)
    assert result.shrunk("lora").by_seeds.ci_low == pytest.approx(interval.low)


def test_the_shrinkage_is_told_from_selection_to_test() -> None:
    confirmed, selected = tables(curse=0.05)
    easier = confirmed["split"].eq("test")
    confirmed.loc[easier, "score"] -= 0.01
    result = compared((confirmed, selected))
    row, gap = result.shrunk("talan"), result.shrunk("difference")
    assert row.selected == pytest.approx(58)
    fresh = confirmed[(confirmed["arm"] == "talan") & ~easier]["score"].mean() * 100
    assert row.fresh == pytest.approx(fresh)
    assert row.by_seeds.mean == pytest.approx(fresh - 58)
    assert row.by_seeds.ci_high < 0
    assert row.by_items.mean == pytest.approx(-1)
    assert math.isnan(row.by_items.p)  # every run falls by the same: no spread, no test
    assert row.total.mean == pytest.approx(row.by_seeds.mean + row.by_items.mean)
    assert gap.selected == pytest.approx(3)
    assert gap.test == pytest.approx(result.headline.mean)
    assert "winner's curse" in " ".join(result.sentences())
    assert max(map(len, result.summary().splitlines())) <= 100


def test_without_a_curse_none_is_claimed() -> None:
    result = compared(tables(curse=0.0))
    assert "within noise" in " ".join(result.sentences())


def test_a_failed_run_breaks_its_pair_for_all_stages() -> None:
    confirmed, selected = tables()
    one = (confirmed["arm"] == "lora") & (confirmed["seed"] == 10_001)
    confirmed.loc[one & (confirmed["backbone"] == "deep"), "score"] = np.nan
    result = compared((confirmed, selected))
    assert (result.n_pairs, result.n_broken) == (7, 1)
    left = pair_differences(confirmed[~(one & (confirmed["backbone"] == "deep"))]).dropna()
    assert result.headline.mean == pytest.approx(left.groupby("backbone").mean().mean())


def test_a_backbone_without_pairs_leaves_the_estimand_undefined() -> None:
    confirmed, selected = tables(searches=3)
    lost = (confirmed["search"] == 1) & (confirmed["backbone"] == "deep")
    confirmed.loc[lost, "score"] = np.nan
    result = compared((confirmed, selected))
    assert math.isnan(result.headline.p)
    assert "a search has no complete pair" in result.headline.warning


def test_coverage_with_tuning_variance() -> None:
    """The t over searches covers the mean over searches; the conditional interval does not."""
    generator, hits, narrow, repeats = np.random.default_rng(3), 0, 0, 30
    for _ in range(repeats):
        data = tables(searches=5, seeds=2, tuning=0.05, rng=generator)
        # one backbone: 10 pairs, whose sign flips are few
        deep = [frame[frame["backbone"] == "deep"] for frame in data]
        result = compared((deep[0], deep[1]), n_resamples=99)
        hits += result.headline.ci_low <= 3 <= result.headline.ci_high
        narrow += result.conditional.ci_low <= 3 <= result.conditional.ci_high
    # 28.5 of 30 and 3 SD of a binomial below; the conditional interval lacks the larger part
    assert hits >= 25
    assert narrow < 22


def test_efforts_are_reported() -> None:
    efforts = [Effort("lora", 20, 3, 40, 100.0), Effort("talan", 20, 0, 60, 150.0)]
    result = compared(tables(), efforts=efforts)
    assert result.compute_ratio == pytest.approx(1.5)
    assert result.sentences()[-1] == (
        "Both arms had 20 trials; the search of talan took 1.50 times the computing time of lora's."
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, s: (c[c["split"] == "test"], s), "no winner was scored on validation"),
        (lambda c, s: (c.replace("talan", "talon"), s), "no arm 'talan'; did you mean 'talon'"),
        (lambda c, s: (pd.concat([c, c.head(1)]), s), "more than once"),
        (lambda c, s: (c, s[s["backbone"] == "deep"]), "no selected score on shallow"),
    ],
)
def test_bad_tables_are_refused(change, message) -> None:
    with pytest.raises(StatsError) as caught:
        compared(change(*tables()))
    assert message in str(caught.value)


def trials(searches: int, budget: int = 6) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = [
        (arm, r, t, level + generator.normal(0, 0.05))
        for arm, level in ARMS.items()
        for r in range(searches)
        for t in range(budget)
    ]
    return pd.DataFrame(rows, columns=["arm", "search", "trial", "score"])


def test_the_curve_fits_how_trials_were_drawn() -> None:
    replicated = search_curve(trials(3), sampler="tpe", baseline="lora", percent=True)
    assert replicated.unit == "search"
    assert replicated.n == {"lora": 3, "talan": 3}
    assert len(replicated.differences) == 6
    independent = search_curve(trials(1), sampler="random", baseline="lora", percent=True)
    assert independent.unit == "trial"
    assert not independent.differences
    frame = trials(1)
    single = search_curve(frame, sampler="tpe", baseline="lora", percent=True)
    lora = frame[frame["arm"] == "lora"]["score"].to_numpy() * 100
    found = [p.expected for p in single.points if p.arm == "lora"]
    assert found == pytest.approx(list(np.maximum.accumulate(lora)))
    assert all(math.isnan(p.low) for p in single.points)
    assert "no interval" in single.method
