"""Searches are replayed exactly, score validation items only, and race on paired instances."""

import dataclasses

import pytest

from ablate.errors import AblateError, NoInference
from ablate.ledger import open_ledger
from ablate.phases import SEARCH, phase_of
from ablate.search.plan import make_search_plan
from ablate.search.replay import blocks, races, run_searches, score_unadapted
from ablate.search.samplers import SAMPLERS
from tests.ablate.search.conftest import Surface, runs_on


def searched(plan, ledger, executor=None):
    return run_searches(plan, runs_on(ledger, executor or Surface()))


def values(searches):
    """All that a search is, bit for bit."""
    return [
        (s.arm, s.replicate, t.number, dict(t.values), t.scores, t.keys, t.stopped, t.diverged)
        for s in searches
        for t in s.trials
    ]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_an_interrupted_search_makes_the_same_trials(study, tmp_path, sampler, log):
    """Interrupted after every few runs, down to the middle of a round, then resumed."""
    plan = make_search_plan(study(search__sampler=sampler, search__trials="14"))
    straight = open_ledger(tmp_path / "straight.sqlite")
    expected = values(searched(plan, straight))
    straight.close()
    log.unlink()
    broken = open_ledger(tmp_path / "broken.sqlite")
    for interruptions in range(30):  # noqa: B007 - counted
        broken.release_running()
        try:
            found = values(searched(plan, broken, Surface(most=5)))
            break
        except KeyboardInterrupt:
            continue
    broken.close()
    assert found == expected
    keys = [line.split()[1] for line in log.read_text("utf-8").splitlines()]
    assert interruptions > 3
    assert len(keys) - len(set(keys)) <= interruptions, "more than what was in flight was lost"


def test_a_second_replay_trains_nothing(study, ledger, log):
    plan = make_search_plan(study())
    first = values(searched(plan, ledger))
    log.unlink()
    assert values(searched(plan, ledger)) == first
    assert not log.exists()


def test_more_trials_continue_the_search(study, ledger):
    short = values(searched(make_search_plan(study(search__trials="4")), ledger))
    long = values(searched(make_search_plan(study(search__trials="6")), ledger))
    assert [v for v in long if v[2] < 4] == short


def test_trials_learn_and_differ(study, ledger):
    """TPE is not a repetition of one draw, and finds the planted optimum better than it began."""
    plan = make_search_plan(study(search__trials="24", search__round="4"))
    for search in searched(plan, ledger):
        rates = [trial.values["lr"] for trial in search.trials]
        assert len(set(rates)) == 24
        early = sum(t.value for t in search.trials[:8]) / 8
        late = sum(t.value for t in search.trials[-8:]) / 8
        assert late > early
        assert search.winner.value == max(t.value for t in search.trials)


def test_every_arm_has_the_same_number_of_trials_in_its_own_space(study, ledger):
    plan = make_search_plan(study(search__replicates="2"))
    searches = searched(plan, ledger)
    assert [(s.arm, s.replicate) for s in searches] == [
        (arm, r) for r in (0, 1) for arm in ("lora", "lora+talan")
    ]
    assert {len(s.trials) for s in searches} == {6}
    assert "width" not in searches[0].trials[0].values
    assert {t.values["width"] for t in searches[1].trials} <= {4, 8}
    assert searches[0].trials[0].values["alpha"] == 4
    by_search = [[t.values["lr"] for t in s.trials] for s in searches]
    assert len({tuple(rates) for rates in by_search}) == 4, "searches share their draws"


def test_only_validation_items_are_ever_scored(study, ledger, log):
    plan = make_search_plan(study())
    searches = searched(plan, ledger)
    lines = [line.split() for line in log.read_text("utf-8").splitlines()]
    assert {splits for _, _, splits in lines} == {"validation"}
    tests = {part.digest for part in plan.tests}
    keys = [key for s in searches for t in s.trials for key in t.keys]
    scored = ledger.scored(keys)
    assert len(scored) == len(set(keys))
    assert all(not digests & tests for digests in scored.values())
    specs = [record.spec for record in ledger.records(keys).values()]
    assert {phase_of(spec.seed) for spec in specs} == {"search"}
    assert all(part.split == "validation" for spec in specs for part in spec.benchmarks)


def test_replicates_have_seeds_of_their_own(study):
    plan = make_search_plan(study(search__replicates="3", search__seeds="2"))
    seeds = [{i.seed for i in plan.instances(r)} for r in plan.replicates]
    assert seeds == [{1000, 1001}, {1002, 1003}, {1004, 1005}]
    fresh = [plan.confirm_seeds(r) for r in plan.replicates]
    assert [seeds[0] for seeds in fresh] == [10_000, 10_003, 10_006]
    assert all(seed in SEARCH for found in seeds for seed in found)


def racing(study, **more):
    """Seven instances; a third of the learning rates are far worse."""
    return make_search_plan(
        study(
            search__seeds="7", search__trials="8", hp__lr="1e-3,3e-3,0.1", hp__rank="2,4",
            search__sampler="random", **more,
        )
    )  # fmt: skip


def test_racing_stops_bad_points_and_never_the_best(study, tmp_path):
    plan = racing(study)
    assert races(plan)
    assert blocks(plan) == [(0, 4), (4, 5), (5, 6), (6, 7)]
    ledgers = [open_ledger(tmp_path / f"{name}.sqlite") for name in "abc"]
    raced = searched(plan, ledgers[0])
    bad = [t for s in raced for t in s.trials[2:] if t.values["lr"] == 0.1]
    assert len(bad) > 2
    # the first round has nobody to lose against; later a bad point goes at the first decision
    assert all(t.stopped and len(t.scores) == 4 for t in bad)
    assert all((len(t.scores) < 7) == t.stopped for s in raced for t in s.trials)
    assert all(s.winner.values["lr"] != 0.1 and not s.winner.stopped for s in raced)
    assert values(searched(plan, ledgers[1])) == values(raced)
    full = searched(racing(study, search__race="no"), ledgers[2])
    assert not any(t.stopped for s in full for t in s.trials)
    assert all(
        f.trials[t.number].scores[: len(t.scores)] == t.scores
        for f, r in zip(full, raced, strict=True)
        for t in r.trials
    )
    for ledger in ledgers:
        ledger.close()


def test_a_decision_waits_for_every_backbone(study):
    plan = racing(study)
    two = dataclasses.replace(plan, backbones=plan.backbones * 2)
    assert blocks(two) == [(0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14)]
    assert not races(make_search_plan(study(search__seeds="4")))


def test_a_diverged_run_is_worth_the_unadapted_backbone(study, ledger):
    plan = make_search_plan(study(hp__lr="3e-3,0.3"))
    searches = searched(plan, ledger)
    bad = [t for s in searches for t in s.trials if t.values["lr"] == 0.3]
    assert bad
    assert all(t.diverged == 1 for t in bad)
    assert {t.value for t in bad} == {0.1}


def test_a_run_that_fails_for_good_ends_the_search(study, ledger):
    class Crashing(Surface):
        def submit(self, specs, work=""):
            super().submit(specs, "tests.ablate.search.works:no_such_work")

    with pytest.raises(NoInference) as caught:
        searched(make_search_plan(study()), ledger, Crashing())
    assert "failed 3 times" in str(caught.value)
    assert "tries again" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"search__sampler": "tpr"}, "unknown sampler 'tpr'; did you mean 'tpe'?"),
        ({"search__trials": "0"}, "0 is below 1"),
        ({"search__replicates": "0"}, "0 is below 1"),
        ({"search__confirm": "1"}, "no inference is possible"),
        ({"search__seeds": "900", "search__replicates": "2"}, "more than the 1000 seeds"),
        ({"hp__lr": "1e-2..1e-3"}, "is reversed"),
        ({"hp__lr": "3e-3", "hp__rank": "2"}, "nothing varies in the space of lora"),
        ({"controls": "static"}, "not controls"),
        ({"hp__draws": "4"}, "makes trials, not draws"),
        ({"axes": "insertion", "levels__insertion": "1,9"}, "9"),
    ],
)
def test_bad_input_is_one_sentence(study, settings, message):
    with pytest.raises(AblateError) as caught:
        make_search_plan(study(**settings))
    assert message in str(caught.value)


def test_every_sampler_makes_a_suggestion():
    assert {"tpe", "random", "qmc"} <= set(SAMPLERS)
    assert all(kind.help for kind in SAMPLERS.values())


def test_a_backbone_without_a_score_is_no_zero(study):
    plan = make_search_plan(study())
    with pytest.raises(NoInference, match="has no validation score as it is") as caught:
        score_unadapted(plan, lambda runs: {run.key: None for run in runs})
    assert plan.backbones[0].name in str(caught.value)
    zero = score_unadapted(plan, lambda runs: {run.key: 0.0 for run in runs})
    assert set(zero.values()) == {0.0}
