"""What is typed and would not be used is refused, with what to write instead."""

import pytest

from ablate.cli import WRONG_INPUT, main
from ablate.errors import AblateError
from ablate.options import read_arguments

UNUSED = {
    "levels of an axis that is not varied": (
        ["run", "axes=mixer", "levels.memory=1,4"],
        "levels.memory: memory is not varied, so that its levels are not used; vary it by "
        "axes=mixer,memory, or fix it by at.memory=1",
    ),
    "seeds of draws": (["plan", "axes=none", "hp.draws=4", "seeds=6"], "hp.seeds=2"),
    "a value that is drawn": (
        ["run", "axes=none", "hp.draws=4", "train.lr=1e-3"], "fix it in all draws by hp.lr=1e-3"
    ),
    "a budget of fixed pairs": (
        ["settle", "study=settle", "settle.budget=30"], "settle.stopping=sequential"
    ),
    "seeds of a settling study": (["settle", "study=settle", "seeds=6"], "settle.pairs"),
    "seeds of a search": (["search", "axes=none", "seeds=6"], "search.confirm"),
    "time for a run": (["run", "axes=memory", "budget=2h"], "ablate plan budget=2h"),
    "an empty world": (["run", "axes=memory", "world="], "world=no trains models"),
    "a name of dots": (["run", "axes=memory", "name=.."], "neither a letter nor a digit"),
    "a long name": (["run", "axes=memory", f"name={'x' * 101}"], "at most 100"),
    "one level": (
        ["plan", "axes=all", "design=fraction", "levels.memory=16"],
        "add one, such as levels.memory=16,1, or fix it: leave memory out of axes= and give "
        "at.memory=16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSED)
def test_typed_settings_without_effect_are_refused(case, tmp_path, capsys):
    arguments, told = UNUSED[case]
    home = tmp_path / "home"
    assert main([*arguments, f"home={home}"]) == WRONG_INPUT
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.err.count("\n") == 1
    assert not shown.out
    assert not home.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["axes=memory", "levels.memory=1,4"],
        ["axes=none", "hp.draws=4", "hp.lr=1e-3", "train.lr=1e-3"],
        ["axes=none", "settle.stopping=sequential", "settle.budget=30"],
    ],
)
def test_settings_with_an_effect_are_taken(arguments):
    read_arguments(arguments)


def test_a_file_may_hold_what_a_command_leaves_unused(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("axes: mixer\nlevels:\n  memory: [1, 4]\nsettle:\n  budget: 30\n")
    study, _ = read_arguments([f"study={file}"])
    assert study.axes == ("mixer",)


def test_of_many_names_only_the_nearest_are_told():
    with pytest.raises(AblateError) as caught:
        read_arguments(["hp.lrr=1e-3..1e-2"])
    assert "did you mean 'hp.lr'" in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("arguments", [["plan", "--jsn"], ["ui", "--port", "x"]])
def test_wrong_flags_are_told_in_one_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == WRONG_INPUT
    error = capsys.readouterr().err
    assert error.startswith("ablate: command line: ")
    assert error.count("\n") == 1
    assert error.rstrip().endswith("--help")


def test_a_home_that_cannot_be_made_is_refused(capsys):
    assert main(["run", "axes=none", "world=null", "home=/proc/nowhere"]) == WRONG_INPUT
    assert "choose another folder with home=DIR" in capsys.readouterr().err
