"""Claims over baselines on a tree of cells: against hand computations, and what must not happen."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from stats.contrast import Contrast
from stats.errors import StatsError
from stats.gatekeeping.gatekeep import gatekeep
from stats.gatekeeping.result import GateVerdict
from stats.table import PairedTable
from stats.verdict import Verdict

ADAPTERS = ("lora", "dora")
CONTRASTS = tuple(Contrast(a, {f"{a}+m": 1.0, a: -1.0}) for a in ADAPTERS)
FEW = 400  # resamples, the fewest that alpha = .05 allows


def frame(gain, *, seeds=8, backbones=("b0", "b1"), benchmarks=("x", "y"), noise=1.0, rng=0):
    """Scores of both adapters with and without the mechanism; ``gain(adapter, b, j)`` in points."""
    generator = np.random.default_rng(rng)
    rows = []
    for b in backbones:
        for seed in range(seeds):
            for a in ADAPTERS:
                for j in benchmarks:
                    base = 50 + generator.normal(0, 3)
                    rows.append((a, b, seed, j, base))
                    own = generator.normal(0, noise)
                    rows.append((f"{a}+m", b, seed, j, base + own + gain(a, b, j)))
    return pd.DataFrame(rows, columns=["arm", "backbone", "seed", "benchmark", "score"])


def kept(data, **more):
    table = PairedTable.from_frame(data, allow_failed=True)
    return gatekeep(table, more.pop("contrasts", CONTRASTS), n_resamples=FEW, **more)


def differences(data, adapter, backbone):
    wide = data[data["backbone"] == backbone].pivot_table(
        index=["seed", "benchmark"], columns="arm", values="score"
    )
    return (wide[f"{adapter}+m"] - wide[adapter]).unstack("benchmark")


def test_p_values_are_the_largest_of_the_paired_t_tests():
    data = frame(lambda a, b, j: 0.8)
    done = kept(data)
    by_name = {gate.name: gate for gate in done.gates}
    cell = [
        scipy_stats.ttest_1samp(differences(data, a, "b0")["x"], 0, alternative="greater").pvalue
        for a in ADAPTERS
    ]
    assert by_name["b0/x"].p_better == pytest.approx(max(cell))
    group = [
        scipy_stats.ttest_1samp(
            differences(data, a, "b1").mean(axis=1), 0, alternative="less"
        ).pvalue
        for a in ADAPTERS
    ]
    assert by_name["b1"].p_worse == pytest.approx(max(group))
    for part, a in zip(done.average.parts, ADAPTERS, strict=True):
        means = [differences(data, a, b).to_numpy().mean() for b in ("b0", "b1")]
        assert part.delta == pytest.approx(np.mean(means))


def test_the_tree_has_the_average_groups_and_cells():
    done = kept(frame(lambda a, b, j: 0))
    assert [(g.gate, g.name, g.parent) for g in done.gates] == [
        (1, "all cells", ""),
        (2, "b0", "all cells"),
        (3, "b0/x", "b0"),
        (3, "b0/y", "b0"),
        (2, "b1", "all cells"),
        (3, "b1/x", "b1"),
        (3, "b1/y", "b1"),
    ]


def test_one_group_or_one_cell_is_not_tested_twice():
    one_group = kept(frame(lambda a, b, j: 0, backbones=("b0",)))
    assert [g.name for g in one_group.gates] == ["all cells", "b0/x", "b0/y"]
    single = kept(frame(lambda a, b, j: 0, benchmarks=("x",)))
    assert [g.name for g in single.gates] == ["all cells", "b0/x", "b1/x"]
    cell = kept(frame(lambda a, b, j: 0, backbones=("b0",), benchmarks=("x",)))
    assert [g.name for g in cell.gates] == ["all cells"]


def test_a_gain_against_one_baseline_opens_nothing():
    done = kept(frame(lambda a, b, j: 5.0 * (a == "lora")))
    assert done.average.verdict is GateVerdict.NOT_SHOWN
    assert {g.verdict for g in done.gates[1:]} == {GateVerdict.CLOSED}
    assert done.average.deciding == "dora"
    assert len(done.sentences()) == 1
    assert "nothing less than the average is tested" in done.sentences()[0]
    alone = kept(frame(lambda a, b, j: 5.0 * (a == "lora")), contrasts=CONTRASTS[:1])
    assert alone.average.verdict is GateVerdict.BETTER


def test_gains_are_shown_where_they_are():
    done = kept(frame(lambda a, b, j: 6.0 * (b == "b0"), seeds=12), sesoi=1.0)
    verdicts = {g.name: g.verdict for g in done.gates}
    assert verdicts["all cells"] is verdicts["b0"] is verdicts["b0/y"] is GateVerdict.BETTER
    assert verdicts["b1"] is GateVerdict.NOT_SHOWN
    assert verdicts["b1/x"] is GateVerdict.CLOSED
    assert done.verdict is Verdict.SUPERIOR_AND_MEANINGFUL
    assert "better in b0." in done.sentences()[1]
    assert "Shown in 2 of 4 cells, 2 of them tested" in done.sentences()[2]


def test_harm_mirrors_gain():
    data = frame(lambda a, b, j: 3.0, seeds=12)
    up = kept(data, sesoi=1.0)
    data["score"] = -data["score"]
    down = kept(data, sesoi=1.0)
    assert down.average.verdict is GateVerdict.WORSE
    assert down.average.adjusted_worse == pytest.approx(up.average.adjusted_better)
    assert down.verdict is Verdict.INFERIOR_AND_MEANINGFUL


def test_a_claim_must_survive_the_second_table():
    data = frame(lambda a, b, j: 2.0, seeds=12)
    bad = data.copy()
    lost = bad["arm"].str.endswith("+m") & (bad["seed"] < 3)
    failed = data.copy()
    failed.loc[lost, "score"] = np.nan
    bad.loc[lost, "score"] = 5.0  # what is left when training fails
    alone = kept(failed)
    both = kept(failed, sensitivity=PairedTable.from_frame(bad))
    assert alone.average.verdict is GateVerdict.BETTER
    assert both.average.verdict is GateVerdict.NOT_SHOWN
    assert both.average.p_better >= both.average.parts[0].sensitivity_better
    assert both.average.parts[0].delta == alone.average.parts[0].delta
    assert both.average.parts[0].n_broken == 6


def test_identical_arms_and_constant_differences():
    data = frame(lambda a, b, j: 0, noise=0.0)
    same = kept(data)
    assert same.average.verdict is GateVerdict.IDENTICAL
    assert same.verdict is Verdict.IDENTICAL
    constant = kept(frame(lambda a, b, j: 1.0, noise=0.0))
    assert constant.average.verdict is GateVerdict.UNDEFINED
    assert constant.average.p_better == 1.0


def test_anytime_evidence_is_the_e_process_of_seed_means():
    from stats.sequential.eprocess import e_process

    data = frame(lambda a, b, j: 1.0, seeds=12)
    done = kept(data, evidence="e")
    means = sum(differences(data, "lora", b).mean(axis=1) for b in ("b0", "b1")) / 2
    expected = e_process(means.sort_index().to_numpy(), "greater").p[-1]
    assert done.average.parts[0].p_better == pytest.approx(expected)
    assert done.average.parts[0].n_pairs == 12
    assert math.isnan(done.average.parts[0].se)


def test_the_result_is_plain_and_seeded():
    data = frame(lambda a, b, j: 0.5, seeds=21)
    one, two = kept(data, rng=3), kept(data, rng=3)
    assert json.dumps(one.to_dict()) == json.dumps(two.to_dict())
    assert one.rng_seed == 3
    assert len(one.table()) == 14
    assert max(map(len, one.summary().splitlines())) <= 100


def test_bad_input():
    table = PairedTable.from_frame(frame(lambda a, b, j: 0))
    for message, more in {
        "no contrast": {"contrasts": ()},
        "not between 0 and 1": {"alpha": 0.0},
        "no kind of evidence": {"evidence": "p"},
        "resamples": {"n_resamples": 10},
        "there is no arm": {"contrasts": (Contrast("z", {"z": 1.0, "lora": -1.0}),)},
    }.items():
        with pytest.raises(StatsError, match=message):
            gatekeep(table, **({"contrasts": CONTRASTS} | more))


def test_no_error_beyond_alpha_on_tables():
    """The whole of it on simulated tables: b0 gains, b1 does not, in both directions."""
    errors = 0
    for round_ in range(40):
        done = kept(frame(lambda a, b, j: 8.0 * (b == "b0"), seeds=6, rng=round_))
        errors += any(
            gate.verdict in (GateVerdict.BETTER, GateVerdict.WORSE)
            for gate in done.gates
            if gate.name.startswith("b1")
        )
    assert errors <= 7  # 99.9 % of Binomial(40, .05)


def test_records_are_frozen():
    done = kept(frame(lambda a, b, j: 0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        done.alpha = 0.1
