"""Probes: checkpoint to measured rows to ledger; which runs; and the command with its mistakes."""

import dataclasses
import math
import shutil
import sqlite3

import pytest
import torch

from ablate import backbones
from ablate.benchmarks import load_items
from ablate.checkpoints import find, keep
from ablate.cli import main
from ablate.errors import AblateError
from ablate.home import Home
from ablate.ledger import open_ledger
from ablate.ledger_schema import SCHEMA, SCHEMA_VERSION
from ablate.plan import make_plan
from ablate.probing import command
from ablate.probing.choose import block_runs, named_runs, reference_arms
from ablate.probing.prompts import N_PROMPTS, prompts_digest
from ablate.probing.result import Probed
from ablate.probing.run import gaps, probed, specs_of
from ablate.probing.work import execute as probe
from ablate.probing.work import prompts_of
from ablate.recipes import PROBE_RECIPE
from ablate.worker import execute as train
from ablate.worker import execute_one
from talan import TalanError
from talan.probe import ProbeResult, Row
from tests.ablate.test_executors import Inline


@pytest.fixture(scope="module")
def plan(toys):
    return make_plan(toys.study())


@pytest.fixture(scope="module")
def trained(plan, tmp_path_factory):
    """A home whose runs are trained, with their checkpoints; no probe yet."""
    home = Home(tmp_path_factory.mktemp("trained"))
    ledger = open_ledger(home.ledger)
    ledger.add(plan.specs)
    for result in train(list(plan.specs.values()), home.checkpoints):
        ledger.claim(result.key)
        ledger.finish(result)
    ledger.close()
    return home


@pytest.fixture
def home(trained, tmp_path):
    shutil.copytree(trained.root, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture
def ledger(home):
    opened = open_ledger(home.ledger)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def found(plan, trained):
    """The probe of one run."""
    spec = block_runs(plan)[0].spec
    return probe([spec], trained.checkpoints)[0]


def test_runs_with_a_block_leave_a_checkpoint_and_others_none(plan, trained):
    kept = {path.name for path in trained.checkpoints.iterdir()}
    assert kept == {key for key, spec in plan.specs.items() if spec.block is not None}


def test_keeping_a_checkpoint_changes_no_result(plan, tmp_path):
    spec = block_runs(plan)[0].spec
    with_, without = execute_one(spec, tmp_path), execute_one(spec)
    assert with_.losses == without.losses
    assert (with_.scores[0].loglik == without.scores[0].loglik).all()
    place = find(tmp_path, spec.key)
    first = {path.name: path.read_bytes() for path in place.glob("*.safetensors")}
    execute_one(spec, tmp_path)
    assert {path.name: path.read_bytes() for path in place.glob("*.safetensors")} == first


def test_a_diverged_run_leaves_no_checkpoint(plan, tmp_path):
    spec = block_runs(plan)[0].spec
    wild = dataclasses.replace(spec, hp=dataclasses.replace(spec.hp, lr=1e30, steps=9))
    assert execute_one(wild, tmp_path).outcome == "diverged"
    assert find(tmp_path, wild.key) is None


def test_the_prompts_are_the_first_test_items_without_their_answers(plan):
    part = plan.benchmarks[0]
    _, tokenizer = backbones.load(plan.backbones[0])
    shown = prompts_of(plan.backbones[0], part, 0)
    items = load_items(part.source, "test")[:N_PROMPTS]
    assert shown.ids.shape[0] == len(items) == min(N_PROMPTS, 30)
    for item, ids, mask in zip(items, shown.ids, shown.mask, strict=True):
        assert ids[mask].tolist() == tokenizer(item.prompt)["input_ids"]


def test_the_digest_names_benchmarks_and_their_order(plan):
    (part,) = plan.benchmarks
    other = dataclasses.replace(part, digest="0" * 32)
    digests = [prompts_digest(p) for p in ([part], [part, other], [other, part], [other])]
    assert len(set(digests)) == 4
    moved = dataclasses.replace(part, source="elsewhere")
    assert prompts_digest([moved]) == digests[0]


def test_a_probe_measures_the_trained_block(plan, found):
    run = block_runs(plan)[0]
    assert (found.key, found.recipe) == (run.key, PROBE_RECIPE)
    measured = found.measured
    assert (measured.site, measured.layers) == (run.spec.block.site, 3)
    curve = measured.curve("rel_diff", "pairs")
    assert curve[: measured.site] == [0.0] * measured.site
    assert min(curve[measured.site :]) > 0
    draws = {row.draw for row in measured.rows if row.variant == "random"}
    assert draws == set(range(8))


def test_a_probe_is_a_pure_function(plan, trained, found):
    spec = block_runs(plan)[0].spec
    torch.manual_seed(7)
    again = probe([spec], trained.checkpoints)[0]
    assert again.to_json().split('"seconds"')[0] == found.to_json().split('"seconds"')[0]


def test_a_probe_survives_pipe_and_ledger(found):
    undefined = Row("pairs", "", 2, "cosine_mean", "block", 0, math.nan)
    rows = (*found.measured.rows[:3], undefined)
    given = dataclasses.replace(found, measured=dataclasses.replace(found.measured, rows=rows))
    for back in (Probed.from_json(given.to_json()), Probed.unpack(given.pack())):
        assert math.isnan(back.measured.rows[-1].value)
        assert back.measured.rows[:-1] == rows[:-1]
        assert isinstance(back.measured, ProbeResult)
        assert back.measured.tokens == given.measured.tokens


def test_a_damaged_checkpoint_is_refused(plan, home):
    spec = block_runs(plan)[0].spec
    file = find(home.checkpoints, spec.key) / "talan.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(TalanError):
        probe([spec], home.checkpoints)


def test_the_ledger_finds_probes_by_key_recipe_and_prompts(ledger, found):
    ledger.add_probe(found)
    assert set(ledger.probes({found.key: found.prompts}, found.recipe)) == {found.key}
    assert ledger.probes({found.key: "other"}, found.recipe) == {}
    assert ledger.probes({found.key: found.prompts}, found.recipe + 1) == {}
    assert ledger.probes({}, found.recipe) == {}


def test_training_a_run_again_removes_its_probe(ledger, plan, found):
    ledger.add_probe(found)
    ledger.train_again([found.key])
    ledger.claim(found.key)
    ledger.finish(execute_one(plan.specs[found.key]))
    assert ledger.probes({found.key: found.prompts}, found.recipe) == {}


def test_an_older_ledger_opens_and_gains_the_table(tmp_path, plan, found):
    path = tmp_path / "ledger.sqlite"
    spec = plan.specs[found.key]
    with sqlite3.connect(path) as db:
        db.executescript(f"{SCHEMA} INSERT INTO meta VALUES ('schema', '1');")
        db.execute(
            "INSERT INTO run VALUES (?, ?, 'done', 1, '', NULL, NULL, NULL, NULL)",
            (spec.key, spec.to_json()),
        )
    db.close()
    before = path.read_bytes()
    reader = open_ledger(path, read_only=True)
    assert reader.states([spec.key]) == {spec.key: "done"}
    assert reader.probes({spec.key: found.prompts}, found.recipe) == {}
    reader.close()
    assert path.read_bytes() == before
    opened = open_ledger(path)
    opened.add_probe(found)
    assert opened.states([spec.key]) == {spec.key: "done"}
    opened.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT value FROM meta").fetchone() == (str(SCHEMA_VERSION),)
    reader = open_ledger(path, read_only=True)
    assert set(reader.probes({spec.key: found.prompts}, found.recipe)) == {spec.key}
    reader.close()


def test_the_reference_arm_is_at_the_first_level_of_every_axis(toys):
    design = make_plan(toys.study(adapters="lora,dora", controls="static")).design
    assert [arm.name for arm in reference_arms(design)] == [
        "lora+talan/memory=1",
        "dora+talan/memory=1",
    ]


def test_runs_are_named_by_the_beginning_of_their_key(plan, ledger):
    run = block_runs(plan)[0]
    assert named_runs([run.key[:10]], plan, ledger) == [run]
    assert named_runs([run.key.upper(), run.key], plan, ledger) == [run]
    smaller = dataclasses.replace(plan, runs=())
    (alone,) = named_runs([run.key], smaller, ledger)
    assert (alone.key, alone.spec, alone.seed) == (run.key, run.spec, run.seed)
    assert f"site {run.spec.block.site}" in alone.arm.label


def test_runs_that_cannot_be_named_are_refused(plan, ledger):
    baseline = next(run for run in plan.runs if run.arm.is_baseline and run.seed == 1)
    key = block_runs(plan)[0].key
    typo = key[:7] + ("0" if key[7] != "0" else "1")
    for text, message in (
        ("zzzz", "no run's key begins with 'zzzz'"),
        (typo, f"did you mean '{key[:8]}'"),
        ("", "no run's key begins with ''"),
        (baseline.key, "has no block, so there is nothing to probe"),
    ):
        with pytest.raises(AblateError, match=message):
            named_runs([text], plan, ledger)
    ledger.train_again([key])
    with pytest.raises(AblateError, match="is waiting; only a run that was trained to its end"):
        named_runs([key], plan, ledger)


def test_a_beginning_that_several_runs_share_is_refused(plan, ledger):
    keys = sorted(ledger.keys())
    shared = next(
        digit for digit in "0123456789abcdef" if sum(key.startswith(digit) for key in keys) > 1
    )
    with pytest.raises(AblateError, match=r"runs begin with .*give more digits"):
        named_runs([shared], plan, ledger)


class Slots(Inline):
    """What the command asks of an executor beside the protocol; work is done in this process."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.submitted = []

    def grow(self, workers):
        pass

    def submit(self, specs, work="ablate.worker:execute"):
        self.submitted.append(work)
        self.outcomes += (probe if "probing" in work else train)(specs, self.folder)


@pytest.fixture
def slots(home, monkeypatch):
    made = Slots(home.checkpoints)
    monkeypatch.setattr(command, "make_executor", lambda plan, where: made)
    return made


@pytest.fixture
def no_pictures(monkeypatch):
    """Where the test is not about them: drawing takes longer than all else."""
    monkeypatch.setattr("ablate.report.probes.arm_pictures", lambda summaries, suffix: [])


def test_the_command_probes_what_is_missing_and_then_nothing(
    toys, plan, home, slots, capsys, monkeypatch
):
    arguments = ["probe", *toys.settings(), f"home={home.root}", "progress=off"]
    assert main(arguments) == 0
    assert slots.submitted == ["ablate.probing.work:execute"] * len(block_runs(plan))
    first = capsys.readouterr()
    lines = first.out.splitlines()
    assert max(map(len, lines[:-1])) <= 100
    csv = home.report("toy") / "probes.csv"
    assert lines[-1] == str(csv)
    assert "Does it start at its site?" in first.out
    made = {path.name for path in csv.parent.iterdir()}
    assert {"probe-growth.png", "probe-direction.png", "probe-growth-2.png"} <= made
    before = csv.read_bytes()
    monkeypatch.setattr("ablate.report.probes.arm_pictures", lambda summaries, suffix: [])
    assert main(arguments) == 0
    assert len(slots.submitted) == len(block_runs(plan))
    assert csv.read_bytes() == before
    assert capsys.readouterr().out == first.out


def test_a_named_run_has_files_of_its_own(plan, toys, home, slots, capsys):
    key = block_runs(plan)[0].key
    assert main(["probe", key[:9], *toys.settings(), f"home={home.root}", "progress=off"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"probe-{key[:8]}.csv")
    assert (home.report("toy") / f"probe-growth-{key[:8]}.png").exists()


def test_a_missing_checkpoint_is_named_and_trained_again_on_demand(
    plan, toys, home, slots, no_pictures, capsys
):
    key = block_runs(plan)[0].key
    shutil.rmtree(home.checkpoints / key)
    where = [*toys.settings(), f"home={home.root}", "progress=off"]
    assert main(["probe", key, *where]) == 2
    error = capsys.readouterr().err
    assert f"run {key[:8]} has no checkpoint" in error
    assert f"ablate probe {key[:8]} --train" in error
    assert len(error.strip().splitlines()) == 1
    assert main(["probe", *where]) == 0
    assert "1 run was not probed, because no checkpoint" in capsys.readouterr().out.replace(
        "\n", " "
    )
    assert main(["probe", key, "--train", *where]) == 0
    assert find(home.checkpoints, key) is not None
    assert slots.submitted[-2:] == ["ablate.worker:execute", "ablate.probing.work:execute"]


def test_a_study_without_trained_runs_says_how_to_start(toys, home, capsys):
    arguments = toys.settings(levels__memory="3,5", train__steps="3")
    assert main(["probe", *arguments, f"home={home.root}"]) == 2
    assert "no run with a block of study 'toy' has been trained yet" in capsys.readouterr().err


def test_a_probe_that_fails_is_told_and_ends_with_code_3(
    plan, toys, home, no_pictures, monkeypatch, capsys
):
    from ablate.executors import Failure

    class Failing(Slots):
        def submit(self, specs, work="ablate.worker:execute"):
            if specs[0].seed == 1:
                self.outcomes += [Failure(spec.key, "crash: planted") for spec in specs]
            else:
                super().submit(specs, work)

    monkeypatch.setattr(command, "make_executor", lambda plan, where: Failing(home.checkpoints))
    assert main(["probe", *toys.settings(), f"home={home.root}", "progress=off"]) == 3
    assert "2 runs were not probed: crash: planted. Where a checkpoint" in capsys.readouterr().out


def test_gaps_say_what_is_missing_and_how_to_get_it(plan, home, ledger, found):
    runs = block_runs(plan)
    (note,) = gaps(runs, home.checkpoints, ledger)
    assert "4 runs were not probed yet: python -m ablate probe" in note
    ledger.add_probe(found)
    assert set(probed(specs_of(runs), ledger)) == {found.key}
    shutil.rmtree(home.checkpoints)
    (note,) = gaps(runs, home.checkpoints, ledger)
    assert "3 runs were not probed, because no checkpoint" in note
    assert "--train" in note
    keep(home.checkpoints, runs[0].key, lambda folder: None)
    assert gaps(runs[:1], home.checkpoints, ledger) == ()
