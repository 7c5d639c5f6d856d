"""Winners on fresh seeds, their report, and the records of the searches with Optuna."""

import dataclasses
import json
import sqlite3

import optuna
import pandas as pd
import pytest

from ablate.home import Home
from ablate.ledger import open_ledger
from ablate.options import Options
from ablate.phases import phase_of
from ablate.search import command
from ablate.search.confirm import confirmation_plan, looked_at, selected_table
from ablate.search.plan import make_search_plan
from ablate.search.replay import run_searches
from ablate.search.view import record_searches
from tests.ablate.search.conftest import Surface, runs_on


class GrowingSurface(Surface):
    """As the driver's executors, it can be asked for workers."""

    def grow(self, workers):
        """Nothing: there are no workers."""


class Untracked:
    """MLflow, which other tests see to."""

    def __init__(self, plan, home):
        self.recorded = 0

    def record_run(self, *job):
        """Count."""
        self.recorded += 1

    def close(self):
        """Itself."""
        return self

    def record_report(self, *what):
        """Nothing."""


def conducted(study, home, monkeypatch):
    monkeypatch.setattr("ablate.tracking.BackgroundTracker", Untracked)
    monkeypatch.setattr(command, "make_executor", lambda plan, home: GrowingSurface())
    options = Options("default", str(home), 1, "off", "no")
    return command.search_study(study, options, "python -m ablate search")


@pytest.fixture(scope="module")
def whole(toys, tmp_path_factory):
    """A search with its report, and its home."""
    from tests.ablate.search import conftest

    folder = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_TEST_DIR", str(folder))
        study = conftest.study.__wrapped__(toys)(search__replicates="2", axes="memory")
        done = conducted(study, folder / "home", patch)
    return done, folder / "home", study


def test_winners_are_confirmed_on_fresh_seeds_and_test_items(whole):
    done, home, _ = whole
    results = pd.read_csv(done.html.parent / "results.csv")
    assert set(results["arm"]) == {"lora", "lora+talan"}
    assert {phase_of(seed) for seed in results["seed"]} == {"confirm"}
    assert results.groupby("hp")["seed"].nunique().to_dict() == {0: 3, 1: 3}
    assert len(results["seed"].unique()) == 6, "searches share confirmation seeds"
    assert "test" in {
        part["split"]
        for (spec,) in sqlite3.connect(home / "ledger.sqlite").execute("SELECT spec FROM run")
        for part in json.loads(spec)["benchmarks"]
        if phase_of(json.loads(spec)["seed"]) == "confirm"
    }


def test_the_searches_are_the_unit_of_the_report(whole):
    done, _, study = whole
    (effect,) = done.findings.main.primary
    assert (effect.n_pairs, effect.df) == (2, 1)
    panels = {panel.title: panel for panel in done.findings.panels}
    tuned = panels["Tuned against tuned: lora"]
    assert tuned.data["n_searches"] == 2
    assert tuned.data["over_searches"]["mean"] == pytest.approx(effect.delta)
    assert "Each tuned on validation items" in tuned.headline
    assert tuned.verdict == effect.verdict
    assert "One search of each arm" not in panels  # the interval holds what tuning varies
    assert "includes what tuning varies" in " ".join(tuned.sentences)
    searches = panels["The searches"]
    assert "also search width, memory" in " ".join(searches.sentences)
    assert any("importances of such trials are biased" in note for note in searches.notes)
    assert all(len(table.head) <= 8 for panel in panels.values() for table in panel.tables)
    efforts = {e["arm"]: e for e in searches.data["efforts"]}
    assert {e["trials"] for e in efforts.values()} == {2 * study.search.trials}
    assert efforts["lora+talan"]["seconds"] == 1.5 * efforts["lora+talan"]["runs"]


def test_the_list_of_trials_is_kept(whole):
    done, _, study = whole
    trials = pd.read_csv(done.html.parent / "trials.csv")
    assert len(trials) == 4 * study.search.trials
    assert trials.groupby(["arm", "search"])["chosen"].sum().eq(1).all()
    best = trials.groupby(["arm", "search"])["score"].max()
    chosen = trials[trials["chosen"]].set_index(["arm", "search"])["score"]
    assert chosen.equals(best[chosen.index])
    assert set(trials.loc[trials["arm"] == "lora+talan", "memory"]) <= {1, 2}


def test_searches_are_recorded_with_optuna(whole):
    done, home, _ = whole
    storage = Home(home).optuna_uri
    names = {f"toy/{arm}/search-{r}" for arm in ("lora", "lora+talan") for r in (0, 1)}
    assert names <= set(optuna.get_all_study_names(storage))
    recorded = optuna.load_study(study_name="toy/lora+talan/search-1", storage=storage)
    trials = pd.read_csv(done.html.parent / "trials.csv")
    mine = trials[(trials["arm"] == "lora+talan") & (trials["search"] == 1)]
    assert [t.value for t in recorded.trials] == mine["score"].tolist()
    assert [t.params["lr"] for t in recorded.trials] == mine["lr"].tolist()
    assert set(recorded.trials[0].params) == {"lr", "rank", "width", "memory"}


def test_the_same_command_again_gives_the_same_bytes(whole, monkeypatch, tmp_path):
    done, home, study = whole
    before = [(done.html.parent / name).read_bytes() for name in ("results.csv", "trials.csv")]
    again = conducted(study, home, monkeypatch)
    assert again.tally.trained == 0
    assert [
        (again.html.parent / name).read_bytes() for name in ("results.csv", "trials.csv")
    ] == before
    assert again.findings.exploratory == ()


def test_another_search_on_the_same_seeds_is_exploratory(whole):
    """Its winners' test scores could have been seen; a continued confirmation is not a look."""
    _, home, study = whole
    ledger = open_ledger(home / "ledger.sqlite")
    records = ledger.records(ledger.keys())
    plan = make_search_plan(study)
    searches = run_searches(plan, runs_on(ledger, Surface(most=0)))
    ledger.close()
    assert looked_at(confirmation_plan(plan, searches), records) == ()
    losers = [
        dataclasses.replace(s, trials=tuple(t for t in s.trials if t is not s.winner))
        for s in searches
    ]
    (reason,) = looked_at(confirmation_plan(plan, losers), records)
    assert "changed after a look" in reason


def test_a_record_is_continued_or_replaced(study, ledger, tmp_path):
    home = Home(tmp_path)
    plan = make_search_plan(study(search__trials="4"))
    searches = run_searches(plan, runs_on(ledger, Surface()))

    def recorded():
        name = "toy/lora/search-0"
        return optuna.load_study(study_name=name, storage=home.optuna_uri).trials

    cut = [dataclasses.replace(s, trials=s.trials[:2]) for s in searches]
    record_searches(home, "toy", cut)
    first = [t.datetime_start for t in recorded()]
    record_searches(home, "toy", searches)
    assert len(recorded()) == 4
    assert [t.datetime_start for t in recorded()][:2] == first
    other = [dataclasses.replace(s, trials=s.trials[1:]) for s in searches]
    record_searches(home, "toy", other)
    assert [t.value for t in recorded()] == [t.value for t in searches[0].trials[1:]]


def test_the_selected_score_is_that_of_the_search(study, ledger):
    plan = make_search_plan(study(search__seeds="2"))
    searches = run_searches(plan, runs_on(ledger, Surface()))
    table = selected_table(plan, searches)
    assert table["score"].tolist() == [s.winner.value for s in searches]
    final = confirmation_plan(plan, searches)
    assert looked_at(final, ledger.records(ledger.keys())) == ()
    assert {run.seed for run in final.runs} == {0, 10_000, 10_001, 10_002}


def test_no_run_of_the_search_is_left_running(whole):
    _, home, _ = whole
    ledger = open_ledger(home / "ledger.sqlite", read_only=True)
    assert set(ledger.states(ledger.keys()).values()) == {"done"}
    ledger.close()
