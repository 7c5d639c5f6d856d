"""methods.md: every number in it is one of the findings', and what was not run is not said."""

import dataclasses
import re

import pytest

from ablate.recipes import TRAIN_RECIPE
from ablate.report import Findings
from ablate.report.methods import (
    PAIRING,
    SCORING,
    TRAINING,
    methods_text,
    paragraphs,
    spans,
)


@pytest.fixture(scope="module")
def full(controlled: Findings) -> Findings:
    provenance = {
        "train.steps": "40", "train.lr": "0.005", "train.mix": "code, recall",
        "block.width": "16", "backbone llama-tiny": "4 layers, 0123456789ab",
        "torch": "2.13.0", "device": "cpu",
    }  # fmt: skip
    return dataclasses.replace(
        controlled, provenance=provenance, methods=("A sentence of an analysis.",)
    )


def test_the_present_recipe_is_described():
    assert TRAIN_RECIPE in TRAINING, "the training loop changed: describe it anew"
    assert TRAIN_RECIPE in SCORING


def test_it_names_what_was_run(full: Findings):
    text = methods_text(full)
    for said in (
        "`python -m ablate run axes=insertion,memory`; it comprises 180 runs.",
        "insertion (early, embedding, middle), memory (16, 1, 4)",
        "llama-tiny (4 layers, 0123456789ab), qwen3-tiny.",
        "arithmetic (200 items)",
        "on retention (200 items)",
        "The training mix was code, recall.",
        "9 arms with the mechanism",
        "lora + insertion=early, memory=16;",
        "5 controls: static (learned vectors in place of a memory of the sequence); ",
        "In all arms: steps 40; lr 0.005.",
        "The block's own: width 16.",
        "Seeds 0 to 5.",
        "corrected over 72 tests by max-T (all 64 joint sign flips of pairs)",
        "A sentence of an analysis.",
        "The smallest effect of interest is 1 point.",
        "All 180 runs gave scores; no pair is broken.",
        "torch 2.13.0",
        PAIRING,
    ):
        assert said in text, said


def test_every_primary_contrast_is_named(full: Findings):
    tests = " ".join(paragraphs(full)["Estimands and tests"])
    for effect in full.main.primary:
        assert effect.name in tests
    assert full.controls is not None
    for effect in full.controls.primary:
        assert effect.name in tests


def test_items_are_counted_not_declared(full: Findings):
    fewer = full.results.assign(n_items=full.results["n_items"] - 37)
    text = methods_text(dataclasses.replace(full, results=fewer))
    assert "(163 items)" in text
    assert "(200 items)" not in text


def test_what_was_not_run_is_not_claimed(full: Findings):
    bare = dataclasses.replace(
        full, controls=None, retention=(), retention_comparison=None, methods=(), notes=(),
        arms=tuple(info for info in full.arms if not info.control), provenance={},
    )  # fmt: skip
    text = methods_text(bare)
    for word in (
        "control",
        "etention",
        "Further analyses",
        "Design notes",
        "mix was",
        "In all arms",
    ):
        assert word not in text, word


def test_a_synthetic_world_trained_nothing(full: Findings):
    text = methods_text(dataclasses.replace(full, provenance={"world": "null"}))
    assert "No model was trained: scores were drawn from the synthetic world null." in text
    assert TRAINING[TRAIN_RECIPE] not in text
    assert SCORING[TRAIN_RECIPE] not in text
    assert PAIRING not in text


def test_draws_are_told_with_their_ranges(full: Findings):
    drawn = full.results.assign(hp=full.results["seed"])
    ranges = {"train.steps": "40", "train.lr": "drawn from 0.001..0.01"}
    text = methods_text(
        dataclasses.replace(full, results=drawn, pair=("hp",), seeds=(0, 1), provenance=ranges)
    )
    assert "6 draws of the hyperparameters, shared by all arms, have 2 seeds each" in text
    assert "In all arms: steps 40; lr drawn from 0.001..0.01." in text
    assert "The unit of independence is the draw" in text
    assert "the runs that share hp" in text


def test_failures_and_exploration_are_told(troubled: Findings):
    text = methods_text(troubled)
    assert "2 of 120 runs gave no score" in text
    assert "exploratory: seeds were added after a look." in text


def test_a_paragraph_each_in_a_line(full: Findings):
    lines = methods_text(full).split("\n\n")
    assert lines[0] == "# Methods: insertion-memory"
    assert all(re.match(r"\*\*[A-Z][a-z ]+\.\*\* [A-Z0-9`]", part) for part in lines[1:])


def test_consecutive_seeds_are_one_span():
    assert spans([0, 1, 2, 3, 7, 9, 10]) == "0 to 3, 7, 9, 10"
    assert spans([5]) == "5"
