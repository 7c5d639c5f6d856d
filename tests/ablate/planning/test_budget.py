"""What a budget buys, and when it buys nothing."""

import pytest

from ablate import backbones, parse
from ablate.cli import main
from ablate.errors import AblateError
from ablate.options import read_arguments
from ablate.planning.budget import ENOUGH_SEEDS, MOST_SEEDS, proposal_lines, proposals
from ablate.planning.estimate import Measured


@pytest.fixture(scope="module")
def asked():
    settings = ["axes=insertion,memory,mixer", "backbones=qwen3-tiny", "probe=no"]
    study, options = read_arguments(settings)
    return settings, study, options


def propose(asked, budget, monkeypatch, speed=1.0):
    _, study, options = asked
    monkeypatch.setattr("ablate.planning.budget.machine_speed", lambda workers: speed)
    found = [backbones.resolve(name) for name in study.backbones]
    return proposals(study, found, options, budget, Measured())


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400)]
)
def test_durations_are_read(text, seconds):
    assert parse.duration(text, "") == seconds


@pytest.mark.parametrize("text", ["2", "h", "2h30", "two hours", "0m", ""])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(AblateError, match=r"no duration; write 90m|no time at all"):
        parse.duration(text, "budget")


def test_every_proposal_fits_and_the_best_tells_most_with_enough_seeds(asked, monkeypatch):
    budget = 1800.0
    found = propose(asked, budget, monkeypatch)
    assert all(each.seconds <= budget for each in found)
    assert all(each.seeds <= MOST_SEEDS for each in found)
    best = found[0]
    enough = [each for each in found if each.seeds >= ENOUGH_SEEDS]
    assert best.seeds >= ENOUGH_SEEDS
    assert best.interactions == max(each.interactions for each in enough) == 3
    assert len({(each.settings[:-1]) for each in found}) == len(found)


def test_a_slow_machine_buys_fewer_seeds(asked, monkeypatch):
    fast, slow = (propose(asked, 1200.0, monkeypatch, speed) for speed in (1.0, 0.5))
    seeds = {each.settings[:-1]: each.seeds for each in slow}
    for each in fast:
        assert seeds.get(each.settings[:-1], 0) <= each.seeds
    assert sum(seeds.values()) < sum(each.seeds for each in fast)


def test_too_little_for_any_design_says_what_the_smallest_needs(asked, monkeypatch):
    with pytest.raises(AblateError, match=r"30 s is too little for any design: the smallest \(.+ "
                       r"design points, 6 seeds\) needs about"):  # fmt: skip
        propose(asked, 30.0, monkeypatch)


def test_the_lines_end_with_the_command_of_the_best(asked, monkeypatch):
    settings, _, _ = asked
    found = propose(asked, 1800.0, monkeypatch)
    lines = proposal_lines(found, 1800.0, [*settings, "budget=30m", "seeds=3"])
    assert all(len(line) <= 100 for line in lines[:-1])
    assert lines[-1] == (
        "ablate run axes=insertion,memory,mixer backbones=qwen3-tiny probe=no "
        + " ".join(found[0].settings)
    )
    read_arguments(lines[-1].split()[2:])


def test_the_command_proposes_and_changes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "axes=memory,mixer", "budget=20m", "backbones=qwen3-tiny"]) == 0
    assert "within 20 min" in capsys.readouterr().out
    assert main(["plan", "axes=memory,mixer", "budget=1s", "backbones=qwen3-tiny"]) == 2
    assert "too little for any design" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
