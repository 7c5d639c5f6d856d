"""The A/A check and the block alone, on real runs of the toys and on doctored ones."""

import dataclasses

import numpy as np
import pytest

from ablate.analyse import analyse
from ablate.collect import make_tables
from ablate.control_checks import panel, same_scores, side_alone
from ablate.ledger import RunRecord
from ablate.plan import make_plan
from ablate.result import Score
from ablate.worker import execute_one


@pytest.fixture(scope="module")
def ended(toys):
    """A plan, its records and its scores; the toys are trained for real."""
    plan = make_plan(
        toys.study(axes="none", adapters="lora,dora", controls="side,same", seeds="2",
                   levels__memory="1,2", at__memory="1")
    )  # fmt: skip
    results = {key: execute_one(spec) for key, spec in plan.specs.items()}
    records = {
        key: RunRecord(key, plan.specs[key], r.outcome, 1, r.reason, r.cost, r.losses, "here", 1.0)
        for key, r in results.items()
    }
    scores = {(key, s.digest): s for key, r in results.items() for s in r.scores}
    return plan, records, scores


def test_the_block_at_rest_equals_the_baseline_bit_for_bit(ended):
    plan, records, scores = ended
    checks = same_scores(plan, make_tables(plan, records, scores))
    assert [(check.adapter, check.pairs) for check in checks] == [("lora", 2), ("dora", 2)]
    assert all(check.holds for check in checks)


def test_the_smallest_difference_is_found_and_said_first(ended):
    plan, records, scores = ended
    run = next(r for r in plan.runs if r.arm.control == "same" and r.arm.adapter == "dora")
    (key,) = (key for key in scores if key[0] == run.key)
    old = scores[key]
    loglik = old.loglik.copy()
    loglik[3] = np.nextafter(loglik[3], np.float32(0))
    moved = scores | {key: Score(old.benchmark, old.digest, old.correct, loglik)}
    tables = make_tables(plan, records, moved)
    checks = same_scores(plan, tables)
    assert [check.holds for check in checks] == [True, False]
    assert len(checks[1].differing) == 1
    found = panel(plan, tables, analyse(plan, tables))
    assert "FAILED" in found.headline
    assert "1 of 2 pairs" in found.headline
    assert found.qualifies  # whatever else the section answers


@pytest.mark.parametrize(
    ("ends", "pairs", "holds"),
    [
        ({"same": "diverged"}, 2, False),
        ({"same": "diverged", "": "diverged"}, 2, True),
        ({"same": "failed"}, 1, True),
    ],
)
def test_runs_that_are_one_computation_diverge_together(ended, ends, pairs, holds):
    plan, records, scores = ended
    changed = dict(records)
    for control, state in ends.items():
        run = next(
            r for r in plan.runs
            if r.arm.control == control and r.arm.adapter == "lora" and r.arm.name != "unadapted"
            and (control or r.arm.is_baseline) and r.seed == 0
        )  # fmt: skip
        changed[run.key] = dataclasses.replace(records[run.key], state=state)
    (check, _) = same_scores(plan, make_tables(plan, changed, scores))
    assert (check.pairs, check.holds) == (pairs, holds)


def test_the_block_alone_is_compared_with_the_fixed_score(ended):
    plan, records, scores = ended
    run = next(r for r in plan.runs if r.arm.control == "side")
    (key,) = (key for key in scores if key[0] == run.key)
    better = dataclasses.replace(scores[key], correct=np.arange(30) < 12)
    tables = make_tables(plan, records, scores | {key: better})
    found = side_alone(plan, tables)
    (effect,) = found.primary
    before = 100 * float(tables.unadapted["score"].iloc[0])
    after = 100 * tables.results[tables.results["arm"] == "talan/control=side"]["score"]
    assert effect.mean_baseline == pytest.approx(before)
    assert effect.delta == pytest.approx(float(after.mean()) - before)
    assert effect.df == 1


def test_a_study_without_the_arms_has_no_panel(toys, ended):
    _, records, scores = ended
    plain = make_plan(toys.study(axes="none", at__memory="1"))
    tables = make_tables(plain, records, scores)
    assert same_scores(plain, tables) == ()
    assert panel(plain, tables, None) is None
