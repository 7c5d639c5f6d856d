from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from stats.errors import StatsError
from stats.noncentral import t_power
from stats.paired import paired_t
from stats.sample import Sample
from stats.sequential.confseq import confidence_sequence
from stats.sequential.eprocess import e_process
from stats.sequential.operating import operating
from stats.sequential.plan import SequentialPlan
from stats.verdict import Verdict
from tests.stats.sequential.bands import band


def _clear(n: int = 20, effect: float = 1.5) -> np.ndarray:
    return np.random.default_rng(1).normal(effect, 1, n)


def test_anytime_replay_holds_the_process_and_its_sequence() -> None:
    d = _clear(15)
    replay = SequentialPlan(20).decide(d)
    process, sequence = e_process(d), confidence_sequence(d)
    assert [s.n for s in replay.steps] == list(range(1, 16))
    assert [s.e_value for s in replay.steps] == pytest.approx(process.e)
    assert [s.p for s in replay.steps] == pytest.approx(process.p)
    assert [s.low for s in replay.steps][6:] == pytest.approx(sequence.low[6:])
    first = int(np.argmax(process.e >= 20)) + 1
    assert replay.stopped_at == first
    assert replay.verdict is Verdict.SUPERIOR
    assert replay.steps[first - 2].decision == "go on"
    assert replay.steps[first - 1].decision == "stop"


def test_a_replay_of_fewer_pairs_is_the_beginning_of_a_longer_one() -> None:
    for plan in (SequentialPlan(20, sesoi=0.8), SequentialPlan(20, (6, 12, 20))):
        d = _clear(20, 0.4)
        longer = plan.decide(d).steps
        for n in (6, 11, 13):
            shorter = plan.decide(d[:n]).steps
            for one, other in zip(shorter, longer, strict=False):
                assert one.verdict is other.verdict
                for name in ("n", "mean", "e_value", "t", "p", "low", "high"):
                    a, b = getattr(one, name), getattr(other, name)
                    assert a == pytest.approx(b, rel=1e-7, nan_ok=True)


def test_a_verdict_reached_is_kept() -> None:
    """Wealth may fall again; the record, and with it the side, stays."""
    d = np.append(_clear(12, 2.0), [-9.0, -9.0, -9.0])
    replay = SequentialPlan(20).decide(d)
    assert replay.steps[-1].e_value < 20
    assert replay.verdict is Verdict.SUPERIOR
    assert SequentialPlan(20).decide(-d).verdict is Verdict.INFERIOR
    # The other side may even earn more by now, as long as it has not set the record.
    d = np.append(_clear(9, 2.0), np.full(10, -9.0))
    process = e_process(d)
    assert process.side[-1] == -1
    assert process.e[-1] < process.e.max()
    assert SequentialPlan(20).decide(d).verdict is Verdict.SUPERIOR


def test_looks_only_where_they_were_planned() -> None:
    plan = SequentialPlan(20, (8, 14, 20))
    d = _clear(20, 1.0)
    assert plan.decide(d[:7]).steps == ()
    assert plan.decide(d[:7]).next_look == 8
    assert "No look yet" in plan.decide(d[:7]).sentence()
    replay = plan.decide(d[:13])
    assert [s.n for s in replay.steps] == [8]
    assert replay.next_look == 14
    level = plan.boundaries().levels[0]
    alone = paired_t(d[:8], confidence_level=1 - level)
    assert replay.steps[0].t == pytest.approx(alone.t)
    assert replay.steps[0].low == pytest.approx(alone.ci_low)
    assert replay.steps[0].level == pytest.approx(level)


def test_a_plan_with_looks_ends_where_it_stops() -> None:
    replay = SequentialPlan(20, (8, 14, 20), rule="pocock").decide(_clear(20, 3.0))
    assert [s.n for s in replay.steps] == [8]
    assert (replay.stopped_at, replay.next_look, replay.decision) == (8, None, "stop")
    assert replay.verdict is Verdict.SUPERIOR


def test_stops_for_equivalence_and_tells_meaningful_differences() -> None:
    rng = np.random.default_rng(2)
    same = rng.normal(0, 0.1, 20)
    for looks in ((), (8, 14, 20)):
        assert SequentialPlan(20, looks, sesoi=1.0).decide(same).verdict is Verdict.EQUIVALENT
        far = SequentialPlan(20, looks, sesoi=1.0).decide(same - 5)
        assert far.verdict is Verdict.INFERIOR_AND_MEANINGFUL
        without = SequentialPlan(20, looks).decide(same)
        assert without.verdict is Verdict.INCONCLUSIVE
        assert without.decision == "end"


def test_false_equivalence_is_rare() -> None:
    """At a true difference of exactly the SESOI, after any pair, at most alpha."""
    repeats, plan = 80, SequentialPlan(25, sesoi=1.0)
    rng = np.random.default_rng(3)
    wrong = sum(
        any(s.verdict is Verdict.EQUIVALENT for s in plan.decide(d).steps)
        for d in rng.normal(1.0, 0.4, (repeats, 25))
    )
    assert wrong / repeats <= band(0.05, repeats)[1]


def test_one_sided_plans_never_call_the_other_side() -> None:
    d = _clear(20, -2.0)
    for looks in ((), (8, 14, 20)):
        plan = SequentialPlan(20, looks, alternative="greater")
        assert plan.decide(d).verdict is Verdict.INCONCLUSIVE
        assert plan.decide(-d).verdict is Verdict.SUPERIOR


@pytest.mark.parametrize("looks", [(), (4, 8)])
def test_no_spread(looks: tuple[int, ...]) -> None:
    plan = SequentialPlan(8, looks)
    assert plan.decide([0.5] * 8).verdict is Verdict.UNDEFINED
    assert plan.decide([0.0] * 8).verdict is Verdict.IDENTICAL
    assert plan.decide([0.5] * 8).stopped_at is None


def test_records_and_texts() -> None:
    plan = SequentialPlan(20, sesoi=1.0, units="points")
    replay = plan.decide(_clear())
    table = replay.table()
    assert len(table) == 20
    assert "t" not in table.columns
    assert "e_value" not in SequentialPlan(20, (20,)).decide(_clear()).table().columns
    kept = json.loads(json.dumps(replay.to_dict()))
    assert kept["steps"][0]["low"] is None
    assert kept["verdict"] == "superior-and-meaningful"
    assert plan.to_dict()["max_n"] == 20
    for text in (plan.summary(), replay.summary()):
        assert max(map(len, text.splitlines())) <= 100
    assert "Smallest effect of interest: 1 point." in plan.summary()
    assert (
        "After 20 pairs: better, and by more than 1 point, settled since pair" in replay.sentence()
    )
    assert "0.0440" in SequentialPlan(20, (8, 14, 20)).summary()


def test_operating_one_look_is_the_t_test() -> None:
    """A single look is a fixed-n test, whose power is known exactly."""
    repeats = 20_000
    found = operating(SequentialPlan(12, (12,)), 0.8, n_resamples=repeats)
    exact = t_power(0.8 * math.sqrt(12), 11, 0.05)
    low, high = band(exact, repeats)
    assert low <= found.power <= high
    assert found.mean_n == found.median_n == 12
    assert found.share_early == 0


def test_operating_agrees_with_decide() -> None:
    for plan in (SequentialPlan(15), SequentialPlan(15, (5, 10, 15), rule="pocock")):
        found = operating(plan, 1.0, n_resamples=100, rng=4)
        d = np.random.default_rng(4).normal(1.0, 1.0, (100, 15))
        stops = [plan.decide(row).stopped_at for row in d]
        assert found.power == np.mean([s is not None for s in stops])
        assert found.mean_n == np.mean([s or 15 for s in stops])
        assert found.rng_seed == 4


def test_operating_at_no_effect_is_the_type_i_error() -> None:
    for plan in (SequentialPlan(30), SequentialPlan(20, (8, 14, 20), alternative="less")):
        found = operating(plan, 0.0, n_resamples=4000)
        assert found.power <= band(0.05, 4000)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_n": 1}, "max_n: 1 pairs are too few for a plan"),
        ({"max_n": 20, "looks": (8, 14)}, "looks: the last look is at 14 pairs, but the plan ends"),
        ({"max_n": 20, "alpha": 5}, "alpha: 5 is not between 0 and 0.5"),
        ({"max_n": 20, "sesoi": -1.0}, "sesoi: -1.0 is not a positive number"),
        ({"max_n": 20, "rule": "obf"}, "rule: 'obf' is not a rule"),
        ({"max_n": 20, "alternative": "two"}, "alternative: 'two' is not an alternative"),
        ({"max_n": 20, "effects": (-1.0,)}, "effects: [-1.0] are not effects to bet on"),
    ],
)
def test_plans_that_do_not_fit_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(StatsError) as error:
        SequentialPlan(**arguments)  # type: ignore[arg-type]
    assert str(error.value).startswith(message)


def test_mistakes_in_the_data_are_told() -> None:
    plan = SequentialPlan(5)
    with pytest.raises(StatsError, match="d: 6 pairs, but the plan ends at 5; give the pairs"):
        plan.decide(np.ones(6))
    with pytest.raises(StatsError, match="d: 2 groups of pairs have no common order"):
        plan.decide(Sample.of([[1.0], [2.0]]))
    with pytest.raises(StatsError, match="looks: an anytime plan has no looks"):
        plan.boundaries()
    with pytest.raises(StatsError, match="n_resamples: 10 studies are too few"):
        operating(plan, 1.0, n_resamples=10)
    with pytest.raises(StatsError, match="dz: nan is not a number"):
        operating(plan, math.nan)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.alpha = 0.1  # type: ignore[misc]
