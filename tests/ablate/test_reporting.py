"""What a report says of looks, of hyperparameters and of package versions."""

import dataclasses

import pytest

from ablate.collect import OTHER_ENVIRONMENT, make_tables
from ablate.failures import rates
from ablate.ledger import Reported, RunRecord
from ablate.parse import read_overrides
from ablate.plan import make_plan
from ablate.reporting import CHOSEN, exploratory_reasons, provenance
from ablate.search.confirm import confirmation_plan
from ablate.search.plan import make_search_plan
from ablate.search.trial import Searched, Trial
from ablate.study import load_study

SMALL = ("axes=none", "backbones=qwen3-tiny", "benchmarks=recall")
DRAWN = (*SMALL, "hp.lr=1e-4..1e-2")


def make(*settings):
    return make_plan(load_study(read_overrides(settings)))


def after(earlier, now):
    """The reasons of a report of the plan ``now`` after one of the plan ``earlier``."""
    seen = Reported("x", earlier.seen, 0.0)
    assert earlier.design_digest == now.design_digest
    return exploratory_reasons(now, [seen])


def drawn(draws=3, seeds=2):
    return make(*DRAWN, f"hp.draws={draws}", f"hp.seeds={seeds}")


@pytest.mark.parametrize("more", [{"draws": 4}, {"seeds": 3}])
def test_more_draws_and_more_seeds_per_draw_are_a_look(more):
    few, many = drawn(), drawn(**more)
    (reason,) = after(few, many)
    assert reason.startswith("draws or seeds were added after a report with 6 seeds of draws")
    assert after(few, few) == ()
    assert after(many, few) == ()


def test_without_draws_seeds_are_added():
    (reason,) = after(make(*SMALL, "seeds=3"), make(*SMALL, "seeds=4"))
    assert reason.startswith("seeds were added after a report with 3 seeds was written")


def confirmed(replicates=1):
    """The confirmation of a search that chose a learning rate and a width for each arm."""
    settings = [*SMALL, "hp.lr=1e-4..1e-2", "hp.width=4,8", f"search.replicates={replicates}"]
    plan = make_search_plan(load_study(read_overrides(settings), "default"))
    rate = iter((1e-3, 2e-3, 3e-3, 4e-3))
    found = [
        Searched(arm, r, (Trial(0, {"lr": next(rate), "width": 4}, (0.5,), ("k",), False, 0),))
        for r in plan.replicates
        for arm in plan.arms
    ]
    return confirmation_plan(plan, found)


def test_provenance_of_a_search_has_only_what_all_its_runs_share():
    plan = confirmed()
    said = provenance(plan, {})
    assert said["train.lr"] == CHOSEN
    assert said["train.steps"] == f"{plan.study.hp.steps}"
    assert said["block.width"] == "4"
    assert said["block.conditioning"] == plan.study.block.conditioning


def test_provenance_of_draws_has_their_ranges_and_of_a_study_its_values():
    assert provenance(drawn(), {})["train.lr"] == "drawn from 0.0001..0.01"
    plan = make(*SMALL)
    assert provenance(plan, {})["train.lr"] == f"{plan.study.hp.lr:g}"
    assert CHOSEN not in provenance(plan, {}).values()


def test_a_plan_knows_its_unit():
    assert [plan.unit for plan in (make(*SMALL), drawn(), confirmed(2))] == [
        "pair", "draw", "search",
    ]  # fmt: skip


def test_failures_over_searches_are_counted_by_search():
    plan = confirmed(2)
    found = rates(plan, make_tables(plan, records_of(plan, {}), {}))
    assert found.unit == "search"


def records_of(plan, environments):
    """A finished record of every run; its environment by arm, "one" where none is named."""
    return {
        run.key: RunRecord(
            run.key, run.spec, "done", 1, "", None, (), environments.get(run.arm.name, "one"), 1.0
        )
        for run in plan.runs
    }


def test_a_pair_has_one_environment_over_its_adapters():
    plan = make(*SMALL, "adapters=lora,dora", "seeds=2")
    dora = {run.arm.name: "two" for run in plan.runs if run.arm.adapter == "dora"}
    tables = make_tables(plan, records_of(plan, dora), {})
    outcomes = tables.results.groupby("adapter")["outcome"].unique().map(list).to_dict()
    assert outcomes == {"lora": ["done"], "dora": [OTHER_ENVIRONMENT]}
    assert len(tables.environments) == 4
    assert tables.environments[0] == "qwen3-tiny, seed 0: dora"


def test_a_pair_whose_first_baseline_was_lost_goes_by_the_next():
    plan = make(*SMALL, "adapters=lora,dora", "seeds=2")
    records = records_of(plan, {})
    lost = {run.key for run in plan.runs if run.arm.name == "lora"}
    records = {
        key: dataclasses.replace(record, environment="" if key in lost else record.environment)
        for key, record in records.items()
    }
    assert make_tables(plan, records, {}).environments == ()
