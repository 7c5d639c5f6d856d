"""What the plan of a settling study says, and what it refuses."""

import pytest

from ablate.errors import AblateError
from ablate.parse import read_overrides
from ablate.phases import CONFIRM
from ablate.settle.plan_file import changes, plan_content, settling_plan
from ablate.spec import content_key
from ablate.study import load_study


def study(*settings, of="settle"):
    return load_study(read_overrides(list(settings)), of)


def content(*settings):
    return plan_content(settling_plan(study(*settings)))


def test_the_shipped_study_is_20_pairs_in_16_cells_against_both_adapters():
    plan = settling_plan(study())
    assert plan.study.seeds == tuple(range(10000, 10020))
    assert len(plan.runs) == 4 + 4 * 4 * 20
    said = plan_content(plan)
    assert said["pairs per cell"] == 20
    assert said["adapters"] == ["lora", "dora"]
    assert [b for b, v in said["benchmarks"].items() if v["role"] == "main"] == [
        "arithmetic", "algebra", "code", "recall",
    ]  # fmt: skip
    assert set(said["seeds"]) <= set(CONFIRM)


def test_the_digest_is_of_the_content_and_does_not_know_the_time():
    assert content_key(content()) == content_key(content())
    assert content_key(content()) != content_key(content("sesoi=2"))


def test_every_difference_is_told_what_a_user_sets_first():
    found = changes(content(), content("sesoi=2", "train.lr=1e-3"))
    assert str(found[0]) == "sesoi was 1.0 and is 2.0"
    assert {change.key.split(".")[0] for change in found} == {"sesoi", "hp", "runs"}
    arms = changes(content(), content("at.memory=4"))
    assert ("arms.lora+talan.levels.memory", "16", "4") in [(c.key, c.old, c.new) for c in arms]


def test_a_recipe_and_items_are_part_of_the_plan(monkeypatch):
    before = content()
    monkeypatch.setattr("ablate.settle.plan_file.TRAIN_RECIPE", 99)
    assert [change.key for change in changes(before, content())] == ["recipes.train"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["settle.pairs=19"], "19 pairs per cell are too few"),
        (["settle.stopping=sequential", "settle.budget=1"], "budget of one pair"),
        (["hp.draws=5", "hp.seeds=2"], "one setting of the hyperparameters"),
        (["axes=memory"], "3 configurations of the mechanism"),
        (["settle.first=19990"], "end beyond 19999"),
        (["settle.first=5"], "outside 10000-19999"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(AblateError, match=message):
        settling_plan(study(*settings))


def test_a_sequential_plan_has_the_seeds_of_its_budget_and_its_rule():
    settings = ["settle.stopping=sequential", "settle.budget=12", "settle.pairs=5"]
    said = content(*settings)
    assert len(said["seeds"]) == 12
    assert said["stopping"]["effects"] == [0.5, 0.75, 1.0, 1.5, 2.0]
    assert "e-process" in said["gates"]["test"]


def test_controls_add_the_mechanism_claim():
    said = content("controls=yes")
    assert "mechanism" in said["estimands"]
    assert any("it is the mechanism" in text for text in said["beside the gates"])
