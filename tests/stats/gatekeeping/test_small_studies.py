"""Subsets of seeds as studies: against the tests themselves, and against what was planted."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from stats.contrast import versus
from stats.errors import StatsError
from stats.gatekeeping.small_studies import small_studies
from stats.paired import paired_t
from stats.sample import Sample
from stats.table import PairedTable


def table(gain=0.0, *, seeds=8, backbones=2, noise=1.0, rng=0, lost=()):
    generator = np.random.default_rng(rng)
    rows = []
    for b, seed, j in itertools.product(range(backbones), range(seeds), ("x", "y")):
        base = 50 + generator.normal(0, 3)
        gained = np.nan if (b, seed) in lost else base + gain + generator.normal(0, noise)
        rows += [("a", b, seed, j, base), ("a+m", b, seed, j, gained)]
    names = ["arm", "backbone", "seed", "benchmark", "score"]
    return PairedTable.from_frame(pd.DataFrame(rows, columns=names), allow_failed=True)


CONTRAST = versus("a+m", "a")


def matrix(t):
    """Differences (backbone, benchmark, seed)."""
    scores = t.scores()
    i, j = scores.arms.index("a+m"), scores.arms.index("a")
    d = scores.values[i] - scores.values[j]
    out = np.full((2, 2, len(scores.pairs) // 2), np.nan)
    for p, (b, s) in enumerate(scores.pairs):
        for c, (cell_b, name) in enumerate(scores.cells):
            if b == cell_b:
                out[int(b), "xy".index(name), int(s)] = d[p, c]
    return out


def test_every_subset_is_tested_as_a_study_of_its_own():
    t = table(0.6)
    done = small_studies(t, CONTRAST, sizes=(3,))
    d = matrix(t)
    gains = losses = 0
    for subset in itertools.combinations(range(8), 3):
        within = d[:, :, list(subset)].mean(axis=1)
        test = paired_t(Sample.of(list(within)))
        gains += test.p < 0.05 and test.mean > 0
        losses += test.p < 0.05 and test.mean < 0
    average = done.average(3)
    assert average.n_subsets == 56
    assert average.gain == pytest.approx(gains / 56)
    assert average.loss == pytest.approx(losses / 56)
    cell = next(s for s in done.in_cells(3) if s.cell == {"backbone": "0", "benchmark": "x"})
    hits = [
        scipy_stats.ttest_1samp(d[0, 0, list(s)], 0).pvalue < 0.05 and d[0, 0, list(s)].mean() > 0
        for s in itertools.combinations(range(8), 3)
    ]
    assert cell.gain == pytest.approx(np.mean(hits))
    assert cell.full == pytest.approx(d[0, 0].mean())


def test_no_effect_is_claimed_by_means_half_of_the_time_and_by_tests_rarely():
    shares = [small_studies(table(rng=i, seeds=10), CONTRAST, sizes=(5,)) for i in range(25)]
    higher = np.mean([s.average(5).higher for s in shares])
    claimed = np.mean([s.average(5).gain + s.average(5).loss for s in shares])
    assert 0.3 < higher < 0.7
    assert claimed < 0.12


def test_small_studies_of_a_true_effect_exaggerate_it():
    done = small_studies(table(0.7, seeds=20, rng=4), CONTRAST)
    three, seven = done.average(3), done.average(7)
    assert three.exaggeration > seven.exaggeration > 1
    assert three.gain < seven.gain
    assert three.largest > seven.largest > three.full
    assert three.n_subsets == 1140
    assert done.average(5).n_subsets == 2000


def test_without_an_effect_in_all_pairs_there_is_nothing_to_exaggerate():
    done = small_studies(table(0.0, seeds=12), CONTRAST, sizes=(3,))
    assert np.isnan(done.average(3).exaggeration)


def test_sweeps_count_cells_that_are_not_below_zero():
    done = small_studies(table(9.0), CONTRAST, sizes=(3,))
    assert done.sweeps[3] == (4, 4, 1.0)
    assert small_studies(table(-9.0), CONTRAST, sizes=(3,)).sweeps[3] == (0, 0, 0.0)


def test_seeds_that_lack_a_score_anywhere_are_left_out():
    done = small_studies(table(lost={(0, 2), (1, 5)}), CONTRAST, sizes=(3,))
    assert (done.n_indices, done.n_left_out) == (6, 2)


def test_differences_without_spread_claim_nothing():
    done = small_studies(table(1.0, noise=0.0), CONTRAST, sizes=(3,))
    assert done.average(3).gain == 0.0
    assert done.average(3).higher == 1.0


def test_the_result_is_plain_seeded_and_small():
    done = small_studies(table(seeds=20), CONTRAST, rng=1)
    again = small_studies(table(seeds=20), CONTRAST, rng=1)
    text = json.dumps(done.to_dict())
    assert text == json.dumps(again.to_dict())
    assert len(text) < 10_000
    assert len(done.table()) == 3 * 5
    assert max(map(len, done.summary().splitlines())) <= 100


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"sizes": (1,)}, "whole numbers from 2 on"),
        ({"sizes": (8,)}, "leave no subset of 8"),
        ({"alpha": 1.0}, "not between 0 and 1"),
    ],
)
def test_bad_input(more, message):
    with pytest.raises(StatsError, match=message):
        small_studies(table(), CONTRAST, **more)


def test_too_few_whole_pairs():
    with pytest.raises(StatsError, match="2 pairs are whole"):
        small_studies(table(seeds=2), CONTRAST, sizes=(2,))
