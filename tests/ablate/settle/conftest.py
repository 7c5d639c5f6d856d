"""A settling study in a synthetic world, and a ledger that its runs are drawn into at once."""

import dataclasses

import pytest

from ablate.home import Home
from ablate.ledger import open_ledger
from ablate.parse import read_overrides
from ablate.settle.plan_file import settling_plan
from ablate.study import load_study
from ablate.worlds.draw import execute

SMALL = {"backbones": "qwen3-tiny,qwen2-tiny", "benchmarks": "arithmetic,recall"}


def study(*settings, world="mechanism"):
    given = dict(text.split("=", 1) for text in settings)
    merged = SMALL | {"world": world} | given
    return load_study(read_overrides([f"{k}={v}" for k, v in merged.items()]), "settle")


def plan(*settings, **more):
    return settling_plan(study(*settings, **more))


def finish(ledger, specs):
    """Enter runs and give each the outcome that its world draws."""
    ledger.add({spec.key: spec for spec in specs})
    for spec in specs:
        ledger.claim(spec.key)
        ledger.finish(execute([spec])[0])


def with_seed(spec, seed, **more):
    """The same run with another seed, and whatever else."""
    return dataclasses.replace(spec, seed=seed, **more)


def records(ledger):
    return ledger.records(ledger.keys())


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def ledger(home):
    opened = open_ledger(home.ledger)
    yield opened
    opened.close()
