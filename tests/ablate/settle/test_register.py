"""A plan is written once, before its first run; changes and edits are found."""

import json

import pytest

from ablate.errors import AblateError
from ablate.ledger import open_ledger
from ablate.settle.register import register
from tests.ablate.settle.conftest import finish, plan, records, with_seed


def enter(settings, home, ledger, **more):
    return register(plan(*settings), home, ledger, records(ledger), **more)


def some_runs(*settings):
    """The first runs of a plan that train something."""
    return [run.spec for run in plan(*settings).runs if run.seed >= 10000][:3]


def test_the_plan_is_in_the_file_and_in_the_ledger_before_any_run(home, ledger):
    found = enter([], home, ledger)
    file = json.loads(home.plan_file("settle-in-mechanism-0").read_text(encoding="utf-8"))
    assert file["digest"] == found.digest
    assert file["content"]["sesoi"] == 1.0
    (row,) = ledger.registered(found.study)
    assert (row.digest, row.written) == (found.digest, found.written)
    assert json.loads(row.content) == file["content"]
    assert not ledger.keys()


def test_the_same_plan_again_resumes(home, ledger):
    first = enter([], home, ledger)
    finish(ledger, some_runs())
    again = enter([], home, ledger)
    assert (again.digest, again.written, again.exploratory) == (first.digest, first.written, ())
    assert len(ledger.registered(first.study)) == 1


def test_a_plan_without_runs_may_still_change(home, ledger):
    first = enter([], home, ledger)
    second = enter(["sesoi=2"], home, ledger)
    assert second.digest != first.digest
    assert [row.digest for row in ledger.registered(first.study)] == [first.digest, second.digest]
    assert json.loads(home.plan_file(first.study).read_text())["content"]["sesoi"] == 2.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["sesoi=2"], "sesoi was 1.0 and is 2.0"),
        (["settle.pairs=21"], "stopping.pairs was 20 and is 21"),
        (["train.lr=1e-3"], "hp.lr was 0.005 and is 0.001"),
        (["adapters=lora"], "adapters was lora, dora and is lora"),
        (["alpha=.1"], "alpha was 0.05 and is 0.1"),
        (["settle.stopping=sequential"], "stopping.rule was fixed and is sequential"),
    ],
)
def test_a_changed_plan_is_refused_once_runs_exist(settings, message, home, ledger):
    first = enter([], home, ledger)
    finish(ledger, some_runs())
    before = home.plan_file(first.study).read_bytes()
    with pytest.raises(AblateError, match="has runs already") as caught:
        enter(settings, home, ledger)
    assert message in str(caught.value)
    assert "exploratory=yes" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert home.plan_file(first.study).read_bytes() == before
    assert len(ledger.registered(first.study)) == 1


def test_a_changed_plan_goes_on_as_exploratory_and_the_registered_one_stays(home, ledger):
    first = enter([], home, ledger)
    finish(ledger, some_runs())
    changed = enter(["sesoi=2"], home, ledger, exploratory=True)
    assert "sesoi was 1.0 and is 2.0" in changed.exploratory[0]
    assert first.digest in changed.exploratory[0]
    assert json.loads(changed.to_bytes())["exploratory"]
    again = enter([], home, ledger, exploratory=True)
    assert (again.digest, again.exploratory) == (first.digest, ())


def test_an_edited_file_is_found_and_a_deleted_one_written_again(home, ledger):
    first = enter([], home, ledger)
    file = home.plan_file(first.study)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"sesoi": 1.0', '"sesoi": 0.5'), encoding="utf-8")
    with pytest.raises(AblateError, match=r"was edited .*: sesoi was 1\.0 and is 0\.5"):
        enter([], home, ledger)
    file.write_text(text.replace(first.digest, "0" * 32), encoding="utf-8")
    with pytest.raises(AblateError, match=r"was edited .*: digest was"):
        enter([], home, ledger)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(AblateError, match="can no longer be read"):
        enter([], home, ledger)
    file.unlink()
    enter([], home, ledger)
    assert file.read_text(encoding="utf-8") == text


def test_seeds_that_other_runs_have_used_are_refused(home, ledger):
    foreign = with_seed(some_runs()[0], 10003, mix=(), benchmarks=())
    finish(ledger, [foreign])
    with pytest.raises(AblateError, match="seed 10003 was used before by a run of lora") as caught:
        enter([], home, ledger)
    assert "settle.first=10004" in str(caught.value)
    assert not ledger.registered("settle-in-mechanism-0")
    assert not home.plan_file("settle-in-mechanism-0").exists()
    enter(["settle.first=10004"], home, ledger)


def test_two_plans_for_the_same_runs_are_refused(home, ledger):
    first = enter(["name=one"], home, ledger)
    with pytest.raises(
        AblateError, match="seed 10010 is in the plan of 'one-in-mechanism-0' too"
    ) as caught:
        enter(["name=two", "settle.first=10010", "adapters=dora"], home, ledger)
    assert "settle.first=10020" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [row.study for row in ledger.registrations()] == [first.study]
    assert not home.plan_file("two-in-mechanism-0").exists()
    assert enter(["name=one"], home, ledger).written == first.written


@pytest.mark.parametrize(
    "apart", ["settle.first=10020", "adapters=rslora", "backbones=qwen3-deep", "world=null:0/1"]
)
def test_plans_of_different_runs_stand_side_by_side(apart, home, ledger):
    enter(["name=one"], home, ledger)
    assert not enter(["name=two", apart], home, ledger).exploratory
    assert len(ledger.registrations()) == 2


def test_the_seeds_of_a_plan_that_was_replaced_are_free(home, ledger):
    enter(["name=one"], home, ledger)
    enter(["name=one", "settle.first=10020"], home, ledger)
    enter(["name=two"], home, ledger)
    assert len(ledger.registrations()) == 3


def test_its_own_runs_made_before_registration_count_as_seen(home, ledger):
    finish(ledger, some_runs())
    with pytest.raises(AblateError, match="that is not of this plan"):
        enter([], home, ledger)


def test_runs_of_another_plan_made_since_are_refused_too(home, ledger):
    enter([], home, ledger)
    finish(ledger, [with_seed(some_runs()[0], 10001, precision="bf16")])
    with pytest.raises(AblateError, match="seed 10001 was used before"):
        enter([], home, ledger)


def test_other_seeds_backbones_and_adapters_do_not_matter(home, ledger):
    spec = some_runs()[0]
    elsewhere = plan("backbones=qwen3-deep").backbones[0]
    finish(
        ledger,
        [
            with_seed(spec, 3),
            with_seed(spec, 10020),
            with_seed(spec, 10000, backbone=elsewhere),
            with_seed(spec, 10000, adapter="rslora"),
            with_seed(spec, 10000, world="null:0/1"),
        ],
    )
    assert not enter([], home, ledger).exploratory


def test_a_ledger_of_an_older_schema_gets_the_table_and_reads_as_empty_without(tmp_path):
    import sqlite3

    from ablate.ledger_schema import PROBES, SCHEMA

    file = tmp_path / "old.sqlite"
    with sqlite3.connect(file) as db:
        db.executescript(f"{SCHEMA} {PROBES} INSERT INTO meta VALUES ('schema', '2');")
    reader = open_ledger(file, read_only=True)
    assert reader.registered("x") == []
    reader.close()
    opened = open_ledger(file)
    opened.register("x", "d", "{}")
    assert [row.digest for row in opened.registered("x")] == ["d"]
    opened.close()
