"""Items that were seen before, and items that leak from one split into another."""

import json

import pytest

from ablate.errors import AblateError
from ablate.plan import part_of
from ablate.settle.refuse import (
    explored,
    explored_sentence,
    refuse_leaks,
    refuse_selected_items,
    seeds_text,
)
from tests.ablate.settle.conftest import finish, plan, records, with_seed


def a_run(of=None):
    return next(run.spec for run in (of or plan()).runs if run.seed >= 10000)


def test_test_items_that_a_search_has_scored_are_refused(ledger):
    whole = plan()
    finish(ledger, [with_seed(a_run(), 1004, benchmarks=whole.benchmarks[1:])])
    with pytest.raises(AblateError, match="500 test items of recall were scored by a search"):
        refuse_selected_items(whole, records(ledger))


def test_validation_items_that_a_search_has_scored_are_not(ledger):
    validation = (part_of("recall", "validation"),)
    finish(ledger, [with_seed(a_run(), 1004, benchmarks=validation)])
    refuse_selected_items(plan(), records(ledger))


def test_a_part_of_the_test_items_under_another_name_is_found(ledger, tmp_path):
    from ablate.benchmarks import load_items

    taken = load_items("recall", "test")[:7]
    write(tmp_path / "mine.jsonl", [("validation", item.prompt) for item in taken])
    part = part_of(str(tmp_path / "mine.jsonl"), "validation")
    finish(ledger, [with_seed(a_run(), 1004, benchmarks=(part,))])
    with pytest.raises(AblateError, match="7 test items of recall"):
        refuse_selected_items(plan(), records(ledger))


def write(file, items):
    lines = [
        json.dumps({"id": str(i), "split": split, "prompt": prompt, "answer": "a"})
        for i, (split, prompt) in enumerate(items)
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_test_items_that_occur_in_another_split_are_refused(split, tmp_path):
    items = [("test", "p1"), ("test", "p2"), (split, "p2"), (split, "p3")]
    leaky = write(tmp_path / "leaky.jsonl", items)
    with pytest.raises(AblateError, match=f"1 test items of leaky occur in the {split} split"):
        refuse_leaks(plan(f"benchmarks={leaky}"))


def test_test_items_that_are_trained_on_through_another_benchmark_are_refused(tmp_path):
    write(tmp_path / "one.jsonl", [("test", "p1"), ("test", "p2")])
    write(tmp_path / "two.jsonl", [("train", "p1"), ("test", "p9")])
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    with pytest.raises(AblateError, match="1 test items of one occur in the train split of"):
        refuse_leaks(plan(f"benchmarks={one}", f"train.mix={two}"))


def test_the_embedded_benchmarks_do_not_leak():
    refuse_leaks(plan("benchmarks=arithmetic,algebra,code,recall,retention"))


def test_exploratory_runs_on_the_test_items_are_counted(ledger):
    whole, spec = plan(), a_run()
    finish(
        ledger,
        [
            with_seed(spec, 0),
            with_seed(spec, 1),
            with_seed(spec, 2, benchmarks=(part_of("code", "test"),)),
            next(run.spec for run in whole.runs if run.arm.name == "unadapted"),
            spec,
        ],
    )
    known = records(ledger)
    assert explored(whole, known, ledger.scored(known)) == 2
    assert explored_sentence(2).startswith("2 other runs of this home have scored")
    assert explored_sentence(1).startswith("1 other run of this home has scored")
    assert explored_sentence(0).startswith("No other run")


def test_seeds_are_told_as_a_range_where_they_are_one():
    assert seeds_text(range(10000, 10020)) == "10000-10019"
    assert seeds_text((3, 1)) == "1, 3"
