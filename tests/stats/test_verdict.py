"""The order of verdicts, their sentences, and the pairs still needed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from stats.errors import StatsError
from stats.result import Effect
from stats.verdict import Verdict, decide, describe, pairs_needed

S = 1.0  # smallest effect of interest


def outcome(
    delta: float, p: float, low: float, high: float, *, sesoi: float | None = S, **flags: bool
) -> tuple[str, str]:
    verdict, also = decide(
        delta=delta, p_adjusted=p, low=low, high=high, alpha=0.05, sesoi=sesoi, **flags
    )
    return str(verdict), also


@pytest.mark.parametrize(
    ("given", "verdict", "also"),
    [
        ((2.0, 0.01, 1.5, 2.5), "superior-and-meaningful", ""),
        ((2.0, 0.01, 1.0, 3.0), "superior", ""),  # touches the border: not beyond
        ((2.0, 0.06, 1.5, 2.5), "inconclusive", ""),  # interval and p disagree: both must hold
        ((0.5, 0.01, 0.2, 0.8), "equivalent", "superior"),
        ((-0.5, 0.01, -0.8, -0.2), "equivalent", "inferior"),
        ((0.1, 0.60, -0.4, 0.6), "equivalent", ""),
        ((0.1, 0.60, -0.4, 1.0), "inconclusive", ""),  # touches the border: not within
        ((0.9, 0.05, 0.1, 1.7), "superior", ""),  # p = alpha rejects
        ((-0.9, 0.04, -1.7, -0.1), "inferior", ""),
        ((-2.0, 0.01, -2.5, -1.5), "inferior-and-meaningful", ""),
        ((0.9, 0.30, -1.7, 3.5), "inconclusive", ""),
    ],
)
def test_table(given: tuple[float, float, float, float], verdict: str, also: str) -> None:
    assert outcome(*given) == (verdict, also)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ((2.0, 0.01, 1.5, 2.5), "superior"),
        ((0.1, 0.60, -0.4, 0.6), "inconclusive"),
        ((-2.0, 0.01, -2.5, -1.5), "inferior"),
    ],
)
def test_without_a_smallest_effect_there_are_three(
    given: tuple[float, float, float, float], verdict: str
) -> None:
    assert outcome(*given, sesoi=None) == (verdict, "")


def test_undefined_comes_before_identical_and_both_before_the_rest() -> None:
    strong = (2.0, 0.001, 1.5, 2.5)
    assert outcome(*strong, undefined=True, identical=True)[0] == "undefined"
    assert outcome(*strong, identical=True)[0] == "identical"


def test_no_room_takes_equivalence_only() -> None:
    assert outcome(0.1, 0.6, -0.4, 0.6, no_room=True) == ("inconclusive", "")
    assert outcome(0.5, 0.01, 0.2, 0.8, no_room=True) == ("superior", "")
    assert outcome(-0.5, 0.01, -0.8, -0.2, no_room=True) == ("inferior", "")
    assert outcome(2.0, 0.01, 1.5, 2.5, no_room=True)[0] == "superior-and-meaningful"


def test_an_undefined_interval_is_never_equivalent() -> None:
    assert outcome(0.1, 1.0, math.nan, math.nan)[0] == "inconclusive"
    assert outcome(0.1, 1.0, -math.inf, math.inf)[0] == "inconclusive"


def effect(verdict: Verdict, **changes: object) -> Effect:
    values = {f.name: 0.5 if f.type == "float" else "" for f in dataclasses.fields(Effect)} | {
        "name": "talan",
        "baseline": "lora",
        "cell": {"backbone": "deep"},
        "n_pairs": 6,
    }
    values |= {"n_broken": 0, "no_room": False, "pairs_needed": 31, "verdict": verdict}
    return Effect(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdict", "changes", "words"),
    [
        (Verdict.SUPERIOR_AND_MEANINGFUL, {}, "better, and by more than 1 point "),
        (Verdict.INFERIOR_AND_MEANINGFUL, {}, "worse, and by more than 1 point "),
        (Verdict.SUPERIOR, {}, "better, though perhaps by less than 1 point"),
        (Verdict.INFERIOR, {}, "worse, though perhaps by less"),
        (Verdict.EQUIVALENT, {}, "the same within 1 point ("),
        (Verdict.EQUIVALENT, {"also": "superior"}, "the same within 1 point, though better"),
        (Verdict.INCONCLUSIVE, {}, "not settled; about 31 fresh pairs would find 1 point"),
        (Verdict.INCONCLUSIVE, {"no_room": True}, "too close to chance or the maximum"),
        (Verdict.IDENTICAL, {}, "identical scores in all 6 pairs"),
        (Verdict.UNDEFINED, {"sd": 0.0}, "all 6 pairs differ by exactly"),
        (Verdict.UNDEFINED, {"sd": math.nan, "n_pairs": 1}, "too few"),
    ],
)
def test_sentences(verdict: Verdict, changes: dict[str, object], words: str) -> None:
    sentence = describe(effect(verdict, **changes), "points", 1.0)
    assert words in sentence
    assert sentence.startswith("talan against lora in deep")
    assert sentence.endswith(".")


def test_an_average_without_room_says_that_it_is_one_of_its_cells() -> None:
    average = effect(Verdict.INCONCLUSIVE, no_room=True, cell=None)
    assert "(one of its cells is too close to chance" in describe(average, "points", 1.0)


def test_every_verdict_has_a_sentence_of_its_own() -> None:
    assert len({describe(effect(v), "points", 1.0) for v in Verdict}) == len(Verdict)


def test_pairs_needed_reaches_the_power_it_promises() -> None:
    """By simulation at the sd the plan assumes: the upper 80 % limit of the pilot's."""
    import scipy.stats

    n, sd = 6, 1.3
    upper = sd * math.sqrt(5 / scipy.stats.chi2.ppf(0.2, 5))
    needed = pairs_needed(sd, n, S, 0.01)
    d = np.random.default_rng(0).normal(S, upper, (20_000, needed))
    t = d.mean(axis=1) / (d.std(axis=1, ddof=1) / math.sqrt(needed))
    power = (np.abs(t) > scipy.stats.t.ppf(0.995, needed - 1)).mean()
    assert 0.79 < power < 0.83
    fewer = d[:, : needed - 2]
    t = fewer.mean(axis=1) / (fewer.std(axis=1, ddof=1) / math.sqrt(needed - 2))
    assert (np.abs(t) > scipy.stats.t.ppf(0.995, needed - 3)).mean() < power


@pytest.mark.parametrize(("dz", "n"), [(0.5, 34), (0.8, 15), (1.0, 10)])
def test_pairs_needed_for_a_known_spread(dz: float, n: int) -> None:
    """With a pilot so large that its limit is its sd, the textbook sample sizes come back."""
    assert pairs_needed(1.0, 10**9, dz, 0.05) == n


def test_pairs_needed_spreads_over_groups() -> None:
    single = pairs_needed(1.3, 12, S, 0.05)
    for groups in (2, 4):
        spread = pairs_needed(1.3, 12, S, 0.05, groups=groups)
        assert spread % groups == 0
        assert single <= spread < single + 3 * groups


def test_pairs_needed_grows_with_doubt() -> None:
    assert pairs_needed(1.3, 4, S, 0.05) > pairs_needed(1.3, 12, S, 0.05)
    assert pairs_needed(1.3, 12, S, 0.001) > pairs_needed(1.3, 12, S, 0.05)


@pytest.mark.parametrize("bad", [(0.0, 6, 1.0, 0.05), (1.0, 1, 1.0, 0.05), (1.0, 6, 1.0, 1.5)])
def test_pairs_needed_refuses(bad: tuple[float, int, float, float]) -> None:
    with pytest.raises(StatsError, match="out of range"):
        pairs_needed(*bad)
