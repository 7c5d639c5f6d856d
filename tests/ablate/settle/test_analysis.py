"""What a settling study's analysis takes from its tables: order of seeds, and failed runs."""

import dataclasses

import numpy as np
import pytest

from ablate.collect import OTHER_ENVIRONMENT, make_tables
from ablate.settle.analysis import claim_contrasts, claim_tables, replays, settle_claim
from ablate.settle.beside import equivalence_panel, looks_panel
from stats.verdict import Verdict
from tests.ablate.settle.conftest import finish, plan, records

SEQUENTIAL = ("settle.stopping=sequential", "settle.budget=8", "adapters=lora")


@pytest.fixture
def sequential(ledger):
    """A finished sequential study of eight pairs, and its tables."""
    whole = plan(*SEQUENTIAL)
    finish(ledger, whole.specs.values())
    return whole, make_tables(whole, records(ledger), ledger.scores(whole.specs))


def without(tables, seed, outcome="failed"):
    """The tables with one run of the seed, on one backbone, without a score."""
    results = tables.results.copy()
    lost = (results["seed"] == seed) & (results["arm"] == "lora")
    lost &= results["backbone"] == "qwen2-tiny"
    assert lost.sum() == 2
    results.loc[lost, "score"] = np.nan
    results.loc[lost, "outcome"] = outcome
    return dataclasses.replace(tables, results=results)


def bets(whole, tables):
    read = claim_tables(whole, tables, claim_contrasts(whole))
    found = replays(whole, read.complete, claim_contrasts(whole))
    return [step.e_value for step in found["lora"].steps], read.waiting


def test_a_pair_filled_in_later_changes_no_bet_that_was_made(sequential):
    whole, tables = sequential
    filled, none = bets(whole, tables)
    assert (len(filled), none) == (8, ())
    before, waiting = bets(whole, without(tables, 10003))
    assert before == filled[:3]
    assert waiting == (10003, 10004, 10005, 10006, 10007)


@pytest.mark.parametrize("outcome", ["diverged", OTHER_ENVIRONMENT])
def test_an_outcome_without_a_score_lets_no_seed_wait(sequential, outcome):
    whole, tables = sequential
    found, waiting = bets(whole, without(tables, 10003, outcome))
    assert (len(found), waiting) == (7, ())


def test_seeds_that_wait_are_named_and_count_as_lost(sequential):
    whole, tables = sequential
    found = settle_claim(whole, without(tables, 10003))
    assert (
        "Seed 10003 lacks a run that the machine lost, and 4 later seeds wait for it"
        in (looks_panel(found).sentences[-1])
    )
    (part,) = found.gatekept.average.parts
    assert (part.n_pairs, part.n_broken) == (3, 10)


def test_arms_that_fail_unequally_are_not_equivalent(ledger, monkeypatch):
    monkeypatch.setattr("ablate.settle.plan_file.MIN_PAIRS", 8)
    whole = plan("settle.pairs=8", "adapters=lora", "sesoi=2", world="null:3")
    finish(ledger, whole.specs.values())
    tables = make_tables(whole, records(ledger), ledger.scores(whole.specs))
    (clean,) = settle_claim(whole, tables).equivalence.primary
    assert clean.effect.verdict is Verdict.EQUIVALENT
    results = tables.results.copy()
    gone = (results["seed"] < 10003) & (results["arm"] != "lora")
    results.loc[gone, "score"] = np.nan
    results.loc[gone, "outcome"] = "diverged"
    found = settle_claim(whole, dataclasses.replace(tables, results=results))
    (failing,) = found.equivalence.primary
    assert found.n_diverged == 6
    assert failing.effect.verdict is Verdict.INCONCLUSIVE
    assert failing.p_adjusted > 0.05
    assert failing.effect.n_pairs == 10
    assert any("with diverged runs (6) scored" in n for n in equivalence_panel(
        found.equivalence, found.n_diverged
    ).notes)  # fmt: skip
