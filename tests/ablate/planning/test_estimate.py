import dataclasses

import pytest

from ablate.options import read_arguments
from ablate.plan import make_plan
from ablate.planning.estimate import (
    PROBE_SECONDS,
    RUN_SECONDS,
    START_SECONDS,
    Measured,
    estimate,
)
from ablate.planning.typical import (
    REFERENCE_SECONDS,
    TYPICAL,
    TYPICAL_ROWS,
    machine_speed,
    typical_seconds,
)
from ablate.result import Cost
from ablate.spec import UNADAPTED

NOTHING = Measured()


@pytest.fixture(scope="module")
def specs(toys):
    return list(make_plan(toys.study()).specs.values())


@pytest.fixture(scope="module")
def default():
    study, _ = read_arguments([])
    return list(make_plan(study).specs.values())


def test_nothing_to_do_takes_no_time(specs):
    assert estimate([], NOTHING, 2).seconds == 0


def test_an_unknown_backbone_has_no_estimate_until_one_run_of_each_kind_is_measured(specs):
    assert estimate(specs, NOTHING, 2).seconds is None
    assert "toy-backbone" in estimate(specs, NOTHING, 2).basis


def test_medians_of_like_runs_are_shared_by_the_workers(specs):
    measured = [(spec, Cost(3.0, 1.0)) for spec in specs]
    odd = specs[1]
    found = estimate(specs, Measured([*measured, (odd, Cost(90.0, 9.0)), (odd, Cost(3.0, 1.0))]), 2)
    n_trained = sum(spec.adapter != UNADAPTED for spec in specs)
    work = 3.0 * n_trained + 1.0 * len(specs) + RUN_SECONDS * len(specs)
    assert found.seconds == pytest.approx(START_SECONDS + work / 2)
    assert found.low <= found.seconds < found.high
    assert "like runs in the ledger; 2 at a time" in found.basis


def test_a_run_of_the_same_kind_is_scaled_by_the_rows_it_trains_on(specs):
    trained = [spec for spec in specs if spec.adapter != UNADAPTED]
    measured = Measured([(spec, Cost(3.0, 1.0)) for spec in trained])
    longer = [
        dataclasses.replace(s, hp=dataclasses.replace(s.hp, steps=3 * s.hp.steps)) for s in trained
    ]
    once, thrice = (estimate(each, measured, 1).seconds for each in (trained, longer))
    assert thrice - once == pytest.approx(6.0 * len(trained))


def test_the_default_study_has_a_typical_time_and_it_grows_with_training(default):
    longer, _ = read_arguments(["train.steps=80"])
    first = estimate(default, NOTHING, 2)
    second = estimate(list(make_plan(longer).specs.values()), NOTHING, 2)
    assert 60 < first.seconds < 300 < second.seconds
    assert first.low < first.seconds < first.high
    assert "typical figures" in first.basis


def test_a_slow_machine_takes_longer_and_measured_runs_say_how_slow(default):
    fast = estimate(default, NOTHING, 2)
    slow = estimate(default, NOTHING, 2, speed=0.5)
    assert slow.seconds == pytest.approx(2 * fast.seconds)
    some = [spec for spec in default if spec.block is None and spec.adapter != UNADAPTED]
    half = Measured([(spec, Cost(2 * typical_seconds(spec), 0.0)) for spec in some])
    assert half.speed() == pytest.approx(0.5)
    assert Measured(half.runs[:4]).speed() is None
    assert "0.50 times their speed by runs in the ledger" in estimate(default, half, 2).basis


def test_looks_inside_take_time_too(default):
    without, with_probes = (estimate(default, NOTHING, 2, probes=n).seconds for n in (0, 12))
    assert with_probes - without == pytest.approx(12 * PROBE_SECONDS / 2)


def test_the_typical_figures_are_those_of_the_page():
    from tests.test_readme import ROOT

    page = (ROOT / "docs/cells.md").read_text(encoding="utf-8")
    for name, figures in TYPICAL.items():
        assert f"| {name} | " + " | ".join(map(str, figures)) + " |" in page


def test_an_unadapted_backbone_is_only_scored(default):
    spec = next(s for s in default if s.adapter == UNADAPTED)
    assert typical_seconds(spec) == TYPICAL[spec.backbone.name][1]
    trained = dataclasses.replace(spec, adapter="lora")
    train, score = TYPICAL[spec.backbone.name][:2]
    assert typical_seconds(trained) == pytest.approx(
        train * spec.hp.steps * spec.hp.batch / TYPICAL_ROWS + score
    )
    fewer = dataclasses.replace(trained, benchmarks=trained.benchmarks[:1])
    assert typical_seconds(fewer) < typical_seconds(trained)


def test_the_speed_of_the_machine_is_a_positive_share(monkeypatch):
    import ablate.planning.typical as typical

    assert machine_speed(2) > 0
    ticks = iter(range(100))
    monkeypatch.setattr(typical.time, "process_time", lambda: next(ticks) * 2 * REFERENCE_SECONDS)
    assert typical.core_speed(rounds=3) == pytest.approx(0.5)
