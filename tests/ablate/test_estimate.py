import dataclasses

import pytest

from ablate.estimate import START_SECONDS, TYPICAL, TYPICAL_ROWS, estimate, typical_seconds
from ablate.options import read_arguments
from ablate.plan import make_plan
from ablate.spec import UNADAPTED


@pytest.fixture(scope="module")
def specs(toys):
    return list(make_plan(toys.study()).specs.values())


def test_nothing_to_do_takes_no_time(specs):
    assert estimate([], [], 2).seconds == 0


def test_an_unknown_backbone_has_no_estimate_until_one_run_of_each_kind_is_measured(specs):
    assert estimate(specs, [], 2).seconds is None
    assert "toy-backbone" in estimate(specs, [], 2).basis


def test_medians_of_like_runs_are_shared_by_the_workers(specs):
    measured = [(spec, 4.0) for spec in specs] + [(specs[1], 100.0), (specs[1], 4.0)]
    found = estimate(specs, measured, 2)
    assert found.seconds == START_SECONDS + 4.0 * len(specs) / 2
    assert "like runs in the ledger; 2 at a time" in found.basis


def test_the_default_study_has_a_typical_time_and_it_grows_with_training():
    (study, _), (longer, _) = (read_arguments(a) for a in (["seeds=6"], ["train.steps=80"]))
    first, second = (estimate(list(make_plan(s).specs.values()), [], 2) for s in (study, longer))
    assert first.seconds is not None
    assert second.seconds is not None
    assert 60 < first.seconds < 300 < second.seconds
    assert "none measured here" in first.basis


def test_the_typical_figures_are_those_of_the_page():
    from tests.test_readme import ROOT

    page = (ROOT / "docs/cells.md").read_text(encoding="utf-8")
    for name, figures in TYPICAL.items():
        assert f"| {name} | " + " | ".join(map(str, figures)) + " |" in page


def test_an_unadapted_backbone_is_only_scored():
    study, _ = read_arguments([])
    spec = next(s for s in make_plan(study).specs.values() if s.adapter == UNADAPTED)
    assert typical_seconds(spec) == TYPICAL[spec.backbone.name][1]
    trained = dataclasses.replace(spec, adapter="lora")
    train, score = TYPICAL[spec.backbone.name][:2]
    assert typical_seconds(trained) == pytest.approx(
        train * study.hp.steps * study.hp.batch / TYPICAL_ROWS + score
    )
