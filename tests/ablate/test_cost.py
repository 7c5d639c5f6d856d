"""What the mechanism costs: retention within a margin, and resources paired within pairs."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from ablate.cost import panel, resources, retention
from ablate.cost.retention import AS_IS
from ablate.report.panel import SECTIONS
from stats.errors import StatsError
from stats.median import median_interval
from stats.verdict import Verdict

ARMS = [("lora+a", "a", "lora"), ("lora+b", "b", "lora")]
BACKBONES = ("one", "two")


def scores(loss, *, seeds=12, hp=1, sd=0.6, rng=0, backbones=BACKBONES, diverged=()):
    """A results table: ``loss`` maps an arm to the points it loses on retention (a number, or one
    per backbone); ``diverged`` names (arm, backbone, hp, seed)."""
    generator = np.random.default_rng(rng)
    rows = []
    for backbone, draw, seed in itertools.product(backbones, range(hp), range(seeds)):
        shared = generator.normal(0, 1.0)
        for arm in ("lora", *loss):
            lost = loss.get(arm, 0.0)
            lost = lost[backbone] if isinstance(lost, dict) else lost
            bad = (arm, backbone, draw, seed) in diverged
            value = (95 + shared - lost + generator.normal(0, sd)) / 100
            rows.append(
                {
                    "run_key": f"{arm}{backbone}{draw}{seed}",
                    "arm": arm,
                    "adapter": "lora",
                    "backbone": backbone,
                    "hp": draw,
                    "seed": seed,
                    "benchmark": "retention",
                    "outcome": "diverged" if bad else "done",
                    "score": math.nan if bad else value,
                }
            )
    return pd.DataFrame(rows)


def as_is(score=0.95, backbones=BACKBONES):
    return pd.DataFrame([{"backbone": b, "benchmark": "retention", "score": score}
                         for b in backbones])  # fmt: skip


def test_each_test_is_the_t_test_of_its_differences():
    results = scores({"lora+a": 0.5, "lora+b": 0.0})
    found = retention(results, as_is(), ARMS, 2.0)
    assert len(found.arms) == 2
    for arm in found.arms:
        assert len(arm.places) == 4
        for place, test in arm.tests("lora").items():
            at = results[results["backbone"] == place.backbone].set_index(["arm", "seed"])["score"]
            d = 100 * (at[arm.arm] - at["lora"])
            other = scipy_stats.ttest_1samp(d, -2.0, alternative="greater")
            assert test.p == pytest.approx(other.pvalue, rel=1e-9)
            assert test.low == pytest.approx(other.confidence_interval(0.975).low, rel=1e-9)
        for place, test in arm.tests(AS_IS).items():
            at = results[(results["backbone"] == place.backbone) & (results["arm"] == arm.arm)]
            other = scipy_stats.ttest_1samp(100 * at["score"] - 95, -2.0, alternative="greater")
            assert test.p == pytest.approx(other.pvalue, rel=1e-9)
        every = [arm.together.tests[place.key].p for place in arm.places]
        assert arm.together.p == max(every)
        assert arm.holds == all(p <= 0.025 for p in every)
    assert len(found.table()) == 8


def test_one_bad_place_is_enough_to_forbid_the_claim():
    found = retention(
        scores({"lora+a": 0.0, "lora+b": {"one": 0.0, "two": 4.0}}), as_is(), ARMS, 2.0
    )
    good, bad = found.arms
    assert good.holds
    assert good.holds_adjusted
    assert not bad.holds
    assert bad.weakest.backbone == "two"
    assert not found.holds


def test_claims_on_several_arms_are_adjusted():
    found = retention(scores({"lora+a": 0.9, "lora+b": 1.0}, rng=3), as_is(), ARMS, 2.0)
    p = sorted(arm.together.p for arm in found.arms)
    adjusted = sorted(arm.p_adjusted for arm in found.arms)
    assert adjusted == pytest.approx([2 * p[0], max(2 * p[0], p[1])])


def test_a_diverged_run_keeps_nothing():
    lost = [("lora+a", "one", 0, 3)]
    clean = retention(scores({"lora+a": 0.0}), as_is(), ARMS[:1], 2.0)
    found = retention(scores({"lora+a": 0.0}, diverged=lost), as_is(), ARMS[:1], 2.0)
    assert clean.holds
    assert clean.arms[0].lost == 0
    (arm,) = found.arms
    assert arm.together.holds, "the runs that ended alone would allow it"
    assert (arm.diverged, arm.holds, arm.holds_adjusted, found.holds) == (1, False, False, False)
    assert arm.lost == 2  # against the adapter and against the backbone


def test_a_diverged_baseline_costs_a_pair_and_no_claim():
    found = retention(
        scores({"lora+a": 0.0}, diverged=[("lora", "one", 0, 3)]), as_is(), ARMS[:1], 2.0
    )
    (arm,) = found.arms
    assert (arm.diverged, arm.lost, arm.holds) == (0, 1, True)
    assert {test.n for test in arm.tests("lora").values()} == {11, 12}


def test_over_draws_the_unit_is_the_draw():
    results = scores({"lora+a": 0.3}, seeds=2, hp=9, diverged=[("lora", "one", 4, 1)])
    found = retention(results, as_is(), ARMS[:1], 2.0, unit="draw")
    assert found.unit == "draw"
    (arm,) = found.arms
    assert {test.n for test in arm.together.tests.values()} == {9}
    at = results[results["backbone"] == "one"].pivot_table(
        index=["hp", "seed"], columns="arm", values="score"
    )
    d = (100 * (at["lora+a"] - at["lora"])).dropna().groupby("hp").mean()
    test = next(t for p, t in arm.tests("lora").items() if p.backbone == "one")
    assert test.mean == pytest.approx(d.mean())
    assert test.sd == pytest.approx(d.std(ddof=1))


def test_identical_scores_lose_nothing_and_no_spread_shows_nothing():
    same = scores({"lora+a": 0.0}).sort_values(["arm", "backbone", "seed"])
    base = same.loc[same["arm"] == "lora", "score"].to_numpy()
    same.loc[same["arm"] == "lora+a", "score"] = base
    found = retention(same, as_is(0.5), ARMS[:1], 2.0)
    assert found.holds
    assert all(test.identical for test in found.arms[0].tests("lora").values())
    same.loc[same["arm"] == "lora+a", "score"] = base - 0.001
    found = retention(same, as_is(0.5), ARMS[:1], 2.0)
    assert not found.holds
    assert found.arms[0].p_adjusted == 1.0
    fixed = same.assign(score=0.95)
    found = retention(fixed, as_is(0.95), ARMS[:1], 2.0)
    assert found.holds
    assert math.isnan(found.arms[0].p_adjusted)
    assert found.arms[0].weakest is None


def test_a_backbone_that_was_not_scored_as_it_is_shows_nothing():
    found = retention(scores({"lora+a": 0.0}), as_is(backbones=["one"]), ARMS[:1], 2.0)
    assert not found.holds
    assert found.arms[0].weakest.against == AS_IS


def test_the_margin_is_declared_and_positive():
    with pytest.raises(StatsError, match="margin"):
        retention(scores({"lora+a": 0.0}), as_is(), ARMS[:1], 0.0)
    assert retention(scores({"lora+a": 0.0}).iloc[:0], as_is(), ARMS[:1], 2.0) is None


def test_the_error_rate_at_the_margin_is_nominal():
    """Arms that lose exactly the margin in one place and gain elsewhere: the worst case of an
    intersection-union. 400 independent arms (their baseline does not vary) of 6 pairs; the share
    that is said to keep its strengths lies within four standard errors of 2.5 %."""
    n = 400
    generator = np.random.default_rng(11)
    names = np.array(["lora", *(f"lora+{i}" for i in range(n))])
    frames = []
    for backbone, gain in (("one", -2.0), ("two", 3.0)):
        values = 95 + gain + generator.normal(0, 1, (n + 1, 6))
        values[0] = 95
        frames.append(
            pd.DataFrame(
                {
                    "arm": np.repeat(names, 6), "backbone": backbone, "hp": 0,
                    "seed": np.tile(np.arange(6), n + 1), "benchmark": "retention",
                    "outcome": "done", "score": values.ravel() / 100,
                }
            )
        )  # fmt: skip
    arms = [(name, name, "lora") for name in names[1:]]
    found = retention(pd.concat(frames), as_is(0.5), arms, 2.0)
    hits = sum(arm.holds for arm in found.arms) / n
    assert abs(hits - 0.025) < 4 * math.sqrt(0.025 * 0.975 / n)
    assert not any(arm.holds_adjusted for arm in found.arms)


def costs(ratio=1.3, *, seeds=8, hp=1, block=300):
    generator = np.random.default_rng(5)
    rows = []
    for backbone, draw, seed in itertools.product(BACKBONES, range(hp), range(seeds)):
        load = generator.uniform(0.5, 5.0) * (1 if backbone == "one" else 7)
        for arm in ("lora", "lora+a"):
            own = arm != "lora"
            jitter = generator.uniform(0.99, 1.01)
            rows.append(
                {
                    "run_key": f"{arm}{backbone}{draw}{seed}", "arm": arm, "backbone": backbone,
                    "hp": draw, "seed": seed, "settings": f"rank {draw}", "attempts": 1,
                    "train_seconds": load * jitter * (ratio if own else 1),
                    "eval_seconds": load * (1.1 if own else 1), "peak_mb": 500.0 + 20 * own,
                    "adapter_parameters": 100 * (draw + 1), "block_parameters": block * own,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_ratios_are_paired_so_that_a_busy_machine_cancels():
    (found,) = resources(costs(), ARMS[:1], {"one": 9_600, "two": 19_600})
    assert found.train.n == 16
    assert found.train.low < 1.3 < found.train.high
    assert found.train.high - found.train.low < 0.03
    assert found.score.median == pytest.approx(1.1)
    assert found.memory.median == 20.0
    assert found.peak_mb == 520.0
    assert found.added == {"one": (300, 300), "two": (300, 300)}
    assert found.share["one"] == pytest.approx((300 / 9_700, 300 / 9_700))


def test_over_draws_runs_of_a_draw_are_one_unit_and_shares_span_the_draws():
    table = costs(seeds=2, hp=7)
    (found,) = resources(table, ARMS[:1], {"one": 9_000, "two": 9_000}, over_draws=True)
    assert found.train.n == 7
    assert found.share["one"] == pytest.approx((300 / 9_700, 300 / 9_100))
    by_hand = table[table["hp"] == 0].pivot(index=["backbone", "seed"], columns="arm",
                                            values="train_seconds")  # fmt: skip
    unit = np.exp(np.log(by_hand["lora+a"] / by_hand["lora"]).mean())
    one = resources(table[table["hp"] == 0], ARMS[:1], {"one": 1, "two": 1}, over_draws=True)
    assert one[0].train.median == pytest.approx(unit)


def test_a_backbone_that_trains_as_a_whole_is_not_counted_twice():
    (found,) = resources(costs(), ARMS[:1], {"one": 100, "two": 100}, whole=["lora"])
    assert found.share["one"] == (3.0, 3.0)


def test_winners_with_other_settings_tell_no_time_and_the_panel_says_so():
    table = costs()
    table.loc[(table["arm"] != "lora") & (table["backbone"] == "one"), "settings"] = "rank 16"
    (half,) = resources(table, ARMS[:1], {"one": 9_600, "two": 19_600})
    assert (half.unlike, half.train.n, half.memory.n) == (8, 8, 8)
    table.loc[table["arm"] != "lora", "settings"] = "rank 16"
    (none,) = resources(table, ARMS[:1], {"one": 9_600, "two": 19_600})
    assert (none.unlike, none.train, none.score, none.memory) == (16, None, None, None)
    assert none.added == {"one": (300, 300), "two": (300, 300)}
    found = panel(*simulated(scores({"lora+a": 0.1}), table), nothing_said())
    assert not any("times as long" in text for text in found.sentences)
    assert any("not compared in 16 pairs whose arms have different" in n for n in found.notes)


def test_an_arm_without_runs_is_left_out():
    assert resources(costs(), ARMS, {"one": 1, "two": 1})[0].arm == "lora+a"
    assert len(resources(costs(), ARMS, {"one": 1, "two": 1})) == 1


@pytest.mark.parametrize(("n", "rank", "coverage"), [
    (6, 1, 1 - 2 / 64), (10, 2, 0.978516), (20, 6, 0.958611), (5, None, None)])  # fmt: skip
def test_the_interval_of_a_median_is_the_tabled_one(n, rank, coverage):
    """Ranks and coverage as in the tables of Dixon and Massey."""
    values = np.random.default_rng(0).permutation(n) + 1.0
    found = median_interval(values)
    assert found.median == np.median(values)
    if rank is None:
        assert math.isnan(found.low)
        assert "too few" in found.summary()
        return
    assert (found.low, found.high) == (rank, n + 1 - rank)
    assert found.coverage == pytest.approx(coverage, abs=1e-6)


def test_the_interval_of_a_median_covers_it():
    generator = np.random.default_rng(2)
    hits = sum(
        (found := median_interval(generator.lognormal(0, 1, 12))).low <= 1.0 <= found.high
        for _ in range(1000)
    )
    exact = 1 - 2 * scipy_stats.binom.cdf(2, 12, 0.5)
    assert abs(hits / 1000 - exact) < 4 * math.sqrt(exact * (1 - exact) / 1000)
    with pytest.raises(StatsError, match="at least one value"):
        median_interval([])


def simulated(results, table, *, draws=0, world=""):
    """Just what the panel reads of a plan and of its tables."""
    names = [a for a in dict.fromkeys(results["arm"]) if a != "lora"]
    arms = [SimpleNamespace(name="lora", label="lora", adapter="lora", is_design_point=False)]
    arms += [SimpleNamespace(name=n, label=n.split("+")[1], adapter="lora", is_design_point=True)
             for n in names]  # fmt: skip
    from ablate.backbones import embedded_folder

    source = str(embedded_folder("qwen3-tiny"))
    plan = SimpleNamespace(
        design=SimpleNamespace(arms=arms),
        study=SimpleNamespace(
            draws=SimpleNamespace(count=draws), retention_margin=2.0, world=world
        ),
        retention=("retention",),
        backbones=[SimpleNamespace(name=b, source=source) for b in BACKBONES],
        over_draws=bool(draws),
        unit="draw" if draws else "pair",
        runs=[SimpleNamespace(spec=SimpleNamespace(device="cpu"))],
    )
    return plan, SimpleNamespace(results=results, unadapted=as_is(), costs=table)


def nothing_said(verdict=Verdict.INCONCLUSIVE):
    """What the families say of the mechanism's retention on average."""
    effect = SimpleNamespace(group="mechanism", verdict=verdict)
    return SimpleNamespace(retention=SimpleNamespace(primary=[effect]))


def test_the_panel_says_what_is_shown():
    plan, tables = simulated(scores({"lora+a": 0.1}), costs())
    found = panel(plan, tables, nothing_said())
    assert found.section in SECTIONS
    assert found.verdict is None
    assert found.headline.startswith(
        "For the mechanism, a loss of 2 points or more on retention is excluded on every backbone, "
        "against the adapter alone and against the backbone as it is (one-sided 97.5 %, p < .001)."
    )
    assert any(s.startswith("Training takes 1.30 times as long") for s in found.sentences)
    assert found.sentences[0].startswith("Against its adapter alone, the largest mean loss seen")
    assert found.sentences[1].startswith("The block adds 300 trainable parameters, 0.15 %")
    assert [len(table.rows) for table in found.tables] == [4, 1]
    for table in found.tables:
        assert len(table.head) <= 8
        widths = [max(len(row[i]) for row in (table.head, *table.rows)) for i in range(8)]
        assert sum(widths) + 2 * 8 <= 100
    assert found.data["retention"]["holds"] is True


def test_the_panel_says_what_is_not_shown_and_why():
    worse = scores({"lora+a": 0.1, "lora+b": {"one": 5.0, "two": 0.0}})
    found = panel(*simulated(worse, costs()), nothing_said())
    assert "is excluded for 1 of 2 arms" in found.headline
    assert "the weakest is b: retention on one, against" in found.headline
    assert found.verdict == "inconclusive"
    only = panel(*simulated(scores({"lora+b": 5.0}), costs()), nothing_said())
    assert only.headline.startswith(
        "A loss of 2 points or more on retention is not excluded on every backbone, against the "
    )
    gone = scores({"lora+a": 0.0}, diverged=[("lora+a", "one", 0, 3)])
    assert "1 run diverged, and such a run keeps nothing" in panel(
        *simulated(gone, costs()), nothing_said()
    ).headline  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "word"), [(5.0, "Yes, retention falls"), (0.1, "Less than the margin")]
)
def test_a_fall_that_the_tables_show_is_the_answer(loss, word):
    fall = nothing_said(Verdict.INFERIOR)
    found = panel(*simulated(scores({"lora+a": loss}), costs()), fall)
    assert (found.word, found.verdict) == (word, Verdict.INFERIOR)


def test_a_world_has_no_time_and_a_study_without_retention_says_so():
    plan, tables = simulated(scores({"lora+a": 0.1}), costs(), world="null")
    assert len(panel(plan, tables, nothing_said()).tables) == 1
    plan.retention = ()
    assert panel(plan, tables, nothing_said()) is None
    plan.study.world = ""
    found = panel(plan, tables, nothing_said())
    assert found.notes[0].startswith("No retention benchmark is scored")
    assert found.headline.startswith("The block adds")
