import pytest

from ablate.errors import AblateError
from ablate.keys import KEYS
from ablate.options import read_arguments
from ablate.parse import read_overrides
from ablate.study import load_study, shipped_studies


def study(*arguments, name="default"):
    return load_study(read_overrides(arguments), name)


def test_the_default_study_is_the_promised_one():
    found = study("axes=insertion,memory")
    assert found.design == "factorial"
    assert found.levels == {
        "insertion": ("early", "embedding", "middle"),
        "memory": (16, 1, 4),
    }
    assert found.seeds == (0, 1, 2, 3, 4, 5)
    assert len(found.backbones) == 2
    assert len(found.benchmarks) == 5
    assert found.sesoi == 1
    assert found.name == "insertion-memory"


def test_every_axis_has_three_levels_in_the_default_study_where_it_has_three():
    found = study("axes=all")
    assert found.design == "one-at-a-time"
    assert {axis: len(levels) for axis, levels in found.levels.items()} == {
        "insertion": 3, "memory": 3, "mixer": 3, "writeback": 3, "scope": 2, "gradient_scale": 3,
    }  # fmt: skip


@pytest.mark.parametrize("name", shipped_studies())
def test_shipped_studies_load_and_say_what_they_answer(name):
    assert study(name=name).question.endswith("?")


def test_paper_shape_and_six_axes_are_shipped():
    assert {"default", "paper_shape", "six_axes"} <= set(shipped_studies())
    paper = study(name="paper_shape")
    assert (len(paper.backbones), len(paper.adapters), len(paper.seeds)) == (4, 2, 7)
    assert study(name="six_axes").design == "one-at-a-time"
    assert len(study(name="six_axes").axes) == 6


@pytest.mark.parametrize(
    ("text", "seeds"), [("5", (0, 1, 2, 3, 4)), ("0,3,7", (0, 3, 7)), ("[2, 1]", (1, 2))]
)
def test_seeds_are_a_count_or_a_list(text, seeds):
    assert study(f"seeds={text}").seeds == seeds


def test_a_yaml_list_of_seeds(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seeds: [4, 2]\n", encoding="utf-8")
    found = study(name=str(path))
    assert found.seeds == (2, 4)
    assert found.name == "mine"


def test_levels_put_the_reference_first():
    assert study("axes=memory", "levels.memory=1,16").levels == {"memory": (16, 1)}
    assert study("axes=memory", "levels.memory=8,1,64").levels == {"memory": (8, 1, 64)}


def test_an_axis_that_is_not_varied_can_be_set():
    assert study("axes=memory", "at.writeback=add").at["writeback"] == "add"


def test_settings_are_parsed_by_type():
    found, options = read_arguments(["train.steps=080", "train.lr=1e-4", "workers=3", "home=off"])
    assert (found.hp.steps, found.hp.lr) == (80, 1e-4)
    assert (options.workers, options.home) == (3, "off")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["axes=memroy"], "did you mean 'memory'"),
        (["axes="], "the list is empty"),
        (["axes=memory,memory"], "listed twice"),
        (["levels.memory=1,x"], "levels.memory"),
        (["levels.memory=4"], "at least two levels"),
        (["levels.memory=4,4"], "listed twice"),
        (["at.memory=4", "axes=memory"], "varied .* and fixed at once"),
        (["at.writeback=ad"], "did you mean 'add'"),
        (["trian.steps=8"], "did you mean 'train.steps'"),
        (["train.stps=8"], "did you mean 'train.steps'"),
        (["seeds=ten"], "'ten' is not a whole number"),
        (["seeds=1"], "with one seed no inference is possible"),
        (["seeds=7,"], "with one seed no inference is possible"),
        (["seeds=0"], "no seeds"),
        (["seeds="], "not a whole number"),
        (["seeds=1,2,1"], "seed 1 is listed twice"),
        (["seeds=1,5000"], "outside 0-999"),
        (["seeds=-2"], "below 0"),
        (["adapters=lroa"], "did you mean 'lora'"),
        (["study=six_axis"], "did you mean 'six_axes'"),
        (["study=missing.yaml"], "cannot read missing.yaml"),
        (["sesoi=0"], "not above 0"),
        (["alpha=1"], "not below 1"),
        (["train.dropout=1"], "not below 1"),
        (["device=gpu"], "known: auto, cpu, cuda"),
        (["workers=0"], "below 1"),
        (["progress=none"], "known: auto, rich, plain, off"),
        (["plugins=no_such_module"], "cannot import 'no_such_module'"),
        (["axes=memory", "design=factorail"], "did you mean 'factorial'"),
        (["train=5"], "unknown key 'train'"),
    ],
)
def test_wrong_settings_are_answered_with_place_and_nearest(arguments, message):
    with pytest.raises(AblateError, match=message):
        read_arguments(arguments)


def test_a_plugin_can_add_an_adapter(tmp_path, monkeypatch):
    (tmp_path / "my_adapters.py").write_text(
        "from ablate.adapters import ADAPTERS, lora, register_adapter\n"
        "register_adapter('mine', recipe=1, help='as lora')(lora)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = study("plugins=my_adapters", "adapters=mine")
    assert found.adapters == ("mine",)


def test_every_key_has_help():
    assert all(key.help for key in KEYS.values())
