"""The noise floor of single runs: identities, brute force, error rates, the published case."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from stats.errors import StatsError
from stats.figures.repeatability import difference_plot, ranking_plot, residual_map, shift_plot
from stats.paired import paired_t, t_quantile
from stats.reading import read_table
from stats.repeatability.check import effective_number
from stats.repeatability.floor import noise_floor, studentised_range
from stats.repeatability.grid import RunGrid
from stats.repeatability.result import NoiseFloor
from stats.repeatability.text import plural
from stats.repeatability.within import deletions, least_squares
from tests.stats.sequential.bands import band

HISTORY = Path(__file__).parents[3] / "shared" / "data" / "peft_metamath_history.csv"


def table(
    entries: int = 10,
    occasions: int = 4,
    *,
    kept: float = 1.0,
    noise: float = 1.0,
    shifts: tuple[float, ...] = (),
    rng: int = 0,
) -> pd.DataFrame:
    g = np.random.default_rng(rng)
    levels = g.normal(50, 8, entries)
    moved = [*shifts, *[0.0] * (occasions - len(shifts))]
    rows = [
        (f"m{i}", f"o{j}", levels[i] + moved[j] + g.normal(0, noise))
        for i in range(entries)
        for j in range(occasions)
        if g.random() < kept or j == i % occasions
    ]
    return pd.DataFrame(rows, columns=["config", "campaign", "score"])


def floor_of(frame: pd.DataFrame, **options: object) -> NoiseFloor:
    return noise_floor(frame, entry="config", occasion="campaign", score="score", **options)  # type: ignore[arg-type]


def grid_of(frame: pd.DataFrame) -> RunGrid:
    return RunGrid.from_frame(frame, entry="config", occasion="campaign", score="score")


def dummies(frame: pd.DataFrame) -> np.ndarray:
    return pd.get_dummies(frame[["config", "campaign"]]).to_numpy(dtype=float)


def rss_df(x: np.ndarray, y: np.ndarray) -> tuple[float, int]:
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    return float(((y - x @ beta) ** 2).sum()), y.size - int(np.linalg.matrix_rank(x))


# The numbers ---------------------------------------------------------------------------------


def test_in_a_complete_table_all_is_the_two_way_analysis_of_variance():
    frame = table(12, 5, shifts=(0, 1, 2, 3, 4))
    y = frame.pivot(index="config", columns="campaign", values="score").to_numpy()
    left = y - y.mean(axis=1, keepdims=True) - y.mean(axis=0) + y.mean()
    error = (left**2).sum() / (11 * 4)
    between = 5 * y.mean(axis=1).var(ddof=1)
    f = floor_of(frame)
    assert f.df == 44
    assert f.sigma == pytest.approx(math.sqrt(error), rel=1e-5)
    assert f.sigma_within == pytest.approx(math.sqrt(error), rel=1e-10)
    assert f.floor == pytest.approx(t_quantile(0.975, 44) * math.sqrt(2 * error), rel=1e-5)
    component = (between - error) / 5
    assert f.reliability == pytest.approx(component / (component + error), rel=1e-5)
    shift_f = 12 * y.mean(axis=0).var(ddof=1) / error
    assert (f.shift_num_df, f.shift_f) == (4, pytest.approx(shift_f, rel=1e-4))
    assert f.shift_den_df == pytest.approx(44, rel=1e-4)
    assert {e.df for e in f.entries} == {4}


def test_intervals_of_sigma_and_reliability_hold_the_estimates_and_rest_on_the_deviance():
    f = floor_of(table(15, 4, kept=0.7, rng=3))
    assert f.sigma_low < f.sigma < f.sigma_high
    assert f.reliability_low < f.reliability < f.reliability_high
    # At an end of the reliability's interval the profiled criterion has risen by chi2(.95, 1).
    ratio = math.sqrt(f.reliability_low / (1 - f.reliability_low))
    at_best = math.sqrt(f.reliability / (1 - f.reliability))
    theta = f.fit.optimum.theta * ratio / at_best
    rise = f.fit.criterion.value(theta) - f.fit.optimum.value
    assert rise == pytest.approx(scipy.stats.chi2.ppf(0.95, 1), rel=1e-3)
    assert floor_of(table(15, 4, kept=0.7, rng=3), confidence_level=0.8).sigma_low > f.sigma_low


@pytest.mark.parametrize(
    ("count", "df", "q"), [(2, 10, 3.151), (3, 10, 3.877), (10, 20, 5.008), (20, 60, 5.241)]
)
def test_the_studentised_range_is_tukeys_table(count: int, df: int, q: float):
    assert studentised_range(count, df, 0.95) == pytest.approx(q, abs=2e-3)


def test_two_entries_cost_nothing_for_all_pairs():
    f = floor_of(table(2, 6))
    assert f.floor_all == pytest.approx(f.floor, rel=1e-4)


def test_the_shift_of_two_complete_occasions_is_the_paired_t_test():
    frame = table(9, 2, shifts=(0.0, 1.0))
    y = frame.pivot(index="config", columns="campaign", values="score")
    t = paired_t((y["o1"] - y["o0"]).to_numpy())
    shift = floor_of(frame).occasions[1]
    assert shift.shift == pytest.approx(t.mean, rel=1e-6)
    assert (shift.p, shift.p_adjusted) == pytest.approx((t.p, t.p), rel=1e-3)
    assert (shift.low, shift.high) == pytest.approx((t.ci_low, t.ci_high), rel=1e-3)


def test_least_squares_and_deletions_are_those_of_the_whole_design():
    frame = table(9, 5, kept=0.55, shifts=(0, 2, -1), rng=5)
    grid = grid_of(frame)
    y, x = frame["score"].to_numpy(), dummies(frame)
    rss, df = rss_df(x, y)
    within = least_squares(grid)
    assert (within.rss, within.df) == (pytest.approx(rss), df)
    for d in deletions(grid):
        rest = (frame["config"] != grid.entries[d.entry]).to_numpy()
        rss_rest, df_rest = rss_df(x[rest], y[rest])
        assert (d.df, d.df_rest) == (df - df_rest, df_rest)
        f = (rss - rss_rest) / d.df / (rss_rest / df_rest)
        assert d.f == pytest.approx(f)
        assert d.p == pytest.approx(scipy.stats.f.sf(f, d.df, df_rest))
        # A difference of two runs has the variance of two runs once it is scaled.
        mine = frame[~rest].reset_index(drop=True)
        columns = pd.get_dummies(frame[["config", "campaign"]])
        inverse = np.linalg.pinv(x[rest].T @ x[rest])
        beta = inverse @ x[rest].T @ y[rest]
        expected = []
        for i in range(len(mine)):
            for j in range(i + 1, len(mine)):
                c = np.zeros(x.shape[1])
                c[columns.columns.get_loc(f"campaign_{mine['campaign'][i]}")] += 1
                c[columns.columns.get_loc(f"campaign_{mine['campaign'][j]}")] -= 1
                v = c @ inverse @ c
                raw = mine["score"][i] - mine["score"][j] - c @ beta
                expected.append(raw / math.sqrt(1 + v / 2))
        assert np.sort(np.abs(d.differences)) == pytest.approx(np.sort(np.abs(expected)))


def test_rankings_count_neighbours_pairs_and_leaders():
    frame = table(6, 2, noise=0.5)
    f = floor_of(frame)
    for r in f.rankings:
        scores = np.sort(frame[frame["campaign"] == r.occasion]["score"].to_numpy())[::-1]
        gaps = [a - b for i, a in enumerate(scores) for b in scores[i + 1 :]]
        assert r.close == sum(a - b < f.floor for a, b in pairwise(scores))
        assert (r.pairs, r.apart) == (15, sum(gap >= f.floor for gap in gaps))
        assert r.apart_all == sum(gap >= f.floor_all for gap in gaps)
        assert r.leaders == sum(scores[0] - s < f.floor_all for s in scores)


def test_overlaps_compare_the_shared_entries():
    frame = table(12, 3, kept=0.7, shifts=(0, 3), rng=2)
    y = frame.pivot(index="config", columns="campaign", values="score")
    for o in floor_of(frame).overlaps:
        d = (y[o.second] - y[o.first]).dropna()
        both = y[[o.first, o.second]].dropna()
        assert (o.shared, o.difference) == (len(d), pytest.approx(d.mean()))
        assert o.repeat_sd == pytest.approx(d.std() / math.sqrt(2))
        rank = scipy.stats.spearmanr(both[o.first], both[o.second]).statistic
        assert o.rank_correlation == pytest.approx(rank)


def test_what_must_not_matter_does_not():
    frame = table(10, 4, kept=0.7, rng=7)
    f = floor_of(frame)
    shuffled = floor_of(frame.sample(frac=1, random_state=1))
    assert shuffled.floor == pytest.approx(f.floor, rel=1e-6)
    assert shuffled.occasions[1].p_adjusted == pytest.approx(f.occasions[1].p_adjusted, rel=1e-5)
    moved = frame.assign(score=frame["score"] + 30 * (frame["campaign"] == "o2"))
    assert floor_of(moved).sigma_within == pytest.approx(f.sigma_within, rel=1e-9)
    fractions = floor_of(frame.assign(score=frame["score"] / 100), percent=True)
    assert fractions.floor == pytest.approx(f.floor, rel=1e-6)
    assert fractions.units == "points"


# Parts that do not hang together ---------------------------------------------------------------


def test_a_part_apart_is_set_aside_and_named():
    frame = pd.concat(
        [
            table(6, 3, rng=1),
            pd.DataFrame({"config": ["new"], "campaign": ["late"], "score": [99.0]}),
        ]
    )
    f = floor_of(frame)
    assert [(a.entries, a.occasions, a.runs) for a in f.apart] == [(("new",), ("late",), 1)]
    assert (f.n, f.n_entries, f.n_fitted, f.n_occasions) == (18, 7, 6, 3)
    assert f.sigma == pytest.approx(floor_of(table(6, 3, rng=1)).sigma, rel=1e-9)
    assert any("Campaign late shares no config" in text for text in f.answers())
    # All entries of the table may be compared, those apart included.
    assert f.floor_all == pytest.approx(studentised_range(7, f.df, 0.95) * f.sigma, rel=1e-9)


def test_the_part_with_most_repeats_is_fitted_not_the_one_with_most_runs():
    alone = pd.DataFrame(
        {"config": [f"s{i}" for i in range(20)], "campaign": "single", "score": range(20)}
    )
    f = floor_of(pd.concat([alone, table(4, 3)]))
    assert f.n_fitted == 4
    assert f.apart[0].runs == 20


def test_occasions_may_be_compared_by_a_chain():
    # o0 and o2 share no entry; both share entries with o1.
    frame = table(12, 3, noise=0.3, shifts=(0.0, 0.0, 5.0), rng=4)
    first = frame["config"].isin([f"m{i}" for i in range(6)])
    frame = frame[(first & (frame["campaign"] != "o2")) | (~first & (frame["campaign"] != "o0"))]
    f = floor_of(frame)
    assert not f.apart
    last = f.occasions[2]
    assert (last.shared, last.shift) == (0, pytest.approx(5.0, abs=1.0))
    assert any("by a chain of others" in text for text in f.answers())


# Entries that repeat badly, and tails ------------------------------------------------------------


def test_an_entry_that_repeats_badly_is_found_and_left_out_for_comparison():
    frame = table(20, 4, noise=0.5, rng=6)
    frame.loc[frame["config"] == "m3", "score"] += np.array([-5.0, 5.0, -5.0, 5.0])
    f = floor_of(frame)
    assert f.worst == ("m3",)
    assert f.entries[0].entry == "m3"
    without = next(s for s in f.sensitivity if s.name == "without m3")
    assert without.floor < 0.7 * f.floor
    assert f.check.kurtosis > 1
    assert f.check.differences[0][1] >= 0
    assert any("m3 (SD" in text and "exploratory" in text for text in f.answers())


def test_effective_number_of_one_pair_per_entry_is_the_number_less_one():
    beyond = np.array([1.0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    assert effective_number(beyond, np.ones(10), np.arange(10)) == pytest.approx(9)
    assert effective_number(np.zeros(10), np.ones(10), np.arange(10)) == 10
    # Pairs that exceed all in one entry are worth less than the same number spread out.
    clustered = np.repeat([1.0, 0, 0, 0, 0], 6)
    owner = np.repeat(np.arange(5), 6)
    assert effective_number(clustered, np.full(30, 0.5), owner) < 5


# Error rates -------------------------------------------------------------------------------------


def test_fresh_runs_exceed_the_floors_as_often_as_they_should():
    """Two runs: t; the range of six: q. Normal quantiles, and t for all pairs, do not hold."""
    g = np.random.default_rng(1)
    repeats, entries, occasions = 4000, 6, 3
    names = [(i, j) for i in range(entries) for j in range(occasions) if (i + j) % 4]
    shape = pd.DataFrame(names, columns=["config", "campaign"]).astype(str)
    hits = dict.fromkeys(("floor", "floor_all", "normal", "t for all"), 0)
    grid = grid_of(shape.assign(score=g.normal(size=len(names))))
    df = least_squares(grid).df
    t, q = t_quantile(0.975, df) * math.sqrt(2), studentised_range(entries, df, 0.95)
    for _ in range(repeats):
        sd = least_squares(replace(grid, values=g.normal(size=grid.n))).sd
        fresh = g.normal(size=entries)
        two, span = abs(fresh[0] - fresh[1]), np.ptp(fresh)
        hits["floor"] += two >= t * sd
        hits["floor_all"] += span >= q * sd
        hits["normal"] += two >= 1.96 * math.sqrt(2) * sd
        hits["t for all"] += span >= t * sd
    low, high = (repeats * end for end in band(0.05, repeats))
    assert low <= hits["floor"] <= high
    assert low <= hits["floor_all"] <= high
    assert hits["normal"] > high
    assert hits["t for all"] > high


def test_the_deletion_test_of_an_entry_keeps_its_level():
    """One that takes the entry's variance as it is, shifts included, does not."""
    g = np.random.default_rng(2)
    repeats = 400
    frame = table(6, 4, kept=0.8, rng=1)
    moved = frame["campaign"].map({"o0": 0.0, "o1": 2.0, "o2": -2.0, "o3": 1.0}).to_numpy()
    start = grid_of(frame)
    hits = wrong = 0
    for _ in range(repeats):
        grid = replace(start, values=moved + g.normal(size=start.n))
        d = deletions(grid)[0]
        hits += d.p <= 0.05
        own = grid.values[grid.at_entry == d.entry]
        ratio = own.var(ddof=1) / d.sd_rest**2
        wrong += scipy.stats.f.sf(ratio, own.size - 1, d.df_rest) <= 0.05
    low, high = (repeats * end for end in band(0.05, repeats))
    assert low <= hits <= high
    assert wrong > high


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.concat([table(3, 2), table(3, 2)]), "replicates: average them"),
        (table(5, 1), "no config ran on two campaigns, so that nothing repeats"),
        (table(4, 2).assign(score=1.0), "the runs repeat exactly"),
        (table(1, 3), "leave no degree of freedom for noise"),
        (table(3, 2).assign(score=[1, 2, math.nan, 4, 5, 6]), "the score is missing"),
        (table(3, 2).assign(score="x"), "'x' is not a number"),
        (table(3, 2).drop(columns="campaign"), "no column 'campaign'"),
    ],
)
def test_refusals(frame: pd.DataFrame, words: str):
    with pytest.raises(StatsError, match=words):
        floor_of(frame)


def test_other_refusals():
    f = floor_of(table(5, 2))
    with pytest.raises(StatsError, match="did you mean 'entries'"):
        f.table("entrys")
    with pytest.raises(StatsError, match="no ranking of 'o9'"):
        ranking_plot(f, "o9")
    with pytest.raises(StatsError, match="is not between 0 and 1"):
        floor_of(table(5, 2), confidence_level=1.5)


# Words and pictures ------------------------------------------------------------------------------


def test_text_and_json():
    f = floor_of(table(8, 3, shifts=(0.0, 4.0)))
    text = f.summary()
    assert max(map(len, text.splitlines())) <= 100
    assert "Two single runs of one campaign must differ by at least" in text
    assert "o1 by +" in text
    out = json.loads(json.dumps(f.to_dict(), allow_nan=False))
    assert out["floor"] == f.floor
    assert out["occasions"][0]["p"] is None
    assert out["answers"] == list(f.answers())
    assert list(f.table("rankings")["runs"]) == [8, 8, 8]


def test_no_shift_is_not_called_none():
    text = " ".join(floor_of(table(8, 3, rng=9)).answers())
    assert "No shift between campaigns is shown" in text
    assert "does not show that there is none" in text


def test_plurals():
    assert [plural(w) for w in ("config", "entry", "day", "batch", "class")] == [
        "configs", "entries", "days", "batches", "classes",
    ]  # fmt: skip
    assert plural("config", 1) == "config"


def test_figures_show_what_the_tables_say():
    f = floor_of(table(9, 3, kept=0.8, shifts=(0.0, 5.0), rng=8))
    axis = ranking_plot(f).axes[0]
    top = max(f.rankings, key=lambda r: r.runs)
    assert axis.get_yticklabels()[0].get_text() == top.best
    hollow = next(line for line in axis.lines if line.get_markerfacecolor() == "white")
    assert len(hollow.get_xdata()) == top.leaders
    shifts = shift_plot(f).axes[0]
    assert [t.get_text() for t in shifts.get_yticklabels()] == [o.occasion for o in f.occasions[1:]]
    assert str(f.occasions[1].shared) in {t.get_text() for t in shifts.texts}
    drawn = difference_plot(f).axes[0].lines[0]
    assert len(drawn.get_xdata()) == f.check.pairs
    names = [t.get_text() for t in residual_map(f).axes[0].get_yticklabels()]
    assert names == [e.entry for e in f.entries]


# The published comparison ------------------------------------------------------------------------


@pytest.mark.skipif(not HISTORY.is_file(), reason=f"{HISTORY} is not here")
def test_the_published_adapter_comparison():
    f = noise_floor(
        read_table(HISTORY), entry="config", occasion="campaign", score="gsm8k_accuracy",
        percent=True,
    )  # fmt: skip
    frame = read_table(HISTORY)
    y = frame["gsm8k_accuracy"].astype(float).to_numpy() * 100
    rss, df = rss_df(pd.get_dummies(frame[["config", "campaign"]]).to_numpy(dtype=float), y)
    assert (f.df, df) == (109, 109)
    assert f.sigma_within == pytest.approx(math.sqrt(rss / df), rel=1e-9)
    assert f.sigma == pytest.approx(0.867, abs=0.001)
    assert f.floor == pytest.approx(2.43, abs=0.005)
    assert f.floor_all == pytest.approx(5.21, abs=0.01)
    assert [a.occasions for a in f.apart] == [("26-08",)]
    assert f.worst == ("prefixtuning--llama-3.2-3B-lr_0.001",)
    shown = {o.occasion: o for o in f.occasions if o.p_adjusted <= 0.05}
    assert set(shown) == {"26-04", "26-07"}
    assert shown["26-07"].shift == pytest.approx(-1.45, abs=0.01)
    # The difference of two occasions over the 38 entries that both have is -1.65 +- 0.16.
    text = " ".join(f.answers())
    assert "must differ by at least 2.43 points [2.14, 2.79]" in text
    assert "among all 66 configs, where any difference may catch the eye, by 5.21." in text
    assert "26-07 by -1.45 points [-2.10, -0.801]" in text
    assert "Campaign 26-08 shares no config with the rest" in text
    both = next(o for o in f.overlaps if (o.first, o.second) == ("26-01", "26-07"))
    assert (both.shared, both.difference) == (38, pytest.approx(-1.65, abs=0.01))
