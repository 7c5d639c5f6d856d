"""A settling study from plan to panels, in worlds whose truth is known."""

import json

import pytest

from ablate.errors import AblateError
from ablate.home import Home
from ablate.options import Options
from ablate.reporting import Conducted
from ablate.settle import command
from ablate.settle.sequential import looks
from stats.verdict import Verdict
from tests.ablate.settle.conftest import study

PAIRS = 8
"""Enough for the worlds' effects; a real study needs more."""


SEQUENTIAL = ("settle.stopping=sequential", "settle.look=4", "settle.budget=16")


class NoTracker:
    """In MLflow's place."""

    def __init__(self, *_):
        pass

    def record_run(self, *_):
        pass


def report(plan, home, ledger, tracker, tally, said, unprobed, *, more, exploratory, methods):
    """In the page's place: what it would be made from."""
    from ablate.collect import make_tables

    assert any("inheritance procedure" in text for text in methods)
    tables = make_tables(plan, ledger.records(plan.specs), ledger.scores(plan.specs))
    folder = home.report(plan.study.name)
    folder.mkdir(parents=True, exist_ok=True)
    shown = (plan, tables, more(plan, tables, None), exploratory)
    return Conducted(tally, shown, folder / "report.html", 0)


def no_figure(*_):
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 1))


@pytest.fixture(scope="module")
def settle(tmp_path_factory):
    """Carry a study out with everything real but MLflow, page and figures; returns the tally, the
    plan, the tables, the panels and the exploratory reasons."""
    folder = tmp_path_factory.mktemp("settle")

    def carry_out(*settings, world="mechanism", exploratory=False, home=""):
        options = Options("settle", str(folder / (home or world)), 1, "off", "no", exploratory)
        asked = study(f"settle.pairs={PAIRS}", *settings, world=world)
        done = command.settle_study(asked, options, "ablate settle")
        return done.tally, *done.findings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablate.tracking.BackgroundTracker", NoTracker)
        patch.setattr("ablate.settle.plan_file.MIN_PAIRS", PAIRS)
        patch.setattr("ablate.settle.panel.verdict_map", no_figure)
        patch.setattr("ablate.settle.beside.small_study_strips", no_figure)
        patch.setattr(command, "report_runs", report)
        yield carry_out


@pytest.fixture(scope="module")
def gain(settle):
    """A study in the world in which the mechanism adds 2 points, run once."""
    return settle()


def test_a_planted_gain_is_settled(gain):
    tally, plan, _, panels, exploratory = gain
    assert tally.trained == len(plan.specs) == 2 + 2 * 4 * PAIRS
    claim = panels[0]
    assert claim.section == "real"
    assert claim.verdict in (Verdict.SUPERIOR, Verdict.SUPERIOR_AND_MEANINGFUL)
    assert claim.headline.startswith("The mechanism adds to each of lora, dora on average")
    assert exploratory == ()
    assert [panel.section for panel in panels] == ["real", "settle", "settle"]


def test_the_report_has_the_plan_and_fits(gain):
    _, _, _, panels, _ = gain
    assert any("registered before the first run" in text for text in panels[0].sentences)
    json.dumps([dict(panel.data) for panel in panels])
    for panel in panels:
        assert all(len(table.head) <= 8 for table in panel.tables)


def test_the_same_command_trains_nothing_and_says_the_same(gain, settle):
    _, _, first, before, _ = gain
    tally, _, second, after, _ = settle()
    assert tally.trained == 0
    assert first.results.equals(second.results)
    assert [panel.headline for panel in before] == [panel.headline for panel in after]


def test_a_changed_plan_is_refused_or_marks_the_report(gain, settle):
    with pytest.raises(AblateError, match=r"sesoi was 1\.0 and is 3\.0"):
        settle("sesoi=3")
    tally, *_, panels, exploratory = settle("sesoi=3", exploratory=True)
    assert tally.trained == 0
    assert "sesoi was 1.0 and is 3.0" in exploratory[0]
    assert any("do not follow a plan" in text for text in panels[0].sentences)


def test_the_copy_in_the_report_is_the_plan(settle, tmp_path):
    home = Home(tmp_path / "copy")
    _, plan, *_ = settle(*SEQUENTIAL, "settle.look=8", "settle.budget=8", home=home.root)
    copy = home.report(plan.study.name) / "plan.json"
    assert copy.read_bytes() == home.plan_file(plan.study.name).read_bytes()


def test_nothing_is_claimed_where_nothing_was_planted(settle):
    *_, panels, _ = settle(world="null:3")
    gates = panels[0].data["gates"]["gates"]
    assert all(gate["verdict"] in ("not shown", "not tested") for gate in gates)
    # the average may still be shown to be as good as none
    assert panels[0].verdict in (Verdict.INCONCLUSIVE, Verdict.EQUIVALENT)
    assert panels[0].headline.startswith("It is not shown that the mechanism adds to")


def test_a_gain_of_the_lucky_runs_does_not_survive_the_failed_ones(settle):
    *_, tables, panels, _ = settle(world="failing")
    assert (tables.results["outcome"] == "diverged").any()
    gates = panels[0].data["gates"]
    assert gates["sensitivity"]
    assert panels[0].verdict in (Verdict.INCONCLUSIVE, Verdict.INFERIOR)
    assert any("diverged; every claim had to be shown" in text for text in panels[0].sentences)


def test_a_sequential_study_stops_when_it_is_decided(settle):
    _, plan, _, panels, _ = settle(*SEQUENTIAL, home="sequential")
    assert 6 <= len(plan.study.seeds) < 16
    assert panels[0].verdict in (Verdict.SUPERIOR, Verdict.SUPERIOR_AND_MEANINGFUL)
    looked = panels[1]
    assert looked.title.startswith("The sequential rule")
    assert "the plan allows to stop" in looked.sentences[0]
    assert any("Only what rests on e-values" in note for note in panels[0].notes)


def test_a_sequential_study_without_an_effect_ends_with_its_budget(settle):
    _, plan, _, panels, _ = settle(*SEQUENTIAL, world="null:1", home="ends")
    assert len(plan.study.seeds) == 16
    assert panels[0].verdict is Verdict.INCONCLUSIVE


def test_an_interrupted_sequential_study_resumes_to_the_same_end(settle, monkeypatch):
    whole, plan, tables, panels, _ = settle(*SEQUENTIAL, home="uninterrupted")
    real, calls = command.decided, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(command, "decided", interrupted)
    with pytest.raises(KeyboardInterrupt):
        settle(*SEQUENTIAL, home="other")
    monkeypatch.setattr(command, "decided", real)
    rest, again, resumed, after, _ = settle(*SEQUENTIAL, home="other")
    assert 0 <= rest.trained < whole.trained
    assert again.study.seeds == plan.study.seeds
    assert resumed.results.equals(tables.results)
    assert after[0].headline == panels[0].headline


def test_looks_end_with_the_budget():
    assert looks(5, 12) == (5, 10, 12)
    assert looks(5, 10) == (5, 10)
    assert looks(20, 10) == (10,)


def test_an_average_that_is_shown_to_be_as_good_as_none_is_said_first(settle):
    *_, panels, _ = settle("sesoi=5", world="null", home="wide")
    claim = panels[0]
    assert "lies within ±5 points against each of them is shown (TOST, p " in claim.headline
    assert claim.verdict == Verdict.EQUIVALENT
    *_, panels, _ = settle("sesoi=0.1", world="null", home="narrow")
    assert "is shown (TOST" not in panels[0].headline
    assert panels[0].verdict == Verdict.INCONCLUSIVE
